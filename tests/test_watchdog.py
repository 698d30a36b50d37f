"""The watchdog's deadlines, on a clock that jumps."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_exec.model import Reason
from trio_exec.session.watchdog import Watchdog


async def test_the_first_deadline_wins(autojump_clock: MockClock) -> None:
    watchdog = Watchdog()
    watchdog.set(Reason.EXECUTION_TIMEOUT, trio.current_time() + 20)
    watchdog.set(Reason.IDLE_TIMEOUT, trio.current_time() + 10)

    assert await watchdog.wait() == "idle_timeout"
    assert trio.current_time() == 10


async def test_deadlines_can_be_moved_away_while_it_sleeps(autojump_clock: MockClock) -> None:
    watchdog = Watchdog()
    watchdog.set(Reason.EXECUTION_TIMEOUT, trio.current_time() + 20)
    watchdog.set(Reason.IDLE_TIMEOUT, trio.current_time() + 5)
    async with trio.open_nursery() as nursery:

        async def program() -> None:
            for _ in range(4):
                await trio.sleep(4)
                watchdog.set(Reason.IDLE_TIMEOUT, trio.current_time() + 5)

        nursery.start_soon(program)
        assert await watchdog.wait() == "execution_timeout"
    assert trio.current_time() == 20


@pytest.mark.parametrize("cleared", [True, False])
async def test_deadlines_can_be_cleared_and_set_earlier_while_it_sleeps(
    autojump_clock: MockClock, cleared: bool
) -> None:
    watchdog = Watchdog()
    watchdog.set(Reason.DETACHED, trio.current_time() + 60)
    reasons: list[object] = []

    async def wait() -> None:
        reasons.append(await watchdog.wait())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        if cleared:
            watchdog.clear(Reason.DETACHED, Reason.IDLE_TIMEOUT)
            await trio.sleep(1000)
        watchdog.set(Reason.QUEUE_TIMEOUT, trio.current_time() + 1)

    assert reasons == ["queue_timeout"]
    assert trio.current_time() == (1002 if cleared else 2)


async def test_without_deadlines_it_waits_for_ever(autojump_clock: MockClock) -> None:
    watchdog = Watchdog()
    with trio.move_on_after(10_000) as scope:
        await watchdog.wait()

    assert scope.cancelled_caught

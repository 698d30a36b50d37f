"""The pool on a clock that jumps: what only hours, or the worst moment, would show for real."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeContainer, FakeExecutor, move_on
from tests.sessions import LIMITS, RESOURCES
from tests.sessions import SPEC as PLAIN_SPEC
from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.executor.pool import MAX_AGE, PRESTART_TIMEOUT, QUIET, QUIET_PATIENCE, RETRY_SLOW, Pool, Prestart
from trio_exec.launcher import frames
from trio_exec.phases import Phase, Phases

SPEC = replace(PLAIN_SPEC, may_use_prestart=True)
PRESTART = Prestart(
    file="main.py", command=["python3", "main.py"], environment={}, terminal_environment={}, runs_on_terminal=True
)


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor(opening=0.2)


@asynccontextmanager
async def running(
    executor: FakeExecutor, size: int = 2, prestarts: Sequence[Prestart] = (), phases: Phases | None = None
) -> AsyncGenerator[Pool]:
    pool = Pool(
        executor,
        sizes={"python": size},
        prestarts={"python": prestarts},
        resources={"python": [RESOURCES], "cpp": [RESOURCES]},
        limits=LIMITS,
        lifetime=60,
        phases=phases or Phases(),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        yield pool
        nursery.cancel_scope.cancel()
    assert executor.open_count == 0


async def use(pool: Pool, seconds: float = 0.1, spec: ContainerSpec = SPEC) -> Container:
    async with pool.open_container(spec) as container:
        await trio.sleep(seconds)
        return container


async def test_what_nobody_used_is_replaced_when_it_is_old(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor) as pool:
        await trio.sleep(5)
        first = list(executor.containers)
        assert (len(first), executor.open_count) == (2, 2)

        await trio.sleep(MAX_AGE + 5)
        assert (len(executor.containers), executor.open_count) == (4, 2)
        assert await use(pool) not in first


async def test_what_dies_is_replaced(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor) as pool:
        await trio.sleep(5)
        executor.containers[0].die()
        await trio.sleep(5)

        assert (pool.warm, len(executor.containers), executor.open_count) == ({"python": 2}, 3, 2)


async def test_a_session_never_gets_one_that_has_just_died(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor, size=4) as pool:
        await trio.sleep(5)
        for dead in executor.containers[:3]:
            dead.die()  # Nobody has had a chance to see it.
        container = await use(pool)

    assert isinstance(container, FakeContainer)
    assert container not in executor.containers[:3]


async def test_nor_one_of_which_nobody_knows_yet_why_it_died(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor, size=4) as pool:
        await trio.sleep(5)
        for dead in executor.containers[:3]:
            dead.reason_takes = 2
            dead.die()
        await trio.sleep(1)
        container = await use(pool)

    assert isinstance(container, FakeContainer)
    assert container not in executor.containers[:3]


async def test_a_session_has_the_machine_for_itself_at_first(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor) as pool:
        await trio.sleep(5)
        start = trio.current_time()
        await use(pool, 5)

        assert len(executor.asked_at) == 3
        assert executor.asked_at[-1] == pytest.approx(start + QUIET)


async def test_a_pool_refills_though_sessions_never_stop_coming(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    async with running(executor, size=4) as pool, trio.open_nursery() as nursery:
        await trio.sleep(5)
        start = trio.current_time()
        warmed = 0
        for _ in range(100):
            nursery.start_soon(use, pool)
            await trio.sleep(QUIET / 2)
            warmed = max(warmed, sum(pool.warm.values()) if trio.current_time() > start + QUIET_PATIENCE else 0)

        assert warmed > 0
        # Asked for by the refiller, since a session would be in the midst of its own start.
        assert any(start + QUIET_PATIENCE <= asked for asked in executor.asked_at)


async def test_an_engine_that_refuses_is_asked_ever_more_seldom(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    executor.failure = ExecutorError("no")
    async with running(executor):
        await trio.sleep(100)
        # Two kinds, with and without a terminal, each by itself: after 1, 2, 4, … seconds.
        assert len(executor.asked_at) == 2 * 7
        for asked_at in (executor.asked_at[::2], executor.asked_at[1::2]):
            gaps = [later - sooner for sooner, later in pairwise(asked_at)]
            assert gaps == sorted(gaps)

        executor.failure = None
        await trio.sleep(100)
        assert executor.open_count == 2


async def test_a_language_that_is_refused_keeps_no_other_cold(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    executor.refused_languages = {"cpp"}
    pool = Pool(
        executor,
        sizes={"cpp": 2, "python": 2},
        prestarts={},
        resources={"python": [RESOURCES], "cpp": [RESOURCES]},
        limits=LIMITS,
        lifetime=60,
        phases=Phases(),
    )
    cold = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        for _ in range(60):
            await trio.sleep(4)
            cold += pool.warm["python"] == 0
            await use(pool)
        nursery.cancel_scope.cancel()

    assert cold == 0


async def test_a_language_that_is_missing_is_left_out_until_it_comes(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    executor.missing["python"] = "its image is being built"
    async with running(executor) as pool:
        await trio.sleep(60)
        assert (executor.asked_at, pool.missing) == ([], executor.missing)

        executor.missing.clear()
        await trio.sleep(5)
        assert pool.warm == {"python": 2}


async def test_it_refills_while_cold_starts_overlap(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    executor.opening = 1
    waits: list[float] = []
    async with running(executor, size=4) as pool, trio.open_nursery() as nursery:

        async def start_one() -> None:
            start = trio.current_time()
            async with pool.open_container(SPEC):
                waits.append(trio.current_time() - start)

        for _ in range(200):
            nursery.start_soon(start_one)
            await trio.sleep(0.5)  # A cold start takes twice as long: one is always under way.

    # One at a time, it can make one for every second session.
    assert sum(wait == 0 for wait in waits) > 200 * 0.4


async def test_several_are_warmed_at_once_where_the_machine_allows(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    executor.warm_at_once = 4
    pool = Pool(
        executor,
        sizes={"python": 8},
        prestarts={},
        resources={"python": [RESOURCES]},
        limits=LIMITS,
        lifetime=60,
        phases=Phases(),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        await trio.sleep(executor.opening / 2)
        assert executor.open_count == 4
        await trio.sleep(2 * executor.opening)
        assert (executor.open_count, pool.warm) == (8, {"python": 8})
        nursery.cancel_scope.cancel()


async def test_it_is_ready_when_all_that_it_holds_is(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor, prestarts=[PRESTART, PRESTART]) as pool:
        await trio.sleep(1)
        (container,) = executor.containers
        assert container.kinds() == "pp"
        container.say(frames.Prestarted())
        await trio.sleep(1)
        assert pool.warm == {"python": 0}
        container.say(frames.Prestarted())
        await wait_all_tasks_blocked()
        assert pool.warm == {"python": 1}

        assert await use(pool) is container
        assert container.kinds() == "pp"


async def test_what_was_started_ahead_is_ended_where_it_is_of_no_use(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    async with running(executor, prestarts=[PRESTART]) as pool:
        await trio.sleep(1)
        executor.containers[0].say(frames.Prestarted())
        await wait_all_tasks_blocked()
        await use(pool, spec=replace(SPEC, may_use_prestart=False))

        assert executor.containers[0].kinds() == "pk"


async def test_one_that_cannot_be_prestarted_is_given_up(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    async with running(executor, size=1, prestarts=[PRESTART]) as pool:
        await trio.sleep(1)
        executor.containers[0].say(frames.Failure("a prestarted command ended"))
        await trio.sleep(0.5)
        assert (pool.warm, executor.open_count) == ({"python": 0}, 0)
        await trio.sleep(5)
        assert len(executor.containers) == 2


async def test_a_machine_that_is_too_slow_is_seldom_tried_again(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    async with running(executor, size=1, prestarts=[PRESTART]) as pool:
        await trio.sleep(2 * PRESTART_TIMEOUT)
        assert (pool.warm, len(executor.asked_at)) == ({"python": 0}, 1)

        await trio.sleep(RETRY_SLOW)
        assert len(executor.asked_at) == 2


async def test_nothing_is_warmed_before_the_executor_is_ready(
    executor: FakeExecutor, autojump_clock: MockClock
) -> None:
    executor.ready = trio.Event()
    async with running(executor) as pool:
        await trio.sleep(60)
        assert executor.asked_at == []
        executor.ready.set()
        await trio.sleep(5)
        assert pool.warm == {"python": 2}


LESS_MEMORY = replace(LIMITS, memory_bytes=2**25)


@pytest.mark.parametrize(
    ("spec", "can_update_limits", "is_warm"),
    [
        (replace(SPEC, limits=replace(LIMITS, pids=16)), True, False),
        (replace(SPEC, limits=replace(LIMITS, workspace_bytes=2**20)), True, False),
        (replace(SPEC, limits=LESS_MEMORY), True, True),
        (replace(SPEC, limits=LESS_MEMORY), False, False),
        (replace(SPEC, limits=LESS_MEMORY, may_use_prestart=False), True, False),
        (replace(SPEC, limits=replace(LIMITS, cpus=0.1)), True, True),
        (replace(SPEC, limits=replace(LIMITS, cpus=0.1)), False, False),
        (replace(SPEC, limits=replace(LIMITS, execution_timeout=1, idle_timeout=1, output_bytes=1)), False, True),
    ],
)
async def test_limits_that_cannot_be_put_in_force_later_get_a_cold_one(
    executor: FakeExecutor, autojump_clock: MockClock, spec: ContainerSpec, can_update_limits: bool, is_warm: bool
) -> None:
    executor.can_update_limits = can_update_limits
    async with running(executor, size=1, prestarts=[PRESTART]) as pool:
        await trio.sleep(1)
        [warm] = executor.containers
        warm.say(frames.Prestarted())
        await wait_all_tasks_blocked()

        assert (await use(pool, spec=spec) is warm) == is_warm


async def test_a_drained_pool_is_empty_and_stays_so(executor: FakeExecutor, autojump_clock: MockClock) -> None:
    phases = Phases()
    async with running(executor, phases=phases) as pool, trio.open_nursery() as nursery:
        await trio.sleep(5)
        nursery.start_soon(use, pool, 60)
        await trio.sleep(1)
        move_on(phases, Phase.LEAVING)
        await trio.sleep(1)
        assert pool.warm == {"python": 2}
        phases.move(Phase.DRAINING)
        await trio.sleep(30)
        assert (pool.warm, executor.open_count) == ({"python": 0}, 1)  # What the session has.
        nursery.cancel_scope.cancel()


def test_a_limit_that_is_not_known_to_make_no_difference_has_to_match() -> None:
    times = {"idle_timeout", "execution_timeout", "compile_timeout", "cpu_time"}
    own = {"output_bytes", "stdout_bytes", "stderr_bytes", "collected_files", "collected_bytes"} | times
    limits = replace(LIMITS, stdout_bytes=1000, stderr_bytes=1000, cpu_time=10)
    for it in fields(limits):
        other = replace(limits, **{it.name: getattr(limits, it.name) / 2})
        assert other.allows_reuse_of(limits, can_update_limits=False) == (it.name in own)
        assert other.allows_reuse_of(limits, can_update_limits=True) == (it.name in own | {"memory_bytes", "cpus"})

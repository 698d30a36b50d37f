"""The server's way to its end: the table, waiting for a phase, and how long each one takes, on a jumping clock."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise, product

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeExecutor, move_on
from tests.sessions import SOMEBODY, outcome_of
from trio_exec.budget import Budget
from trio_exec.engine.engine import STOP_TIMEOUT, Engine
from trio_exec.events import Event, PhaseReached
from trio_exec.languages import Languages
from trio_exec.launcher import frames
from trio_exec.limits import MIB
from trio_exec.model import Job, Reason
from trio_exec.phases import IllegalPhaseError, Phase, Phases
from trio_exec.server.process import FAREWELL_TIMEOUT, _wind_down, _Wishes
from trio_exec.session.session import Session
from trio_exec.settings import Settings

ALLOWED = {
    (Phase.SERVING, Phase.LEAVING),
    (Phase.LEAVING, Phase.DRAINING),
    (Phase.DRAINING, Phase.FAREWELL),
    (Phase.FAREWELL, Phase.GONE),
}
OK = frames.StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)


def at(phase: Phase) -> Phases:
    phases = Phases()
    move_on(phases, phase)
    assert phases.present is phase
    return phases


@pytest.mark.parametrize(("start", "to"), sorted(ALLOWED, key=str))
def test_every_move_that_is_allowed(start: Phase, to: Phase) -> None:
    phases = at(start)
    phases.move(to)

    assert phases.present is to


@pytest.mark.parametrize(("start", "to"), sorted(set(product(Phase, Phase)) - ALLOWED, key=str))
def test_any_other_move_raises_and_changes_nothing(start: Phase, to: Phase) -> None:
    phases = at(start)
    with pytest.raises(IllegalPhaseError, match=f"from {start.value} to {to.value}"):
        phases.move(to)

    assert phases.present is start


def test_a_phase_that_is_past_stays_reached() -> None:
    phases = at(Phase.DRAINING)

    assert {phase for phase in Phase if phases.reached(phase)} == {Phase.SERVING, Phase.LEAVING, Phase.DRAINING}


async def test_whoever_waits_for_a_phase_is_woken_by_it_and_by_no_other(autojump_clock: MockClock) -> None:
    phases = Phases()
    woken: list[Phase] = []

    async def wait(phase: Phase) -> None:
        await phases.wait(phase)
        woken.append(phase)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, Phase.FAREWELL)
        nursery.start_soon(wait, Phase.DRAINING)
        move_on(phases, Phase.LEAVING)
        await wait_all_tasks_blocked()
        assert woken == []
        phases.move(Phase.DRAINING)
        await wait_all_tasks_blocked()
        assert woken == [Phase.DRAINING]
        phases.move(Phase.FAREWELL)

    assert woken == [Phase.DRAINING, Phase.FAREWELL]
    await phases.wait(Phase.SERVING)  # What is past is waited for no more.


class Server:
    """What winds down: an engine with one session, whose launcher the test plays, and signals."""

    def __init__(self, engine: Engine, executor: FakeExecutor, phases: Phases, session: Session) -> None:
        self.engine = engine
        self.executor = executor
        self.phases = phases
        self.session = session
        self.wishes = _Wishes()

    async def wind_down(self) -> dict[Phase, float]:
        """Winds down, and returns how many seconds were spent in each phase."""
        reached: dict[Phase, float] = {}

        async def watch() -> None:
            for phase in Phase:
                await self.phases.wait(phase)
                reached[phase] = trio.current_time()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await wait_all_tasks_blocked()
            told: list[Event] = []
            await _wind_down(self.phases, self.engine, self.wishes, told.append)
            assert told == [PhaseReached(phase) for phase in Phase if phase is not Phase.SERVING]
        times = list(reached.values())
        spent = [round(end - start, 3) for start, end in pairwise(times)]
        return dict(zip(reached, spent, strict=False))


@asynccontextmanager
async def serving(*, drain_delay: float = 7, drain_timeout: float = 100) -> AsyncGenerator[Server]:
    executor, phases = FakeExecutor(), Phases()
    settings = Settings(
        drain_delay=drain_delay,
        drain_timeout=drain_timeout,
        execution_timeout=3600,
        idle_timeout=3600,
        detach_grace=3600,
    )
    engine = Engine(settings, Languages.load(), executor, Budget(64 * MIB), phases)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        session = engine.create_session(Job("python", b""), SOMEBODY)
        await trio.sleep(executor.opening)
        await wait_all_tasks_blocked()
        executor.containers[0].say(frames.Started())
        await wait_all_tasks_blocked()
        yield Server(engine, executor, phases, session)
        nursery.cancel_scope.cancel(reason="the test is over")


async def after(seconds: float, event: trio.Event) -> None:
    await trio.sleep(seconds)
    event.set()


async def test_sessions_finish_before_their_time_is_up(autojump_clock: MockClock) -> None:
    async with serving() as server, trio.open_nursery() as nursery:

        async def finish() -> None:
            await trio.sleep(42)
            server.executor.containers[0].say(OK)

        nursery.start_soon(after, 3, server.wishes.leave)
        nursery.start_soon(finish)
        spent = await server.wind_down()

        removal = server.executor.removal
        assert spent == {Phase.SERVING: 3, Phase.LEAVING: 7, Phase.DRAINING: 32 + removal, Phase.FAREWELL: 0}
        assert outcome_of(server.session).reason is None


async def test_sessions_run_out_of_time(autojump_clock: MockClock) -> None:
    async with serving() as server:
        server.wishes.leave.set()
        server.executor.removal = 2
        with server.engine.client():
            spent = await server.wind_down()

        # Its launcher does not answer: a kill is given up after three seconds.
        assert spent[Phase.LEAVING] == 7
        assert spent[Phase.DRAINING] == 100
        assert spent[Phase.FAREWELL] == 3 + 2 + FAREWELL_TIMEOUT
        assert outcome_of(server.session).reason == Reason.SHUTDOWN


async def test_clients_that_read_slowly_have_the_rest_of_the_time(autojump_clock: MockClock) -> None:
    async with serving(drain_delay=0) as server:
        server.wishes.leave.set()
        server.executor.containers[0].say(OK)
        with server.engine.client():
            spent = await server.wind_down()

        assert spent == {Phase.SERVING: 0, Phase.LEAVING: 0, Phase.DRAINING: 100, Phase.FAREWELL: FAREWELL_TIMEOUT}


@pytest.mark.parametrize(("second_signal", "leaving", "draining"), [(2, 2, 0), (20, 7, 13), (math.inf, 7, 100)])
async def test_a_second_signal_cuts_short_what_is_left(
    autojump_clock: MockClock, second_signal: float, leaving: float, draining: float
) -> None:
    async with serving() as server, trio.open_nursery() as nursery:
        server.wishes.leave.set()
        nursery.start_soon(after, second_signal, server.wishes.hurry)
        spent = await server.wind_down()
        nursery.cancel_scope.cancel(reason="it is over")

        assert (spent[Phase.LEAVING], spent[Phase.DRAINING]) == (leaving, draining)
        assert spent[Phase.FAREWELL] == pytest.approx(3 + server.executor.removal)
        assert outcome_of(server.session).reason == Reason.SHUTDOWN


async def test_a_container_that_stays_does_not_hold_up_the_end(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(drain_delay=0, drain_timeout=1) as server:
        server.wishes.leave.set()
        server.executor.removal = 1000
        spent = await server.wind_down()

        assert spent[Phase.FAREWELL] == STOP_TIMEOUT
        assert "1 sessions did not end in time" in caplog.text

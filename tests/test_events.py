"""Whoever watches the server is told everything, once, with the right figures."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeExecutor
from tests.sessions import LIMITS, RESOURCES, SOMEBODY, SPEC, over
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import ExecutorError, ExecutorUnavailableError, QueueFullError, UnknownLanguageError
from trio_exec.events import (
    APICalled,
    ClientAttached,
    ClientLeft,
    ContainerUnused,
    ContainerWarmed,
    Event,
    Events,
    Miss,
    PhaseReached,
    PoolMissed,
    SessionCreated,
    SessionEnded,
    SessionFacts,
    SessionRefused,
    SessionStarted,
    SessionTimes,
    Unused,
    WarmingFailed,
)
from trio_exec.executor.docker.calls import Calls
from trio_exec.executor.pool import MAX_AGE, Pool
from trio_exec.languages import Languages
from trio_exec.launcher.frames import StageEnd, Started, Stderr, Stdout
from trio_exec.limits import MIB
from trio_exec.model import Job, Kind, Reason
from trio_exec.phases import Phase, Phases
from trio_exec.session.stage import KILL_GRACE
from trio_exec.settings import Settings

OK = StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)
_E = TypeVar("_E", bound=Event)


@dataclass
class Watched:
    """An engine, and what was told of it."""

    engine: Engine
    executor: FakeExecutor
    told: list[Event] = field(default_factory=list[Event])

    def only(self, kind: type[_E]) -> _E:
        (event,) = [event for event in self.told if isinstance(event, kind)]
        return event


@asynccontextmanager
async def watched(**settings: Any) -> AsyncGenerator[Watched]:
    executor = FakeExecutor(opening=2)
    told: list[Event] = []
    budget = Budget(64 * MIB)
    engine = Engine(Settings(**settings), Languages.load(), executor, budget, Phases(), emit=told.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield Watched(engine, executor, told)
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_sessions_life(autojump_clock: MockClock) -> None:
    async with watched(max_sessions=1) as it:
        blocker = it.engine.create_session(Job("python", b""), SOMEBODY)
        session = it.engine.create_session(Job("python", b"", stdin=b"123", terminal=(24, 80)), SOMEBODY)
        facts = SessionFacts(session.id, SOMEBODY, "python", terminal=True)
        await trio.sleep(3)
        it.told.clear()
        blocker.end(Reason.STOPPED)
        await over(blocker)
        it.told.clear()
        await trio.sleep(2.1 + it.executor.removal)
        it.executor.containers[-1].say(Started())
        await wait_all_tasks_blocked()
        assert it.only(SessionStarted).session == facts
        with session.attached():
            session.write_input(b"4567")
            await trio.sleep(1)
            it.executor.containers[-1].say(Stdout(b"out"))
            await trio.sleep(1)
            it.executor.containers[-1].say(Stderr(b"err"), OK)
            await over(session)

        ended = it.only(SessionEnded)
        assert (ended.session, ended.status, ended.warm) == (facts, session.status, False)
        assert (ended.input_bytes, ended.output_bytes) == (7, 6)
        times = ended.times
        assert None not in {times.queued, times.opening, times.first_output, times.lasted}
        # It was queued until the one before was given up, whose launcher did not answer, and removed.
        assert times.queued == pytest.approx(3 + KILL_GRACE + it.executor.removal)
        assert times.opening == pytest.approx(2.1, abs=0.2)
        assert times.first_output == pytest.approx((times.queued or 0) + (times.opening or 0) + 1)
        assert times.lasted == pytest.approx((times.first_output or 0) + 1)
        assert it.only(ClientAttached).session == it.only(ClientLeft).session == facts


async def test_a_session_that_never_had_a_slot(autojump_clock: MockClock) -> None:
    async with watched(max_sessions=1, queue_timeout=10) as it:
        it.engine.create_session(Job("cpp", b""), SOMEBODY)
        session = it.engine.create_session(Job("cpp", b""), SOMEBODY)
        await over(session)

        assert [event.session.session_id for event in it.told if isinstance(event, SessionCreated)][-1] == session.id
        ended = it.only(SessionEnded)
        assert ended.session.session_id == session.id
        assert (ended.warm, ended.times) == (None, SessionTimes(lasted=10))


async def test_a_refusal(autojump_clock: MockClock) -> None:
    async with watched(max_sessions=1, max_queue=0) as it:
        with pytest.raises(UnknownLanguageError):
            it.engine.create_session(Job("x" * 1000, b""), SOMEBODY)
        it.engine.create_session(Job("python", b""), SOMEBODY)
        with pytest.raises(QueueFullError):
            it.engine.create_session(Job("python", b""), SOMEBODY)

        refused = [event for event in it.told if isinstance(event, SessionRefused)]
        assert refused == [
            SessionRefused(SOMEBODY, Kind.SESSION, "x" * 40, "unknown_language"),
            SessionRefused(SOMEBODY, Kind.SESSION, "python", "queue_full"),
        ]


async def test_what_becomes_of_warm_containers(autojump_clock: MockClock) -> None:
    executor, phases = FakeExecutor(opening=2), Phases()
    told: list[Event] = []
    pool = Pool(
        executor,
        sizes={"python": 1},
        prestarts={},
        resources={"python": [RESOURCES]},
        limits=LIMITS,
        lifetime=60,
        phases=phases,
        emit=told.append,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        await trio.sleep(3)
        assert told == [ContainerWarmed("python", terminal=False, seconds=2)]
        async with pool.open_container(SPEC) as container:
            assert container.warm
        await trio.sleep(10)

        told.clear()
        executor.containers[-1].die()
        await trio.sleep(10)
        assert told == [
            ContainerUnused("python", terminal=False, why=Unused.DEAD),
            ContainerWarmed("python", terminal=False, seconds=2),
        ]

        told.clear()
        executor.refused_languages = {"python"}
        await trio.sleep(MAX_AGE)
        assert told[:2] == [
            ContainerUnused("python", terminal=False, why=Unused.OLD),
            WarmingFailed("python", terminal=False, message="no python"),
        ]
        executor.refused_languages = set()
        await trio.sleep(100)

        told.clear()
        async with pool.open_container(replace(SPEC, limits=replace(LIMITS, pids=7))) as container:
            assert not container.warm
        phases.move(Phase.LEAVING)
        phases.move(Phase.DRAINING)
        await trio.sleep(10)
        assert told == [
            PoolMissed("python", terminal=False, why=Miss.UNSUITABLE),
            ContainerUnused("python", terminal=False, why=Unused.DRAINING),
        ]
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_calls_are_told_with_their_time_and_their_error() -> None:
    told: list[Event] = []
    calls = Calls(told.append)
    limiter = trio.CapacityLimiter(1)

    def fail() -> None:
        raise ExecutorUnavailableError("it is down")

    assert await calls("list", lambda: 42, limiter) == 42
    with pytest.raises(ExecutorError):
        await calls("start", fail, limiter)

    assert [(event.call, event.error) for event in told if isinstance(event, APICalled)] == [
        ("list", None),
        ("start", "engine_unavailable"),
    ]
    assert all(isinstance(event, APICalled) and 0 < event.seconds < 60 for event in told)


def test_subscribers_are_told_for_as_long_as_they_want_and_one_that_fails_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = Events()
    told: list[Event] = []

    def fail(event: Event) -> None:
        raise ValueError(event)

    with events.subscribed(fail), events.subscribed(told.append):
        events.emit(PhaseReached(Phase.LEAVING))
    events.emit(PhaseReached(Phase.DRAINING))

    assert told == [PhaseReached(Phase.LEAVING)]
    assert "PhaseReached" in caplog.text

"""The engine's doors: who comes in, who is told to wait, and how it ends; launchers are played, on a jumping clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeExecutor, move_on
from tests.sessions import SOMEBODY, outcome_of
from trio_exec.budget import Budget
from trio_exec.engine.engine import STOP_TIMEOUT, Engine
from trio_exec.errors import (
    DrainingError,
    ExecutorUnavailableError,
    LanguageUnavailableError,
    QueueFullError,
    RequestError,
    SessionNotFoundError,
    SessionStateError,
    UnknownLanguageError,
)
from trio_exec.languages import Languages
from trio_exec.launcher import frames
from trio_exec.limits import MIB
from trio_exec.model import Job, Readiness, Reason, State
from trio_exec.phases import Phase, Phases
from trio_exec.session.session import Session
from trio_exec.settings import Settings

JOB = Job("python", b"")
OK = frames.StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)


@dataclass
class Running:
    """An engine, and what it works with."""

    engine: Engine
    executor: FakeExecutor
    budget: Budget
    phases: Phases

    async def session(self, job: Job = JOB) -> Session:
        """A session whose program runs."""
        session = self.engine.create_session(job, SOMEBODY)
        await trio.sleep(self.executor.opening)
        await wait_all_tasks_blocked()
        self.executor.containers[-1].say(frames.Started())
        await wait_all_tasks_blocked()
        return session

    async def say(self, *events: frames.Event) -> None:
        self.executor.containers[-1].say(*events)
        await wait_all_tasks_blocked()


@asynccontextmanager
async def running(**settings: Any) -> AsyncGenerator[Running]:
    executor, budget, phases = FakeExecutor(), Budget(64 * MIB), Phases()
    engine = Engine(Settings(**settings), Languages.load(), executor, budget, phases)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield Running(engine, executor, budget, phases)
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")
    assert budget.held == 0


async def test_before_it_runs_and_once_it_drains_nobody_comes_in(autojump_clock: MockClock) -> None:
    engine = Engine(Settings(), Languages.load(), FakeExecutor(), Budget(MIB), Phases())
    with pytest.raises(DrainingError):
        engine.create_session(JOB, SOMEBODY)

    async with running() as it:
        for phase in (Phase.DRAINING, Phase.FAREWELL, Phase.GONE):
            move_on(it.phases, phase)
            with pytest.raises(DrainingError):
                it.engine.create_session(JOB, SOMEBODY)


async def test_who_can_not_come_in_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with running(max_sessions=1, max_queue=0) as it:
        with pytest.raises(UnknownLanguageError, match="cobol"):
            it.engine.create_session(Job("cobol", b""), SOMEBODY)
        with pytest.raises(RequestError, match="above the limit"):
            it.engine.create_session(Job("python", b"", limits={"pids": 10**6}), SOMEBODY)
        assert it.budget.held == 0

        await it.session()
        held = it.budget.held
        with pytest.raises(QueueFullError, match="1 sessions run and 0 wait"):
            it.engine.create_session(JOB, SOMEBODY)
        assert it.budget.held == held


async def test_what_keeps_the_executor_is_told_before_anybody_waits(autojump_clock: MockClock) -> None:
    async with running() as it:
        it.executor.not_ready_reason = "it is down"
        with pytest.raises(ExecutorUnavailableError, match="it is down"):
            it.engine.create_session(JOB, SOMEBODY)

        assert it.budget.held == 0
        assert (await it.engine.readiness()).reason == "it is down"


async def test_a_language_that_is_missing_is_refused_and_no_other(autojump_clock: MockClock) -> None:
    async with running() as it:
        it.executor.missing["python"] = "its image is being built"
        with pytest.raises(LanguageUnavailableError, match="python can't be run now: its image is being built"):
            it.engine.create_session(JOB, SOMEBODY)
        assert it.budget.held == 0
        readiness = await it.engine.readiness()
        assert (readiness.reason, readiness.missing) == (None, {"python": "its image is being built"})

        it.executor.missing.clear()
        assert (await it.session()).status.state is State.RUNNING


async def test_readiness_counts(autojump_clock: MockClock) -> None:
    async with running(max_sessions=1) as it:
        assert await it.engine.readiness() == Readiness(
            reason=None, running=0, queued=0, free=1, room=101, warm={}, missing={}
        )

        await it.session()
        it.engine.create_session(JOB, SOMEBODY)
        assert await it.engine.readiness() == Readiness(
            reason=None, running=1, queued=1, free=0, room=99, warm={}, missing={}
        )


async def test_a_server_that_leaves_says_so_and_still_takes_sessions(autojump_clock: MockClock) -> None:
    async with running() as it:
        move_on(it.phases, Phase.LEAVING)

        assert (await it.engine.readiness()).reason == "the server is going away"
        assert (await it.session()).status.state is State.RUNNING


async def test_sessions_are_known_by_their_ids_for_as_long_as_they_are_kept(autojump_clock: MockClock) -> None:
    async with running(retention=60) as it:
        session = await it.session()
        assert it.engine.session(session.id) is session

        await it.say(OK)
        await trio.sleep(59)
        assert it.engine.session(session.id) is session
        await trio.sleep(2)
        with pytest.raises(SessionNotFoundError, match="more than 60 seconds ago"):
            it.engine.session(session.id)


async def test_a_drain_waits_for_those_that_run_and_those_that_wait(autojump_clock: MockClock) -> None:
    async with running(max_sessions=1) as it, trio.open_nursery() as nursery:
        first = await it.session()
        second = it.engine.create_session(JOB, SOMEBODY)
        nursery.start_soon(it.engine.wait_sessions)
        await wait_all_tasks_blocked()
        await it.say(OK)
        await trio.sleep(it.executor.removal + it.executor.opening)
        await wait_all_tasks_blocked()
        assert first.ended
        assert nursery.child_tasks, "the second one runs"

        await it.say(frames.Started(), OK)
        await trio.sleep(it.executor.removal)
        await wait_all_tasks_blocked()
        assert second.status.state is State.FINISHED
        assert not nursery.child_tasks


async def test_clients_are_waited_for_to_the_last_one(autojump_clock: MockClock) -> None:
    async with running() as it, trio.open_nursery() as nursery:
        with it.engine.client():
            with it.engine.client():
                nursery.start_soon(it.engine.serve_clients)
                await wait_all_tasks_blocked()
            await wait_all_tasks_blocked()
            assert nursery.child_tasks
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_a_stop_does_not_wait_for_ever(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with running() as it:
        session = await it.session()
        it.executor.removal = 1000
        start = trio.current_time()
        await it.engine.stop()

        assert trio.current_time() - start == pytest.approx(STOP_TIMEOUT)
        assert outcome_of(session).reason == Reason.SHUTDOWN
        assert "1 sessions did not end in time" in caplog.text
        await trio.sleep(1000)


async def test_what_a_client_can_not_do_yet_or_any_more(autojump_clock: MockClock) -> None:
    async with running() as it:
        session = it.engine.create_session(JOB, SOMEBODY)
        with pytest.raises(SessionStateError, match="does not run yet"):
            session.send_signal(2)
        with pytest.raises(SessionStateError, match="no terminal"):
            session.resize(1, 1)
        session.end(Reason.STOPPED)
        await wait_all_tasks_blocked()

        for attempt in (lambda: session.write_input(b""), lambda: session.send_signal(2)):
            with pytest.raises(SessionStateError, match="the session has ended"):
                attempt()


async def test_what_crosses_the_end_and_is_of_no_use_any_more_is_no_fault(autojump_clock: MockClock) -> None:
    async with running() as it:
        session = it.engine.create_session(Job("python", b"", terminal=(24, 80)), SOMEBODY)
        session.end(Reason.STOPPED)
        await wait_all_tasks_blocked()
        before = session.log.end

        session.end_input()
        session.resize(1, 1)
        assert (session.ended, session.log.end) == (True, before)


async def test_a_terminal_that_was_resized_before_the_program_runs_has_that_size(autojump_clock: MockClock) -> None:
    async with running() as it:
        session = it.engine.create_session(Job("python", b"", terminal=(24, 80)), SOMEBODY)
        await trio.sleep(it.executor.opening)
        await wait_all_tasks_blocked()
        session.resize(50, 120)
        await it.say(frames.Started())

        assert it.executor.containers[0].sent[-1] == frames.encode_resize(50, 120)


@pytest.mark.parametrize("event", [frames.Ready(frames.PROTOCOL_VERSION), frames.Prestarted()])
async def test_a_launcher_that_is_out_of_step_ends_the_session(autojump_clock: MockClock, event: frames.Event) -> None:
    async with running() as it:
        session = await it.session()
        await it.say(event)
        await trio.sleep(it.executor.removal)
        await wait_all_tasks_blocked()

        assert outcome_of(session).reason == Reason.EXECUTOR_FAILED
        assert outcome_of(session).message == "the container's launcher is out of step"


async def test_a_program_that_the_kernel_killed_for_memory_is_told_that(autojump_clock: MockClock) -> None:
    async with running() as it:
        session = await it.session()
        await it.say(frames.StageEnd(None, 9, 1, 0.5, 0.1, 1_000_000, 1))

        assert (session.status.state, outcome_of(session).reason) == (State.TERMINATED, Reason.MEMORY_LIMIT)
        assert outcome_of(session).message == "the program used more than 200 MiB of memory"

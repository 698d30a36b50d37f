"""What the engine keeps for its clients, and that all of it together has a bound."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeExecutor
from tests.sessions import SOMEBODY
from trio_exec.budget import Account, Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import InputFullError, OverloadedError, SessionNotFoundError
from trio_exec.languages import Languages
from trio_exec.launcher.frames import StageEnd, Started, Stdout
from trio_exec.limits import MIB
from trio_exec.model import Job, Reason
from trio_exec.phases import Phases
from trio_exec.session.session import Session
from trio_exec.session.stdin import PENDING_MAX
from trio_exec.settings import Settings

OK = StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)
LIMIT = 8 * MIB


@asynccontextmanager
async def running_engine(budget: Budget, **settings: Any) -> AsyncGenerator[tuple[Engine, FakeExecutor]]:
    executor = FakeExecutor()
    engine = Engine(Settings(**settings), Languages.load(), executor, budget, Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield engine, executor
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")
    assert budget.held == 0


async def run(engine: Engine, executor: FakeExecutor, output: bytes, code: bytes = b"") -> Session:
    session = engine.create_session(Job("python", code), SOMEBODY)
    await trio.sleep(executor.opening)
    await wait_all_tasks_blocked()
    executor.containers[-1].say(Started(), Stdout(output), OK)
    while not session.log.closed:
        await session.log.wait_news(session.log.end, session.log.present)
    await trio.sleep(1)
    return session


async def test_what_is_over_keeps_its_log_and_nothing_else(autojump_clock: MockClock) -> None:
    budget = Budget(LIMIT)
    async with running_engine(budget) as (engine, executor):
        session = await run(engine, executor, b"x" * 1000, code=b"#" * MIB)
        assert budget.held < 30_000
        assert not session.plan.files
        assert session.plan.language.name == "python"
        await trio.sleep(engine.settings.retention)
        assert budget.held == 0
        with pytest.raises(SessionNotFoundError):
            engine.session(session.id)


async def test_what_waits_in_the_queue_counts_until_it_is_ended(autojump_clock: MockClock) -> None:
    budget = Budget(LIMIT)
    async with running_engine(budget, max_sessions=1) as (engine, _):
        engine.create_session(Job("python", b""), SOMEBODY)
        await wait_all_tasks_blocked()
        queued = engine.create_session(Job("python", b"#" * MIB, stdin=b"i" * MIB), SOMEBODY)
        assert 2 * MIB < budget.held < 2 * MIB + 100_000
        queued.end(Reason.STOPPED)
        await wait_all_tasks_blocked()
        assert budget.held < 100_000


async def test_beyond_the_bound_the_oldest_make_room_and_then_nobody_comes_in(autojump_clock: MockClock) -> None:
    budget = Budget(LIMIT)
    async with running_engine(budget) as (engine, executor):
        over = [await run(engine, executor, b"x" * MIB) for _ in range(10)]
        kept = [session for session in over if session.id in engine._registry]
        assert kept == over[-len(kept) :]
        assert len(kept) in {7, 8}
        assert budget.held <= LIMIT

        with over[-1].attached(), over[-2].attached():  # Who is being read from stays.
            request = Job("python", b"#" * MIB)
            waiting = 0
            with contextlib.suppress(OverloadedError):
                for waiting in range(20):  # noqa: B007 - how many came in
                    engine.create_session(request, SOMEBODY)
            assert waiting == 5
            with pytest.raises(OverloadedError, match="max_retained_bytes"):
                engine.create_session(request, SOMEBODY)
            assert engine.session(over[-1].id)
            assert engine.session(over[-2].id)
            with pytest.raises(SessionNotFoundError):
                engine.session(over[-3].id)
        assert budget.held <= LIMIT


async def test_input_that_nobody_reads_is_bounded_for_one_and_in_sum(autojump_clock: MockClock) -> None:
    budget = Budget(LIMIT)
    async with running_engine(budget) as (engine, _):
        sessions = [engine.create_session(Job("python", b""), SOMEBODY) for _ in range(10)]
        with pytest.raises(InputFullError, match=str(PENDING_MAX)):
            sessions[0].write_input(b"i" * (PENDING_MAX + 1))
        taken = 0
        with contextlib.suppress(OverloadedError):
            for session in sessions:
                session.write_input(b"i" * PENDING_MAX)
                taken += 1
        assert taken == LIMIT // PENDING_MAX - 1
        with pytest.raises(OverloadedError):
            sessions[-1].write_input(b"i" * PENDING_MAX)
        assert budget.held <= LIMIT


async def test_end_of_input_on_a_terminal_counts_as_input(autojump_clock: MockClock) -> None:
    async with running_engine(Budget(LIMIT)) as (engine, _):
        session = engine.create_session(Job("python", b"", terminal=(24, 80)), SOMEBODY)
        session.write_input(b"i" * PENDING_MAX)
        with pytest.raises(InputFullError):
            session.end_input()


def test_an_account_gives_back_what_it_has() -> None:
    budget = Budget(100)
    first, second = Account(budget), Account(budget)
    first.take(60)
    with pytest.raises(OverloadedError):
        second.take(41)
    assert (second.held, budget.held) == (0, 60)
    second.add(41)
    assert budget.held == 101
    first.give(10)
    first.close()
    first.close()
    assert budget.held == 41

"""What is known of an engine's health; the engine is one method, which answers when the test says so."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_exec.errors import ExecutorUnavailableError
from trio_exec.executor import health
from trio_exec.executor.health import Health

PATIENCE = 20


class Engine:
    """An engine that can be asked whether it is there."""

    def __init__(self) -> None:
        self.pings = 0
        self.problem: str | None = None
        self.answers = threading.Event()
        self.answers.set()

    def ping(self) -> None:
        self.pings += 1
        assert self.answers.wait(PATIENCE)
        if self.problem is not None:
            raise ExecutorUnavailableError(self.problem)


@pytest.fixture(autouse=True)
def asked_only_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a clock: the engine is asked when there is doubt, and each answer is fresh until then."""
    monkeypatch.setattr(health, "CHECK_INTERVAL", math.inf)
    monkeypatch.setattr(health, "RETRY_INTERVAL", math.inf)
    monkeypatch.setattr(health, "CHECK_TIMEOUT", math.inf)
    monkeypatch.setattr(health, "FRESH", math.inf)


@asynccontextmanager
async def running(engine: Engine) -> AsyncGenerator[Health]:
    it = Health(
        lambda: trio.to_thread.run_sync(engine.ping, abandon_on_cancel=True),
        engine="the engine",
        unusable="the engine is being asked",
    )
    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(it.run)  # noqa: ASYNC113 - it has no beginning to wait for
                yield it
                nursery.cancel_scope.cancel(reason="the test is over")
    finally:
        engine.answers.set()


async def until_pings(engine: Engine, count: int) -> None:
    while engine.pings < count:  # noqa: ASYNC110 - it is asked in a thread
        await trio.sleep(0.001)


async def test_an_engine_that_answers_is_of_use_once_a_container_could_be_opened() -> None:
    async with running(Engine()) as it:
        await it.settle()
        assert it.not_ready_reason == "the engine is being asked"

        it.unusable("no such runtime")
        assert it.not_ready_reason == "no such runtime"

        it.usable()
        assert it.not_ready_reason is None


async def test_an_engine_that_does_not_answer_says_why_until_it_does() -> None:
    engine = Engine()
    engine.problem = "it is down"
    async with running(engine) as it:
        it.usable()
        await it.settle()
        assert it.not_ready_reason == "it is down"

        engine.problem = None
        it.doubt()
        await it.settle()
        assert it.not_ready_reason is None


async def test_a_failure_counts_at_once_and_is_looked_into() -> None:
    async with running(Engine()) as it:
        it.usable()
        await it.settle()

        it.fail("a call failed")
        assert it.not_ready_reason == "a call failed"
        await it.settle()
        assert it.not_ready_reason is None


async def test_an_engine_that_is_down_is_asked_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RETRY_INTERVAL", 0)
    engine = Engine()
    engine.problem = "it is down"
    async with running(engine):
        await until_pings(engine, 3)


async def test_a_fresh_answer_is_good_enough() -> None:
    engine = Engine()
    async with running(engine) as it:
        for _ in range(10):
            await it.settle()

        assert engine.pings == 1


async def test_an_answer_that_is_not_fresh_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH", -math.inf)
    engine = Engine()
    async with running(engine) as it:
        await it.settle()
        asked = engine.pings
        await it.settle()

        assert engine.pings == asked + 1


async def test_however_many_ask_the_engine_is_asked_once_more() -> None:
    engine = Engine()
    async with running(engine) as it:
        await it.settle()
        engine.answers.clear()
        it.doubt()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(it.settle)
            await until_pings(engine, 2)
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 100
            engine.answers.set()

        assert engine.pings == 2


async def test_an_answer_to_an_earlier_question_settles_no_doubt() -> None:
    engine = Engine()
    engine.answers.clear()
    async with running(engine) as it:
        await until_pings(engine, 1)
        it.doubt()
        engine.answers.set()
        await it.settle()

        assert engine.pings == 2


async def test_an_engine_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT", 0.01)
    engine = Engine()
    engine.answers.clear()
    async with running(engine) as it:
        it.usable()
        await it.settle()

        assert it.not_ready_reason == "the engine does not answer within 0.01 seconds"

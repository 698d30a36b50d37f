"""How batches go wrong, and in what order things happen: the launcher is played, on a clock that jumps."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeContainer, FakeExecutor, move_on
from tests.sessions import SOMEBODY, outcome_of
from trio_exec.budget import Budget
from trio_exec.engine.batch import BatchRun, CaseEnded, Compiled
from trio_exec.engine.engine import Engine
from trio_exec.errors import ExecutorError, RequestError
from trio_exec.events import BatchEnded, Event, SessionStarted
from trio_exec.languages import Languages
from trio_exec.launcher import frames
from trio_exec.limits import MIB
from trio_exec.model import Batch, Case, Comparison, Isolation, Job, Reason
from trio_exec.phases import Phase, Phases
from trio_exec.settings import Settings

OK = frames.StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)
FAILED = frames.StageEnd(1, None, 1, 0.5, 0.1, 1_000_000, 0)
CASE = Case(args=(), env={}, stdin=b"", limits={}, collect=())
EVERYTHING_FINE = [frames.Started(), frames.Stdout(b"1\n"), OK]


def batch(
    cases: int = 3,
    language: str = "python",
    isolation: Isolation = Isolation.PROCESS,
    parallel: int = 1,
    **fields: Any,
) -> Batch:
    job = Job(language, b"code", stdin=b"input", ends_input=True)
    return Batch(job, [CASE] * cases, isolation, Comparison.EXACT, fields.get("stop_on_failure", False), parallel)


def types_of(data: bytes) -> str:
    """Of frames that were sent at once."""
    types = ""
    while data:
        kind, length = struct.unpack_from(">cI", data)
        types += kind.decode()
        data = data[5 + length :]
    return types


Answer = Callable[[int], "Sequence[frames.Event] | None"]
"""What the launcher says to the stage of a number, in all containers together; None is its death."""


@dataclass
class Played:
    """An engine, whose launchers are played.

    Attributes:
        stage: what is said to stages.
        saved: what is said to a request to save.
        collected: what is said to a request for files.
        kinds: types of the frames that each container got, but for input.
    """

    engine: Engine
    executor: FakeExecutor
    budget: Budget
    phases: Phases
    events: list[Event]
    stage: Answer = lambda _: EVERYTHING_FINE
    saved: Sequence[frames.Event] | None = (frames.Saved(),)
    collected: Sequence[frames.Event] = (
        frames.CollectedFile(".program", 0o755, b"x" * 1000, begins=True),
        frames.Collected(1),
    )
    stages: int = 0
    kinds: list[str] = field(default_factory=list[str])

    async def play(self) -> None:
        async with trio.open_nursery() as players:
            played = 0
            while True:
                for container in self.executor.containers[played:]:
                    self.kinds.append("")
                    players.start_soon(self._play, container, played)
                    played += 1
                await trio.sleep(0.01)

    async def _play(self, container: FakeContainer, number: int) -> None:
        read = 0
        while True:
            while read < len(container.sent):
                read += 1
                for kind in types_of(container.sent[read - 1]):
                    self._answer(container, number, kind)
            await container.sent_something.wait()

    def _answer(self, container: FakeContainer, number: int, kind: str) -> None:
        if kind not in "ie":
            self.kinds[number] += kind
        said: Sequence[frames.Event] | None = ()
        if kind == "s":
            said, self.stages = self.stage(self.stages), self.stages + 1
        elif kind == "v":
            said = self.saved
        elif kind == "c":
            said = self.collected
        elif kind == "k":
            said = [frames.StageEnd(None, 9, 1, 0.5, 0.1, 1, 0)]
        if said is None:
            container.die()
        elif said:
            with suppress(trio.BrokenResourceError):  # It was closed meanwhile.
                container.say(*said)

    def start(self, wanted: Batch) -> BatchRun:
        return self.engine.create_batch(wanted, SOMEBODY)

    @property
    def ended(self) -> list[BatchEnded]:
        return [it for it in self.events if isinstance(it, BatchEnded)]


@asynccontextmanager
async def playing(**settings: Any) -> AsyncGenerator[Played]:
    executor, budget, phases = FakeExecutor(), Budget(64 * MIB), Phases()
    events: list[Event] = []
    engine = Engine(Settings(**settings), Languages.load(), executor, budget, phases, emit=events.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        it = Played(engine, executor, budget, phases, events)
        nursery.start_soon(it.play)
        yield it
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")
    assert executor.open_count == 0
    assert budget.held == 0


async def results_of(run: BatchRun, pause: float = 0) -> list[str]:
    """How each case ended: as it passed, failed, or by its reason."""
    results: list[str] = []
    async for result in run.results:
        if isinstance(result, CaseEnded):
            reason = outcome_of(result.session).reason
            results.append(f"{result.index} {'passed' if result.passed else reason or 'failed'}")
        else:
            assert isinstance(result, Compiled)
            results.append("compiled" if outcome_of(result.session).reason is None else "not compiled")
        result.session.account.close()
        await trio.sleep(pause)
    return results


async def test_one_container_is_put_back_before_every_case_but_the_first(autojump_clock: MockClock) -> None:
    async with playing() as it:
        assert await results_of(it.start(batch())) == ["0 passed", "1 passed", "2 passed"]
        assert it.kinds == ["fvsrsrs"]
        run = it.start(batch(2, "cpp"))
        assert await results_of(run) == ["compiled", "0 passed", "1 passed"]
        assert it.kinds[1:] == ["fsvsrs"]
        assert [(end.passed, end.failed, end.skipped, end.reason) for end in it.ended] == [
            (3, 0, 0, None),
            (2, 0, 0, None),
        ]


async def test_what_its_sessions_take_is_told_of_the_batch(autojump_clock: MockClock) -> None:
    async with playing(max_sessions=1) as it:
        first = it.start(batch(2, "cpp"))
        second = it.start(batch(1))
        assert await results_of(first) == ["compiled", "0 passed", "1 passed"]
        assert await results_of(second) == ["0 passed"]
        started = [event for event in it.events if isinstance(event, SessionStarted)]
        assert [event.session for event in started] == [first.facts, second.facts]
        cpp, python = it.ended
        assert (cpp.warm, cpp.times.queued, python.warm) == (False, 0, False)
        assert cpp.times.opening == pytest.approx(it.executor.opening, abs=0.01)
        assert python.times.queued == pytest.approx(cpp.times.lasted)
        assert (python.times.lasted or 0) > (python.times.queued or 0) + (python.times.opening or 0)
        assert [end.usage.cpu_time for end in it.ended] == [pytest.approx(1.8), pytest.approx(0.6)]
        assert cpp.usage.output_bytes == 3 * python.usage.output_bytes > 0


async def test_what_is_compiled_is_carried_into_containers_of_their_own(autojump_clock: MockClock) -> None:
    async with playing() as it:
        run = it.start(batch(2, "cpp", Isolation.CONTAINER))
        assert await results_of(run) == ["compiled", "0 passed", "1 passed"]
        assert it.kinds == ["fsc", "fs", "fs"]
        program = next(iter(frames.encode_file(".program", b"x" * 1000, 0o755)))
        assert it.executor.containers[1].sent[0] == program


async def test_what_cannot_be_carried_ends_the_batch(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.collected = [frames.Omitted("large", frames.OmittedReason.TOO_LARGE), frames.Collected(0)]
        run = it.start(batch(2, "cpp", Isolation.CONTAINER))
        assert await results_of(run) == ["compiled"]
        assert run.end_reason is Reason.EXECUTOR_FAILED
        assert "'large' is too large" in (run.message or "")
        assert run.skipped == 2


async def test_parallel_cases_take_free_slots_and_give_them_back(autojump_clock: MockClock) -> None:
    async with playing(max_sessions=3) as it:
        run = it.start(batch(6, "python", Isolation.CONTAINER, parallel=5))
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, it.executor.open_count)
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            assert sorted(await results_of(run)) == [f"{n} passed" for n in range(6)]
            nursery.cancel_scope.cancel(reason="the batch is over")
        assert most == 3
        await wait_all_tasks_blocked()
        assert (await it.engine.readiness()).free == 3


async def test_a_container_that_dies_costs_one_case_and_is_replaced(autojump_clock: MockClock) -> None:
    """The one in which it died; it had the container to itself, so it is to blame."""
    async with playing() as it:
        it.stage = lambda number: None if number == 0 else EVERYTHING_FINE
        assert await results_of(it.start(batch())) == ["0 engine_error", "1 passed", "2 passed"]
        assert it.kinds == ["fvs", "fvsrs"]


async def test_a_case_that_finds_its_container_broken_gets_another(autojump_clock: MockClock) -> None:
    """It may be what the case before has left behind."""
    async with playing() as it:
        it.stage = lambda number: None if number == 1 else EVERYTHING_FINE
        assert await results_of(it.start(batch(3, "python"))) == ["0 passed", "1 passed", "2 passed"]
        assert it.kinds == ["fvsrs", "fvsrs"]


async def test_a_program_is_compiled_again_in_a_new_container_and_that_is_told_once(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.stage = lambda number: None if number == 1 else EVERYTHING_FINE
        assert await results_of(it.start(batch(2, "cpp"))) == ["compiled", "0 engine_error", "1 passed"]
        assert it.kinds == ["fsvs", "fsvs"]


async def test_a_program_that_cannot_be_compiled_again_ends_the_batch(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.stage = lambda number: {1: None, 2: [frames.Started(), FAILED]}.get(number, EVERYTHING_FINE)
        run = it.start(batch(3, "cpp"))
        assert await results_of(run) == ["compiled", "0 engine_error"]
        assert (run.end_reason, run.skipped) == (Reason.EXECUTOR_FAILED, 2)
        assert "could not be compiled again" in (run.message or "")


async def test_an_engine_that_fails_is_told(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.executor.failure = ExecutorError("no container today")
        run = it.start(batch())
        assert await results_of(run) == []
        assert (run.end_reason, run.message, run.skipped) == (Reason.EXECUTOR_FAILED, "no container today", 3)


async def test_a_launcher_that_cannot_save_is_told(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.saved = [frames.Waiting(waiting=False), frames.Failure("no room")]
        run = it.start(batch())
        assert await results_of(run) == []
        assert run.message == "the workspace could not be saved: no room"


async def test_it_waits_for_its_slot_and_no_longer_than_any(autojump_clock: MockClock) -> None:
    async with playing(max_sessions=1, queue_timeout=10) as it:
        it.stage = lambda _: [frames.Started()]
        first = it.engine.create_session(Job("python", b""), SOMEBODY)
        waiting = it.start(batch())
        start = trio.current_time()
        assert await results_of(waiting) == []
        assert waiting.end_reason is Reason.QUEUE_TIMEOUT
        assert round(trio.current_time() - start) == 10
        assert (await it.engine.readiness()).queued == 0
        next_one = it.start(batch())
        first.end(Reason.STOPPED)
        it.stage = lambda _: EVERYTHING_FINE
        assert len(await results_of(next_one)) == 3


async def test_nobody_who_takes_results_ends_it(autojump_clock: MockClock) -> None:
    async with playing(detach_grace=7) as it:
        run = it.start(batch())
        await it.engine.wait_sessions()
        assert run.end_reason is Reason.DETACHED
        assert it.ended[0].reason is Reason.DETACHED


async def test_whoever_stops_taking_results_ends_it_at_once(autojump_clock: MockClock) -> None:
    async with playing() as it:
        run = it.start(batch(100))
        result = await run.results.receive()
        result.session.account.close()
        run.results.close()
        run.end(Reason.DETACHED)
        start = trio.current_time()
        await it.engine.wait_sessions()
        assert trio.current_time() - start < 2


async def test_no_more_cases_run_ahead_than_there_are_lanes(autojump_clock: MockClock) -> None:
    async with playing() as it:
        run = it.start(batch(10))
        await trio.sleep(30)
        assert it.stages == 1
        result = await run.results.receive()
        result.session.account.close()
        await trio.sleep(10)
        assert it.stages == 2
        run.end(Reason.STOPPED)
        assert await results_of(run) == ["1 passed"]


async def test_all_of_it_has_a_time(autojump_clock: MockClock) -> None:
    async with playing(batch_timeout=20) as it:
        it.stage = lambda number: EVERYTHING_FINE if number == 0 else [frames.Started()]
        run = it.start(batch())
        assert await results_of(run) == ["0 passed"]
        assert (run.end_reason, run.skipped) == (Reason.EXECUTION_TIMEOUT, 2)
        assert run.message == "the batch took longer than 20 seconds"


async def test_it_ends_with_the_server(autojump_clock: MockClock) -> None:
    async with playing() as it:
        it.stage = lambda _: [frames.Started()]
        run = it.start(batch())
        await trio.sleep(1)
        move_on(it.phases, Phase.DRAINING)
        await it.engine.stop()
        assert run.end_reason is Reason.SHUTDOWN
        assert await results_of(run) == []


async def test_it_can_be_ended_at_any_moment(autojump_clock: MockClock) -> None:
    """Wherever the end strikes, nothing is left and its results end."""
    for language, isolation in [
        ("python", Isolation.PROCESS),
        ("cpp", Isolation.PROCESS),
        ("cpp", Isolation.CONTAINER),
    ]:
        for tenth in range(25):
            async with playing() as it:
                run = it.start(batch(3, language, isolation, parallel=2 if isolation is Isolation.CONTAINER else 1))
                it.stage = lambda _: EVERYTHING_FINE
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(results_of, run, 0.1)
                    await trio.sleep(tenth / 20)
                    run.end(Reason.STOPPED)
                await it.engine.wait_sessions()
                assert (await it.engine.readiness()).running == 0
                assert len(it.ended) == 1


async def test_a_server_takes_so_many_cases_and_no_more(autojump_clock: MockClock) -> None:
    async with playing(max_batch_runs=2) as it:
        with pytest.raises(RequestError, match="runs: 3 are too many; this server takes 2 at most"):
            it.start(batch(3))
        assert len(await results_of(it.start(batch(2)))) == 2

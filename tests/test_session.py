"""The session's nursery, cancelled and timed out at every stage: nothing is left, and the final state is told.

With a fake executor, since only so time can jump; the same stages with real containers are in test_limits.py.
"""

from __future__ import annotations

import ast
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeExecutor
from tests.sessions import SOMEBODY, Final, entries, over, view
from trio_exec.api.native.text import Text
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import ExecutorError, ExecutorUnavailableError, InputFullError
from trio_exec.languages import Languages
from trio_exec.launcher.frames import Failure, StageEnd, Started, Stdout
from trio_exec.limits import MIB
from trio_exec.model import Job, Reason, StageName, State, Status
from trio_exec.phases import Phases
from trio_exec.session.session import Session
from trio_exec.session.stage import EXPEDITE_AFTER, KILL_GRACE
from trio_exec.session.stdin import CONTROLS_MAX
from trio_exec.settings import Settings

OK = StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)
KILLED = StageEnd(None, 9, 1, 0.5, 0.1, 1_000_000, 0)


@dataclass
class Stage:
    """A session, brought to one stage of its life."""

    engine: Engine
    executor: FakeExecutor
    session: Session


def final(session: Session) -> Final:
    assert session.log.closed
    last = entries(session)[-1]
    assert isinstance(last, Status)
    return view(last)


def texts(session: Session) -> list[str]:
    return [entry.data for entry in entries(session) if isinstance(entry, Text)]


async def advance(session: Session, executor: FakeExecutor, stage: str) -> None:
    """Plays the launcher until the session is in the stage."""
    if stage == "queued":
        return
    await wait_all_tasks_blocked()
    if stage == "creating":
        return
    await trio.sleep(executor.opening)
    await wait_all_tasks_blocked()
    container = executor.containers[-1]
    if stage == "starting":
        return
    container.say(Started())
    await wait_all_tasks_blocked()
    if stage == "compiling":
        return
    container.say(OK)
    await wait_all_tasks_blocked()
    container.say(Started(), Stdout(b"out"))
    await wait_all_tasks_blocked()
    if stage == "ending":
        container.say(OK)
        await wait_all_tasks_blocked()


STAGES = ["queued", "creating", "starting", "compiling", "running", "ending"]


@asynccontextmanager
async def at(stage: str, *, opening: float = 3, **settings: Any) -> AsyncGenerator[Stage]:
    executor = FakeExecutor(opening=opening)
    engine = Engine(Settings(max_sessions=1, **settings), Languages.load(), executor, Budget(64 * MIB), Phases())
    request = Job("cpp", b"")
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        blocker = engine.create_session(request, SOMEBODY) if stage == "queued" else None
        await wait_all_tasks_blocked()
        session = engine.create_session(request, SOMEBODY)
        await advance(session, executor, stage)
        yield Stage(engine, executor, session)
        if blocker is not None:
            blocker.end(Reason.STOPPED)
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")
    assert executor.open_count == 0


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stop_ends_every_stage_and_nothing_is_left(autojump_clock: MockClock, stage: str) -> None:
    async with at(stage) as it:
        it.session.end(Reason.STOPPED)
        await over(it.session)

        told = final(it.session)
        if stage == "ending":
            assert (told.state, told.reason) == (State.FINISHED, None)
            assert told.figures is not None
            assert told.figures.exit_code == 0
        else:
            assert (told.state, told.reason) == ("terminated", "stopped")
        await trio.sleep(1)
        assert it.executor.open_count == (1 if stage == "queued" else 0)


@pytest.mark.parametrize("stage", STAGES)
async def test_cancelling_the_engine_ends_every_stage_and_nothing_is_left(
    autojump_clock: MockClock, stage: str
) -> None:
    executor = FakeExecutor(opening=3)
    engine = Engine(Settings(max_sessions=1), Languages.load(), executor, Budget(64 * MIB), Phases())
    request = Job("cpp", b"")
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        first = engine.create_session(request, SOMEBODY)
        session = engine.create_session(request, SOMEBODY) if stage == "queued" else first
        await advance(session, executor, stage)
        nursery.cancel_scope.cancel(reason="the whole engine")

    assert executor.open_count == 0
    expected = ("finished", None) if stage == "ending" else ("terminated", "shutdown")
    assert (final(session).state, final(session).reason) == expected


@pytest.mark.parametrize("stage", ["creating", "starting", "compiling", "running"])
@pytest.mark.parametrize("error", [ExecutorUnavailableError("it is down"), ExecutorError("it refused")])
async def test_an_engine_that_fails_ends_the_session_with_its_words(
    autojump_clock: MockClock, stage: str, error: ExecutorError
) -> None:
    async with at(stage) as it:
        if stage == "creating":
            it.executor.failure = error
        else:
            it.executor.containers[-1].say(Failure(error.message))
        await over(it.session)

        told = final(it.session)
        assert (told.state, told.reason) == ("terminated", "engine_error")
        assert told.message is not None
        assert error.message in told.message


async def test_a_kill_keeps_the_last_output_and_the_figures(autojump_clock: MockClock) -> None:
    async with at("running") as it:
        container = it.executor.containers[-1]
        it.session.end(Reason.STOPPED)
        await wait_all_tasks_blocked()
        assert container.kinds().endswith("k")
        container.say(Stdout(b" and last words"), KILLED)
        await over(it.session)

        assert texts(it.session) == ["out and last words"]
        told = final(it.session)
        assert told.reason == "stopped"
        assert told.figures is not None
        assert (told.figures.signal, told.figures.cpu_time) == (signal.SIGKILL, 0.6)


async def test_the_run_limits_come_into_force_between_the_stages(autojump_clock: MockClock) -> None:
    async with at("compiling") as it:
        container = it.executor.containers[-1]
        limits = it.session.plan.limits
        assert container.resources == limits.resources(StageName.COMPILE)
        container.say(OK)
        await wait_all_tasks_blocked()
        assert container.resources == limits.resources(StageName.RUN)


async def test_a_launcher_that_does_not_answer_a_kill_gets_cpu_and_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with at("running") as it:
        start = trio.current_time()
        it.session.end(Reason.STOPPED)
        await trio.sleep(EXPEDITE_AFTER + 0.01)
        assert it.executor.containers[-1].expedited
        await over(it.session)

        assert trio.current_time() - start == pytest.approx(KILL_GRACE)
        assert final(it.session).figures is None


TIMES = {"queue_timeout": 10, "detach_grace": 50, "compile_timeout": 20, "execution_timeout": 60, "idle_timeout": 30}


@pytest.mark.parametrize(
    ("stage", "watched", "reason", "after"),
    [
        ("queued", False, "queue_timeout", 10),
        ("queued", True, "queue_timeout", 10),
        ("creating", False, "detached", 50),
        # A launcher that plays dead adds the kill's grace. What began with the session has lasted for 3 seconds.
        ("starting", False, "detached", 50 - 3 + KILL_GRACE),
        ("compiling", True, "execution_timeout", 20 + KILL_GRACE),
        ("running", True, "idle_timeout", 30 + KILL_GRACE),
        ("running", False, "idle_timeout", 30 + KILL_GRACE),
    ],
)
async def test_every_deadline_in_its_stage(
    autojump_clock: MockClock, stage: str, watched: bool, reason: str, after: float
) -> None:
    async with at(stage, opening=1000 if stage == "creating" else 3, **TIMES) as it:
        start = trio.current_time()
        with it.session.attached() if watched else nullcontext():
            await over(it.session)

        assert final(it.session).reason == reason
        assert trio.current_time() - start == pytest.approx(after)


async def test_a_program_that_is_never_idle_runs_as_long_as_it_may(autojump_clock: MockClock) -> None:
    async with at("running", execution_timeout=60, idle_timeout=30) as it:
        start = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def chatter() -> None:
                while True:
                    it.executor.containers[-1].say(Stdout(b"."))
                    await trio.sleep(29)

            nursery.start_soon(chatter)
            with it.session.attached():
                await over(it.session)
            nursery.cancel_scope.cancel(reason="the session is over")

        assert final(it.session).reason == "execution_timeout"
        assert trio.current_time() - start == pytest.approx(60 + KILL_GRACE)


@pytest.mark.parametrize("stage", ["creating", "starting", "compiling"])
async def test_an_engine_that_hangs_delays_no_final_state(autojump_clock: MockClock, stage: str) -> None:
    async with at(stage) as it:
        it.executor.removal = 100
        start = trio.current_time()
        it.session.end(Reason.STOPPED)
        await over(it.session)

        assert final(it.session).reason == "stopped"
        assert trio.current_time() - start <= (0 if stage == "creating" else KILL_GRACE)
        it.executor.removal = 0


@pytest.mark.parametrize("stage", ["starting", "compiling", "running"])
async def test_a_container_that_dies_is_told_before_it_is_cleaned_up(autojump_clock: MockClock, stage: str) -> None:
    async with at(stage) as it:
        it.executor.removal = 100
        start = trio.current_time()
        it.executor.containers[-1].die()
        await over(it.session)

        assert (final(it.session).reason, trio.current_time() - start) == ("engine_error", 0)
        it.executor.removal = 0


async def test_a_slot_is_free_when_its_container_is_gone(autojump_clock: MockClock) -> None:
    async with at("running") as it:
        it.executor.removal = 5
        it.session.end(Reason.STOPPED)
        await over(it.session)
        session = it.engine.create_session(Job("python", b""), SOMEBODY)
        it.executor.linger(1)  # What the first one could not remove in time.
        await trio.sleep(10)
        assert session.status.position == 1

        it.executor.linger(0)
        await wait_all_tasks_blocked()
        assert session.status.position is None


@pytest.mark.parametrize("first", ["end", "move"])
async def test_an_end_in_the_moment_in_which_the_queue_moves(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    async with at("queued") as it:
        await wait_all_tasks_blocked()
        (ticket,) = it.engine._admission._in_turn()
        if first == "move":
            ticket.move(7)
        it.session.end(Reason.STOPPED)
        ticket.move(8)
        await over(it.session)

        assert final(it.session).reason == "stopped"
        assert not caplog.records


async def test_whoever_waits_for_the_end_of_all_is_told(autojump_clock: MockClock) -> None:
    async with at("running") as it, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(it.engine.wait_sessions)
        await wait_all_tasks_blocked()
        it.session.end(Reason.STOPPED)


async def test_a_kill_is_sent_whatever_else_waits_to_be_sent(autojump_clock: MockClock) -> None:
    async with at("running") as it:
        container = it.executor.containers[-1]
        with contextlib.suppress(InputFullError):
            for _ in range(CONTROLS_MAX + 1):
                it.session.send_signal(10)
        it.session.end(Reason.STOPPED)
        await trio.sleep(0.1)
        assert "k" in container.kinds()


async def test_compile_stages_beyond_the_bound_wait_for_their_turn(autojump_clock: MockClock) -> None:
    executor = FakeExecutor()
    engine = Engine(Settings(max_sessions=3, max_compiles=1), Languages.load(), executor, Budget(64 * MIB), Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        first, second = (engine.create_session(Job("cpp", b""), SOMEBODY) for _ in range(2))
        script = engine.create_session(Job("python", b""), SOMEBODY)
        await trio.sleep(1)
        started = {id(it): "s" in it.kinds() for it in executor.containers}
        assert sorted(started.values()) == [False, True, True]
        compiling = next(it for it in executor.containers if "s" in it.kinds() and "f" in it.kinds() and it.sent)
        for container in executor.containers:
            if started[id(container)]:
                container.say(Started(), OK)
        await trio.sleep(1)
        assert all("s" in it.kinds() for it in executor.containers)
        assert compiling.resources == first.plan.limits.resources(StageName.RUN)
        for session in (first, second, script):
            session.end(Reason.STOPPED)
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_bug_of_ours_ends_one_session_and_says_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at("starting") as it:
        monkeypatch.setattr(it.session.log, "write", lambda *_: 1 / 0)
        it.executor.containers[-1].say(Started(), Stdout(b"x"))
        await over(it.session)

        assert (final(it.session).reason, "ZeroDivisionError" in caplog.text) == ("engine_error", True)
        assert (await it.engine.readiness()).reason is None


async def test_the_final_state_is_the_last_entry_even_after_a_broken_character(autojump_clock: MockClock) -> None:
    async with at("running") as it:
        it.executor.containers[-1].say(Stdout(b"\xe6\xbc"), OK)
        await over(it.session)

        assert texts(it.session) == ["out", "�"]
        assert final(it.session).state == "finished"


LONG_RUNNING = 15
"""Seconds after which the program of the next test has been running for long, and no deadline is near."""


class EndAtStep(trio.abc.Instrument):
    """Ends a session just before a certain step of any task, counted from when the session was made."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.session: Session | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - as Trio calls it
        if self.session is not None and trio.current_time() < LONG_RUNNING:
            self.left -= 1
            if self.left == 0:
                self.session.end(Reason.STOPPED)


async def play_launcher(executor: FakeExecutor) -> None:
    """A launcher that compiles in a moment and then runs until it is killed, as a real one: a kill needs a stage."""
    while not executor.containers:  # noqa: ASYNC110 - the fake has no event for it
        await trio.sleep(0.01)
    container = executor.containers[-1]
    seen, stages, running = 0, 0, False
    while True:
        more = container.sent_something
        if seen == len(container.sent):
            await more.wait()
            continue
        kind = chr(container.sent[seen][0])
        seen += 1
        if kind == "s":
            stages += 1
            container.say(Started())
            await trio.sleep(0.1)
            if stages == 1:
                container.say(OK)
            else:
                running = True
                container.say(Stdout(b"out"))
        elif kind == "k" and running:
            running = False
            container.say(KILLED)


def test_an_end_that_is_asked_for_at_any_step_is_heard() -> None:
    """Every await of a session's life is a step or more: ended before each of them, it is over soon."""
    ends: Counter[bool] = Counter()
    for step in count(1):
        told, took = end_at_step(step)
        if told is None:
            break  # All steps are done, and the program runs.
        assert (told.state, told.reason) == ("terminated", "stopped"), step
        assert took < 5, step
        ends[told.figures is not None and told.figures.signal == signal.SIGKILL] += 1

    # Steps before the program, and steps at which it ran and was killed, with its figures.
    assert ends[False] > 30
    assert ends[True] > 5


def end_at_step(step: int) -> tuple[Final | None, float]:
    instrument = EndAtStep(step)

    async def main() -> tuple[Final | None, float]:
        executor = FakeExecutor(opening=0.1)
        engine = Engine(Settings(max_sessions=1), Languages.load(), executor, Budget(64 * MIB), Phases())
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            nursery.start_soon(play_launcher, executor)
            session = engine.create_session(Job("cpp", b""), SOMEBODY)
            instrument.session = session
            start = trio.current_time()
            with trio.move_on_after(LONG_RUNNING + 10):  # Shorter than any of its deadlines.
                await over(session)
            took = trio.current_time() - start
            told = final(session) if instrument.left <= 0 else None
            nursery.cancel_scope.cancel(reason="the test is over")
        assert executor.open_count == 0
        return told, took

    return trio.run(main, clock=MockClock(autojump_threshold=0), instruments=[instrument])


OWNED_ELSEWHERE = {"tasks.py": "_nursery"}
"""The nursery of hypercorn's own class, which it opens and closes."""


def test_no_task_without_an_owner() -> None:
    """Whoever starts a task does so in a nursery that was opened in the same file."""
    started = 0
    for path in (Path(__file__).parent.parent / "trio_exec").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        nurseries = {OWNED_ELSEWHERE.get(path.name)}
        for node in nodes:
            if isinstance(node, ast.AsyncWith):
                for item in node.items:
                    if ast.unparse(item.context_expr) == "trio.open_nursery()" and item.optional_vars is not None:
                        nurseries.add(ast.unparse(item.optional_vars))
        for node in nodes:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) in nurseries:
                nurseries |= {ast.unparse(target).removeprefix("self.") for target in node.targets}
        waited_for = {node.value for node in nodes if isinstance(node, ast.Await)}  # Threads and sockets start as well.
        for node in nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "start_soon" or (node.func.attr == "start" and node in waited_for):
                started += 1
                owner = ast.unparse(node.func.value).removeprefix("self.")
                assert owner in nurseries, f"{path}:{node.lineno}: {owner}"
    assert started > 15

"""What a session does: a nursery that owns a container and everything that happens to it.

    run                     the session's nursery
    ├─ watchdog             deadlines: queue, detach, idle, execution; the first to pass ends the session. Before
    │                       that it tells clients what it is time for
    └─ (itself)             waits for a slot, opens the container, runs the stages
       ├─ stdin             input and control frames, to the launcher
       └─ (itself)          stdout, stderr and the stages' news, from the launcher, into the output log

Standard output and error are read by one task since they arrive in one stream, in the order in which the program
wrote them; two tasks would lose that order. Nothing outlives the nursery, and the container is a context manager
inside of it: wherever the session is cancelled, the container is removed. A program's failure is a value and ends
up in the final state; only our own and the engine's failures are exceptions.

Who wants the session's end sets one event, and at any moment exactly one scope listens to it: a stage's killer while
a stage runs (see `stage`), and otherwise `_until_end`, which concludes the session there and then, since nothing more
can come of it. Both act on an event that is set already, so an end that is asked for between two of them is not lost.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Protocol

import trio

from trio_exec.errors import ExecutorError, MemoryInUseError, ProtocolError
from trio_exec.executor.base import Container, ContainerSpec, Opener
from trio_exec.launcher import frames
from trio_exec.limits import Limits
from trio_exec.model import Reason, StageName, State, Stream
from trio_exec.session.failures import failures_ended
from trio_exec.session.files import Collection, collect_files, send_files
from trio_exec.session.notices import Notices
from trio_exec.session.plan import Plan, StagePlan
from trio_exec.session.record import Record
from trio_exec.session.stage import follow_stage
from trio_exec.session.watchdog import Notice, Watchdog

LOGGER = logging.getLogger("trio_exec.session")

LAUNCHER_GRACE = 15
"""Seconds by which the launcher's own deadline is later than ours: it must never come first."""
COLLECT_TIMEOUT = 5
"""Seconds that a container gets to deliver the files that are asked for: some megabytes, from memory."""
START_ALLOWANCE = 60
"""Seconds of a container's life in which it is created and started, at most."""


def container_lifetime(limits: Limits) -> int:
    """Seconds after which a session can't need its container any more."""
    return START_ALLOWANCE + sum(_backstop(limits.wall_time(stage)) for stage in StageName)


def batch_lifetime(limits: Limits, timeout: float) -> int:
    """The same for a container in which the cases of a batch run, for so many seconds at most."""
    return container_lifetime(limits) + math.ceil(timeout)


def container_spec(plan: Plan, session_id: str) -> ContainerSpec:
    """The container that a session needs."""
    return ContainerSpec(
        session_id=session_id,
        language=plan.language.name,
        limits=plan.limits,
        resources=[stage.resources for stage in plan.stages],
        terminal=plan.terminal is not None,
        may_use_prestart=plan.may_use_prestart,
        lifetime=container_lifetime(plan.limits),
    )


class Slot(Protocol):
    """A place among the sessions that run at once, or in the queue for one."""

    @property
    def position(self) -> int:
        """The place in the queue, from 1; 0 is a slot."""
        ...

    async def wait_moved(self, known: int) -> None:
        """Returns when the position is another one than `known`."""
        ...

    def leave(self) -> None:
        """Gives the slot, or the place in the queue, to whoever is next."""
        ...


class Tasks:
    """Drives one session.

    Args:
        record: what is known of it.
        watchdog: its deadlines.
        notices: what clients are told beside the log.
        executor: where from to take the container.
        slot: the session's place among those that run.
        compiles: is held while the compile stage has its limits.
    """

    def __init__(
        self,
        record: Record,
        watchdog: Watchdog,
        notices: Notices,
        executor: Opener,
        slot: Slot,
        *,
        compiles: trio.CapacityLimiter,
    ) -> None:
        self._record = record
        self._watchdog = watchdog
        self._notices = notices
        self._executor = executor
        self._slot = slot
        self._compiles = compiles

    async def run(self) -> None:
        """Runs the session to its end; see `Session`."""
        record = self._record
        try:
            with self._failures_concluded():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    await self._live()
                    nursery.cancel_scope.cancel(reason="the session is over")
        finally:
            self._slot.leave()
            if not record.ended:
                record.end(Reason.SHUTDOWN)
                record.conclude()

    def touch(self) -> None:
        """Says that the program, or whoever uses it, has just done something."""
        if self._record.state is State.RUNNING and not self._record.lingering:
            self._notices.touched()

    @contextmanager
    def _failures_concluded(self) -> Generator[None]:
        """What fails inside concludes the session, there and then: not after a cleanup that may take long."""
        record = self._record
        with failures_ended(record.end, LOGGER, "session", record.facts.session_id):
            yield
        if (record.end_reason is not None or record.settled) and not record.ended:
            record.conclude()

    async def _watch(self) -> None:
        while isinstance(due := await self._watchdog.wait(), Notice):
            self._notices.due(due)
        self._record.end(due)

    @asynccontextmanager
    async def _until_end(self) -> AsyncGenerator[None]:
        """For all that is done outside of stages: an end that is wanted concludes the session, and cancels this.

        If anybody wants the end, the session is over afterwards; whoever goes on has to look.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._conclude_at_end, nursery.cancel_scope)
            yield
            nursery.cancel_scope.cancel(reason="it is done")
        if self._record.end_wanted.is_set() and not self._record.ended:  # Wanted in the last moment.
            self._record.conclude()

    async def _conclude_at_end(self, scope: trio.CancelScope) -> None:
        await self._record.end_wanted.wait()
        self._record.conclude()  # Not after the cleanup: an engine that hangs may delay that.
        scope.cancel(reason=f"the session is to end: {self._record.end_reason}")

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            with self._failures_concluded():
                async with self._until_end():
                    await self._wait_for_slot()
                    spec = container_spec(self._record.plan, self._record.facts.session_id)
                    container = await stack.enter_async_context(self._executor.open_container(spec))
                    self._record.container_opened(warm=container.warm)
                    await self._send_files(container)
                if self._record.ended:
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._record.stdin.pump, container)
                    await self._run_stages(container)
                    nursery.cancel_scope.cancel(reason="the program is over")

    async def _wait_for_slot(self) -> None:
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()  # The queue may move in the very moment of the session's end.
            position = self._slot.position
            self._record.queued(position)
            if position == 0:
                self._watchdog.clear(Reason.QUEUE_TIMEOUT)
                return
            await self._slot.wait_moved(position)

    async def _send_files(self, container: Container) -> None:
        await send_files(container, self._record.plan.files)
        self._record.without_files()

    async def _run_stages(self, container: Container) -> None:
        """Runs the stages until the session is over; it is when the last one, or one that failed, has ended."""
        async with AsyncExitStack() as compiling:
            for stage in self._record.plan.stages:
                async with self._until_end():
                    if stage.name is StageName.COMPILE:
                        await compiling.enter_async_context(self._compiles)
                    await self._apply(container, stage)  # Before any of its command runs.
                    if stage.name is not StageName.COMPILE:
                        await compiling.aclose()
                if self._record.ended:
                    return
                await self._run_stage(container, stage)
                if self._record.ended:
                    return

    async def _apply(self, container: Container, stage: StagePlan) -> None:
        try:
            await container.apply_resources(stage.resources)
        except MemoryInUseError:
            message = "what is in the workspace already takes more memory than the program may use"
            self._record.end(Reason.MEMORY_LIMIT, message)

    async def _run_stage(self, container: Container, stage: StagePlan) -> None:
        """Runs one stage; the session is over afterwards, unless another one is to follow and this went well."""
        record = self._record
        record.stage_sent(stage.name)
        async with self._until_end():
            gather = record.plan.gather
            frame = frames.encode_stage(
                stage.command,
                stage.environment,
                terminal=record.terminal if stage.interactive else None,
                deadline=_backstop(stage.wall_time),
                cpu_time=stage.cpu_time,
                gather=gather,
                merge=record.plan.merge,
            )
            # The launcher's word that the stage has begun may come late then, and the program waits for its input.
            await container.send(frame + record.stdin.begin() if gather and stage.interactive else frame)
        if record.ended:
            return
        await follow_stage(container, lambda event: self._handle(event, stage), record.end_wanted)
        if record.settled and not record.ended:
            await self._collect(container)
            record.conclude()
        elif record.end_wanted.is_set() and not record.ended:
            record.conclude()  # It was killed, and did not tell its end.

    async def _collect(self, container: Container) -> None:
        """Keeps what the program left behind of what was asked for."""
        record = self._record
        limits = record.plan.limits
        record.collection = Collection(record.account)
        with trio.move_on_after(COLLECT_TIMEOUT) as scope:
            request = frames.encode_collect(record.plan.collect, limits.collected_files, limits.collected_bytes)
            await collect_files(container, request, record.collection)
        if scope.cancelled_caught:
            record.collection.give_up(record.plan.collect)

    def _handle(self, event: frames.Event, stage: StagePlan) -> bool:
        """Takes an event of the stage that runs; says whether it was its last."""
        match event:
            case frames.Stdout(data):
                self.touch()
                self._record.output(Stream.STDOUT, data)
            case frames.Stderr(data):
                self.touch()
                self._record.output(Stream.STDERR, data)
            case frames.Ack(count):
                self._record.stdin.acknowledge(count)
            case frames.Waiting(waiting, sleeping):
                self._notices.waits(waiting=waiting, sleeping=sleeping)
            case frames.Started():
                self._started(stage)
            case frames.Lingers():
                self._record.lingers()
                self._notices.command_ended()
            case frames.StageEnd():
                self._notices.command_ended()
                self._record.stage_ended(event)
                return True
            case frames.Failure(message):
                raise ExecutorError(f"the program could not be run: {message}")
            case _:
                raise ProtocolError("the container's launcher is out of step")
        return False

    def _started(self, stage: StagePlan) -> None:
        record = self._record
        self._watchdog.set(Reason.EXECUTION_TIMEOUT, trio.current_time() + stage.wall_time)
        record.stage_runs()
        if stage.interactive:
            self.touch()
            record.stdin.open()
            if record.terminal is not None and record.terminal != record.plan.terminal:
                record.stdin.control(frames.encode_resize(*record.terminal))


def _backstop(timeout: float) -> int:
    return math.ceil(timeout) + LAUNCHER_GRACE

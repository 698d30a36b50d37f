"""One session: a nursery that owns a container and everything that happens to it.

    run                     the session's nursery
    ├─ watchdog             deadlines: queue, detach, idle, execution; the first to pass ends the session
    └─ (itself)             waits for a slot, opens the container, runs the stages
       ├─ stdin             input and control frames, to the launcher
       └─ (itself)          stdout, stderr and the stages' news, from the launcher, into the output log

Standard output and error are read by one task since they arrive in one stream, in the order in which the launcher
saw them; two tasks would lose that order. Nothing outlives the nursery, and the container is a context manager
inside of it: wherever the session is cancelled, the container is removed. A program's failure is a value and ends
up in the final state; only our own and the engine's failures are exceptions.

Who wants the session's end sets one event, and at any moment exactly one scope listens to it: a stage's killer while
a stage runs (see `stage`), and otherwise `_until_end`, which concludes the session there and then, since nothing more
can come of it. Both act on an event that is set already, so an end that is asked for between two of them is not lost.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

import trio

from trio_exec.budget import Account
from trio_exec.errors import ExecutorError, MemoryInUseError, OutOfMemoryError, ProtocolError, SessionStateError
from trio_exec.executor.base import Container, ContainerSpec, Executor
from trio_exec.ids import short_id
from trio_exec.launcher import frames
from trio_exec.limits import Limits
from trio_exec.model import Reason, StageName, State, Status, Stream
from trio_exec.session.ending import explain, figures_of, ran_out_of_memory
from trio_exec.session.lifecycle import Lifecycle
from trio_exec.session.output import OutputLog
from trio_exec.session.plan import Plan
from trio_exec.session.stage import follow_stage
from trio_exec.session.stdin import Stdin
from trio_exec.session.watchdog import Watchdog

LOGGER = logging.getLogger("trio_exec.session")

LAUNCHER_GRACE = 15
"""Seconds by which the launcher's own deadline is later than ours: it must never come first."""
START_ALLOWANCE = 60
"""Seconds of a container's life in which it is created and started, at most."""


def container_lifetime(limits: Limits) -> int:
    """Seconds after which a session can't need its container any more."""
    return START_ALLOWANCE + _backstop(limits.compile_timeout) + _backstop(limits.execution_timeout)


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


class Session:
    """One run of one program. Made by the engine, driven by clients.

    Args:
        session_id: its unguessable name.
        plan: what to do.
        executor: where from to take the container.
        slot: the session's place among those that run.
        compiles: is held while the compile stage has its limits.
        account: of what the session keeps for its clients; what `plan` holds was taken from it already. Whoever forgets
            the session closes it.
        queue_timeout: seconds to wait for the slot.
        detach_grace: seconds without any client, until the session is ended.
    """

    def __init__(
        self,
        session_id: str,
        plan: Plan,
        executor: Executor,
        slot: Slot,
        *,
        compiles: trio.CapacityLimiter,
        account: Account,
        queue_timeout: float,
        detach_grace: float,
    ) -> None:
        self.id = session_id
        self.plan = plan.without_stdin()  # It is in the queue towards the program, and need not be kept twice.
        self.log = OutputLog(plan.limits.output_bytes, kept=account.add)
        self.created_at = time.time()
        self._executor = executor
        self._slot = slot
        self._compiles = compiles
        self.account = account
        self._queue_timeout = queue_timeout
        self._detach_grace = detach_grace
        self._lifecycle = Lifecycle()
        self._status = Status(State.WAITING)
        self._stdin = Stdin(plan.stdin, account, ends=plan.ends_input, terminal=plan.terminal is not None)
        self._terminal = plan.terminal
        self._watchdog = Watchdog()
        self._clients = 0
        self._stage: StageName | None = None
        self._figures: frames.StageEnd | None = None
        self._end_reason: Reason | None = None
        self._end_message: str | None = None
        self._end_wanted = trio.Event()

    # What clients do. None of it blocks.

    @property
    def ended(self) -> bool:
        """Whether the final state is in the log."""
        return self._lifecycle.state.final

    @property
    def status(self) -> Status:
        """The present state; what its fields hold depends on it."""
        return self._status

    @property
    def clients(self) -> int:
        """How many are attached."""
        return self._clients

    @contextmanager
    def attached(self) -> Generator[None]:
        """For as long as a client watches. The session is ended a while after the last one left."""
        self._clients += 1
        self._watchdog.clear(Reason.DETACHED)
        try:
            yield
        finally:
            self._clients -= 1
            if self._clients == 0:
                self._watchdog.set(Reason.DETACHED, trio.current_time() + self._detach_grace)

    def write_input(self, data: bytes) -> None:
        """Queues input; before the program runs, it waits for it.

        Raises:
            SessionStateError: the session, or the program's input, has ended.
            InputFullError: the program does not read.
            OverloadedError: the server holds as much as it may.
        """
        self._check_not_ended()
        self._stdin.write(data)
        self._touch()

    def end_input(self) -> None:
        """Queues the end of input.

        Raises:
            SessionStateError: the session has ended.
            InputFullError: the program does not read, and on a terminal, end of input is input.
        """
        self._check_not_ended()
        self._stdin.end()
        self._touch()

    def send_signal(self, number: int) -> None:
        """Sends a signal to the program's process group.

        Raises:
            SessionStateError: no program runs.
        """
        self._check_not_ended()
        if self._lifecycle.state is not State.RUNNING:
            raise SessionStateError("signal: the program does not run yet", field="signal")
        self._stdin.control(frames.encode_signal(number))
        self._touch()

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size.

        Raises:
            SessionStateError: the session has ended or has no terminal.
        """
        self._check_not_ended()
        if self._terminal is None:
            raise SessionStateError("resize: this session has no terminal; ask for one with `tty`")
        self._terminal = (rows, columns)
        if self._lifecycle.state is State.RUNNING:
            self._stdin.control(frames.encode_resize(rows, columns))

    def end(self, reason: Reason, message: str | None = None) -> None:
        """Asks for the session's end; the first reason counts. Harmless when it has ended."""
        if self._end_reason is None and not self.ended:
            self._end_reason = reason
            self._end_message = message
            self._end_wanted.set()

    def _check_not_ended(self) -> None:
        if self.ended:
            raise SessionStateError("the session has ended")

    # The tasks.

    async def run(self) -> None:
        """Runs the session to its end. However this is left, the final state is in the log and the log is closed.

        Cancellation: ends the session with the reason `shutdown`.
        """
        now = trio.current_time()
        self._watchdog.set(Reason.DETACHED, now + self._detach_grace)
        self._watchdog.set(Reason.QUEUE_TIMEOUT, now + self._queue_timeout)
        try:
            with self._failures_concluded():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    await self._live()
                    nursery.cancel_scope.cancel(reason="the session is over")
        finally:
            self._slot.leave()
            if not self.ended:
                self.end(Reason.SHUTDOWN)
                self._conclude()

    @contextmanager
    def _failures_concluded(self) -> Generator[None]:
        """What fails inside concludes the session, there and then: not after a cleanup that may take long."""
        try:
            yield
        except* OutOfMemoryError:
            self.end(Reason.MEMORY_LIMIT)
        except* ExecutorError as group:
            error = _first(group)
            LOGGER.warning("session %s: %s", short_id(self.id), error)
            self.end(Reason.EXECUTOR_FAILED, error.message)
        except* Exception:
            # A bug of ours must end this session only, and say so.
            LOGGER.exception("session %s failed", short_id(self.id))
            self.end(Reason.EXECUTOR_FAILED, "internal error; see the server's log")
        if self._end_reason is not None and not self.ended:
            self._conclude()

    async def _watch(self) -> None:
        self.end(await self._watchdog.wait())

    @asynccontextmanager
    async def _until_end(self) -> AsyncGenerator[None]:
        """For all that is done outside of stages: an end that is wanted concludes the session, and cancels this.

        If anybody wants the end, the session is over afterwards; whoever goes on has to look.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._conclude_at_end, nursery.cancel_scope)
            yield
            nursery.cancel_scope.cancel(reason="it is done")
        if self._end_wanted.is_set() and not self.ended:  # Wanted in the last moment.
            self._conclude()

    async def _conclude_at_end(self, scope: trio.CancelScope) -> None:
        await self._end_wanted.wait()
        self._conclude()  # Not after the cleanup: an engine that hangs may delay that.
        scope.cancel(reason=f"the session is to end: {self._end_reason}")

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            with self._failures_concluded():
                async with self._until_end():
                    await self._wait_for_slot()
                    container = await stack.enter_async_context(self._executor.open_container(self._spec()))
                    await self._send_files(container)
                if self.ended:
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._stdin.pump, container)
                    await self._run_stages(container)
                    nursery.cancel_scope.cancel(reason="the program is over")

    async def _wait_for_slot(self) -> None:
        while not self.ended:  # It may be over in the very moment in which the queue moves.
            position = self._slot.position
            self._move(State.WAITING, position=position or None)
            if position == 0:
                break
            await self._slot.wait_moved(position)
        self._watchdog.clear(Reason.QUEUE_TIMEOUT)

    def _spec(self) -> ContainerSpec:
        return ContainerSpec(
            session_id=self.id,
            language=self.plan.language.name,
            limits=self.plan.limits,
            terminal=self._terminal is not None,
            compiles=self.plan.compile_command is not None,
            may_use_prestart=self.plan.may_use_prestart,
            lifetime=container_lifetime(self.plan.limits),
        )

    async def _send_files(self, container: Container) -> None:
        for path, content in self.plan.files.items():
            for frame in frames.encode_file(path, content):
                await container.send(frame)
        self.account.give(self.plan.files_size)
        self.plan = self.plan.without_files()

    async def _run_stages(self, container: Container) -> None:
        plan = self.plan
        async with AsyncExitStack() as compiling:
            if plan.compile_command is not None:
                async with self._until_end():
                    await compiling.enter_async_context(self._compiles)
                if not self.ended:
                    await self._run_stage(container, StageName.COMPILE, plan.compile_command)
            if not self.ended:
                async with self._until_end():
                    await self._apply_run_limits(container)  # Before any of the program runs.
        if not self.ended:
            await self._run_stage(container, StageName.RUN, plan.run_command)

    async def _apply_run_limits(self, container: Container) -> None:
        try:
            await container.apply_run_limits(self.plan.limits)
        except MemoryInUseError:
            self.end(Reason.MEMORY_LIMIT, "what is in the workspace already takes more memory than the program may use")

    async def _run_stage(self, container: Container, stage: StageName, command: Sequence[str]) -> None:
        """Runs one stage; the session is over afterwards, unless it was to be compiled and that went well."""
        limits = self.plan.limits
        timeout = limits.compile_timeout if stage is StageName.COMPILE else limits.execution_timeout
        terminal = self._terminal if stage is StageName.RUN else None
        environment = self.plan.compile_environment if stage is StageName.COMPILE else self.plan.environment
        self._stage = stage
        self._figures = None
        async with self._until_end():
            await container.send(
                frames.encode_stage(command, environment, terminal=terminal, deadline=_backstop(timeout))
            )
        if self.ended:
            return
        await follow_stage(container, self._handle, self._end_wanted)
        if self._figures is None:
            self._conclude()

    def _handle(self, event: frames.Event) -> bool:
        """Takes an event of the stage that runs; says whether it was its last."""
        match event:
            case frames.Stdout(data):
                self._take_output(Stream.STDOUT, data)
            case frames.Stderr(data):
                self._take_output(Stream.STDERR, data)
            case frames.Ack(count):
                self._stdin.acknowledge(count)
            case frames.Waiting(waiting):
                self.log.set_waiting(waiting)
            case frames.Started():
                self._started()
            case frames.StageEnd():
                self._stage_ended(event)
                return True
            case frames.Failure(message):
                raise ExecutorError(f"the program could not be run: {message}")
            case frames.Ready() | frames.Prepared():
                raise ProtocolError("the container's launcher is out of step")
        return False

    def _stage_ended(self, figures: frames.StageEnd) -> None:
        self._figures = figures
        self._watchdog.clear(Reason.EXECUTION_TIMEOUT, Reason.IDLE_TIMEOUT)
        self.log.set_waiting(False)
        # At once: whatever is asked for from now on can't change how the program ended.
        if self._stage is StageName.RUN or self._end_reason is not None or figures.exit_code != 0:
            self._conclude()

    def _started(self) -> None:
        limits = self.plan.limits
        timeout = limits.compile_timeout if self._stage is StageName.COMPILE else limits.execution_timeout
        self._watchdog.set(Reason.EXECUTION_TIMEOUT, trio.current_time() + timeout)
        if self._stage is StageName.COMPILE:
            self._move(State.COMPILING, stage=StageName.COMPILE)
        else:
            self._move(State.RUNNING, stage=StageName.RUN)
            self._touch()
            self._stdin.open()
            if self._terminal is not None and self._terminal != self.plan.terminal:
                self._stdin.control(frames.encode_resize(*self._terminal))

    def _take_output(self, stream: Stream, data: bytes) -> None:
        self._touch()
        if not self.log.write(stream, data):
            self.end(Reason.OUTPUT_LIMIT)

    def _touch(self) -> None:
        if self._lifecycle.state is State.RUNNING:
            self._watchdog.set(Reason.IDLE_TIMEOUT, trio.current_time() + self.plan.limits.idle_timeout)

    def _move(self, state: State, **fields: Any) -> None:
        self._lifecycle.move(state)
        self._status = Status(state, **fields)
        self.log.add_state(self._status)

    def _conclude(self) -> None:
        """Writes the final state, behind all output, closes the log, and keeps nothing else."""
        self.log.end_of_output()
        figures = self._figures
        reason = self._end_reason
        if reason is None and figures is not None and ran_out_of_memory(figures):
            reason = Reason.MEMORY_LIMIT
        message = None
        if reason is not None:
            message = self._end_message or explain(reason, self.plan.limits, self._stage)
        self._move(
            State.FINISHED if reason is None else State.TERMINATED,
            stage=self._stage,
            reason=reason,
            message=message,
            figures=None if figures is None else figures_of(figures),
            output_truncated=self.log.truncated,
        )
        self.log.close()
        self._stdin.close()
        self.account.give(self.plan.files_size)
        self.plan = self.plan.without_content()


def _backstop(timeout: float) -> int:
    return math.ceil(timeout) + LAUNCHER_GRACE


def _first(group: BaseExceptionGroup[ExecutorError]) -> ExecutorError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ExecutorError)  # noqa: S101 - the group was split by this type
    return error

"""One session: what clients do with it. None of that waits, so no client can hang on a program.

What the session does by itself is in `tasks`, and what both know of it in `record`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from trio_exec.budget import Account
from trio_exec.errors import SessionStateError, TooManyWatchersError
from trio_exec.events import ClientAttached, ClientLeft, Emit, SessionFacts
from trio_exec.executor.base import Opener
from trio_exec.launcher import frames
from trio_exec.model import Reason, State, Status
from trio_exec.session.notices import Notices
from trio_exec.session.output import OutputLog
from trio_exec.session.plan import Plan
from trio_exec.session.record import Record
from trio_exec.session.tasks import Slot, Tasks
from trio_exec.session.watchdog import Watchdog
from trio_exec.session.writers import Writers

SESSION_SIZE = 20_480
"""Bytes that a session takes beside what its client sent and its program wrote: 19 KB were measured."""


@dataclass(slots=True)
class Presence:
    """A client that is attached.

    Attributes:
        leaving: whether its last word was that it leaves by choice.
    """

    leaving: bool = False


class Session:
    """One run of one program. Made by the engine, driven by clients.

    Args:
        facts: what is so of it all its life; its id is unguessable.
        plan: what to do.
        executor: where from to take the container.
        slot: the session's place among those that run.
        compiles: is held while the compile stage has its limits.
        account: of what the session keeps for its clients; what `plan` holds was taken from it already. Whoever forgets
            the session closes it.
        emit: reports its start, its end and its clients.
        queue_timeout: seconds to wait for the slot.
        detach_grace: seconds without any client, until the session is ended.
        leave_grace: the same, where the last one said that it leaves; no more than `detach_grace`.
        watch_id: an unguessable name as well, for those who may watch it and do nothing else; empty where nobody may.
        max_watchers: how many of them at once.

    Attributes:
        watch_id: the same.
        created_at: when, in Unix seconds.
    """

    def __init__(
        self,
        facts: SessionFacts,
        plan: Plan,
        executor: Opener,
        slot: Slot,
        *,
        compiles: trio.CapacityLimiter,
        account: Account,
        emit: Emit,
        queue_timeout: float,
        detach_grace: float,
        leave_grace: float = math.inf,
        watch_id: str = "",
        max_watchers: int = 0,
    ) -> None:
        self.watch_id = watch_id
        self.created_at = time.time()
        self._emit = emit
        self._record = Record(facts, plan, account, emit)
        self._watchdog = Watchdog()
        self._writers = Writers(self._record.stdin)
        self._notices = Notices(self._record.log, self._watchdog, plan.limits.idle_timeout)
        self._tasks = Tasks(self._record, self._watchdog, self._notices, executor, slot, compiles=compiles)
        self._queue_timeout = queue_timeout
        self._detach_grace = detach_grace
        self._leave_grace = min(leave_grace, detach_grace)
        self._clients = 0
        self._watchers = 0
        self._max_watchers = max_watchers

    async def run(self) -> None:
        """Runs the session to its end. However this is left, the final state is in the log and the log is closed.

        Cancellation: ends the session with the reason `shutdown`.
        """
        now = trio.current_time()
        self._watchdog.set(Reason.DETACHED, now + self._detach_grace)
        self._watchdog.set(Reason.QUEUE_TIMEOUT, now + self._queue_timeout)
        await self._tasks.run()

    @property
    def facts(self) -> SessionFacts:
        """What is so of it all its life."""
        return self._record.facts

    @property
    def id(self) -> str:
        """Its unguessable name."""
        return self.facts.session_id

    @property
    def plan(self) -> Plan:
        """What is left of what it is to do."""
        return self._record.plan

    @property
    def account(self) -> Account:
        """Of what is kept for its clients."""
        return self._record.account

    @property
    def log(self) -> OutputLog:
        """Everything that its clients see."""
        return self._record.log

    @property
    def ended(self) -> bool:
        """Whether the final state is in the log."""
        return self._record.ended

    @property
    def status(self) -> Status:
        """The present state; what its fields hold depends on it."""
        return self._record.status

    @property
    def files(self) -> Mapping[str, bytes]:
        """What was kept of what the program left behind.

        Raises:
            SessionStateError: it is not over yet.
        """
        if not self.ended:
            raise SessionStateError("the session goes on; the files that were asked for are collected at its end")
        collection = self._record.collection
        return {} if collection is None else collection.files

    @property
    def clients(self) -> int:
        """How many are attached that may drive it."""
        return self._clients

    @property
    def watchers(self) -> int:
        """How many are attached that may not."""
        return self._watchers

    @property
    def followed(self) -> bool:
        """Whether anybody is attached."""
        return self._clients + self._watchers > 0

    @contextmanager
    def watched(self) -> Generator[None]:
        """For as long as somebody watches who may do nothing else. That keeps no session from being ended.

        Raises:
            TooManyWatchersError: as many as may be do so already.
        """
        if self._watchers >= self._max_watchers:
            raise TooManyWatchersError(
                f"{self._watchers} watch this session already, and no more than {self._max_watchers} may; come back "
                "when some have left"
            )
        self._count_watchers(1)
        self._emit(ClientAttached(self.facts))
        try:
            yield
        finally:
            self._count_watchers(-1)
            self._emit(ClientLeft(self.facts))

    def _count_watchers(self, more: int) -> None:
        self._watchers += more
        self._notices.count_watchers(self._watchers)

    @contextmanager
    def attached(self) -> Generator[Presence]:
        """For as long as a client is there who may drive it. It is ended a while after the last one left."""
        presence = Presence()
        self._clients += 1
        self._emit(ClientAttached(self.facts))
        self._watchdog.clear(Reason.DETACHED)
        try:
            yield presence
        finally:
            self._clients -= 1
            self._emit(ClientLeft(self.facts))
            if self._clients == 0:
                grace = self._leave_grace if presence.leaving else self._detach_grace
                self._watchdog.set(Reason.DETACHED, trio.current_time() + grace)

    def write_input(self, data: bytes) -> None:
        """Queues input; before the program runs, it waits for it.

        Raises:
            SessionStateError: the session, or the program's input, has ended.
            InputFullError: the program does not read.
            OverloadedError: the server holds as much as it may.
        """
        self._check_not_ended()
        self._record.stdin.write(data)
        self._tasks.touch()

    def write_input_at(self, client: str, at: int, data: bytes) -> int:
        """Queues what is new of a client's input, as far as there is room; sent twice, it is taken once.

        Args:
            client: a name of the client's choice.
            at: how many bytes of its input come before `data`.
            data: the input.

        Returns:
            Bytes of its input that were taken in all.

        Raises:
            RequestError: too many clients have names.
            SessionStateError: the session, or the program's input, has ended.
            OverloadedError: the server holds as much as it may.
        """
        self._check_not_ended()
        taken = self._writers.write(client, at, data)
        self._tasks.touch()
        return taken

    def input_taken(self, client: str) -> int:
        """Bytes of input that were taken from a client."""
        return self._writers.taken(client)

    @property
    def input_room(self) -> int:
        """Bytes of input that would be taken now."""
        return self._record.stdin.room

    async def wait_input_room(self) -> None:
        """Returns when there is room for plenty of input, or nobody will read any more."""
        await self._record.stdin.wait_room()

    def keep_alive(self) -> None:
        """Says that somebody is there, as input does; nothing of it reaches the program."""
        self._tasks.touch()

    def end_input(self) -> None:
        """Queues the end of input; once the session has ended there is nothing to do.

        Raises:
            InputFullError: the program does not read, and on a terminal, end of input is input.
        """
        if self.ended:  # It was said while the end was on its way.
            return
        self._record.stdin.end()
        self._tasks.touch()

    def send_signal(self, number: int) -> None:
        """Sends a signal to the program's process group.

        Raises:
            SessionStateError: no program runs.
        """
        self._check_not_ended()
        if self._record.state is not State.RUNNING:
            raise SessionStateError("signal: the program does not run yet", field="signal")
        self._record.stdin.control(frames.encode_signal(number))
        self._tasks.touch()

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size; once the session has ended there is nothing to do.

        Raises:
            SessionStateError: the session has no terminal.
        """
        if self._record.terminal is None:
            raise SessionStateError("resize: this session has no terminal; ask for one with `tty`")
        if self.ended:  # It was said while the end was on its way.
            return
        self._record.terminal = (rows, columns)
        if self._record.state is State.RUNNING:
            self._record.stdin.control(frames.encode_resize(rows, columns))

    def end(self, reason: Reason, message: str | None = None) -> None:
        """Asks for the session's end; the first reason counts. Harmless when it has ended."""
        self._record.end(reason, message)

    def _check_not_ended(self) -> None:
        if self.ended:
            raise SessionStateError("the session has ended")

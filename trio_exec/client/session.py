"""A session: a program that runs now, and the one who talks with it."""

from __future__ import annotations

import re
import signal as signals
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, Self, cast
from urllib.parse import quote

import trio

from trio_exec.client.errors import ClientError
from trio_exec.client.events import Event, InputWait, Output, StateChanged, T
from trio_exec.client.expect import Match, WaitingForInput, expect
from trio_exec.client.link import Link
from trio_exec.client.results import File, Result, files_of, result_of_session
from trio_exec.client.server import Server

LEAVE_TIMEOUT = 2
"""Seconds that leaving a session may take to stop it, or to have the last input arrive."""
_CTRL_D = b"\x04"
_LINE_ENDS = b"\n\r\x03\x04\x15\x1a\x1c"
"""Behind these keys a terminal's line is empty: Enter, and those that drop the line or hand it over."""


class Session(Generic[T]):
    """What `Client.session` and `Client.attach` give. Iterating over it gives its events, to the final state.

    One task may read events while others send. Whoever does not read holds up the program, in the end, and fills no
    memory: so read while you send more than the program takes without being read, as with any process.

    A connection that breaks is made again, and nothing is lost or seen twice, in either direction; for what is not as
    safe, see `signal`.

    Attributes:
        tty: whether the program runs in a terminal.
        id: the session's. Who knows it may watch and drive the session: treat it as a secret.
        watch_id: who knows this one may watch the session, and do nothing else; None of servers that know of no such.
        view_only: whether it was attached to by that one: `id` is the same then, and what is sent is refused.
        state: the last state that was read; None before the first.
        waiting: whether the program was waiting for input when all that was read had happened.
        tty: whether the program has a terminal.
    """

    def __init__(
        self,
        server: Server,
        link: Link,
        *,
        text: bool,
        tty: bool,
        language: str,
        owned: bool,
        view_only: bool = False,
    ) -> None:
        self.id = link.session_id
        self.watch_id = link.watch_id
        self.view_only = view_only
        self.state: StateChanged | None = None
        self.waiting = False
        self._server = server
        self._link = link
        self._outbox = link.outbox
        if view_only:
            self._outbox.close("this session was attached to by its watch_id: it can be watched, and takes no input")
        self._empty = cast("T", "" if text else b"")
        self.tty = tty
        self._language = language
        self._owned = owned
        self._unread: deque[Event[T]] = deque()
        self._within_line = False

    @property
    def over(self) -> bool:
        """Whether the final state was read."""
        return self.state is not None and self.state.final

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event[T]:
        event = await self.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def next_event(self) -> Event[T] | None:
        """The next event; None when there are no more.

        Raises:
            ConnectionLostError: the connection broke and could not be made again.
            ServerError: the server has forgotten the session meanwhile.
        """
        if self._unread:
            await trio.lowlevel.checkpoint()
            event = self._unread.popleft()
        else:
            try:
                event = cast("Event[T]", await self._link.next_event())
            except trio.EndOfChannel:
                if self._link.failure is not None:
                    raise self._link.failure from None
                return None
        if isinstance(event, StateChanged):
            self.state = event
        elif isinstance(event, InputWait):
            self.waiting = event.waiting
        elif isinstance(event, Output):
            self.waiting = False
        return event

    def unread(self, events: Iterable[Event[T]]) -> None:
        """Gives events back, to be read again before all others."""
        self._unread.extendleft(reversed(list(events)))

    async def send(self, data: T) -> None:
        """Sends input. Returns when it is kept here, until the server has it; waits while much is.

        Raises:
            InputClosedError: the program's input, or the session, has ended.
        """
        await trio.lowlevel.checkpoint()
        self.waiting = False
        content = data.encode() if isinstance(data, str) else data
        await self._outbox.write(content)
        if content:
            self._within_line = content[-1] not in _LINE_ENDS

    async def flush(self) -> None:
        """Returns when the server has all that was sent.

        Raises:
            InputClosedError: it did not take all of it: the program's input, or the session, has ended.
        """
        await trio.lowlevel.checkpoint()
        await self._outbox.flush()

    async def end_input(self) -> None:
        """Ends the program's input; in a terminal it is Ctrl-D, after which more may follow.

        Behind a part of a line it is Ctrl-D twice: the first one only hands the part over.
        """
        await trio.lowlevel.checkpoint()
        if self.tty:
            await self._outbox.write(2 * _CTRL_D if self._within_line else _CTRL_D)
            self._within_line = False
        else:
            self._outbox.end_input()

    async def signal(self, number: signals.Signals | int | str) -> None:
        """Sends a signal to the program's process group.

        It is sent once: when the connection breaks in that very moment, it may be lost, since twice could mean
        something else.

        Args:
            number: such as `signal.SIGINT` or `"SIGINT"`.
        """
        await trio.lowlevel.checkpoint()
        self._outbox.signal(number if isinstance(number, str) else signals.Signals(number).name)

    async def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size."""
        await trio.lowlevel.checkpoint()
        self._outbox.resize(rows, columns)

    async def keep_alive(self) -> None:
        """Has the server's idle timeout begin anew, as input does, and nothing reach the program.

        For whoever sees that somebody is there, such as one who types a line. `Idle` events tell when it is time.
        """
        await trio.lowlevel.checkpoint()
        self._outbox.keep_alive()

    async def stop(self) -> None:
        """Asks the server to end the session, whatever the program does; its last output and the final state follow."""
        await trio.lowlevel.checkpoint()
        self._outbox.stop()

    def detach(self) -> None:
        """Has the session go on when it is left. The server ends it if nobody comes back for a while."""
        self._owned = False

    async def expect(self, pattern: T | re.Pattern[T] | WaitingForInput, timeout: float = 30) -> Match[T]:  # noqa: ASYNC109 - what was read is given back before it raises
        """Reads standard output until it has what is expected; what follows stays unread.

        Args:
            pattern: text, a regular expression, or `WAITING_FOR_INPUT`.
            timeout: seconds to wait for it.

        Raises:
            ExpectTimeoutError: it did not come in time; all that was seen is unread again, as after cancellation.
            ProgramEndedError: the session ended before it came; likewise.
        """
        if isinstance(pattern, WaitingForInput) and self.waiting:
            await trio.lowlevel.checkpoint()
            return Match(self._empty, self._empty, (), ())
        return await expect(self, pattern, timeout, self._empty)

    async def result(self) -> Result[T]:
        """Reads the session to its end. Output that was read before is not in the result: it would have to be kept.

        Raises:
            ConnectionLostError: the connection broke and could not be made again.
            ServerError: the server has forgotten the session meanwhile.
        """
        output = [event async for event in self if isinstance(event, Output)]
        assert self.state is not None and self.state.final  # noqa: S101, PT018 - a log ends so, or in an exception
        files = await self.files() if self.state.files else ()
        return result_of_session(
            self.state, output, self._empty, language=self._language, session_id=self.id, files=files
        )

    async def files(self) -> tuple[File, ...]:
        """The files that `collect` asked for, once the session is over.

        Raises:
            WrongStateError: it is not over yet.
            SessionNotFoundError: the server has forgotten it.
        """
        return files_of(await self._server.request("GET", f"/session/{quote(self.id, safe='')}/files"))

    async def leave(self) -> None:
        """Stops the session if it is ours and still runs; else has what was sent arrive. It raises no errors."""
        if self.over or self._link.failure is not None:
            return
        if not self._owned:
            await self._outbox.said()
            return
        # Where it can't be told, it ends the session itself after a while, since it has no clients.
        with suppress(ClientError):
            await self._server.request("DELETE", f"/session/{quote(self.id, safe='')}")


@asynccontextmanager
async def followed(session: Session[Any], link: Link) -> AsyncGenerator[None]:
    """Follows a session for as long as the context lasts. What its body raises is raised as it is, in no group."""
    failure: Exception | KeyboardInterrupt | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.follow)
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below
            failure = error
        finally:
            with trio.move_on_after(LEAVE_TIMEOUT, shield=True):
                await session.leave()
            nursery.cancel_scope.cancel(reason="the session was left")
    if failure is not None:
        raise failure

"""One client of one session over a WebSocket: a cursor on the session's log, and what the client sends.

The session is not ours: nothing here can end it but a client's `stop`. Three tasks: `follow` sends the log from the
client's position on, `listen` hands on what the client sends, and `tell_room` says when input has room again. Listening
never stops while the client is attached, for quart-trio shows a disconnect only to those who receive: then it cancels
the handler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Protocol

import trio

from trio_exec.api.native.messages import (
    AliveMessage,
    EofMessage,
    ErrorMessage,
    InputAckMessage,
    InputMessage,
    LeaveMessage,
    ResizeMessage,
    SignalMessage,
    StopMessage,
    message_of,
    messages_between,
)
from trio_exec.api.native.parsing import parse_client_message
from trio_exec.api.native.parts import EncodingName, ErrorBody
from trio_exec.api.native.text import Text, cursor
from trio_exec.engine.registry import VIEW_ONLY
from trio_exec.errors import RequestError, TrioExecError, ViewOnlyError
from trio_exec.ids import short_id
from trio_exec.model import Reason
from trio_exec.phases import Phase, Phases
from trio_exec.session.output import StateChange
from trio_exec.session.present import Present
from trio_exec.session.session import Presence, Session

LOGGER = logging.getLogger("trio_exec.websocket")

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_INTERNAL_ERROR = 1011
CLOSE_TRY_LATER = 1013
CLOSE_CODES = {
    CLOSE_NORMAL: "The final state was delivered.",
    CLOSE_GOING_AWAY: "The server is going away; connect again with `after` if it comes back.",
    1002: "Your frame was broken.",
    1007: "Your message was not UTF-8.",
    1009: "Your message was larger than the server takes.",
    CLOSE_INTERNAL_ERROR: "Internal error; see the server's log.",
    CLOSE_TRY_LATER: "The server has no room for it just now; connect again in a few seconds.",
}


class Socket(Protocol):
    """What is needed of Quart's websocket."""

    async def send(self, data: str) -> None:
        """Sends a text message."""
        ...

    async def receive(self) -> str | bytes:
        """The next message."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame."""
        ...


Refused = Callable[[TrioExecError], None]
"""Is told of an error that a client is sent."""


def not_told(error: TrioExecError) -> None:
    """For whoever has nobody to tell."""
    del error


def error_message(error: TrioExecError) -> str:
    """The form of an error over a WebSocket."""
    body = ErrorBody.of(error)
    return ErrorMessage(**body.model_dump(by_alias=False), retry_after=error.retry_after).to_json()


class Attachment:
    """A client that is attached to a session.

    Args:
        socket: the accepted WebSocket.
        session: what it watches.
        position: from where on.
        name: by which the client tells its input from that of others, and goes on after a broken connection.
        encoding: how it is told what the program writes.
        may_drive: whether it may do more than look. One that may not is no client that the session goes on for.
        refused: is told of each error that the client is sent.

    Attributes:
        beyond: what the client has sent after the session's end, if it was received here.
    """

    def __init__(
        self,
        socket: Socket,
        session: Session,
        position: int,
        name: str | None = None,
        encoding: EncodingName = "utf-8",
        *,
        may_drive: bool = True,
        refused: Refused = not_told,
    ) -> None:
        self._may_drive = may_drive
        self._refused = refused
        self._socket = socket
        self._session = session
        self._position = position
        self._name = name
        self._encoding: EncodingName = encoding
        self._full = trio.Event()
        self._presence = Presence()
        self._over = False
        self.beyond: str | bytes | None = None

    async def serve(self, phases: Phases) -> None:
        """As `follow`, and then sends the close frame."""
        await self._socket.close(await self.follow(phases))

    async def follow(self, phases: Phases) -> int:
        """Returns when the client has the final state, or when the server is gone, with the code to close with.

        Cancellation: the client left. The session goes on.
        """
        code = CLOSE_INTERNAL_ERROR
        try:
            with self._session.attached() if self._may_drive else nullcontext(Presence()) as self._presence:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen)
                    nursery.start_soon(self._tell_room)
                    nursery.start_soon(self._leave_with, phases, nursery.cancel_scope)
                    await self._follow()
                    code = CLOSE_NORMAL
                    nursery.cancel_scope.cancel(reason="the client has everything")
                if code != CLOSE_NORMAL:
                    code = CLOSE_GOING_AWAY
        except* Exception:
            # Quart would close with 1000, and lose the error if the client leaves meanwhile.
            LOGGER.exception("session %s: a client could not be served", short_id(self._session.id))
        return code

    async def _leave_with(self, phases: Phases, scope: trio.CancelScope) -> None:
        await phases.wait(Phase.GONE)
        scope.cancel(reason="the server is going away")

    async def _follow(self) -> None:
        log = self._session.log
        reader = cursor(log, self._position, self._encoding)
        told = Present()
        while True:
            entry = reader.read()
            if entry is not None:
                self._over = isinstance(entry, StateChange) and entry.status.state.final
                await self._socket.send(message_of(entry, self._encoding).to_json())
                if isinstance(entry, Text):
                    told = replace(told, waiting=False)  # Whoever writes goes on; to wait again at once is news.
            elif log.closed:
                return
            elif log.present != told:
                before, told = told, log.present
                for message in messages_between(before, told, trio.current_time()):
                    await self._socket.send(message.to_json())
            else:
                await log.wait_news(reader.position, told)

    async def _listen(self) -> None:
        while True:
            data = await self._socket.receive()
            if self._over:
                self.beyond = data  # The client was quick: this is for whoever serves it next.
                await trio.sleep_forever()
            try:
                if not isinstance(data, str):
                    raise RequestError("send text messages with JSON, not binary ones")
                await self._dispatch(data)
            except TrioExecError as error:
                self._refused(error)
                await self._socket.send(error_message(error))

    async def _tell_room(self) -> None:
        """Says when input has room again to a client that was told that it has none."""
        while True:
            await self._full.wait()
            self._full = trio.Event()
            await self._session.wait_input_room()
            await self._acknowledge()

    async def _acknowledge(self, error: TrioExecError | None = None) -> None:
        room = self._session.input_room
        if room == 0:
            self._full.set()
        answer = InputAckMessage(
            at=self._session.input_taken(self._name or ""),
            room=room,
            error=None if error is None else error.message,
            code=None if error is None else error.code,
        )
        await self._socket.send(answer.to_json())

    async def _write_at(self, at: int, data: bytes) -> None:
        if self._name is None:
            raise RequestError("at: give this client a name, by connecting with ?client=NAME", field="at")
        try:
            self._session.write_input_at(self._name, at, data)
        except TrioExecError as error:
            self._refused(error)
            await self._acknowledge(error)
        else:
            await self._acknowledge()

    async def _dispatch(self, data: str) -> None:
        session, message = self._session, parse_client_message(data)
        if not self._may_drive:
            raise ViewOnlyError(VIEW_ONLY)
        self._presence.leaving = isinstance(message, LeaveMessage)
        match message:
            case InputMessage(at=int(at)):
                await self._write_at(at, message.content())
            case InputMessage():
                session.write_input(message.content())
            case EofMessage():
                session.end_input()
            case SignalMessage():
                session.send_signal(message.number)
            case ResizeMessage(rows=rows, cols=columns):
                session.resize(rows, columns)
            case AliveMessage():
                session.keep_alive()
            case LeaveMessage():
                pass  # Once it is gone, it counts.
            case StopMessage():
                session.end(Reason.STOPPED)

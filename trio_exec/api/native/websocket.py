"""One client of one session over a WebSocket: a cursor on the session's log, and what the client sends.

The session is not ours: nothing here can end it but a client's `stop`. Two tasks: `follow` sends the log from the
client's position on, and `listen` hands on what the client sends. Listening never stops while the client is
attached, for quart-trio shows a disconnect only to those who receive: then it cancels the handler.
"""

from __future__ import annotations

import logging
from typing import Protocol

import trio

from trio_exec.api.native.messages import (
    EofMessage,
    ErrorBody,
    ErrorMessage,
    InputMessage,
    InputWaitMessage,
    ResizeMessage,
    SignalMessage,
    StateMessage,
    StderrMessage,
    StdoutMessage,
    StopMessage,
)
from trio_exec.api.native.parsing import parse_client_message
from trio_exec.api.native.text import TextCursor
from trio_exec.errors import RequestError, TrioExecError
from trio_exec.ids import short_id
from trio_exec.model import Reason, Stream
from trio_exec.phases import Phase, Phases
from trio_exec.session.output import StateChange
from trio_exec.session.session import Session

LOGGER = logging.getLogger("trio_exec.websocket")

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_INTERNAL_ERROR = 1011


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


class Attachment:
    """A client that is attached to a session.

    Args:
        socket: the accepted WebSocket.
        session: what it watches.
        position: from where on.
    """

    def __init__(self, socket: Socket, session: Session, position: int) -> None:
        self._socket = socket
        self._session = session
        self._position = position

    async def serve(self, phases: Phases) -> None:
        """Returns when the client has the final state, or when the server is gone, after the close frame.

        Cancellation: the client left. The session goes on.
        """
        code = CLOSE_INTERNAL_ERROR
        try:
            with self._session.attached():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen)
                    nursery.start_soon(self._leave_with, phases, nursery.cancel_scope)
                    await self._follow()
                    code = CLOSE_NORMAL
                    nursery.cancel_scope.cancel(reason="the client has everything")
                if code != CLOSE_NORMAL:
                    code = CLOSE_GOING_AWAY
        except* Exception:
            # Quart would close with 1000, and lose the error if the client leaves meanwhile.
            LOGGER.exception("session %s: a client could not be served", short_id(self._session.id))
        await self._socket.close(code)

    async def _leave_with(self, phases: Phases, scope: trio.CancelScope) -> None:
        await phases.wait(Phase.GONE)
        scope.cancel(reason="the server is going away")

    async def _follow(self) -> None:
        log = self._session.log
        cursor = TextCursor(log, self._position)
        told_waiting = False
        while True:
            entry = cursor.read()
            if isinstance(entry, StateChange):
                await self._socket.send(StateMessage.of(entry.status, entry.seq).to_json())
            elif entry is not None:
                of = StdoutMessage if entry.stream is Stream.STDOUT else StderrMessage
                await self._socket.send(of(data=entry.data, seq=entry.seq).to_json())
            elif log.closed:
                return
            elif log.waiting != told_waiting:
                told_waiting = log.waiting
                await self._socket.send(InputWaitMessage(waiting=told_waiting).to_json())
            else:
                await log.wait_news(cursor.position, waiting=told_waiting)

    async def _listen(self) -> None:
        while True:
            data = await self._socket.receive()
            try:
                if not isinstance(data, str):
                    raise RequestError("send text messages with JSON, not binary ones")
                self._dispatch(data)
            except TrioExecError as error:
                body = ErrorBody.of(error)
                await self._socket.send(ErrorMessage(**body.model_dump(by_alias=False)).to_json())

    def _dispatch(self, data: str) -> None:
        session = self._session
        match parse_client_message(data):
            case InputMessage(data=text):
                session.write_input(text.encode())
            case EofMessage():
                session.end_input()
            case SignalMessage() as message:
                session.send_signal(message.number)
            case ResizeMessage(rows=rows, cols=columns):
                session.resize(rows, columns)
            case StopMessage():
                session.end(Reason.STOPPED)

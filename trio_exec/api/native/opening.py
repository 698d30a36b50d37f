"""`/ws/run`: a client whose message says what to run; and on a connection that it keeps, what to run next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import trio

from trio_exec.api.native.messages import SessionMessage
from trio_exec.api.native.parsing import is_client_message, parse_session_request
from trio_exec.api.native.websocket import (
    CLOSE_CODES,
    CLOSE_GOING_AWAY,
    CLOSE_NORMAL,
    CLOSE_TRY_LATER,
    Attachment,
    Refused,
    Socket,
    error_message,
    not_told,
)
from trio_exec.errors import RequestError, TrioExecError
from trio_exec.model import Job
from trio_exec.phases import Phase, Phases
from trio_exec.session.session import Session

LOGGER = logging.getLogger("trio_exec.websocket")

CLOSE_REFUSED = 1008
OPENING_CLOSE_CODES = {**CLOSE_CODES, CLOSE_REFUSED: "What you sent can't be run; an `error` message said why."}
REQUEST_TIMEOUT = 10
"""Seconds that a client gets to say what it wants to run."""
KEEP_TIMEOUT = 300
"""The same, where it keeps the connection."""


class RequestTimeoutError(RequestError):
    """It did not say so in time."""

    code = "request_timeout"


class Opening:
    """A client that starts sessions over its WebSocket, one after the other.

    Args:
        socket: the accepted WebSocket.
        create: starts a session, or says why not.
        path_of: where a session's own WebSocket is.
        attach: makes what serves the client for as long as a session lasts.
        client: counts it as one that reads, meanwhile.
        phases: at the last one, the client is sent away.
        keep: whether the connection goes on after a session's end, for the next one.
        refused: is told of each error that the client is sent.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        create: Callable[[Job], Session],
        path_of: Callable[[Session], str],
        attach: Callable[[Session], Attachment],
        client: Callable[[], AbstractContextManager[None]],
        phases: Phases,
        keep: bool,
        refused: Refused = not_told,
    ) -> None:
        self._refused = refused
        self._socket = socket
        self._create = create
        self._path_of = path_of
        self._attach = attach
        self._client = client
        self._phases = phases
        self._keep = keep
        self._code = CLOSE_NORMAL
        self._has_served = False

    async def serve(self) -> None:
        """Returns after the close frame.

        Cancellation: the client left. A session that was started goes on for a while, as any that nobody watches.
        """
        message: str | bytes | None = None
        while self._code == CLOSE_NORMAL:
            session = await self._next_session(message)
            message = None
            if session is not None:
                attachment = self._attach(session)
                with self._client():
                    self._code = await attachment.follow(self._phases)
                message = attachment.beyond
                self._has_served = True
            if not self._keep:
                break
        await self._socket.close(self._code)

    async def _next_session(self, message: str | bytes | None) -> Session | None:
        """The session that the client asks for, once it was told of it; None where it was told why there is none.

        Args:
            message: what it has sent, if that was received already.
        """
        try:
            if message is None or self._is_late(message):
                message = await self._receive()
            if message is None:
                return None
            session = self._create(_job(message))
        except TrioExecError as error:
            if error.status == 500:  # noqa: PLR2004 - internal server error
                LOGGER.exception("a session could not be started")
            self._refused(error)
            await self._socket.send(error_message(error))
            if not self._keep or isinstance(error, RequestTimeoutError):
                self._code = CLOSE_REFUSED if error.retry_after is None else CLOSE_TRY_LATER
            return None
        answer = SessionMessage(session_id=session.id, websocket=self._path_of(session), watch_id=session.watch_id)
        await self._socket.send(answer.to_json())
        return session

    async def _receive(self) -> str | bytes | None:
        """The next message that is none for a session that is over; None when the server goes away."""
        limit = KEEP_TIMEOUT if self._keep else REQUEST_TIMEOUT
        message: str | bytes | None = None
        with trio.move_on_after(limit) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._leave, nursery.cancel_scope)
                while message is None or self._is_late(message):
                    message = await self._socket.receive()
                nursery.cancel_scope.cancel(reason="a message has come")
        if scope.cancelled_caught:
            raise RequestTimeoutError(f"send the program within {limit} seconds, as a message")
        return message

    def _is_late(self, message: str | bytes) -> bool:
        """Whether this was for a session that has ended meanwhile; its client could not know."""
        return self._has_served and is_client_message(message)

    async def _leave(self, scope: trio.CancelScope) -> None:
        await self._phases.wait(Phase.GONE)
        self._code = CLOSE_GOING_AWAY
        scope.cancel(reason="the server is going away")


def _job(message: str | bytes) -> Job:
    if not isinstance(message, str):
        raise RequestError("send the program as a text message with JSON, not as a binary one")
    return parse_session_request(message).job()

"""WebSockets on the wire: what hypercorn's stream does, with bounds on what a client can make it hold.

Seen in hypercorn 0.18, each pinned by a test:

- Compression is agreed to unasked, and inflates without a bound before anything is counted. Here there is none.
- A message that is too large is kept nevertheless, and so is what comes after it. Here it is counted before it is
  kept, and the connection is closed.
- An upgrade that is invalid is refused, and the connection stays open for ever. Here it is closed.
- A broken frame drops the connection without a close frame. Here it gets one that says why.
- The first ping goes out in the moment of the upgrade, into a connection that may be closed just then, and the task
  that sends them sleeps on after the end. Here it ends with the connection.
- A frame that comes with the upgrade, before that is accepted, gets 400 in the midst of its acceptance, which then
  fails, and with it the whole server. Here it waits.
- A header that is not ASCII raises where nobody catches it. Here it makes the upgrade an invalid one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

import trio
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import Handshake, WSStream
from hypercorn.typing import WebsocketAcceptEvent
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping
from wsproto.frame_protocol import CloseReason
from wsproto.handshake import WEBSOCKET_VERSION

from trio_exec.api.arrivals import Holder
from trio_exec.api.native.parts import ErrorBody
from trio_exec.errors import OverloadedError
from trio_exec.server.tasks import ConnectionTasks

EVENTS_AT_ONCE = 100
"""Frames that are looked at before others have their turn; thousands of empty ones fit what is read at once."""

_FAULT = (500, "internal_error", "internal error; see the server's log")
_INVALID = (400, "bad_request", "this is not an upgrade to a WebSocket of version 13")


class PlainHandshake(Handshake):
    """An upgrade without extensions."""

    def __init__(self, headers: list[tuple[bytes, bytes]], http_version: str) -> None:
        try:
            super().__init__(headers, http_version)
        except UnicodeDecodeError:
            self.version = None

    def accept(
        self, subprotocol: str | None, additional_headers: Iterable[tuple[bytes, bytes]]
    ) -> tuple[int, list[tuple[bytes, bytes]], Connection]:
        """Status, headers and the protocol's state for an upgrade that is accepted."""
        self.extensions = None
        status, headers, _ = super().accept(subprotocol, additional_headers)
        return status, headers, Connection(ConnectionType.SERVER)


class WebSocketExchange(WSStream):
    """One WebSocket, from its upgrade to its end."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._accepted = trio.Event()
        self._over = trio.Event()
        self._partial: bytearray | None = None
        """A message of which more is to come, as UTF-8, which takes the least room."""

    @property
    def _held(self) -> Holder:
        return cast("ConnectionTasks", self.task_group).held

    async def _handle_events(self) -> None:
        for number, event in enumerate(self.connection.events(), 1):
            if number % EVENTS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            if self.closed or self.connection.state is ConnectionState.LOCAL_CLOSING:
                continue  # Nothing but the client's close frame matters any more.
            if isinstance(event, Message):
                await self._handle_message(cast("Message[Any]", event))
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                closing = self.connection.state is ConnectionState.REMOTE_CLOSING
                await self._send_wsproto_event(event.response() if closing else event)
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_message(self, event: Message[Any]) -> None:
        data = cast("str | bytes", event.data)
        limit = self.config.websocket_max_message_size
        if self._partial is None and event.message_finished:
            # By far the most messages come in one piece, and of those none is larger than what is read at once.
            await self._deliver(data)
            return
        piece = data.encode() if isinstance(data, str) else data
        partial = self._partial = bytearray() if self._partial is None else self._partial
        if len(partial) + len(piece) > limit:
            await self._refuse(CloseReason.MESSAGE_TOO_BIG)
            return
        try:
            self._held.take(len(piece))
        except OverloadedError:
            await self._refuse(CloseReason.TRY_AGAIN_LATER)
            return
        partial += piece
        if event.message_finished:
            self._partial = None
            await self._deliver(partial.decode() if isinstance(data, str) else bytes(partial))
            self._held.give(len(partial))

    async def _deliver(self, data: str | bytes) -> None:
        text, binary = (data, None) if isinstance(data, str) else (None, data)
        put = cast("Callable[[dict[str, Any]], Awaitable[None]]", self.app_put)  # pyright: ignore[reportUnknownMemberType] - a bare Callable
        await put({"type": "websocket.receive", "text": text, "bytes": binary})

    async def _refuse(self, reason: CloseReason) -> None:
        """Closes, and drops the connection once that is sent."""
        self._partial = None
        # What the handler still sends meanwhile is dropped, as it is when the client closes.
        await self._send_wsproto_event(CloseConnection(code=reason))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def handle(self, event: Event) -> None:
        """Takes what has arrived."""
        if isinstance(event, Body | Data) and not self.closed:
            await self._accepted.wait()  # When it is refused instead, the connection is closed, which ends this.
        await super().handle(event)
        if self.closed:
            self._partial = None
            self._over.set()
            if isinstance(event, Request):
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_error_response(self, status_code: int) -> None:
        status, code, text = _FAULT if status_code == _FAULT[0] else _INVALID
        body = ErrorBody(error=text, code=code).to_json().encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(b"connection", b"close"), (b"sec-websocket-version", WEBSOCKET_VERSION)]
        await self.send(Response(self.stream_id, headers, status))
        await self.send(Body(self.stream_id, data=body))
        await self.send(EndBody(self.stream_id))

    async def _accept(self, message: WebsocketAcceptEvent) -> None:
        await super()._accept(message)
        self._accepted.set()

    async def _send_pings(self) -> None:
        while True:
            with trio.move_on_after(cast("float", self.config.websocket_ping_interval)):
                await self._over.wait()
                return
            await self._send_wsproto_event(Ping())

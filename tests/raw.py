"""A WebSocket client that is not ours: for tests of what the wire itself looks like."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.support import PATIENCE, Client, Follower, Run
from trio_exec.client.events import Event, event_of

CLOSE_TIMEOUT = 0.5
"""Seconds for a client's farewell: with two messages unread, trio-websocket 0.12 would wait for it for ever."""


class RawAttached(Follower):
    """One WebSocket of a session; it is not made again when it breaks.

    Attributes:
        messages: all that came, as it was.
        close_reason: how the server has closed it.
    """

    def __init__(self, socket: WebSocketConnection, session_id: str) -> None:
        self._socket = socket
        self.run = Run(session_id)
        self.messages: list[dict[str, Any]] = []
        self.close_reason: CloseReason | None = None

    async def send(self, message: str | bytes) -> None:
        await self._socket.send_message(message)

    async def input(self, text: str) -> None:
        await self.send(json.dumps({"type": "input", "data": text}))

    async def eof(self) -> None:
        await self.send('{"type":"eof"}')

    async def signal(self, name: str) -> None:
        await self.send(json.dumps({"type": "signal", "signal": name}))

    async def stop(self) -> None:
        await self.send('{"type":"stop"}')

    async def next(self) -> Event[str] | None:
        while True:
            try:
                message = json.loads(await self._socket.get_message())
            except ConnectionClosed as closed:
                self.close_reason = closed.reason
                return None
            self.messages.append(message)
            event = event_of(message, text=True)
            if event is not None:
                self.run.messages.append(event)
                return event

    async def aclose(self) -> None:
        """Says farewell; the client's tasks may be there still, for whoever owns them to cancel."""
        with trio.move_on_after(CLOSE_TIMEOUT):
            await self._socket.aclose()


async def attach_over(
    stream: trio.SocketStream, nursery: trio.Nursery, port: int, path: str, headers: dict[str, str] | None = None
) -> RawAttached:
    """Upgrades a connection that is there; the nursery gets the client's own tasks."""
    extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    socket = await wrap_client_stream(nursery, stream, f"127.0.0.1:{port}", path, extra_headers=extra)
    return RawAttached(socket, path.rpartition("/")[2])


@asynccontextmanager
async def raw_session(client: Client, **body: Any) -> AsyncGenerator[RawAttached]:
    """A new session, and a WebSocket of it."""
    session_id = await client.create(**body)
    async with attach_raw(client.server.port, f"/ws/session/{session_id}") as attached:
        yield attached


@asynccontextmanager
async def attach_raw(port: int, path: str, headers: dict[str, str] | None = None) -> AsyncGenerator[RawAttached]:
    """A WebSocket at a path, such as `/ws/session/ID`."""
    with trio.fail_after(PATIENCE):
        # A stream of our own: trio-websocket 0.12 leaves its own one open when the server closes first.
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream, trio.open_nursery() as nursery:
            attached = await attach_over(stream, nursery, port, path, headers)
            yield attached
            await attached.aclose()
            nursery.cancel_scope.cancel(reason="the client has left")

"""One client's TCP connection: it can neither hang nor harm the others, and it ends when it has to.

One task reads, and it alone closes. Whoever wants the connection closed, or idle, only says so, without a wait: what
waits in the course of an answer's end is cancelled. For hypercorn 0.18 tells the application of the end of a request
first, and quart-trio then cancels the task in which the answer was sent, whatever was left to do there, such as
closing the connection or starting its idle timer.

A connection is closed in two steps: first towards the client, who so sees the end of the answer, and only when the
client has closed, too, or was given time for it, altogether. Closing at once, with something unread, would make the
kernel send a reset, on which clients throw the answer away.

Other faults of hypercorn 0.18 that are contained here, each pinned by a test:

- A client that stops reading pins a send that nothing can cancel, and with it the shutdown. Here every write has
  a deadline, after which the connection is dropped.
- An exception in the handling of one connection leaves `serve()` and takes the whole server down; a client that
  sends a WebSocket frame in the same packet as its upgrade request causes one. Here it ends that connection only.
- What is left of a connection lives on after its end, and keeps the shutdown waiting. Here it is cancelled shortly
  after.
"""

from __future__ import annotations

import logging
from contextlib import closing
from math import inf
from typing import cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState
from hypercorn.utils import (
    parse_socket_addr,  # pyright: ignore[reportUnknownVariableType] - its tuple has no parameters
)

from trio_exec.api.arrivals import Arrivals
from trio_exec.server.connections import REFUSALS_MAX, Connection, Connections
from trio_exec.server.http import HTTP11, too_many_connections
from trio_exec.server.tasks import ConnectionTasks

LOGGER = logging.getLogger("trio_exec.connections")

REQUEST_TIMEOUT = 5
"""Seconds that the head of a request may take, from the connection's start or from its own first byte."""
WRITE_TIMEOUT = 10
"""Seconds that a client may take to make room for one write. It can come back and go on where it was."""
AFTERMATH = 1
"""Seconds that tasks get after their connection has ended; quart-trio has cancelled the handlers by then."""
LINGER_TIMEOUT = 2
LINGER_BYTES = 8 * 1024 * 1024
"""What a client may still send while it reads the answer to what it has sent; nothing of it is kept."""
_GLANCE = 0.01
"""Seconds in which what has come already is read, so that its being unread makes no reset."""
READ_MAX = 16384
"""Bytes that are read, and handled, before others have their turn."""


class ServerConfig(Config):
    """Hypercorn's configuration, and what all connections share.

    Attributes:
        arrivals: counts what has arrived and is not consumed.
        connections: counts the connections.
    """

    arrivals: Arrivals
    connections: Connections


class ClientConnection(TCPServer):
    """The connection, from its acceptance to its end."""

    def __init__(
        self, app: AppWrapper, config: Config, context: WorkerContext, state: LifespanState, stream: trio.SocketStream
    ) -> None:
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type] - no TLS here
        self._stream = stream
        self._shared = cast("ServerConfig", config)
        self._whole = trio.CancelScope()
        self._reading = trio.CancelScope()
        self._watching = trio.CancelScope()
        self._idle = True
        self._request_begun = False
        self._half_closed = False

    async def run(self) -> None:
        """Serves the connection; whatever goes wrong ends only it. Whoever accepted it closes the socket."""
        connections = self._shared.connections
        try:
            client = parse_socket_addr(self._stream.socket.family, self._stream.socket.getpeername())
            server = parse_socket_addr(self._stream.socket.family, self._stream.socket.getsockname())
        except OSError:
            return  # It is gone already.
        if client is None:
            return  # Not of the Internet's families, which we don't listen on.
        self._counted = Connection(client[0], self._drop)
        refusal = connections.add(self._counted)
        try:
            with self._whole:
                if refusal is not None:
                    await self._refuse(refusal)
                else:
                    await self._serve(client, server)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # It has gone.
        except* Exception as group:
            # One line: whoever can cause this could fill the log with stack traces.
            LOGGER.warning("a connection was dropped, since it could not be handled: %r", group)
            LOGGER.debug("how it came to that", exc_info=True)
        finally:
            connections.remove(self._counted)

    def _drop(self) -> None:
        self._whole.cancel(reason="another connection needs its place")
        self._stream.socket.close()  # Here and now, whoever still sends.

    async def _refuse(self, text: str) -> None:
        connections = self._shared.connections
        # When many are told at once, each still gets its answer, but not the time to read it whatever else it sends.
        patience = LINGER_TIMEOUT if connections.refusing < REFUSALS_MAX else _GLANCE
        connections.refusing += 1
        try:
            with trio.move_on_after(LINGER_TIMEOUT):
                await self._stream.send_all(too_many_connections(text))
                await self._stream.send_eof()
            await self._linger(patience)
        finally:
            connections.refusing -= 1

    async def _serve(self, client: tuple[str, int], server: tuple[str, int] | None) -> None:
        with closing(self._shared.arrivals.holder()) as held:
            await self._exchange(ConnectionTasks(held), client, server)
        await self._linger(LINGER_TIMEOUT)

    async def _exchange(self, tasks: ConnectionTasks, client: tuple[str, int], server: tuple[str, int] | None) -> None:
        self._task_group = tasks
        async with tasks:
            self.protocol = HTTP11(  # type: ignore[assignment] - hypercorn wraps it, to change to HTTP/2
                self.app,
                self.config,
                self.context,
                tasks,
                ConnectionState(self.state),
                False,  # noqa: FBT003 - no TLS; hypercorn has no name for it
                client,
                server,
                self.protocol_send,
            )
            tasks.start(self._watch_shutdown)
            self._reading.deadline = trio.current_time() + REQUEST_TIMEOUT
            await self._read_data()
            self._shared.connections.idle(self._counted)
            self._watching.cancel(reason="the connection has ended")
            tasks.end_within(AFTERMATH)
            await self.protocol.handle(Closed())
            async with self.send_lock:
                await self._stream.send_eof()

    async def _watch_shutdown(self) -> None:
        with self._watching:
            await self.context.terminated.wait()
            if self._idle:
                self._reading.cancel(reason="the server stops")

    async def _read_data(self) -> None:
        """Handles what arrives until the client has gone, or the connection is to be closed."""
        with self._reading:
            try:
                while data := bytes(await self._stream.receive_some(READ_MAX)):
                    await self.protocol.handle(RawData(data))
                    if self._idle and not self._request_begun and cast("HTTP11", self.protocol).has_part_of_request:
                        self._request_begun = True
                        self._expire_in(min(REQUEST_TIMEOUT, self._reading.deadline - trio.current_time()))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not self._idle and cast("HTTP11", self.protocol).has_whole_request:
                # Some clients close their side when they have asked. Those that have gone don't make us wait long.
                self._half_closed = True
                self._expire_in(WRITE_TIMEOUT)
                await trio.sleep_forever()

    async def _linger(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            left = LINGER_BYTES
            while left > 0 and (data := await self._stream.receive_some(READ_MAX)):
                left -= len(data)

    def _expire_in(self, seconds: float) -> None:
        self._reading.deadline = trio.current_time() + seconds

    async def protocol_send(self, event: Event) -> None:
        """Sends for the protocol, within a deadline, or does what it says of the connection, at once."""
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Closed):
            self._reading.cancel(reason="the protocol is done with the connection")
        elif isinstance(event, Updated):
            self._set_idle(idle=event.idle)

    def _set_idle(self, *, idle: bool) -> None:
        self._idle = idle
        self._request_begun = False
        if idle:
            self._shared.connections.idle(self._counted)
            self._expire_in(self.config.keep_alive_timeout)
            if self._half_closed:
                self._reading.cancel(reason="the client has closed, and has its answer")
        else:
            self._shared.connections.busy(self._counted)
            self._expire_in(inf)

    async def _send(self, data: bytes) -> None:
        async with self.send_lock:
            # Shielded, so that a cancelled handler leaves no torn message behind.
            with trio.move_on_after(WRITE_TIMEOUT, shield=True) as scope:
                try:
                    await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self._reading.cancel(reason="the client has gone")
            if self._half_closed and not scope.cancelled_caught and not self._idle:
                self._expire_in(WRITE_TIMEOUT)  # It may be there: one that has gone refuses the next that we send.
        if scope.cancelled_caught:
            LOGGER.info("a connection was dropped: the client does not read")
            self._reading.cancel(reason="the client does not read")
            await trio.aclose_forcefully(self._stream)

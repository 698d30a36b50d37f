"""A TCP proxy between a client and a server, which cuts connections as networks do."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: what is closed is reset, and what was on its way is lost."""

HANDSHAKE = 512


class CuttingProxy:
    """Passes bytes on between its port and the server's.

    Attributes:
        port: its own.
        connections: how many there were so far.
        passed: bytes that went from the server to clients.
        refusing: whether new connections are cut at once.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._open: set[trio.SocketStream] = set()
        self.port = 0
        self.connections = 0
        self.passed = 0
        self.refusing = False
        self._since_cut = 0
        self._said = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    @property
    def connected(self) -> bool:
        return bool(self._open)

    def cut(self) -> None:
        """Cuts all connections, wherever they are: in the midst of a frame or of a handshake."""
        for stream in self._open:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            stream.socket.close()
        self._open.clear()
        self._since_cut = 0

    async def cut_one(self) -> None:
        """Cuts once the server has said more than its part of the handshake, and the client has heard it."""
        while not self._open or self._since_cut < HANDSHAKE:
            await self._said.wait()
        await wait_all_tasks_blocked(0.005)
        self.cut()

    async def _serve(self, client: trio.SocketStream) -> None:
        self.connections += 1
        if self.refusing:
            await client.aclose()
            return
        server = await trio.open_tcp_stream("127.0.0.1", self._server)
        self._open |= {client, server}
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, client, server, nursery.cancel_scope)
            nursery.start_soon(self._pump, server, client, nursery.cancel_scope, self._count)
        self._open -= {client, server}

    def _count(self, length: int) -> None:
        self.passed += length
        self._since_cut += length
        self._said.set()
        self._said = trio.Event()

    async def _pump(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        scope: trio.CancelScope,
        count: Callable[[int], None] = lambda _: None,
    ) -> None:
        try:
            while data := await source.receive_some(4096):
                await target.send_all(data)
                count(len(data))
            await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            scope.cancel(reason="the connection was cut")


@asynccontextmanager
async def cutting_proxy(server: int) -> AsyncGenerator[CuttingProxy]:
    proxy = CuttingProxy(server)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        yield proxy
        nursery.cancel_scope.cancel(reason="the test is over")

"""What has arrived from clients and nobody has consumed yet: bodies and WebSocket messages, counted in sum.

Each is bounded by itself: a message and a body by `max_request_bytes`, and the queues between hypercorn and the
handlers hold one message. This bounds all connections together. Little things always pass, so that those who send
whole programs, or only pretend to, can't keep others from typing; and what arrives gets half of the budget at most,
so that it can't take all of it from the sessions that are there.

Quart has queues of its own for both, which differ from version to version, and have no bound from 0.23 on. So it gets
our body and our WebSocket, and what runs beside a handler is ours, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from math import inf
from sys import getsizeof
from typing import Any, cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioRequest, TrioWebsocket
from werkzeug.exceptions import RequestEntityTooLarge

from trio_exec.budget import Account, Budget
from trio_exec.errors import OverloadedError

FREE = 16384
"""Bytes that each holder may have whatever the others have; `max_connections` bounds their sum."""
CONTINUE = "trio_exec.continue"
"""Type of the ASGI message by which the application asks for a body that the client holds back (100-continue)."""


class Arrivals:
    """The sum over all connections.

    Args:
        budget: of which arrivals may use half.
    """

    def __init__(self, budget: Budget) -> None:
        self._whole = budget
        self._share = Budget(budget.limit // 2)

    def holder(self) -> Holder:
        """An account for one body or one connection."""
        return Holder(Account(self._whole), Account(self._share))


class Holder:
    """What one body or one connection holds."""

    def __init__(self, whole: Account, share: Account) -> None:
        self._accounts = (whole, share)

    def take(self, count: int) -> None:
        """Takes bytes.

        Raises:
            OverloadedError: there are not so many left; nothing was taken.
        """
        whole, share = self._accounts
        if whole.held + count <= FREE:
            self.add(count)
            return
        share.take(count)
        try:
            whole.take(count)
        except OverloadedError:
            share.give(count)
            raise

    def add(self, count: int) -> None:
        """Takes bytes that were counted elsewhere before, and so can't be refused."""
        for account in self._accounts:
            account.add(count)

    def give(self, count: int) -> None:
        """Gives bytes back."""
        for account in self._accounts:
            account.give(count)

    def close(self) -> None:
        """Gives everything back; harmless when that was done."""
        for account in self._accounts:
            account.close()


class HeldBody:
    """A body that arrives piece by piece, and that can be refused in the midst of it.

    Args:
        expected: its length, if the client has told it.
        limit: of its length.
    """

    ask: Callable[[], Awaitable[None]] | None = None
    """Asks the client for what it holds back."""

    def __init__(self, expected: int | None, limit: int | None) -> None:
        self._limit = inf if limit is None else limit
        self._data = bytearray()
        self._complete = trio.Event()
        self._error: Exception | None = None
        if expected is not None and expected > self._limit:
            self.refuse(RequestEntityTooLarge())

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        # Only here is it known that the body is wanted: whoever refuses the request does not read it.
        if self.ask is not None and not self._complete.is_set():
            await self.ask()
        await self._complete.wait()
        if self._error is not None:
            raise self._error
        return bytes(self._data)

    def append(self, data: bytes) -> None:
        """Takes a piece."""
        if self._error is None:
            self._data += data
            if len(self._data) > self._limit:
                self.refuse(RequestEntityTooLarge())

    def finish(self) -> None:
        """Says that this was all."""
        self._complete.set()

    def refuse(self, error: Exception) -> None:
        """Lets whoever reads the body get an error, and keeps nothing of it."""
        self._error = self._error or error
        self.clear()
        self.finish()

    def clear(self) -> None:
        """Keeps nothing of it any more."""
        self._data = bytearray()


class HeldRequest(TrioRequest):
    """A request with such a body."""

    body_class = HeldBody  # type: ignore[assignment] - has what is used of Quart's


class HTTPConnection(TrioASGIHTTPConnection):
    """Quart's side of one request, which counts the body while it is there."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handles the request."""
        request = self._create_request_from_scope(send)
        body = cast("HeldBody", request.body)
        ask = cast("Callable[[dict[str, str]], Awaitable[None]]", send)
        body.ask = lambda: ask({"type": CONTINUE})
        with closing(cast("Arrivals", cast("Any", self.app).arrivals).holder()) as held:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive, nursery, body, held, receive)
                nursery.start_soon(self.handle_request, nursery, request, send)

    async def _receive(self, nursery: trio.Nursery, body: HeldBody, held: Holder, receive: ASGIReceiveCallable) -> None:
        """Receives the body, and then waits for the client to leave."""
        while (message := await receive())["type"] == "http.request":
            data = message["body"]
            try:
                held.take(len(data))
            except OverloadedError as error:
                body.refuse(error)
            else:
                body.append(data)
            if not message["more_body"]:
                body.finish()
        nursery.cancel_scope.cancel(reason="the client has left")


class HeldWebsocket(TrioWebsocket):
    """A WebSocket whose messages are handed over one by one."""

    incoming: trio.MemoryReceiveChannel[str | bytes]

    async def receive(self) -> str | bytes:
        """The next message; text or binary, as it was sent."""
        await self.accept()  # pyright: ignore[reportUnknownMemberType] - its dict has no parameters
        return await self.incoming.receive()


class WebSocketConnection(TrioASGIWebsocketConnection):
    """Quart's side of one WebSocket: messages are not queued, so that a busy handler slows its client."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handles the WebSocket."""
        websocket = self._create_websocket_from_scope(send)
        give, cast("HeldWebsocket", websocket).incoming = trio.open_memory_channel[str | bytes](0)
        with closing(cast("Arrivals", cast("Any", self.app).arrivals).holder()) as held:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive, nursery, give, held, receive)
                nursery.start_soon(self.handle_websocket, nursery, websocket, send)

    async def _receive(
        self,
        nursery: trio.Nursery,
        give: trio.MemorySendChannel[str | bytes],
        held: Holder,
        receive: ASGIReceiveCallable,
    ) -> None:
        """Hands messages on until the client leaves."""
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                text, binary = event["text"], event["bytes"]
                message = cast("str | bytes", binary if text is None else text)
                size = getsizeof(message)  # A text takes up to four times its UTF-8.
                held.add(size)
                await give.send(message)
                held.give(size)
        nursery.cancel_scope.cancel(reason="the client has left")

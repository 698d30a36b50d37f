"""What has arrived from clients and nobody has consumed yet: bodies and WebSocket messages, counted in sum.

Each is bounded by itself: a message and a body by `max_request_bytes`, and the queues between hypercorn and the
handlers hold one message. This bounds all connections together. Little things always pass, so that those who send
whole programs, or only pretend to, can't keep others from typing; and what arrives gets half of the budget at most,
so that it can't take all of it from the sessions that are there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from sys import getsizeof
from typing import Any, cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, WebsocketScope
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody

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


class HeldBody(TrioBody):
    """A body that arrives piece by piece, and that can be refused in the midst of it."""

    ask: Callable[[], Awaitable[None]] | None = None

    def __await__(self) -> Generator[Any, None, Any]:
        # Only here is it known that the body is wanted: whoever refuses the request does not read it.
        if self.ask is not None and self._must_raise is None and not self._complete.is_set():
            yield from self.ask().__await__()
        return (yield from super().__await__())

    def refuse(self, error: OverloadedError) -> None:
        """Lets whoever reads the body get an error, and keeps nothing of it."""
        if self._must_raise is None:
            self._must_raise = error
        self.clear()
        self.set_complete()


class HeldRequest(TrioRequest):
    """A request with such a body."""

    body_class = HeldBody


class HTTPConnection(TrioASGIHTTPConnection):
    """Quart's side of one request, which counts the body while it is there."""

    def __init__(self, app: Any, scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._held = cast("Arrivals", app.arrivals).holder()

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handles the request."""
        try:
            await super().__call__(receive, send)
        finally:
            self._held.close()

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        request = super()._create_request_from_scope(send)
        ask = cast("Callable[[dict[str, str]], Awaitable[None]]", send)
        cast("HeldBody", request.body).ask = lambda: ask({"type": CONTINUE})
        return request

    async def handle_messages(self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable) -> None:  # type: ignore[override]
        """Receives the body, and then waits for the client to leave."""
        body = cast("HeldBody", request.body)
        while (message := await receive())["type"] == "http.request":
            data = message["body"]
            try:
                self._held.take(len(data))
            except OverloadedError as error:
                body.refuse(error)
            else:
                body.append(data)
            if not message["more_body"]:
                body.set_complete()
        nursery.cancel_scope.cancel(reason="the client has left")


class WebSocketConnection(TrioASGIWebsocketConnection):
    """Quart's side of one WebSocket: a message is handed over, not queued, so that a busy handler slows its client."""

    def __init__(self, app: Any, scope: WebsocketScope) -> None:
        super().__init__(app, scope)
        self._held = cast("Arrivals", app.arrivals).holder()
        self.send_channel, self.receive_channel = trio.open_memory_channel[str | bytes](0)

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handles the WebSocket."""
        try:
            await super().__call__(receive, send)
        finally:
            self._held.close()

    async def handle_messages(self, nursery: trio.Nursery, receive: ASGIReceiveCallable) -> None:  # type: ignore[override]
        """Hands messages on until the client leaves."""
        while (event := await receive())["type"] != "websocket.disconnect":
            if event["type"] == "websocket.receive":
                message = cast("str | bytes", event["bytes"] or event["text"])
                size = getsizeof(message)  # A text takes up to four times its UTF-8.
                self._held.add(size)
                await self.send_channel.send(message)
                self._held.give(size)
        nursery.cancel_scope.cancel(reason="the client has left")

"""The connection to a session, made anew whenever it breaks.

Each message of the server's log has a position, so a new connection goes on with exactly the next byte. What goes to
the server is the outbox's affair.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import trio

from trio_exec.client.errors import (
    ClientError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    UnavailableError,
    server_error,
)
from trio_exec.client.events import Event, Present, StateChanged, event_of
from trio_exec.client.fields import Object, needed_text, parse_object, text_of
from trio_exec.client.outbox import Outbox
from trio_exec.client.server import Server, refusal_of
from trio_exec.client.websocket import BrokenError, ClosedError, WebSocket

EVENTS = 8
"""Events that wait for whoever reads them, of 32 KiB at most; then nothing more is read from the network."""
FIRST_DELAY, LAST_DELAY = 0.1, 5.0
"""Seconds between attempts to connect again: twice as long each time, and never all clients at once."""
CLOSE_TOO_LARGE = 1009
CLOSE_FAULTS = frozenset({1002, 1003, 1007, 1008})
"""What the server closes with when it can't use what was sent; sending it again would not help."""


@dataclass(slots=True)
class _Patience:
    """How long to go on trying since the server was last heard."""

    seconds: float
    attempts: int = 0
    until: float = float("inf")

    def heard(self) -> None:
        self.attempts = 0
        self.until = float("inf")

    def connected(self) -> None:
        """Goes on trying often: a server is there. One that always hangs up at once has an end all the same."""
        self.attempts = min(self.attempts, 1)

    async def wait(self, at_least: float, reason: str) -> None:
        """Waits before the next attempt; the first one is made at once."""
        now = trio.current_time()
        if self.until == float("inf"):
            self.until = now + self.seconds
        delay = 0.0
        if self.attempts:
            # Chance spreads clients that lost the same server; it keeps no secret.
            delay = min(LAST_DELAY, FIRST_DELAY * 2 ** (self.attempts - 1)) * random.uniform(0.5, 1)  # noqa: S311
        delay = max(delay, at_least)
        self.attempts += 1
        if now + delay > self.until:
            raise ConnectionLostError(
                f"the connection to the session was lost, and not made again within {self.seconds:g} s: {reason}"
            )
        await trio.sleep(delay)


@dataclass(slots=True)
class _Told:
    """An event on its way to whoever reads; as long as it was not read, it may change."""

    event: Event[Any]
    read: bool = False


class Link:
    """One session's connections, one after another.

    Args:
        server: where the session is.
        text: whether output is wanted as text, and not as bytes.
        patience: seconds to try to connect again.
        after: the position in the session's log from which on it is wanted.

    Attributes:
        failure: why the end is not the session's own, if it is not.
        outbox: what goes to the server.
        session_id: the session's, once it is open; or that to watch it by, if it was given that.
        watch_id: the one to watch it by, where the server has told it.
    """

    def __init__(self, server: Server, *, text: bool, patience: float, after: int = 0) -> None:
        self._server = server
        self._text = text
        self._patience = _Patience(patience)
        self._seq = after
        self._name = uuid4().hex
        self._socket: WebSocket | None = None
        self._deliver, self._told = trio.open_memory_channel[_Told](EVENTS)
        self._present: dict[type[Present], _Told] = {}
        self.failure: ClientError | None = None
        self.outbox = Outbox()
        self.session_id = ""
        self.watch_id: str | None = None

    async def begin(self, body: Object) -> None:
        """Starts a session and connects to it. A failure is not tried again: it may have been started.

        Raises:
            ConnectError: the server can't be reached.
            ServerError: it refuses.
        """
        try:
            socket = await self._server.websocket(f"/ws/run?{self._query()}")
            try:
                await socket.send(encoded(body))
                first = parse_object(await socket.receive())
                if first.get("type") == "error":
                    raise refusal_of(first)
                self.session_id = needed_text(first, "sessionId")
                self.watch_id = text_of(first, "watchId")
                self._socket = socket
            finally:
                if self._socket is None:
                    await socket.aclose()
        except BrokenError as error:
            raise ConnectError(str(error)) from error
        except ClosedError as closed:
            if closed.code == CLOSE_TOO_LARGE:
                raise server_error(
                    "the request is larger than the server takes", "request_too_large", status=413
                ) from closed
            raise ProtocolError(f"the server has closed the connection: {closed}") from closed

    async def attach(self, session_id: str) -> None:
        """Connects to a session that is there.

        Raises:
            ConnectError: the server can't be reached.
            ServerError: it refuses, or there is no such session.
        """
        self.session_id = session_id
        try:
            self._socket = await self._server.websocket(self._target())
        except BrokenError as error:
            raise ConnectError(str(error)) from error

    def _query(self, **more: object) -> str:
        encoding = {} if self._text else {"encoding": "base64"}
        return urlencode({"client": self._name, **encoding, **more})

    def _target(self) -> str:
        more = {"after": self._seq} if self._seq else {}
        return f"/ws/session/{quote(self.session_id, safe='')}?{self._query(**more)}"

    async def follow(self) -> None:
        """Follows the session to its end, over as many connections as it takes; raises nothing, see `failure`.

        Cancellation: leaves the session to itself.
        """
        with self._deliver:
            try:
                while self._socket is not None:
                    try:
                        over = await self._follow(self._socket)
                    finally:
                        await self._socket.aclose()
                    self._socket = None if over else await self._connect_again()
            except ClientError as error:
                self.failure = error
            finally:
                self.outbox.close("the session has ended" if self.failure is None else self.failure.message)

    async def next_event(self) -> Event[Any]:
        """What happens next.

        Raises:
            trio.EndOfChannel: nothing more does.
        """
        told = await self._told.receive()
        told.read = True
        return told.event

    async def _follow(self, socket: WebSocket) -> bool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.outbox.send_over, socket)
            over = await self._receive(socket)
            nursery.cancel_scope.cancel(reason="this connection is over")
        return over

    async def _receive(self, socket: WebSocket) -> bool:
        """Whether nothing more is to come; else the connection broke."""
        try:
            while not await self._take(await socket.receive()):
                pass
        except BrokenError:
            return False
        except ClosedError as closed:
            if closed.code in CLOSE_FAULTS:
                self.failure = ProtocolError(f"the server has closed the connection: {closed}")
                return True
            if closed.code == CLOSE_TOO_LARGE:
                self.outbox.too_large()
            return False
        except ClientError as error:
            self.failure = error
        return True

    async def _take(self, message: str) -> bool:
        """Hands on what a message says; whether it was the last one."""
        self._patience.heard()
        data = parse_object(message)
        if data.get("type") == "input_ack":
            self.outbox.acknowledge(data)
            return False
        event = event_of(data, text=self._text)
        if event is None:
            return False
        seq = getattr(event, "seq", None)
        if seq is not None:
            if seq <= self._seq:
                return False
            self._seq = seq
        await self._tell(event)
        return isinstance(event, StateChanged) and event.final

    async def _tell(self, event: Event[Any]) -> None:
        told = _Told(event)
        if isinstance(event, Present):
            last = self._present.get(type(event))
            if last is not None and not last.read:
                # Only how things stand matters. Each by itself, they would fill the channel while somebody sends, and
                # nobody would hear any more that what was sent has arrived.
                last.event = event
                return
            self._present[type(event)] = told
        else:
            self._present.clear()  # What was said before it stays before it.
        await self._deliver.send(told)

    async def _connect_again(self) -> WebSocket:
        reason, at_least = "the server hung up", 0.0
        while True:
            await self._patience.wait(at_least, reason)
            try:
                socket = await self._server.websocket(self._target())
            except BrokenError as error:
                reason, at_least = str(error), 0.0
            except UnavailableError as error:
                reason, at_least = error.message, error.retry_after or 0.0
            else:
                self._patience.connected()
                return socket


def encoded(body: Object) -> str:
    """A request as a message."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

"""A WebSocket over a Trio stream: wsproto speaks the protocol, and this moves its bytes.

There is no task behind it: nothing is read from the network but what a caller asks for, so a caller that does not
read holds up the server and fills no memory. That is why it is no library's: trio-websocket 0.12 and httpx2 2.16 read
in tasks of their own. What breaks there is raised elsewhere, in a group, or ends nothing at all (a server that hangs up
during trio-websocket's handshake, a farewell with messages unread), and a client that connects again needs to know.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

CHUNK = 65536
MESSAGE_MAX = 16 * 1024 * 1024
"""Characters of one message; the server's are 32 KiB at most."""
SILENCE = 60
"""Seconds without a byte after which a connection counts as broken: servers ping every 20."""
FAREWELL = 0.5
"""Seconds for the close frame to be sent; nobody need answer it."""


class BrokenError(Exception):
    """The connection could not be made, or broke."""


class ClosedError(Exception):
    """The server has closed the WebSocket, in all order."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"close code {code} {reason}".rstrip())
        self.code = code


class RefusedError(Exception):
    """The server has answered the upgrade with something else."""

    def __init__(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        self.body = body


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        host, port: to connect to.
        authority: the `Host` header.
        tls: with what to encrypt, or None for plain HTTP.
    """

    host: str
    port: int
    authority: str
    tls: ssl.SSLContext | None


async def open_websocket(
    address: Address,
    target: str,
    headers: Sequence[tuple[bytes, bytes]],
    timeout: float,  # noqa: ASYNC109 - its end has an error of its own
) -> WebSocket:
    """Connects, and upgrades the connection.

    Raises:
        BrokenError: the server can't be reached, hangs up, or takes longer than `timeout` seconds.
        RefusedError: it answers, but does not upgrade.
    """
    try:
        with trio.fail_after(timeout):
            stream = await _connect(address)
            socket = WebSocket(stream)
            try:
                await socket.upgrade(address.authority, target, headers)
            except BaseException:  # noqa: ASYNC103 - passed on by the bare raise below
                await trio.aclose_forcefully(stream)
                raise
            return socket
    except trio.TooSlowError:
        raise BrokenError(f"{address.authority} did not answer within {timeout:g} s") from None


async def _connect(address: Address) -> trio.abc.Stream:
    try:
        stream = await trio.open_tcp_stream(address.host, address.port)
        if address.tls is None:
            return stream
        wrapped = trio.SSLStream(stream, address.tls, server_hostname=address.host, https_compatible=True)
        await wrapped.do_handshake()
    except (OSError, trio.BrokenResourceError) as error:
        reason: BaseException = error.__cause__ or error
        while isinstance(reason, BaseExceptionGroup):  # One for each address that the name has.
            reason = cast("BaseExceptionGroup[BaseException]", reason).exceptions[0]
        raise BrokenError(f"{address.authority} can't be reached: {reason}") from error
    return wrapped


class WebSocket:
    """One end of a connection. One task may receive while others send.

    Cancelling a receive loses nothing. Cancelling a send may have sent a part, and makes the connection unusable.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._sending = trio.Lock()
        self._events: list[Event] = []
        self._parts: list[str] = []
        self._size = 0

    async def upgrade(self, authority: str, target: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Makes a WebSocket of the connection.

        Raises:
            BrokenError: the connection broke.
            RefusedError: the server answered with something else.
        """
        request = Request(host=authority, target=target, extra_headers=list(headers))
        await self._write(self._protocol.send(request))
        refused: RejectConnection | None = None
        body = b""
        while True:
            event = await self._next_event()
            match event:
                case AcceptConnection():
                    return
                case RejectConnection():
                    refused = event
                    if not event.has_body:
                        raise RefusedError(event.status_code, event.headers, b"")
                case RejectData() if refused is not None:
                    body = (body + bytes(event.data))[:CHUNK]
                    if event.body_finished:
                        raise RefusedError(refused.status_code, refused.headers, body)
                case _:
                    raise BrokenError("the upgrade was answered with something else")

    async def send(self, text: str) -> None:
        """Sends a text message.

        Raises:
            BrokenError: the connection is broken or closed.
        """
        try:
            data = self._protocol.send(TextMessage(data=text))
        except LocalProtocolError as error:
            raise BrokenError(str(error)) from error
        await self._write(data)

    async def receive(self) -> str:
        """The next text message; those of other kinds are passed over.

        Raises:
            BrokenError: the connection broke.
            ClosedError: the server has closed it.
        """
        while True:
            event = await self._next_event()
            match event:
                case TextMessage():
                    self._parts.append(cast("str", cast("Any", event).data))
                    self._size += len(self._parts[-1])
                    if self._size > MESSAGE_MAX:
                        raise BrokenError("the server sent a message that is too large")
                    if event.message_finished:
                        text = "".join(self._parts)
                        self._parts, self._size = [], 0
                        return text
                case Ping():
                    await self._write(self._protocol.send(event.response()))
                case CloseConnection():
                    if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                        with trio.move_on_after(FAREWELL):
                            await self._write(self._protocol.send(event.response()))
                    raise ClosedError(event.code, event.reason or "")
                case BytesMessage():
                    pass
                case _:
                    pass

    async def aclose(self) -> None:
        """Says farewell, and closes the connection without waiting for an answer. It does not raise."""
        with trio.move_on_after(FAREWELL, shield=True):
            try:
                if self._protocol.state is ConnectionState.OPEN and not self._sending.locked():
                    await self._write(self._protocol.send(CloseConnection(code=1000)))
            except (BrokenError, LocalProtocolError):
                pass
        await trio.aclose_forcefully(self._stream)

    async def _next_event(self) -> Event:
        while not self._events:
            try:
                with trio.fail_after(SILENCE):
                    data = await self._stream.receive_some(CHUNK)
            except trio.TooSlowError:
                raise BrokenError(f"nothing came for {SILENCE} s") from None
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise BrokenError("the connection broke") from error
            if not data:
                raise BrokenError("the server hung up")
            try:
                self._protocol.receive_data(bytes(data))
                self._events.extend(self._protocol.events())
            except (RemoteProtocolError, LocalProtocolError) as error:
                raise BrokenError(f"what came is no WebSocket: {error}") from error
        return self._events.pop(0)

    async def _write(self, data: bytes) -> None:
        async with self._sending:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise BrokenError("the connection broke") from error

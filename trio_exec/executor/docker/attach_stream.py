"""Docker's attach stream without a terminal, sans-IO and over a socket.

The engine prefixes each chunk with eight bytes: the stream's number (1 standard output, 2 standard error), three
zeros, and the chunk's length, big-endian (Docker Engine API, "Attach to a container", stream format). For us the
launcher's frames come as standard output, and its own complaints as standard error.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import trio

from trio_exec.errors import ProtocolError

_HEADER = struct.Struct(">BxxxL")
STDOUT = 1
STDERR = 2


class Demultiplexer:
    """Bytes of an attach stream in, (stream, payload) pairs out."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The pieces in `data`: a chunk may come in several; how it was split makes no difference in all.

        Raises:
            ProtocolError: this is not an attach stream.
        """
        view = memoryview(data)
        while view:
            if self._left:
                piece = view[: self._left]
                view = view[self._left :]
                self._left -= len(piece)
                yield self._stream, bytes(piece)
                continue
            missing = _HEADER.size - len(self._header)
            self._header += view[:missing]
            view = view[missing:]
            if len(self._header) == _HEADER.size:
                self._stream, self._left = _HEADER.unpack(self._header)
                if self._stream not in {STDOUT, STDERR} or any(self._header[1:4]):
                    raise ProtocolError(f"not an attach stream: {bytes(self._header)!r}")
                self._header.clear()


class AttachStream(trio.abc.Stream):
    """A container's standard input and output over its attached socket.

    Args:
        socket: over what `DockerAPI.attach` hands out; closed with this.
        complain: is called with what comes as standard error.
    """

    def __init__(self, socket: trio.abc.Stream, complain: Callable[[str], None]) -> None:
        self._socket = socket
        self._complain = complain
        self._demultiplexer = Demultiplexer()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends to the container's standard input."""
        await self._socket.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Returns when there may be room to send."""
        await self._socket.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What came next from the container's standard output; nothing at its end.

        Raises:
            ProtocolError: this is not an attach stream.
        """
        while data := await self._socket.receive_some(max_bytes):
            received = b""
            for stream, piece in self._demultiplexer.feed(bytes(data)):
                if stream == STDERR:
                    self._complain(piece.decode("utf-8", "replace").strip())
                else:
                    received += piece
            if received:
                return received
        return b""

    async def aclose(self) -> None:
        """Closes the socket."""
        await self._socket.aclose()

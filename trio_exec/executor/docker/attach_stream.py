"""Docker's attach stream without a terminal, sans-IO.

The engine prefixes each chunk with eight bytes: the stream's number (1 standard output, 2 standard error), three
zeros, and the chunk's length, big-endian (Docker Engine API, "Attach to a container", stream format). For us the
launcher's frames come as standard output, and its own complaints as standard error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

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

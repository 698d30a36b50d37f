"""The output log: everything that a session's clients see, in order, once.

Clients are cursors on it. A client that connects late, again or twice reads the same log, so there is no buffer per
client, and no client can hold up the program or another client: what was appended while it was busy it simply
gets in larger pieces.

Positions (`seq` on the wire) count the UTF-8 bytes of the text, plus one for each state. So any position that a
client has seen can be resumed from, however the text was cut into messages. In memory the text is one byte array,
states are single placeholder bytes in it, and runs of the same kind are one flat array: a program that writes a
million single bytes in turns costs five megabytes, not a million objects. The limit counts the text as it is kept and
delivered, in which a byte that is no character is three.
"""

from __future__ import annotations

import codecs
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import trio

from trio_exec.model import Status, Stream

PIECE_MAX = 65536
"""Bytes of text in one entry: a client that replays much gets it in pieces that its other tasks can bear."""


_STATE = 2
_KIND_BITS = 2
"""Of an item of the array of runs; above them is the run's end. Logs are shorter than a gigabyte by the settings."""
_KINDS = (1 << _KIND_BITS) - 1


@dataclass(frozen=True, slots=True)
class Text:
    """Output; `seq` is the position behind it."""

    stream: Stream
    data: str
    seq: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state; `seq` is the position behind it."""

    status: Status
    seq: int


class OutputLog:
    """Append-only.

    Args:
        limit: bytes of the program's output that are taken, as UTF-8.
        kept: is called with the number of bytes by which the log has grown.
    """

    def __init__(self, limit: int, kept: Callable[[int], None] = lambda _: None) -> None:
        self._room = limit
        self._kept = kept
        self._truncated = False
        self._closed = False
        self._waiting = False
        self._text = bytearray()
        self._runs = array("I")
        self._states: dict[int, Status] = {}
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
        self._grown = trio.Event()

    @property
    def end(self) -> int:
        """The position behind everything."""
        return len(self._text)

    @property
    def truncated(self) -> bool:
        """Whether output beyond the limit was dropped."""
        return self._truncated

    @property
    def closed(self) -> bool:
        """Whether nothing will follow."""
        return self._closed

    @property
    def waiting(self) -> bool:
        """Whether the program is blocked in a read of its input, as far as is known.

        Of interest only to a client that has read to the end; so it has no place in the log itself.
        """
        return self._waiting

    def set_waiting(self, waiting: bool) -> None:  # noqa: FBT001 - a setter's one value
        """Says whether the program waits for input."""
        if waiting != self._waiting:
            self._waiting = waiting
            self._wake()

    def write(self, stream: Stream, data: bytes) -> bool:
        """Appends output, as far as the limit allows.

        Returns:
            False when some of it was beyond the limit and is dropped.
        """
        return self._take(stream, self._decoders[stream].decode(data).encode())

    def _take(self, stream: Stream, text: bytes) -> bool:
        taken = text
        if len(text) > self._room:
            self._truncated = True
            taken = text[: self._room].decode(errors="ignore").encode()  # No character in part.
        self._room = 0 if self._truncated else self._room - len(taken)
        self._append(stream, taken)
        return taken is text

    def end_of_output(self) -> None:
        """Says that no more comes from the program: what is left of a broken character is shown as such."""
        for stream, decoder in self._decoders.items():
            self._take(stream, decoder.decode(b"", final=True).encode())

    def add_state(self, status: Status) -> None:
        """Appends a state."""
        self._states[self.end] = status
        self._append(_STATE, b"\n")

    def close(self) -> None:
        """Says that nothing follows."""
        self._closed = True
        self._text, self._runs = self._text[:], self._runs[:]  # Growing took more room than is needed.
        self._wake()

    def _append(self, kind: int, text: bytes) -> None:
        if not text:
            return
        self._text += text
        run = self.end << _KIND_BITS | kind
        if self._runs and self._kind(-1) == kind != _STATE:
            self._runs[-1] = run
            self._kept(len(text))
        else:
            self._runs.append(run)
            self._kept(len(text) + self._runs.itemsize)
        self._wake()

    def _kind(self, index: int) -> int:
        return self._runs[index] & _KINDS

    def _wake(self) -> None:
        self._grown.set()
        self._grown = trio.Event()

    def read(self, position: int) -> Text | StateChange | None:
        """What is at a position; None at the end.

        Args:
            position: between 0 and `end`; inside of a character, its beginning is meant.
        """
        if position >= self.end:
            return None
        run = bisect_right(self._runs, position << _KIND_BITS | _KINDS)
        kind = self._kind(run)
        if kind == _STATE:
            return StateChange(self._states[position], position + 1)
        start = self._character_start(position)
        stop = self._runs[run] >> _KIND_BITS
        if stop - start > PIECE_MAX:
            stop = self._character_start(start + PIECE_MAX)
        return Text(Stream(kind), self._text[start:stop].decode(), stop)

    def _character_start(self, position: int) -> int:
        while self._text[position] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's continuation bytes are 10xxxxxx
            position -= 1
        return position

    async def wait_news(self, position: int, *, waiting: bool) -> None:
        """Returns when there is something to read at `position`, `waiting` is not so, or the log is closed."""
        while position >= self.end and waiting == self._waiting and not self._closed:
            await self._grown.wait()

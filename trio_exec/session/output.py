"""The output log: everything that a session's clients see, in order, once.

Clients are cursors on it. A client that connects late, again or twice reads the same log, so there is no buffer per
client, and no client can hold up the program or another client: what was appended while it was busy it simply
gets in larger pieces.

The log holds bytes, as the program wrote them; what text they are is the wire's affair. Positions (`seq` on the wire)
count bytes of output, one for each state, and one for the end of each stream of a stage. Any of them can be read from.
In memory all of it is one byte array, in which states and ends are single placeholder bytes, and runs of the same kind
are one flat array: a program that writes a million single bytes in turns costs five megabytes, not a million objects.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import trio

from trio_exec.model import Status, Stream
from trio_exec.session.present import Present

PIECE_MAX = 65536
"""Bytes of output in one entry: a client that replays much gets it in pieces that its other tasks can bear."""


_STATE, _END = 2, 3
_KIND_BITS = 2
"""Of an item of the array of runs; above them is the run's end. Logs are shorter than a gigabyte by the settings."""
_KINDS = (1 << _KIND_BITS) - 1


@dataclass(frozen=True, slots=True)
class Output:
    """What a program wrote; `seq` is the position behind it."""

    stream: Stream
    data: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Nothing follows from a stage's stream; `seq` is the position behind it.

    `truncated` says whether output beyond a limit was dropped before it.
    """

    stream: Stream
    truncated: bool
    seq: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state; `seq` is the position behind it."""

    status: Status
    seq: int


Entry = Output | EndOfStream | StateChange


@dataclass(frozen=True, slots=True)
class Overrun:
    """A limit that output has exceeded: its bytes, and its stream, or None when it is for both together."""

    limit: int
    stream: Stream | None


class OutputLog:
    """Append-only.

    Args:
        limit: bytes of output that are taken, of both streams together.
        limits: the same for single streams, where they have one of their own.
        kept: is called with the number of bytes by which the log has grown.
    """

    def __init__(
        self, limit: int, limits: Mapping[Stream, int] | None = None, kept: Callable[[int], None] = lambda _: None
    ) -> None:
        self._limits: dict[Stream | None, int] = {None: limit}
        for stream, own in (limits or {}).items():
            self._limits[stream] = own
        self._written: dict[Stream | None, int] = dict.fromkeys(self._limits, 0)
        self._kept = kept
        self._truncated: set[Stream] = set()
        self._closed = False
        self._present = Present()
        self._bytes = bytearray()
        self._runs = array("I")
        self._states: dict[int, Status] = {}
        self._grown = trio.Event()

    @property
    def end(self) -> int:
        """The position behind everything."""
        return len(self._bytes)

    @property
    def written(self) -> int:
        """Bytes of output that were taken."""
        return self._written[None]

    @property
    def truncated(self) -> bool:
        """Whether output beyond a limit was dropped."""
        return bool(self._truncated)

    @property
    def closed(self) -> bool:
        """Whether nothing will follow."""
        return self._closed

    @property
    def present(self) -> Present:
        """How things stand at its end. Only the last word on that matters, so it has no place in the log itself."""
        return self._present

    def show(self, present: Present) -> None:
        """Says how things stand."""
        if present != self._present:
            self._present = present
            self._wake()

    def write(self, stream: Stream, data: bytes) -> Overrun | None:
        """Appends output, as far as the limits allow.

        Returns:
            The limit that it exceeds; the rest is dropped then, and so is all that is written later.
        """
        overrun: Overrun | None = None
        room = len(data)
        for of in (stream, None):
            if of in self._limits and self._limits[of] - self._written[of] < room:
                overrun = Overrun(self._limits[of], of)
                room = self._limits[of] - self._written[of]
        if self._truncated:
            room = 0
        if room < len(data):
            self._truncated.add(stream)
        for of in (stream, None):
            if of in self._written:
                self._written[of] += room
        self._append(stream, data[:room])
        return overrun

    def end_streams(self) -> None:
        """Says that no more comes from a stage, on either stream."""
        for stream in Stream:
            self._append(_END, bytes([stream << 1 | (stream in self._truncated)]))

    def add_state(self, status: Status) -> None:
        """Appends a state."""
        self._states[self.end] = status
        self._append(_STATE, b"\n")

    def close(self) -> None:
        """Says that nothing follows."""
        self._closed = True
        self._bytes, self._runs = self._bytes[:], self._runs[:]  # Growing took more room than is needed.
        self._wake()

    def _append(self, kind: int, data: bytes) -> None:
        if not data:
            return
        self._bytes += data
        run = self.end << _KIND_BITS | kind
        if self._runs and self._kind(-1) == kind and kind < _STATE:
            self._runs[-1] = run
            self._kept(len(data))
        else:
            self._runs.append(run)
            self._kept(len(data) + self._runs.itemsize)
        self._wake()

    def _kind(self, index: int) -> int:
        return self._runs[index] & _KINDS

    def _wake(self) -> None:
        self._grown.set()
        self._grown = trio.Event()

    def _run_at(self, position: int) -> int:
        return bisect_right(self._runs, position << _KIND_BITS | _KINDS)

    def read(self, position: int, most: int = PIECE_MAX) -> Entry | None:
        """What is at a position; None at the end.

        Args:
            position: between 0 and `end`.
            most: bytes of output.
        """
        if position >= self.end:
            return None
        run = self._run_at(position)
        kind = self._kind(run)
        if kind == _STATE:
            return StateChange(self._states[position], position + 1)
        if kind == _END:
            value = self._bytes[position]
            return EndOfStream(Stream(value >> 1), bool(value & 1), position + 1)
        stop = min(self._runs[run] >> _KIND_BITS, position + most)
        return Output(Stream(kind), bytes(self._bytes[position:stop]), stop)

    def before(self, position: int, stream: Stream, count: int) -> bytes:
        """The last bytes of a stream before a position, back to an end of the stream; `count` of them at most."""
        found = b""
        for kind, start, stop in self._runs_before(position):
            if kind == _END and self._bytes[start] >> 1 == stream:
                break
            if kind == stream:
                found = bytes(self._bytes[max(start, stop - count + len(found)) : stop]) + found
            if len(found) == count:
                break
        return found

    def _runs_before(self, position: int) -> Iterator[tuple[int, int, int]]:
        """Kind, beginning and end of each run before a position, the last one first."""
        stop = position
        for run in range(self._run_at(position - 1) if position > 0 else -1, -1, -1):
            start = self._runs[run - 1] >> _KIND_BITS if run > 0 else 0
            yield self._kind(run), start, stop
            stop = start

    def output(self, start: int, stop: int) -> Iterator[Output]:
        """What programs wrote between two positions, in its order."""
        while start < stop and (entry := self.read(start)) is not None:
            if isinstance(entry, Output):
                yield Output(entry.stream, entry.data[: stop - start], min(entry.seq, stop))
            start = entry.seq

    async def wait_news(self, position: int, known: Present) -> None:
        """Returns when there is something to read at `position`, things stand otherwise, or the log is closed."""
        while position >= self.end and known == self._present and not self._closed:
            await self._grown.wait()

"""What clients send to a program: bounded input, and control frames that never wait behind it."""

from __future__ import annotations

from collections import deque

import trio

from trio_exec.budget import Account
from trio_exec.errors import ExecutorError, InputFullError, SessionStateError
from trio_exec.executor.base import Container
from trio_exec.launcher import frames

PENDING_MAX = 1024 * 1024
"""Bytes of input that are kept for a program that does not read; then clients are told to wait."""
ROOM_AGAIN = PENDING_MAX // 2
"""Bytes of room at which those who wait for some go on: not at the first byte, which would make small pieces of all."""
CONTROLS_MAX = 256
"""Signals and resizes that may wait to be sent; more come only from a client that floods us."""
CHUNK = 16384
_CTRL_D = b"\x04"
_EMPTY_LINE = b"\n\r\x03\x04\x15\x1a\x1c"
"""What leaves a terminal's line empty: its end, Ctrl-D, which hands it over, and Ctrl-C, Ctrl-U, Ctrl-Z and Ctrl-\\,
which drop it."""
_BACKSPACE = 0x7F
_CONTINUATIONS = range(0x80, 0xC0)
"""Bytes of UTF-8 that begin no character; a terminal erases characters."""


def _characters_after(count: int, data: bytes) -> int:
    """How many characters a terminal's line has that had `count` when more is typed."""
    emptied = max(data.rfind(byte) for byte in _EMPTY_LINE)
    if emptied >= 0:
        count = 0
    for byte in data[emptied + 1 :]:
        if byte == _BACKSPACE:
            count = max(0, count - 1)
        elif byte not in _CONTINUATIONS:
            count += 1
    return count


class Stdin:
    """The queue towards one program. Everything but `pump` returns at once, so no client can hang on a program.

    Args:
        initial: input that is there from the start, and taken from the account already.
        account: of what is kept here.
        ends: whether end of input follows it.
        terminal: whether the program reads from a terminal.

    Attributes:
        taken: bytes of input in all, whether or not the program has read them.
    """

    def __init__(self, initial: bytes, account: Account, *, ends: bool, terminal: bool) -> None:
        self._pending = bytearray(initial)
        self.taken = len(initial)
        self._account = account
        self._ended = False
        self._terminal = terminal
        self._controls: deque[bytes] = deque()
        self._window = frames.STDIN_WINDOW
        self._open = False
        self._end_sent = False
        self._changed = trio.Event()
        self._roomy = trio.Event()
        self._line = _characters_after(0, initial) if terminal else 0
        if ends and terminal:
            ending = self._ending()
            self._account.add(len(ending))
            self._pending += ending
            self._line = 0
        self._ended = ends and not terminal

    @property
    def room(self) -> int:
        """Bytes of input that would be taken now."""
        return max(0, PENDING_MAX - len(self._pending))

    async def wait_room(self) -> None:
        """Returns when the program has read so much that there is room for plenty, or nobody will read any more."""
        while self.room < ROOM_AGAIN:
            await self._roomy.wait()

    def write(self, data: bytes) -> None:
        """Queues input.

        Raises:
            SessionStateError: end of input was said already.
            InputFullError: too much is waiting; nothing of `data` was taken.
            OverloadedError: the server holds as much as it may; likewise.
        """
        if self._ended:
            raise SessionStateError("the program's input has ended: no more can follow")
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        if len(self._pending) + len(data) > PENDING_MAX:
            raise InputFullError(
                f"data: the program does not read its input, and {PENDING_MAX} bytes at most are kept for it; "
                "send it again later",
                field="data",
            )
        self._account.take(len(data))
        if self._terminal:
            self._line = _characters_after(self._line, data)
        self._pending += data
        self.taken += len(data)
        self._wake()

    def end(self) -> None:
        """Queues the end of input; once is enough.

        On a terminal that is Ctrl-D, behind what was typed before, or twice, where that was part of a line: the first
        one hands the part over then, and only the second ends the input. Both end reads and not the terminal, so more
        can follow, and like anything that is typed they may find the queue full.

        Raises:
            InputFullError: too much is waiting.
            OverloadedError: the server holds as much as it may.
        """
        if self._terminal:
            self._keep(self._ending())
        else:
            self._ended = True
            self._wake()

    def _ending(self) -> bytes:
        return _CTRL_D if self._line == 0 else 2 * _CTRL_D

    def close(self) -> None:
        """Drops what is queued: nobody will read it."""
        self._account.give(len(self._pending))
        self._pending.clear()
        self._controls.clear()
        self._tell_room()

    def control(self, frame: bytes) -> None:
        """Queues a frame that goes before all input.

        Raises:
            InputFullError: too many are waiting.
        """
        if len(self._controls) >= CONTROLS_MAX:
            raise InputFullError("too many signals and resizes are waiting; send fewer")
        self._controls.append(frame)
        self._wake()

    def open(self) -> None:
        """Says that there is a program to take input. Control frames don't wait for that."""
        self._open = True
        self._wake()

    def begin(self) -> bytes:
        """The same; returns what can go right behind the stage's frame, as much of it as there is room for."""
        self._open = True
        return b"".join(iter(self._next, None))

    def acknowledge(self, count: int) -> None:
        """Says that the launcher has room for so many bytes more."""
        self._window += count
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _tell_room(self) -> None:
        self._roomy.set()
        self._roomy = trio.Event()

    def _next(self) -> bytes | None:
        if self._controls:
            return self._controls.popleft()
        count = min(len(self._pending), self._window, CHUNK) if self._open else 0
        if count == 0:
            if not self._open or self._pending or not self._ended or self._end_sent:
                return None
            self._end_sent = True
            return frames.encode_eof()
        data = bytes(self._pending[:count])
        was_full = self.room < ROOM_AGAIN
        del self._pending[:count]
        self._account.give(count)
        self._window -= count
        if was_full and self.room >= ROOM_AGAIN:
            self._tell_room()
        return frames.encode_stdin(data)

    async def pump(self, container: Container) -> None:
        """Sends what is queued, as it comes; ends only by cancellation, or when the container is gone."""
        try:
            while True:
                while (frame := self._next()) is not None:
                    await container.send(frame)
                await self._changed.wait()
        except ExecutorError:
            return  # Whoever reads from the container gets the same news, and reports it.

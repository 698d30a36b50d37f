"""What goes to the server, and what of it may be sent again after a broken connection.

- Input is kept until the server has acknowledged it, and sent again from there; the server skips what it has already.
  One message of it is on its way at a time: while its answer is awaited, what is typed gathers for the next one.
- The end of input, the terminal's size and `stop` can be said twice without harm, and are, after each new connection.
- A signal is sent once. One that was sent on a connection that broke may be lost: two Ctrl-C can mean something else
  than one.
"""

from __future__ import annotations

import base64
import json
from collections import deque

import trio

from trio_exec.client.errors import InputClosedError
from trio_exec.client.fields import Object, integer_of, text_of
from trio_exec.client.websocket import BrokenError, WebSocket

HELD_MAX = 256 * 1024
"""Bytes of input that are kept here; who sends more waits."""
PIECE_MAX = 128 * 1024
PIECE_MIN = 1024
"""Bytes of input in one message; fewer where the server's messages are smaller."""
FIRST_ROOM = 32 * 1024
"""Bytes of input that are sent before the server has said how many have room."""
PAUSE = 1.0
"""Seconds after which input is sent again that the server had no memory for."""


class Outbox:
    """One session's, over all of its connections."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._acknowledged = 0
        self._room = FIRST_ROOM
        self._piece = PIECE_MAX
        self._in_flight = False
        self._not_before = float("inf")
        """When input is sent again that was refused; for ever, when none was."""
        self._ending = False
        self._end_sent = False
        self._size: tuple[int, int] | None = None
        self._size_sent = True
        self._signals: deque[str] = deque()
        self._alive = False
        self._stopping = False
        self._stop_sent = False
        self._closed: str | None = None
        self._sending = False
        self._changed = trio.Event()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- What callers want ---------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Takes input; returns when all of it is here, though not yet at the server.

        Raises:
            InputClosedError: no more can follow.
        """
        view = memoryview(data)
        while view:
            self._check_open()
            taken = view[: max(0, HELD_MAX - len(self._held))]
            if taken:
                self._held += taken
                view = view[len(taken) :]
                self._wake()
            else:
                await self._changed.wait()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise InputClosedError(self._closed)
        if self._ending:
            raise InputClosedError("the program's input has ended: no more can follow")

    async def flush(self) -> None:
        """Returns when the server has all input.

        Raises:
            InputClosedError: it did not take all of it.
        """
        while self._held:
            await self._changed.wait()
        if self._closed is not None:
            raise InputClosedError(self._closed)

    async def said(self) -> None:
        """Returns when the server was told everything, or will not be told any more."""
        while self._closed is None and (self._sending or self._held or self._has_news()):
            await self._changed.wait()

    def _has_news(self) -> bool:
        end = self._ending and not self._end_sent
        stop = self._stopping and not self._stop_sent
        return bool(self._signals) or self._alive or end or stop or (self._size is not None and not self._size_sent)

    def end_input(self) -> None:
        """Ends the input, after what was written; once is enough."""
        self._ending = True
        self._wake()

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size; only the last one matters."""
        self._size = (rows, columns)
        self._size_sent = False
        self._wake()

    def signal(self, name: str) -> None:
        """Sends a signal, before all input."""
        self._signals.append(name)
        self._wake()

    def keep_alive(self) -> None:
        """Says that somebody is there; said twice before it is sent, once is enough."""
        self._alive = True
        self._wake()

    def stop(self) -> None:
        """Asks for the session's end."""
        self._stopping = True
        self._wake()

    # --- What the server says --------------------------------------------------------------------------------------

    def close(self, why: str) -> None:
        """Drops what is held: nobody will read it."""
        if self._closed is None:
            self._closed = why
        self._held.clear()
        self._wake()

    def acknowledge(self, data: Object) -> None:
        """Takes the server's answer to input."""
        at = integer_of(data, "at") or 0
        del self._held[: max(0, at - self._acknowledged)]
        self._acknowledged = max(at, self._acknowledged)
        self._room = integer_of(data, "room") or 0
        self._in_flight = False
        match text_of(data, "code"):
            case None:
                pass
            case "overloaded":
                self._not_before = trio.current_time() + PAUSE
            case _:
                self.close(text_of(data, "error") or "the server takes no more input")
        self._wake()

    def too_large(self) -> None:
        """Says that the server has closed the connection for a message that was too large."""
        self._piece = max(PIECE_MIN, self._piece // 2)

    # --- A connection -----------------------------------------------------------------------------------------------

    async def send_over(self, socket: WebSocket) -> None:
        """Sends what there is to send, as it comes; returns when the connection is broken, else by cancellation only.

        A new connection begins with what the last one may not have brought there.
        """
        self._in_flight = self._sending = False
        self._room = max(self._room, FIRST_ROOM)  # An answer says how much there is; the last one may be out of date.
        self._end_sent = self._stop_sent = False
        self._size_sent = self._size is None
        try:
            while True:
                message = self._next()
                if message is not None:
                    self._sending = True
                    await socket.send(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
                    self._sending = False
                    self._wake()
                else:
                    with trio.move_on_at(self._not_before):
                        await self._changed.wait()
                    if trio.current_time() >= self._not_before:
                        self._not_before = float("inf")
        except BrokenError:
            return  # Whoever receives is told the same.

    def _next(self) -> Object | None:
        control = self._next_control()
        if control is not None:
            return control
        if self._held:
            return self._next_input()
        if self._ending and not self._end_sent and self._closed is None:
            self._end_sent = True
            return {"type": "eof"}
        return None

    def _next_control(self) -> Object | None:
        if self._stopping and not self._stop_sent:
            self._stop_sent = True
            return {"type": "stop"}
        if self._signals:
            return {"type": "signal", "signal": self._signals.popleft()}
        if self._alive:
            self._alive = False
            return {"type": "alive"}
        if self._size is not None and not self._size_sent:
            self._size_sent = True
            return {"type": "resize", "rows": self._size[0], "cols": self._size[1]}
        return None

    def _next_input(self) -> Object | None:
        if self._in_flight or self._room <= 0 or self._not_before < float("inf"):
            return None
        piece = bytes(self._held[: min(self._room, self._piece)])
        self._in_flight = True
        message: dict[str, object] = {"type": "input", "at": self._acknowledged}
        try:
            return {**message, "data": piece.decode()}
        except UnicodeDecodeError as error:
            # A character that is cut is left for the next piece; what is no text goes as base64.
            if error.start >= len(piece) - 3 and error.start > 0 and error.reason == "unexpected end of data":
                return {**message, "data": piece[: error.start].decode()}
            return {**message, "data": base64.b64encode(piece).decode(), "encoding": "base64"}

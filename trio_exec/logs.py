"""The log can't be filled by clients: of lines that they can cause, only so many of a kind are written in a minute.

How many were left out is said with the next one of the kind. Stack traces count among them whoever writes them, since
each takes kilobytes. What sessions and the engine report is not touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

PERIOD = 60
"""Seconds."""
LINES = 20
STACK_TRACES = 5
_KINDS_MAX = 1000
SESSION_LINES = 300
_CAUSED_BY_CLIENTS = {
    "trio_exec.connections": LINES,
    "trio_exec.websocket": LINES,
    "trio_exec.sessions": SESSION_LINES,
    "trio.serve_listeners": 1,
}
"""Lines of a kind in a period, by the logger's name."""
_WITHOUT_TRACE = "trio.serve_listeners"
"""It has one for each failed accept, ten in a second when descriptors are short, and they say nothing."""


class _Kind:
    def __init__(self, since: float) -> None:
        self.since = since
        self.written = 0
        self.left_out = 0


class Sparing(logging.Filter):
    """For a handler: lets only so many records of one kind pass. Kinds are what the code says, not what it says it of.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; says in it how many were not."""
        if record.name == _WITHOUT_TRACE:
            record.exc_info = record.exc_text = None
        limit = STACK_TRACES if record.exc_info else _CAUSED_BY_CLIENTS.get(record.name)
        if limit is None or record.levelno < logging.INFO:
            return True
        now = self._clock()
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        key = (record.name, str(record.msg), error)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _KINDS_MAX:  # A message that was put together before it came here.
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(now)
        if now - kind.since >= PERIOD:
            kind.since, kind.written = now, 0
        if kind.written >= limit:
            kind.left_out += 1
            return False
        kind.written += 1
        if kind.left_out:
            record.msg = f"{record.getMessage()} ({kind.left_out} more of this kind were not logged)"
            record.args = None
            kind.left_out = 0
        return True

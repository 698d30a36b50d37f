"""The log: lines with fields, and a bound on what clients can make of it.

A `Line` is a message with fields; whatever formats it, the fields are there. Of lines that clients can cause, only so
many of a kind are written in a minute, for each owner and for all owners together. How many were left out is said with
the next one of the kind, or when the minute is over (`trio_exec.observe.left_out`). Stack traces count among them
whoever writes them, since each takes kilobytes. What the engine reports is not touched.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PERIOD = 60
"""Seconds."""
LINES = 20
STACK_TRACES = 5
OWNER_LINES = 120
"""Of a kind for one owner: two sessions a second."""
ALL_LINES = 3000
"""Of a kind for all owners."""
OWNERS_MAX = 1000
"""Owners that are told apart; all others are one."""
VALUE_MAX = 200
"""Characters of a field's value."""
_KINDS_MAX = 10 * OWNERS_MAX
_CAUSED_BY_CLIENTS = {
    "trio_exec.connections": LINES,
    "trio_exec.websocket": LINES,
    "trio.serve_listeners": 1,
}
"""Lines of a kind in a period, by the logger's name; those with an owner have bounds of their own."""
_WITHOUT_TRACE = "trio.serve_listeners"
"""It has one for each failed accept, ten in a second when descriptors are short, and they say nothing."""

Value = str | int | float | bool
_Key = tuple[str, str, str, str]
"""A kind: the logger's name, the message, the error, and the owner."""


def printable(text: str, most: int = VALUE_MAX) -> str:
    """A text as it may stand in a log, whoever wrote it: no longer than that, in one line, and without controls."""
    if len(text) > most:
        text = f"{text[:most]}…"
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode("ascii") for it in text)


class Line:
    """A message with fields, for a logger in the place of a text.

    Args:
        message: what has happened, in words that are always the same.
        fields: by name; those that are None are left out.
    """

    def __init__(self, message: str, **fields: Value | None) -> None:
        self.message = message
        self.fields: dict[str, Value] = {
            name: printable(value) if isinstance(value, str) else round(value, 4) if isinstance(value, float) else value
            for name, value in fields.items()
            if value is not None
        }

    def __str__(self) -> str:
        return f"{self.message}{assignments(self.fields)}"


def assignments(fields: Mapping[str, object]) -> str:
    """Fields as they stand behind a message."""
    return "".join(f" {name}={_shown(value)}" for name, value in fields.items())


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text or any(it in text for it in ' "=\\'):
        return json.dumps(text, ensure_ascii=False)
    return text


@dataclass(eq=False, slots=True)
class _Kind:
    limit: int
    since: float
    written: int = 0
    left_out: int = 0
    last: logging.LogRecord | None = None


class Sparing(logging.Filter):
    """For a handler: lets only so many records of one kind pass. Kinds are what the code says, not what it says it of.

    Args:
        clock: seconds that only grow.

    Attributes:
        clock: the same.
        notify: is called when a record was left out, from whatever thread that was in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self.notify: Callable[[], None] = _nobody
        self._lock = threading.RLock()  # Threads log, too.
        self._kinds: dict[_Key, _Kind] = {}
        self._owners: set[str] = set()
        self._forgotten = clock()
        self._passing: logging.LogRecord | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; says in it how many were not."""
        if record.name == _WITHOUT_TRACE:
            record.exc_info = record.exc_text = None
        if record.levelno < logging.INFO:
            return True
        with self._lock:
            return record is self._passing or self._has_room(record)

    def _has_room(self, record: logging.LogRecord) -> bool:
        kinds = self._kinds_of(record)
        if any(kind.written >= kind.limit for kind in kinds):
            kinds[0].left_out += 1
            kinds[0].last = record
            self.notify()
            return False
        for kind in kinds:
            kind.written += 1
        if kinds and kinds[0].left_out:
            _add_count(record, kinds[0].left_out)
            kinds[0].left_out, kinds[0].last = 0, None
        return True

    def due(self) -> float | None:
        """When something that was left out is to be said, by the clock; None if nothing is."""
        with self._lock:
            return min((kind.since + PERIOD for kind in self._kinds.values() if kind.left_out), default=None)

    def say_left_out(self, until: float = math.inf) -> None:
        """Writes the last one of what was left out in minutes that are over by then, with how many more there were."""
        with self._lock:
            for kind in list(self._kinds.values()):
                if kind.left_out and kind.since + PERIOD <= until and kind.last is not None:
                    record, kind.last = kind.last, None
                    _add_count(record, kind.left_out - 1)
                    kind.left_out = 0
                    self._passing = record
                    logging.getLogger(record.name).handle(record)
                    self._passing = None

    def _kinds_of(self, record: logging.LogRecord) -> list[_Kind]:
        """Whatever bounds a record, the narrowest first."""
        fields = record.msg.fields if isinstance(record.msg, Line) else {}
        message = record.msg.message if isinstance(record.msg, Line) else str(record.msg)
        if record.exc_info:
            error = record.exc_info[0].__name__ if record.exc_info[0] else ""
            return [self._kind(STACK_TRACES, record.name, message, error)]
        if (owner := fields.get("owner", fields.get("address"))) is not None:
            return [
                self._kind(OWNER_LINES, record.name, message, owner=self._known(str(owner))),
                self._kind(ALL_LINES, record.name, message),
            ]
        limit = _CAUSED_BY_CLIENTS.get(record.name)
        return [] if limit is None else [self._kind(limit, record.name, message)]

    def _known(self, owner: str) -> str:
        """By what name an owner is counted."""
        if owner not in self._owners and len(self._owners) >= OWNERS_MAX:
            self._forget()
        if len(self._owners) < OWNERS_MAX:
            self._owners.add(owner)
        return owner if owner in self._owners else ""

    def _forget(self) -> None:
        """Forgets what has been quiet; looks once a second at most, since many owners may come in that time."""
        now = self.clock()
        if now - self._forgotten >= 1:
            self._forgotten = now
            self._kinds = {key: kind for key, kind in self._kinds.items() if now - kind.since < PERIOD or kind.left_out}
            self._owners = {owner for *_, owner in self._kinds if owner}

    def _kind(self, limit: int, name: str, message: str, error: str = "", owner: str = "") -> _Kind:
        now = self.clock()
        key = (name, message, error, owner)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= _KINDS_MAX:  # Messages that were put together before they came here.
                self.say_left_out()
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(limit, now)
        if now - kind.since >= PERIOD:
            kind.since, kind.written = now, 0
        return kind


def _nobody() -> None:
    """Nobody says what was left out but the next line of the kind."""


def _add_count(record: logging.LogRecord, count: int) -> None:
    """Says in a record how many more of its kind were not written."""
    if count == 0:
        return
    if isinstance(record.msg, Line):
        record.msg = Line(record.msg.message, **record.msg.fields, not_logged=count)
    else:
        record.msg = f"{record.getMessage()} ({count} more of this kind were not logged)"
        record.args = None


SPARING = Sparing()
"""The process's one."""

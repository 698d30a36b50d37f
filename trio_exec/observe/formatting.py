"""How lines of the log look: for people, or one JSON object each. Other libraries' lines look the same.

structlog's formatter is put behind the standard library's handlers, so whoever logs need not know of it. Nothing that a
client has made somebody log can begin a line or move a terminal's cursor: controls are escaped, and whatever has
several lines is indented, or a string in JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.types import EventDict, Processor, WrappedLogger

from trio_exec.logs import Line, assignments, printable
from trio_exec.settings import LogFormat, LogLevel

_MESSAGE_MAX = 8192
"""Characters of a message, and of a stack trace twice as many."""
_INDENT = "    "


_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


def configure(log_format: LogFormat, log_level: LogLevel) -> None:
    """Has the root logger's handlers write lines of this form, from this level on."""
    root = logging.getLogger()
    root.setLevel(_LEVELS[log_level])
    for handler in root.handlers:
        handler.setFormatter(make_formatter(log_format))


def make_formatter(log_format: LogFormat) -> logging.Formatter:
    """A formatter for the standard library's handlers."""
    write: Processor = structlog.processors.JSONRenderer() if log_format is LogFormat.JSON else _for_people
    whole = log_format is LogFormat.JSON
    return ProcessorFormatter(
        foreign_pre_chain=[_add_record, structlog.processors.format_exc_info],
        processors=[ProcessorFormatter.remove_processors_meta, _escape_json if whole else _escape_lines, write],
        keep_exc_info=False,
        keep_stack_info=False,
    )


def _add_record(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """What a record says, in order: when, how bad, whose, what, and its fields."""
    record = cast("logging.LogRecord", event["_record"])
    line = record.msg if isinstance(record.msg, Line) else None
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    said: EventDict = {
        "time": when.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"] if line is None else line.message,
    }
    if line is not None:
        said |= line.fields
    return said | {name: value for name, value in event.items() if name not in said}


def _escape_lines(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return _escape(event, f"\n{_INDENT}")


def _escape_json(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return _escape(event, "\n")


def _escape(event: EventDict, newline: str) -> EventDict:
    event["event"] = newline.join(_lines(str(event["event"]), _MESSAGE_MAX))
    if "exception" in event:
        event["exception"] = newline.join(_lines(str(event["exception"]), 2 * _MESSAGE_MAX))
    return event


def _lines(text: str, most: int) -> Sequence[str]:
    """Of the end of a text, where stack traces say what it was."""
    return [printable(line, most) for line in text[-most:].split("\n")]


def _for_people(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    exception = event.pop("exception", None)
    time, level, logger, text = (event.pop(name) for name in ("time", "level", "logger", "event"))
    trace = "" if exception is None else f"\n{_INDENT}{exception}"
    return f"{time} {level.upper()} {logger}: {text}{assignments(event)}{trace}"

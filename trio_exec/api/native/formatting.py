"""`POST /format`: a session whose answer is the files that it has left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from trio_exec.api.native.answers import FormatAnswer
from trio_exec.api.native.text import whole
from trio_exec.errors import (
    DrainingError,
    ExecutorError,
    FormatFailedError,
    OverloadedError,
    QueueFullError,
    TrioExecError,
)
from trio_exec.model import Omission, Outcome, Reason, Stream
from trio_exec.session.session import Session

_PLACE = re.compile(r"(?P<file>[^:\n]+):(?P<line>[0-9]{1,9}):(?P<column>[0-9]{1,9}): (?:error: )?(?P<message>[^\n]+)")
_WORDS_MAX = 500
"""Characters of what a formatter says that an error repeats."""


async def formatted(session: Session, names: Sequence[str], *, code: bool) -> FormatAnswer:
    """Waits for a session that formats, and says what came of it.

    Args:
        session: which.
        names: of the files that are formatted, the main one first.
        code: whether the main one was given as `code`, and not as a file.

    Raises:
        FormatFailedError: the formatter can't read the program, or ran into a limit.
        QueueFullError: no slot became free soon enough.
        DrainingError: the server goes away.
        ExecutorError: the container failed.
        OverloadedError: the server holds as much for its clients as it may.
    """
    while not session.log.closed:
        await session.log.wait_news(session.log.end, session.log.present)
    outcome = session.status.outcome
    assert outcome is not None  # noqa: S101 - it is over
    if outcome.reason is not None:
        raise _ended(outcome.reason, outcome)
    figures = outcome.figures
    if figures is None or figures.exit_code != 0:
        raise _failed("".join(whole(session.log, Stream.STDERR, "utf-8", 0, session.log.end)), names)
    if any(it.reason is Omission.OVERLOADED for it in outcome.files_omitted):
        raise OverloadedError("the server holds as much for its clients as it may; try again later")
    left = session.files
    if missing := [name for name in names if name not in left]:
        raise FormatFailedError(f"{missing[0]!r} could not be read back once it was formatted", file=missing[0])
    texts = {name: left[name].decode(errors="replace") for name in names}
    return FormatAnswer(code=texts.pop(names[0]) if code else None, files=texts or None)


def _ended(reason: Reason, outcome: Outcome) -> TrioExecError:
    match reason:
        case Reason.EXECUTION_TIMEOUT:
            return FormatFailedError("formatting took too long; format a part of it at a time")
        case Reason.MEMORY_LIMIT:
            return FormatFailedError("formatting took too much memory; format a part of it at a time")
        case Reason.QUEUE_TIMEOUT:
            return QueueFullError("no slot became free soon enough; try again in a few seconds")
        case Reason.EXECUTOR_FAILED:
            return ExecutorError(outcome.message or "the container failed")
        case Reason.SHUTDOWN:
            return DrainingError("this server is going away; try again in a few seconds")
        case _:
            return FormatFailedError(outcome.message or "formatting was ended")


def _failed(words: str, names: Sequence[str]) -> FormatFailedError:
    """What the formatter says, by its first line that names a place, or by its last one."""
    for line in words.splitlines():
        place = _PLACE.fullmatch(line.strip())
        if place is not None and (name := _known(place["file"], names)) is not None:
            where = int(place["line"])
            message = f"{name}:{where}: {place['message'][:_WORDS_MAX]}"
            return FormatFailedError(message, file=name, line=where, column=int(place["column"]))
    last = words.strip().rpartition("\n")[2]
    return FormatFailedError(last[:_WORDS_MAX] or "the formatter failed, and did not say why")


def _known(shown: str, names: Sequence[str]) -> str | None:
    plain = str(PurePosixPath(shown))  # A file may have been named with "./" in front.
    return next((name for name in names if name == plain), None) or next(
        (name for name in names if PurePosixPath(name).name == plain), None
    )

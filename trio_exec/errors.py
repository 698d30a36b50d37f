"""Every error that trio-exec raises on purpose.

A program that fails is not an error but a value (`trio_exec.launcher.frames.StageEnd`). What is here is named
by whose fault it is, and carries what the server tells the client: a stable code, a status hint and, where
waiting helps, after how many seconds to try again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class TrioExecError(Exception):
    """Base of all; not raised itself.

    Attributes:
        code: stable name, as in the API's error form.
        status: HTTP status that fits.
        retry_after: seconds after which the same request may succeed, or None.
        field: the request's field that is to blame, or None.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retry_after: int | None = None

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class RequestError(TrioExecError):
    """The client's fault: the request can't be used as it is."""

    code = "invalid_request"
    status = 400


class UnknownLanguageError(RequestError):
    """No such language here."""

    code = "unknown_language"


class LanguageUnavailableError(TrioExecError):
    """There is such a language, but what it runs in is not there yet, or can't be made; others may well run."""

    code = "language_unavailable"
    status = 503
    retry_after = 10


class QueueFullError(TrioExecError):
    """Too many sessions wait already."""

    code = "queue_full"
    status = 429
    retry_after = 5


class QuotaExceededError(TrioExecError):
    """The owner has as much already as they may; others may well have more.

    Attributes:
        quota: which, by the names of `trio_exec.model.Quota`.
    """

    code = "quota_exceeded"
    status = 429
    retry_after = 5

    def __init__(self, message: str, *, quota: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.quota = quota
        if retry_after is not None:
            self.retry_after = retry_after


class UnauthorizedError(TrioExecError):
    """Nobody knows who asks: there is no key, or one that is not known."""

    code = "unauthorized"
    status = 401


class ForbiddenError(TrioExecError):
    """Whoever asks is known, and may not do that."""

    code = "forbidden"
    status = 403


class ViewOnlyError(TrioExecError):
    """Whoever asks has the link to watch a session by, and wants to do something with it."""

    code = "view_only"
    status = 403


class TooManyWatchersError(TrioExecError):
    """As many watch a session as may."""

    code = "too_many_watchers"
    status = 503
    retry_after = 5


class OverloadedError(TrioExecError):
    """The server holds as much for its clients as it may."""

    code = "overloaded"
    status = 503
    retry_after = 5


class DrainingError(TrioExecError):
    """The server is going away and takes no new sessions."""

    code = "draining"
    status = 503
    retry_after = 10


class SessionNotFoundError(TrioExecError):
    """No session has that id, or it ended a while ago."""

    code = "session_not_found"
    status = 404


class SessionStateError(TrioExecError):
    """The session is in no state for that: over, not yet running, or without a terminal."""

    code = "wrong_state"
    status = 409


class FormatFailedError(TrioExecError):
    """The formatter can't read the program, or did not come to an end.

    Attributes:
        file: where it stopped to understand, as far as it tells; None otherwise.
        line: likewise, from 1.
        column: likewise.
    """

    code = "cannot_format"
    status = 422

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.column = column


class InputFullError(TrioExecError):
    """The program does not read its input, and as much as we keep is waiting for it."""

    code = "input_full"
    status = 409


class ExecutorError(TrioExecError):
    """The executor's fault, or ours towards it: a container could not be made or went away.

    Where it is not of the subclass below, other sessions may well succeed.
    """

    code = "engine_error"
    status = 503
    retry_after = 5


class ExecutorUnavailableError(ExecutorError):
    """What the executor makes containers with can't be reached at all."""

    code = "engine_unavailable"


class BuildFailedError(ExecutorError):
    """An image could not be built.

    Attributes:
        lines: the last ones that the build printed.
    """

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = lines


class LimitsMissingError(ExecutorError):
    """The executor made a container that lacks a limit which it was to have; another one would lack it, too."""


class MemoryInUseError(ExecutorError):
    """A container holds more memory than a limit that was to be put in force; its stage's fault, not the engine's."""


class LauncherGoneError(ExecutorError):
    """The launcher's stream has ended, though nobody here closed it."""


class LauncherSilentError(LauncherGoneError):
    """Nothing has come from the launcher for too long: it hangs, its container is paused, or its stream was cut."""


class OutOfMemoryError(ExecutorError):
    """A container was ended for want of memory, launcher and all; its program's fault, not the engine's."""


class ProtocolError(ExecutorError):
    """The bytes from a container are not the launcher's frames."""


class ConfigurationError(TrioExecError):
    """The operator's fault: a setting or a language's description can't be used."""

    code = "configuration_error"


def first_of(group: BaseExceptionGroup[TrioExecError]) -> TrioExecError:
    """The first error of a group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, TrioExecError)  # noqa: S101 - a group of this type holds nothing else
    return error

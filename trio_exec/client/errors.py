"""What can go wrong for a client: the server refuses, can't be reached, or is lost on the way.

A program that fails is none of these: it is a `Result` whose exit code says so.
"""

from __future__ import annotations

from typing import ClassVar


class ClientError(Exception):
    """Base of all that this package raises; not raised itself."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConnectError(ClientError):
    """The server can't be reached, or did not answer in time. Nothing is known to have been started."""


class ConnectionLostError(ClientError):
    """The connection to a session broke, and could not be made again in time. The session may live on."""


class ProtocolError(ClientError):
    """What answers is no trio-exec server, or one that this version does not understand."""


class InputClosedError(ClientError):
    """No input can follow: the program's input, or the session, has ended. What of it was not taken is dropped."""


class ExpectError(ClientError):
    """What was expected did not come.

    Attributes:
        seen: what came instead, from the place on where the search began.
    """

    def __init__(self, message: str, seen: str | bytes) -> None:
        super().__init__(message)
        self.seen = seen


class ExpectTimeoutError(ExpectError):
    """It did not come in time. The session goes on, and what was seen is still there to be read."""


class ProgramEndedError(ExpectError):
    """The session ended before it came. What was seen is still there to be read."""


class ProgramFailedError(ClientError):
    """A program did not end well, and `Result.check` was asked to make an exception of that."""


class ServerError(ClientError):
    """The server refused a request, with a sentence that says why and what to do.

    Attributes:
        code: a stable name; docs/api.md lists them. There is a subclass for those that callers treat differently.
        status: of HTTP; 0 where it came over a WebSocket that was open.
        field: the request's field that is to blame, or None.
        quota: which of one's quotas is used up, or None.
        retry_after: seconds after which the same request may succeed, or None.
    """

    codes: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        message: str,
        code: str = "http_error",
        *,
        status: int = 0,
        field: str | None = None,
        quota: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.field = field
        self.quota = quota
        self.retry_after = retry_after


class InvalidRequestError(ServerError):
    """The request can't be used as it is; `field` says where it is wrong."""

    codes = frozenset(
        {
            "invalid_json",
            "invalid_request",
            "invalid_host",
            "bad_request",
            "request_too_large",
            "unsupported_media_type",
            "invalid_message",
        }
    )


class UnknownLanguageError(InvalidRequestError):
    """The server has no such language."""

    codes = frozenset({"unknown_language"})


class NotAllowedError(ServerError):
    """The API key is missing or wrong, or does not allow this; or one has the link to watch a session by."""

    codes = frozenset({"unauthorized", "forbidden", "origin_not_allowed", "view_only"})


class SessionNotFoundError(ServerError):
    """No session has that id, or it ended a while ago."""

    codes = frozenset({"session_not_found"})


class FormatError(ServerError):
    """The program can't be formatted: mostly, since it can't be understood.

    Attributes:
        file, line, column: where, as far as the formatter tells; lines and columns from 1.
    """

    codes = frozenset({"cannot_format"})

    file: str | None = None
    line: int | None = None
    column: int | None = None


class WrongStateError(ServerError):
    """The session is in no state for that: over, not over yet, or without a terminal."""

    codes = frozenset({"wrong_state"})


class UnavailableError(ServerError):
    """The server can't do it now; trying again after `retry_after` seconds may help."""

    codes = frozenset(
        {
            "overloaded",
            "draining",
            "engine_unavailable",
            "engine_error",
            "too_many_connections",
            "request_timeout",
            "too_many_watchers",
        }
    )


class QueueFullError(UnavailableError):
    """Too many sessions wait already."""

    codes = frozenset({"queue_full"})


class QuotaExceededError(UnavailableError):
    """One has as much already as one may; `quota` says of what, `retry_after` when there may be more."""

    codes = frozenset({"quota_exceeded"})


class LanguageUnavailableError(UnavailableError):
    """There is such a language, but what it runs in is not there yet; others may well run."""

    codes = frozenset({"language_unavailable"})


_KINDS: tuple[type[ServerError], ...] = (
    InvalidRequestError,
    UnknownLanguageError,
    NotAllowedError,
    SessionNotFoundError,
    FormatError,
    WrongStateError,
    UnavailableError,
    QueueFullError,
    QuotaExceededError,
    LanguageUnavailableError,
)
_BY_CODE = {code: kind for kind in _KINDS for code in kind.codes}


def server_error(
    message: str,
    code: str,
    *,
    status: int = 0,
    field: str | None = None,
    quota: str | None = None,
    retry_after: float | None = None,
) -> ServerError:
    """The exception for an error's code; a code that is not known here makes a plain `ServerError`."""
    kind = _BY_CODE.get(code)
    if kind is None:
        kind = UnavailableError if status in {429, 502, 503, 504} else ServerError
    return kind(message, code, status=status, field=field, quota=quota, retry_after=retry_after)

"""What a cluster's API refuses, by what can be done about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.executor.kubernetes.objects import text

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY = 401, 403, 404, 410, 429
_SERVERS_FAULT = 500
_SHOWN = 400
"""Characters of the API's words that are passed on."""


class NotFoundError(ExecutorError):
    """There is no such thing, or no more."""


class ExpiredError(ExecutorError):
    """A watch goes on from where the API server no longer knows; everything is to be listed anew."""


class QuotaFullError(ExecutorError):
    """The namespace's ResourceQuota is used up: there is room once other pods have ended."""


class ThrottledError(ExecutorError):
    """The API server has too much to do.

    Attributes:
        seconds: after which it wants to be asked again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class NotYetError(ExecutorError):
    """The pod's container runs not yet, or no more, as far as its node knows."""


_KINDS = {_NOT_FOUND: NotFoundError, _GONE: ExpiredError}


def refusal(what: str, status: int, body: bytes, headers: Mapping[str, str]) -> ExecutorError:
    """The error for an answer that is none of success.

    Args:
        what: was asked for, as in "creating a pod".
        status: HTTP status.
        body: as a rule a Status object of Kubernetes' API, as JSON.
        headers: of the answer.
    """
    told = _message(body) or f"HTTP status {status}"
    sentence = f"the Kubernetes API refuses {what}: {told}"
    if status == _FORBIDDEN and "exceeded quota" in told:
        return QuotaFullError(f"the namespace's quota is used up: {told}")
    if (kind := _KINDS.get(status)) is not None:
        return kind(sentence)
    if status == _TOO_MANY:
        seconds = headers.get("retry-after", "")
        return ThrottledError(sentence, float(seconds) if seconds.isdecimal() else 1)
    if status == _UNAUTHORIZED:
        return ExecutorUnavailableError(f"the Kubernetes API does not know us: {told}")
    if status >= _SERVERS_FAULT:
        return ExecutorUnavailableError(f"the Kubernetes API fails at {what}: {told}")
    return ExecutorError(sentence)


def status_error(what: str, status: Mapping[str, Any]) -> ExecutorError:
    """The error for a Status object, as watches have them in their midst."""
    code = status.get("code")
    return refusal(what, code if isinstance(code, int) else _SERVERS_FAULT, json.dumps(status).encode(), {})


def _message(body: bytes) -> str:
    try:
        status: object = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace").strip()[:_SHOWN]
    return text(cast("Mapping[str, Any]", status), "message")[:_SHOWN] if isinstance(status, dict) else ""

"""What the log says of events: a line for each session that ends and each request that is refused.

Never code, input, output or a whole id.
"""

from __future__ import annotations

import logging

from trio_exec.events import BatchEnded, Event, RequestRefused, SessionEnded, SessionFacts, SessionTimes, Usage
from trio_exec.ids import short_id
from trio_exec.logs import Line, Value
from trio_exec.model import Requester

LOGGER = logging.getLogger("trio_exec.sessions")
REQUESTS = logging.getLogger("trio_exec.requests")

_INTERNAL_ERROR = 500
"""Whoever meets such an error logs it, with what is known of it."""


def log_event(event: Event) -> None:
    """Writes the line, if the event has one.

    A session that is refused has none of its own: the request that asked for it has.
    """
    match event:
        case SessionEnded() | BatchEnded():
            LOGGER.info(ended_line(event))
        case RequestRefused() if event.status != _INTERNAL_ERROR:
            fields = request_fields(event.requester, event.method, event.path)
            REQUESTS.info(Line("request refused", code=event.code, status=event.status, **fields))
        case _:
            pass


def ended_line(event: SessionEnded | BatchEnded) -> Line:
    """What is said of a session or a batch that is over."""
    return _session_line(event) if isinstance(event, SessionEnded) else _batch_line(event)


def request_fields(requester: Requester, method: str, path: str) -> dict[str, Value | None]:
    """What is said of a request in a line about it."""
    return {"method": method, "path": path, **_requester_fields(requester)}


def _session_line(event: SessionEnded) -> Line:
    status, outcome = event.status, event.status.outcome
    figures = None if outcome is None else outcome.figures
    return Line(
        "session ended",
        **_facts(event.session),
        state=status.state.value,
        stage=None if status.stage is None else status.stage.value,
        reason=None if outcome is None or outcome.reason is None else outcome.reason.value,
        exit_code=None if figures is None else figures.exit_code,
        signal=None if figures is None else figures.signal,
        **_figures(event.warm, event.times, event.usage),
    )


def _batch_line(event: BatchEnded) -> Line:
    return Line(
        "batch ended",
        **_facts(event.session),
        reason=None if event.reason is None else event.reason.value,
        passed=event.passed,
        failed=event.failed,
        skipped=event.skipped,
        **_figures(event.warm, event.times, event.usage),
    )


def _facts(session: SessionFacts) -> dict[str, Value | None]:
    return {
        "session": short_id(session.session_id),
        "kind": session.kind.value,
        "language": session.language,
        **_requester_fields(session.requester),
    }


def _requester_fields(requester: Requester) -> dict[str, Value | None]:
    return {
        "owner": requester.owner or None,
        "address": requester.address or None,
        "request": requester.request_id or None,
    }


def _figures(warm: bool | None, times: SessionTimes, usage: Usage) -> dict[str, Value | None]:  # noqa: FBT001 - as told
    ran = warm is not None
    return {
        "start": None if warm is None else "warm" if warm else "cold",
        "queue_seconds": times.queued,
        "start_seconds": times.opening,
        "first_output_seconds": times.first_output,
        "wall_seconds": usage.wall_time if ran else None,
        "cpu_seconds": usage.cpu_time if ran else None,
        "duration_seconds": times.lasted,
        "peak_memory_bytes": usage.peak_memory or None,
        "input_bytes": usage.input_bytes,
        "output_bytes": usage.output_bytes,
    }

"""What the log says of events: a line for each session that ends or is refused. Never code, input or output."""

from __future__ import annotations

import logging

from trio_exec.events import BatchEnded, Event, SessionEnded, SessionRefused
from trio_exec.ids import short_id

LOGGER = logging.getLogger("trio_exec.sessions")


def log_event(event: Event) -> None:
    """Writes the line, if the event has one."""
    match event:
        case SessionEnded():
            LOGGER.info("session %s: %s", short_id(event.session.session_id), _describe(event))
        case BatchEnded():
            LOGGER.info(
                "batch %s: %s for %s; %d passed, %d failed, %d skipped; %slasted %.2f s",
                short_id(event.session.session_id),
                event.session.language,
                event.session.requester.owner,
                event.passed,
                event.failed,
                event.skipped,
                f"{event.reason}; " if event.reason else "",
                event.times.lasted or 0,
            )
        case SessionRefused():
            LOGGER.info("session refused: %s; %s for %s", event.code, repr(event.language), event.requester.owner)
        case _:
            pass


def _describe(event: SessionEnded) -> str:
    outcome = event.status.outcome
    figures = None if outcome is None else outcome.figures
    how = [f"{event.status.state} in {event.status.stage or 'the queue'}"]
    if outcome is not None and outcome.reason is not None:
        how.append(outcome.reason)
    if figures is not None:
        how.append(f"exit {figures.exit_code}" if figures.signal is None else f"signal {figures.signal}")
        how.append(f"cpu {figures.cpu_time:.2f} s, peak {figures.peak_memory} bytes")
    times = event.times
    parts = [
        f"{event.session.language} for {event.session.requester.owner}",
        *how,
        *(
            f"{name} {seconds:.2f} s"
            for name, seconds in (("queued", times.queued), ("opening", times.opening), ("lasted", times.lasted))
            if seconds is not None
        ),
        f"in {event.input_bytes}, out {event.output_bytes} bytes",
    ]
    if event.warm is not None:
        parts.append("warm" if event.warm else "cold")
    return "; ".join(parts)

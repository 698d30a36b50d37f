"""Session ids are capabilities: whoever knows one may read, type and stop. So logs show only their beginning."""

from __future__ import annotations

_SHOWN = 6


def short_id(session_id: str) -> str:
    """Enough of a session's id to tell it from others in a log, and too little to use it."""
    return f"{session_id[:_SHOWN]}…" if session_id else "-"

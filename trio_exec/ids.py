"""Session ids: capabilities that name the server that has them.

Whoever knows one may read, type and stop. So logs show only their beginning. Where several servers answer under one
name, an id begins with the name of its own among them, its replica, and a dot: then any proxy can send a request for a
session where that is, and no server has to know of another.
"""

from __future__ import annotations

import secrets

_ID_BYTES = 18
_SHOWN = 6
_SEPARATOR = "."
"""Nothing in the unguessable part, which is URL-safe base64, nor in a replica's name."""


def new_id(replica: str = "") -> str:
    """A session's id.

    Args:
        replica: the server's name among several; empty if it is alone.
    """
    unguessable = secrets.token_urlsafe(_ID_BYTES)
    return f"{replica}{_SEPARATOR}{unguessable}" if replica else unguessable


def replica_of(session_id: str) -> str:
    """The name of the server that has made an id; empty if that has none."""
    return session_id.rpartition(_SEPARATOR)[0]


def short_id(session_id: str) -> str:
    """Enough of a session's id to tell it from others in a log, and too little to use it."""
    replica, separator, unguessable = session_id.rpartition(_SEPARATOR)
    return f"{replica}{separator}{unguessable[:_SHOWN]}…" if session_id else "-"

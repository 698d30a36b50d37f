"""The labels on our containers, by which servers, guards and operators know them, and on our images."""

from __future__ import annotations

INSTANCE_LABEL = "trio-exec.instance"
"""The server that made it."""
HOST_LABEL = "trio-exec.host"
"""The container that the server runs in, if it does; see `janitor`."""
SESSION_LABEL = "trio-exec.session"
"""The session that it was made for; empty where it was made ahead."""
LANGUAGE_LABEL = "trio-exec.language"
USER_LABEL = "trio-exec.uid"
"""The user id that its program runs under."""
LIFETIME_LABEL = "trio-exec.lifetime"
"""Seconds after its creation from which on any server may remove it: no launcher lives that long."""
VERSION_LABEL = "trio-exec.version"
"""Of an image: its language's version, as x.y.z."""

"""Where things are in every container: what images, launcher and executors agree on."""

from __future__ import annotations

WORKSPACE = "/workspace"
"""The working directory, and the only place that can be written to."""
TEMPORARY = ".tmp"
"""The launcher makes it in the workspace for programs, and keeps in there what it has yet to put in place."""
TEMPORARY_LINK = "/tmp"  # noqa: S108 - the images link it to that one
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

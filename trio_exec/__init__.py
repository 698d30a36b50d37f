"""trio-exec: runs untrusted code interactively in hardened, single-use Docker containers.

What a program needs that embeds the server is here. It is imported when it is asked for: a command that only prints its
help or its settings would otherwise wait for all of the server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trio_exec.version import __version__

if TYPE_CHECKING:
    from trio_exec import errors
    from trio_exec.serving import serve
    from trio_exec.settings import Settings

__all__ = ["Settings", "__version__", "errors", "serve"]


def __getattr__(name: str) -> object:
    match name:
        case "Settings":
            return import_module("trio_exec.settings").Settings
        case "serve":
            return import_module("trio_exec.serving").serve
        case "errors":
            return import_module("trio_exec.errors")
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

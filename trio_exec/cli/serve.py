"""`trio-exec serve`: the API and the page."""

from __future__ import annotations

import argparse
import gc

import trio

from trio_exec import __version__
from trio_exec.cli.output import say
from trio_exec.server.process import serve
from trio_exec.settings import Settings


def run(arguments: argparse.Namespace) -> None:
    """Serves until a signal ends it."""
    chosen = {name: value for name in ("host", "port") if (value := getattr(arguments, name)) is not None}
    settings = Settings.load(**chosen)

    def listening(address: str) -> None:
        say(f"trio-exec {__version__} listens on {address}")

    # What was imported stays. The collector would look through it again every few sessions: a tenth of their cost.
    gc.collect()
    gc.freeze()
    trio.run(serve, settings, listening)

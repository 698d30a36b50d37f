"""`trio-exec serve`: the API and the page."""

from __future__ import annotations

import argparse
import gc
import signal

import trio

from trio_exec import __version__
from trio_exec.cli.output import say
from trio_exec.observe.formatting import configure
from trio_exec.serving import serve
from trio_exec.settings import LogLevel, Settings


def run(arguments: argparse.Namespace) -> None:
    """Serves until a signal ends it."""
    chosen = {name: value for name in ("host", "port") if (value := getattr(arguments, name)) is not None}
    if arguments.verbose:
        chosen["log_level"] = LogLevel.DEBUG

    def load() -> Settings:
        return Settings.load(**chosen)

    settings = load()
    configure(settings.log_format, settings.log_level)

    early: list[int] = []

    def listening(address: str) -> None:
        say(f"trio-exec {__version__} listens on {address}")
        if early:
            signal.raise_signal(signal.SIGTERM)

    # Before and after the server hears signals itself, an exception out of a handler could strike in the midst of
    # Trio's own work, which then may never end. One that comes early is told to the server; a late one is no news.
    signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    # What was imported stays. The collector would look through it again every few sessions: a tenth of their cost.
    gc.collect()
    gc.freeze()
    trio.run(serve, settings, listening, load)

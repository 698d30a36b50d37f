"""`trio-exec config`: the settings, as a file that could be loaded again."""

from __future__ import annotations

import argparse

from trio_exec.cli.output import say
from trio_exec.settings import Settings


def run(_: argparse.Namespace) -> None:
    """Prints them."""
    say(Settings.load().describe())

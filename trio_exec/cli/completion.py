"""`trio-exec completion`: what a shell has to read so that it completes the command's words."""

from __future__ import annotations

import argparse

from argcomplete.shell_integration import shellcode

from trio_exec.cli.output import say


def run(arguments: argparse.Namespace) -> None:
    """Prints it."""
    say(shellcode(["trio-exec"], shell=arguments.shell))

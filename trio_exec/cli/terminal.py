"""This process's own terminal: raw while a program has it, and as it was afterwards, whatever happens."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager, suppress

STDIN, STDOUT, STDERR = 0, 1, 2
_ERASE = "\r\x1b[K"


def size() -> tuple[int, int]:
    """Rows and columns."""
    for descriptor in (STDOUT, STDIN, STDERR):
        with suppress(OSError):
            found = os.get_terminal_size(descriptor)
            if found.lines > 0 and found.columns > 0:
                return found.lines, found.columns
    return 24, 80


@contextmanager
def raw() -> Generator[None]:
    """Passes keys on as they are, Ctrl-C among them; output as well."""
    before = termios.tcgetattr(STDIN)
    try:
        tty.setraw(STDIN, termios.TCSANOW)
        yield
    finally:
        with suppress(termios.error):  # It is gone, with whoever used it.
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)


class StatusLine:
    """A line on standard error that comes and goes, and never gets in the way of output.

    Args:
        wanted: whether there is to be one at all; there is none where standard error is no terminal.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._possible = wanted and os.isatty(STDERR)
        self._shown = False

    def show(self, text: str) -> None:
        """Shows it, in place of what it was."""
        if self._possible:
            sys.stderr.write(f"{_ERASE}{text}")
            sys.stderr.flush()
            self._shown = True

    def erase(self) -> None:
        """Takes it away."""
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._shown = False

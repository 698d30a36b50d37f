"""What commands print for people and scripts."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Prints a line at once, whatever standard output is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()

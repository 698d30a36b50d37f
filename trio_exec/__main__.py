"""The entry point of `trio-exec` and of `python -m trio_exec`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    del frame
    os._exit(128 + number)


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


def main() -> None:
    """Runs the command line."""
    # A container's first process ignores a signal that it has no handler for, and importing takes half a second: an
    # early `docker stop` would wait out its grace.
    signal.signal(signal.SIGTERM, _exit_at_once)  # An exception could strike in what makes another one of it.
    from trio_exec.cli.main import main as run  # noqa: PLC0415 - only now

    signal.signal(signal.SIGTERM, _exit)
    try:
        run()
    finally:
        # What is left is the interpreter's own end, and a signal that comes late would only tear it with a traceback.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main()

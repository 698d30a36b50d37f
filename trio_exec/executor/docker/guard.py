"""The guard: a process beside the server that removes its containers when the server dies without doing so itself.

A launcher ends with its server, and the engine removes its container. That leaves what was created and not started
when the server was killed, and any container whose launcher can't end for want of CPU. The guard holds the other end
of a pipe whose writing end only the server has: its end of file says that the server is gone, however it went. A
byte before that says that nothing is left to do.

Run as `python -m trio_exec.executor.docker.guard INSTANCE`. Until it is needed, it has imported next to nothing.
"""

from __future__ import annotations

import logging
import signal
import sys
import time

LOGGER = logging.getLogger("trio_exec.guard")

ALL_CLEAN = b"."
PATIENCE = 30
"""Seconds that the guard goes on for, at most."""
QUIET_ROUNDS = 4
"""Rounds without a container after which it ends: the engine may still be busy with what the server asked for last."""
PAUSE = 0.5
"""Seconds between two rounds."""


def _remove_all(instance: str) -> None:
    from trio_exec.errors import ExecutorError  # noqa: PLC0415 - only now: most guards never need them
    from trio_exec.executor.docker.api import DockerAPI  # noqa: PLC0415
    from trio_exec.executor.docker.labels import INSTANCE_LABEL  # noqa: PLC0415

    deadline = time.monotonic() + PATIENCE
    quiet = 0
    while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
        quiet += 1
        try:
            api = DockerAPI()
            for container in api.list(f"{INSTANCE_LABEL}={instance}"):
                quiet = 0
                api.remove(container.name)
            api.close()
        except ExecutorError as error:
            LOGGER.warning("%s; will try again", error)
            quiet = 0
        time.sleep(PAUSE)


def main() -> None:
    """Waits for the server's end, and cleans up after it unless it did so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not sys.stdin.buffer.read(1):
        _remove_all(sys.argv[1])


if __name__ == "__main__":
    main()

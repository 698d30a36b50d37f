"""The guard: a process beside the server that removes its containers when the server dies without doing so itself.

A launcher ends with its server, and the engine removes its container. That leaves what was created and not started
when the server was killed, and any container whose launcher can't end for want of CPU. The guard holds the other end
of a pipe whose writing end only the server has: its end of file says that the server is gone, however it went. A
byte before that says that nothing is left to do.

Run as `python -m trio_exec.executor.docker.guard INSTANCE`. Until it is needed, it has imported next to nothing.
"""

from __future__ import annotations

import contextlib
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
REMOVALS = 16
"""Containers that are removed at once; each may take a while to end."""
PAUSE = 0.5
"""Seconds between two rounds."""


def _remove_all(instance: str) -> None:
    # Only now: most guards never need them.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see above

    from trio_exec.errors import ExecutorError  # noqa: PLC0415 - see above
    from trio_exec.executor.docker.api import DockerAPI, Listed  # noqa: PLC0415 - see above
    from trio_exec.executor.docker.hardening import HARDENING  # noqa: PLC0415 - see above
    from trio_exec.executor.docker.labels import INSTANCE_LABEL  # noqa: PLC0415 - see above

    api = DockerAPI()
    cpu = {"cpu_period": HARDENING.cpu_period, "cpu_quota": HARDENING.cpu_period}

    def remove(container: Listed) -> None:
        if container.status == "running":  # Its own share may be too little for many processes to end by.
            with contextlib.suppress(ExecutorError):
                api.update(container.name, cpu)
        try:
            api.remove(container.name)
        except ExecutorError as error:
            LOGGER.warning("%s; will try again", error)

    deadline = time.monotonic() + PATIENCE
    quiet = 0
    with ThreadPoolExecutor(REMOVALS) as threads:
        while quiet < QUIET_ROUNDS and time.monotonic() < deadline:
            try:
                left = api.list(f"{INSTANCE_LABEL}={instance}")
            except ExecutorError as error:
                LOGGER.warning("%s; will try again", error)
                left = []
                quiet = -1
            list(threads.map(remove, left))
            quiet = 0 if left else quiet + 1
            time.sleep(PAUSE)
    api.close()


def main() -> None:
    """Waits for the server's end, and cleans up after it unless it did so itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not sys.stdin.buffer.read(1):
        _remove_all(sys.argv[1])


if __name__ == "__main__":
    main()

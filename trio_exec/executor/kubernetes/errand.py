"""A command in a container, for our own ends."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container
from trio_exec.launcher import frames
from trio_exec.launcher.layout import PATH

OUTPUT_MAX = 65536
"""Bytes that are kept of what it prints."""
MARGIN = 10
"""Seconds beyond its time after which nothing more is expected of the launcher."""


async def run_errand(container: Container, command: Sequence[str], seconds: int) -> str:
    """What a command prints.

    Args:
        container: runs nothing else meanwhile.
        command: the program and its arguments.
        seconds: that it may take.

    Raises:
        ExecutorError: it did not end well, or the container is gone.
    """
    environment = {"PATH": PATH, "LANG": "C.UTF-8"}
    printed = b""
    with trio.move_on_after(seconds + MARGIN):
        await container.send(frames.encode_stage(command, environment, terminal=None, deadline=seconds))
        while True:
            for event in await container.receive():
                match event:
                    case frames.Stdout(data) | frames.Stderr(data):
                        printed = (printed + data)[:OUTPUT_MAX]
                    case frames.StageEnd(exit_code=0):
                        return printed.decode("utf-8", "replace")
                    case frames.StageEnd() | frames.Failure():
                        words = printed.decode("utf-8", "replace").strip()
                        raise ExecutorError(f"{command[0]} failed in its container: {event}: {words}")
                    case _:
                        pass
    raise ExecutorError(f"{command[0]} did not end within {seconds} seconds")

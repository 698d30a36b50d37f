"""A command in a container, for our own ends."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trio_exec.errors import ExecutorError
from trio_exec.executor.kubernetes.container import PodContainer
from trio_exec.launcher import frames
from trio_exec.launcher.layout import PATH

OUTPUT_MAX = 65536
"""Bytes that are kept of what it prints."""


async def run_errand(pod: PodContainer, command: Sequence[str], seconds: int) -> str:
    """What a command prints.

    Args:
        pod: runs nothing else meanwhile, and lives on as long as it would have.
        command: the program and its arguments.
        seconds: that it may take; then the pod is of no use any more.

    Raises:
        ExecutorError: it did not end well, or the container is gone.
    """
    environment = {"PATH": PATH, "LANG": "C.UTF-8"}
    printed = b""
    with trio.move_on_after(seconds):
        # A launcher's deadline is that of the last stage, so this must not have a shorter one.
        await pod.send(frames.encode_stage(command, environment, terminal=None, deadline=pod.lifetime))
        while True:
            for event in await pod.receive():
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

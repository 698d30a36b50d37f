"""Keeps the guard (see `guard`) beside this process."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import trio

from trio_exec.executor.docker.guard import ALL_CLEAN

LOGGER = logging.getLogger("trio_exec.guard")

RESTART_AFTER = 5
"""Seconds until a guard that ended by itself is replaced."""


async def run_guard(
    instance: str, is_clean: Callable[[], bool], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keeps a guard beside this process until cancelled.

    Args:
        instance: which server's containers are its business.
        is_clean: whether this server has removed all of them; asked when this is cancelled.
    """
    task_status.started()
    while True:
        guard = await trio.lowlevel.open_process(
            [sys.executable, "-m", "trio_exec.executor.docker.guard", instance],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the server; and it is to outlive it.
        )
        assert guard.stdin is not None  # noqa: S101 - a pipe was asked for
        try:
            await guard.wait()
            LOGGER.warning("the guard has ended with %s; another one takes its place", guard.returncode)
        finally:
            if guard.returncode is None and is_clean():
                with trio.move_on_after(1, shield=True):
                    await guard.stdin.send_all(ALL_CLEAN)
                    await guard.wait()
            # Otherwise it does its work once this process is gone.
        await guard.stdin.aclose()
        await trio.sleep(RESTART_AFTER)

"""One stage and its killer, in one scope.

As in Trio's own `run_process`, what kills lives exactly as long as what is killed: an end that is wanted before the
stage began kills it at once, and one that is wanted after it is none of this stage's business.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trio_exec.executor.base import Container
from trio_exec.launcher import frames

EXPEDITE_AFTER = 0.5
"""Seconds after which a stage that was killed gets CPU: for many processes, their share may be too little to end by."""
KILL_GRACE = 3
"""Seconds that a killed stage gets to deliver its last output and its figures."""


async def follow_stage(container: Container, handle: Callable[[frames.Event], bool], end_wanted: trio.Event) -> None:
    """Hands the events of a stage on until it is over, or was killed and does not tell its end in time.

    Args:
        container: where it was started just now.
        handle: takes an event, and says whether it was the stage's last.
        end_wanted: once set, the launcher is asked to kill the stage, so that its last output and its figures still
            arrive; that takes `KILL_GRACE` seconds at most.

    Raises:
        ExecutorError: the container is gone.

    Cancellation: at any moment; the stage goes on until its container is closed.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_kill, container, end_wanted, nursery.cancel_scope)
        over = False
        while not over:
            for event in await container.receive():
                over |= handle(event)
        nursery.cancel_scope.cancel(reason="the stage is over")


async def _kill(container: Container, end_wanted: trio.Event, scope: trio.CancelScope) -> None:
    await end_wanted.wait()
    with trio.move_on_after(KILL_GRACE):
        await container.send(frames.encode_kill())
        await trio.sleep(EXPEDITE_AFTER)
        await container.expedite()
        await trio.sleep_forever()
    scope.cancel(reason="a killed stage does not end")

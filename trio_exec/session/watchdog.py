"""The watchdog: one task, several deadlines that may move, the first to pass wins."""

from __future__ import annotations

import math

import trio

from trio_exec.model import Reason


class Watchdog:
    """Deadlines by the reason that they end a session for; times are Trio's clock."""

    def __init__(self) -> None:
        self._deadlines: dict[Reason, float] = {}
        self._asleep_until = math.inf
        self._earlier = trio.Event()

    def set(self, reason: Reason, deadline: float) -> None:
        """Sets or moves a deadline.

        Moving one later is free of wake-ups, since output moves the idle deadline with each chunk.
        """
        self._deadlines[reason] = deadline
        if deadline < self._asleep_until:
            self._earlier.set()

    def clear(self, *reasons: Reason) -> None:
        """Takes deadlines away."""
        for reason in reasons:
            self._deadlines.pop(reason, None)

    async def wait(self) -> Reason:
        """Returns the reason of the first deadline that passes."""
        while True:
            reason = min(self._deadlines, key=self._deadlines.__getitem__, default=None)
            deadline = math.inf if reason is None else self._deadlines[reason]
            if reason is not None and deadline <= trio.current_time():
                return reason
            self._earlier = trio.Event()
            self._asleep_until = deadline
            with trio.CancelScope(deadline=deadline):
                await self._earlier.wait()
            self._asleep_until = math.inf

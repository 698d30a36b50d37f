"""The watchdog: one task, several deadlines that may move, the first to pass wins.

Most of them end the session. Others are only times at which there is something to say: so nobody else has to sleep.
"""

from __future__ import annotations

import math
from enum import Enum

import trio

from trio_exec.model import Reason


class Notice(Enum):
    """What there is to say at a time, to clients."""

    IDLE = "idle"
    """The idle timeout is near."""
    WATCHERS = "watchers"
    """It was said a while ago how many watch."""


class Watchdog:
    """Deadlines by the reason that they end a session for, or by what is to be said then; times are Trio's clock."""

    def __init__(self) -> None:
        self._deadlines: dict[Reason | Notice, float] = {}
        self._asleep_until = math.inf
        self._earlier = trio.Event()

    def set(self, reason: Reason | Notice, deadline: float) -> None:
        """Sets or moves a deadline.

        Moving one later is free of wake-ups, since output moves the idle deadline with each chunk.
        """
        self._deadlines[reason] = deadline
        if deadline < self._asleep_until:
            self._earlier.set()

    def deadline(self, reason: Reason | Notice) -> float:
        """When one passes; infinite where there is none."""
        return self._deadlines.get(reason, math.inf)

    def clear(self, *reasons: Reason | Notice) -> None:
        """Takes deadlines away."""
        for reason in reasons:
            self._deadlines.pop(reason, None)

    async def wait(self) -> Reason | Notice:
        """Returns the reason of the first deadline that passes; it stays until it is moved or cleared."""
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

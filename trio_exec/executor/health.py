"""Whether the engine can be used: one task asks it, now and then and whenever there is doubt, and keeps the answer.

So however often `/readyz` is asked for, and however long the engine takes to answer, nobody else waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import Emit, ReadinessChanged, ignore

CHECK_INTERVAL = 5
"""Seconds between two pings of an engine that answers; one that fails is found out by whoever needs it, too."""
RETRY_INTERVAL = 0.5
"""Seconds between two pings of one that does not."""
CHECK_TIMEOUT = 3
FRESH = 0.5
"""Seconds for which an answer is good enough for whoever asks: so often at most is the engine asked, not each time."""


class Health:
    """What is known of an engine. `run` must be running.

    Args:
        ping: asks the engine for a sign of life; raises ExecutorError where there is none.
        engine: what it is called, as in "the Docker engine does not answer".
        unusable: what keeps it from running containers at first.
        emit: reports when the answer changes.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]], *, engine: str, unusable: str, emit: Emit = ignore) -> None:
        self._ping = ping
        self._engine = engine
        self._emit = emit
        self._unusable: str | None = unusable
        self._failure: str | None = None
        self._told = self._unusable
        self._doubted = trio.Event()
        self._settled = trio.Event()
        self._asked_at = -math.inf

    @property
    def not_ready_reason(self) -> str | None:
        """What keeps the engine from running containers, in a sentence for users; None when nothing does."""
        return self._unusable or self._failure

    @property
    def failure(self) -> str | None:
        """Why the engine could not be reached when it was last asked; None when it could."""
        return self._failure

    def unusable(self, reason: str) -> None:
        """Says that no container could be opened yet, and why."""
        self._unusable = reason
        self._tell()

    def usable(self) -> None:
        """Says that a container could be opened."""
        self._unusable = None
        self._tell()

    def fail(self, reason: str) -> None:
        """Says that the engine could not be reached just now; whether that is still so is looked at next."""
        self._failure = reason
        self._tell()
        self.doubt()

    def doubt(self) -> None:
        """Has the engine asked without delay."""
        self._doubted.set()
        if self._settled.is_set():
            self._settled = trio.Event()

    async def settle(self) -> None:
        """Returns when nothing is in doubt and the answer fresh, within `CHECK_TIMEOUT` seconds or little more."""
        if trio.current_time() > self._asked_at + FRESH:
            self.doubt()
        await self._settled.wait()

    async def run(self) -> None:
        """Asks the engine until cancelled."""
        while True:
            self._doubted = trio.Event()
            asked_at = trio.current_time()
            self._failure = await self._ask()
            self._tell()
            self._asked_at = asked_at
            if not self._doubted.is_set():
                self._settled.set()
            with trio.move_on_after(CHECK_INTERVAL if self._failure is None else RETRY_INTERVAL):
                await self._doubted.wait()

    def _tell(self) -> None:
        if self.not_ready_reason != self._told:
            self._told = self.not_ready_reason
            self._emit(ReadinessChanged(self._told))

    async def _ask(self) -> str | None:
        with trio.move_on_after(CHECK_TIMEOUT):
            try:
                await self._ping()
            except ExecutorError as error:
                return error.message
            return None
        return f"{self._engine} does not answer within {CHECK_TIMEOUT} seconds"

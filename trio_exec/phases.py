"""The server's way to its end, as one value: phases, a table of the moves between them, and waiting for one.

`server/process.py` moves the phase, and says there what each phase waits for and how long. Everybody else only looks
at it: the pool, the engine and the API do what a phase asks of them.
"""

from __future__ import annotations

from enum import Enum

import trio


class Phase(Enum):
    """What the server still does.

    Attributes:
        SERVING: everything.
        LEAVING: everything; but `/readyz` says that the server is going away, so that load balancers turn to others.
        DRAINING: no new sessions begin, and the pool lets go of what nobody uses. Those that were taken go on.
        FAREWELL: sessions are over, or out of time and ended. Clients read to the end, and new ones can still join.
        GONE: nothing. Whoever is still attached is sent away.
    """

    SERVING = "serving"
    LEAVING = "leaving"
    DRAINING = "draining"
    FAREWELL = "farewell"
    GONE = "gone"


# One way, and no phase is left out: a server in a hurry goes through all of them, too, only faster. So whoever waits
# for a phase needs to know no other.
TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.SERVING: frozenset({Phase.LEAVING}),
    Phase.LEAVING: frozenset({Phase.DRAINING}),
    Phase.DRAINING: frozenset({Phase.FAREWELL}),
    Phase.FAREWELL: frozenset({Phase.GONE}),
    Phase.GONE: frozenset(),
}


class IllegalPhaseError(Exception):
    """A move that the table does not have: a bug of ours."""


class Phases:
    """The phase that a server is in; it begins with SERVING."""

    def __init__(self) -> None:
        self._present = Phase.SERVING
        self._events = {phase: trio.Event() for phase in Phase}
        self._events[Phase.SERVING].set()

    @property
    def present(self) -> Phase:
        """The present phase."""
        return self._present

    def move(self, to: Phase) -> None:
        """Goes on to the next phase, and wakes those who wait for it.

        Raises:
            IllegalPhaseError: it can't follow the present one, which stays.
        """
        if to not in TRANSITIONS[self._present]:
            raise IllegalPhaseError(f"a server can't go from {self._present.value} to {to.value}")
        self._present = to
        self._events[to].set()

    def reached(self, phase: Phase) -> bool:
        """Whether the server is in this phase, or past it."""
        return self._events[phase].is_set()

    async def wait(self, phase: Phase) -> None:
        """Returns once the phase is reached; at once, after a checkpoint, when it is already."""
        await self._events[phase].wait()

"""How many sessions run at once, and who is next: first come, first served, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from trio_exec.errors import QueueFullError


class Ticket:
    """One session's place; `Admission.join` makes it. It is a `trio_exec.session.session.Slot`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._granted = trio.Event()
        self._moved: Callable[[int], None] | None = None
        self._told: int | None = None
        self._left = False

    def watch(self, moved: Callable[[int], None]) -> None:
        """Calls `moved` with the position in the queue, now if there is one, and whenever it changes; 0 is a slot."""
        self._moved = moved
        if not self._granted.is_set():
            self.move(self._admission.position(self))

    async def wait(self) -> None:
        """Returns when the slot is this ticket's."""
        await self._granted.wait()

    def leave(self) -> None:
        """Gives the place to whoever is next; once is enough."""
        if not self._left:
            self._left = True
            self._admission.release(self)

    def grant(self) -> None:
        """The admission's word that the slot is free."""
        self._granted.set()
        self.move(0)

    def move(self, position: int) -> None:
        """The admission's word that the queue moved, perhaps only behind this ticket."""
        if self._moved is not None and position != self._told:
            self._told = position
            self._moved(position)

    @property
    def granted(self) -> bool:
        """Whether the ticket holds a slot."""
        return self._granted.is_set()


class Admission:
    """Slots, and a bounded queue for them.

    Args:
        slots: sessions that may run at once.
        queue: sessions that may wait.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = slots
        self._queue_limit = queue
        self._running = 0
        self._queue: deque[Ticket] = deque()

    @property
    def running(self) -> int:
        """Slots that are taken."""
        return self._running

    @property
    def queued(self) -> int:
        """Tickets that wait."""
        return len(self._queue)

    def join(self) -> Ticket:
        """A ticket: with a slot at once if one is free, else at the queue's end.

        Raises:
            QueueFullError: too many wait already.
        """
        ticket = Ticket(self)
        if self._running < self._slots:
            self._running += 1
            ticket.grant()
        elif len(self._queue) < self._queue_limit:
            self._queue.append(ticket)
        else:
            raise QueueFullError(
                f"{self._running} sessions run and {len(self._queue)} wait, which is as many as this server takes; "
                "try again in a few seconds"
            )
        return ticket

    def position(self, ticket: Ticket) -> int:
        """A waiting ticket's place in the queue, from 1."""
        return self._queue.index(ticket) + 1

    def release(self, ticket: Ticket) -> None:
        """Takes a ticket back."""
        if not ticket.granted:
            self._queue.remove(ticket)
        elif self._queue:
            self._queue.popleft().grant()
        else:
            self._running -= 1
            return
        for position, waiting in enumerate(self._queue, 1):
            waiting.move(position)

"""How many sessions run at once, and who is next: first come, first served, no I/O.

No ticket's holder runs in another's cleanup: whoever waits is woken, and looks for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from trio_exec.errors import QueueFullError


class Ticket:
    """One session's place; `Admission.join` makes it. It is a `trio_exec.session.session.Slot`."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._position: int | None = None
        self._moved = trio.Event()
        self._left = False

    @property
    def granted(self) -> bool:
        """Whether the ticket holds a slot."""
        return self._position == 0

    @property
    def position(self) -> int:
        """The place in the queue, from 1; 0 is a slot."""
        assert self._position is not None  # noqa: S101 - `Admission.join` gives it one before anybody sees it
        return self._position

    async def wait_moved(self, known: int) -> None:
        """Returns when the position is another one than `known`."""
        while self.position == known:
            await self._moved.wait()

    def leave(self) -> None:
        """Gives the place to whoever is next; once is enough."""
        if not self._left:
            self._left = True
            self._admission.release(self)

    def move(self, position: int) -> None:
        """The admission's word where the ticket is now."""
        if position != self._position:
            self._position = position
            self._moved.set()
            self._moved = trio.Event()


class Admission:
    """Slots, and a bounded queue for them.

    Args:
        slots: sessions that may run at once.
        queue: sessions that may wait.
        blocked: how many slots nobody can have just now, since what belongs to them is still taken; `review` is to be
            called when it falls.
    """

    def __init__(self, slots: int, queue: int, blocked: Callable[[], int] = lambda: 0) -> None:
        self._slots = slots
        self._queue_limit = queue
        self._blocked = blocked
        self._running = 0
        self._queue: deque[Ticket] = deque()

    @property
    def running(self) -> int:
        """Slots that sessions hold."""
        return self._running

    @property
    def queued(self) -> int:
        """Tickets that wait."""
        return len(self._queue)

    @property
    def free(self) -> int:
        """Slots that nobody has; fewer while some are blocked."""
        return max(0, self._slots - self._running - self._blocked())

    @property
    def room(self) -> int:
        """Tickets that could be had, those that would wait included."""
        return self.free + max(0, self._queue_limit - len(self._queue))

    def join(self) -> Ticket:
        """A ticket: with a slot at once if one is free, else at the queue's end.

        Raises:
            QueueFullError: too many wait already.
        """
        ticket = Ticket(self)
        if self.free:
            self._running += 1
            ticket.move(0)
        elif len(self._queue) < self._queue_limit:
            self._queue.append(ticket)
            ticket.move(len(self._queue))
        else:
            raise QueueFullError(
                f"{self._running} sessions run and {len(self._queue)} wait, which is as many as this server takes; "
                "try again in a few seconds"
            )
        return ticket

    def release(self, ticket: Ticket) -> None:
        """Takes a ticket back."""
        if ticket.granted:
            self._running -= 1
        else:
            self._queue.remove(ticket)
        self.review()

    def review(self) -> None:
        """Gives free slots to those who wait."""
        while self._queue and self.free:
            self._running += 1
            self._queue.popleft().move(0)
        for position, waiting in enumerate(self._queue, 1):
            waiting.move(position)

"""How many sessions run at once, and who is next: slots, and a queue that is fair over owners. No I/O.

A slot goes to the owner that has the fewest, and of several to the one who has waited longest since its last; an
owner's own sessions come one after the other. So whoever makes a thousand sessions wait delays another's first by one
slot's turn at most, and mostly by none. Nothing is kept free for anybody: who is alone may have all that its quota
allows.

No ticket's holder runs in another's cleanup: whoever waits is woken, and looks for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import count

import trio

from trio_exec.errors import QueueFullError, QuotaExceededError
from trio_exec.model import Owner, Quota


class Ticket:
    """One session's place; `Admission.join` makes it. It is a `trio_exec.session.session.Slot`.

    Args:
        admission: to which it is given back.
        line: its owner's.
    """

    def __init__(self, admission: Admission, line: _Line) -> None:
        self._admission = admission
        self._line = line
        self._position: int | None = None
        self._moved = trio.Event()
        self._left = False

    @property
    def granted(self) -> bool:
        """Whether the ticket holds a slot."""
        return self._position == 0

    @property
    def position(self) -> int:
        """The place in the queue, from 1; 0 is a slot. It can grow, when owners come that have less."""
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
            self._admission.release(self, self._line)

    def move(self, position: int) -> None:
        """The admission's word where the ticket is now."""
        if position != self._position:
            self._position = position
            self._moved.set()
            self._moved = trio.Event()


class _Line:
    """One owner's sessions: how many have slots, and which wait.

    Attributes:
        turn: grows with every slot and every first wait; of two owners with as many slots, the lower one is next.
    """

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.quota = Quota()
        self.running = 0
        self.waiting: deque[Ticket] = deque()
        self.turn = 0

    @property
    def may_run(self) -> bool:
        """Whether the owner's quota has room for one more slot."""
        return self.quota.max_sessions is None or self.running < self.quota.max_sessions


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
        self._queued = 0
        self._lines: dict[Owner, _Line] = {}
        self._turns = count(1)

    @property
    def running(self) -> int:
        """Slots that sessions hold."""
        return self._running

    @property
    def queued(self) -> int:
        """Tickets that wait."""
        return self._queued

    @property
    def free(self) -> int:
        """Slots that nobody has; fewer while some are blocked."""
        return max(0, self._slots - self._running - self._blocked())

    @property
    def room(self) -> int:
        """Tickets that could be had, those that would wait included."""
        return self.free + max(0, self._queue_limit - self._queued)

    def check(self, owner: Owner, quota: Quota, *, may_wait: bool = True) -> None:
        """Returns if an owner could join now.

        Args:
            owner: who.
            quota: what they may have.
            may_wait: whether a place in the queue will do.

        Raises:
            QueueFullError: too many wait already.
            QuotaExceededError: too many of the owner's do.
        """
        line = self._lines.get(owner)
        if self.free and self._may_run(line, quota):
            return
        if not may_wait:
            raise QueueFullError("no slot is free now, and the request does not want to wait for one (X-No-Queue)")
        waiting = 0 if line is None else len(line.waiting)
        running = 0 if line is None else line.running
        if quota.max_queued is not None and waiting >= quota.max_queued:
            raise QuotaExceededError(
                f"{_count(running, 'session of yours runs', 'sessions of yours run')} and "
                f"{_count(waiting, 'waits', 'wait')}, which is as many as you may have wait at once (`max_queued`); "
                "try again when one has ended",
                quota="max_queued",
            )
        if self._queued >= self._queue_limit:
            raise QueueFullError(
                f"{self._running} sessions run and {self._queued} wait, which is as many as this server takes; "
                "try again in a few seconds"
            )

    def join(self, owner: Owner, quota: Quota, *, may_wait: bool = True) -> Ticket:
        """A ticket: with a slot at once if one is free and the owner may have it, else in the queue.

        Args:
            owner: whose it is.
            quota: what the owner may have; from now on that counts for all of its tickets.
            may_wait: whether a place in the queue will do.

        Raises:
            TrioExecError: as for `check`.
        """
        self.check(owner, quota, may_wait=may_wait)
        line = self._lines.setdefault(owner, _Line(owner))
        line.quota = quota
        ticket = Ticket(self, line)
        if not line.waiting:
            line.turn = next(self._turns)
        line.waiting.append(ticket)
        self._queued += 1
        self.review()
        return ticket

    def join_if_free(self, owner: Owner, quota: Quota) -> Ticket | None:
        """A ticket with a slot, if one is free and the owner may have it."""
        if self.free and self._may_run(self._lines.get(owner), quota):
            return self.join(owner, quota)
        return None

    def release(self, ticket: Ticket, line: _Line) -> None:
        """Takes a ticket back."""
        if ticket.granted:
            self._running -= 1
            line.running -= 1
        else:
            self._queued -= 1
            line.waiting.remove(ticket)
        if not line.running and not line.waiting:
            del self._lines[line.owner]
        self.review()

    def review(self) -> None:
        """Gives free slots to those who wait."""
        while self.free and (ready := [it for it in self._lines.values() if it.waiting and it.may_run]):
            line = min(ready, key=lambda it: (it.running, it.turn))
            ticket = line.waiting.popleft()
            line.running += 1
            line.turn = next(self._turns)
            self._queued -= 1
            self._running += 1
            ticket.move(0)
        for position, waiting in enumerate(self._in_turn(), 1):
            waiting.move(position)

    def _may_run(self, line: _Line | None, quota: Quota) -> bool:
        return quota.max_sessions is None or (0 if line is None else line.running) < quota.max_sessions

    def _in_turn(self) -> Iterator[Ticket]:
        """Those who wait, in the order in which they'd get slots if none of those who have one ended first."""
        levels: dict[int, list[Ticket]] = {}
        for line in sorted((it for it in self._lines.values() if it.waiting), key=lambda it: it.turn):
            for ahead, ticket in enumerate(line.waiting):
                levels.setdefault(line.running + ahead, []).append(ticket)
        for level in sorted(levels):
            yield from levels[level]


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"

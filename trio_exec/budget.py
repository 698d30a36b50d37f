"""How many bytes clients can make the server hold, in sum: one budget, with an account for each holder.

What each holder may have is bounded where it is held. This bounds all of it together, so that many small demands
can't add up to more memory than the server has. Counting only, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_exec.errors import OverloadedError


class Budget:
    """The sum.

    Args:
        limit: bytes that all accounts may have together.
        reclaim: is called with a number of bytes that are missing, and gives back what nobody needs any more.
    """

    def __init__(self, limit: int, reclaim: Callable[[int], None] = lambda _: None) -> None:
        self.limit = limit
        self.reclaim = reclaim
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that all accounts have now."""
        return self._held

    def take(self, count: int) -> None:
        """See `Account.take`."""
        missing = self._held + count - self.limit
        if missing > 0:
            self.reclaim(missing)
        if self._held + count > self.limit:
            raise OverloadedError(
                f"the server holds as much for its clients as it may ({self.limit} bytes, `max_retained_bytes`); "
                "try again in a few seconds"
            )
        self._held += count

    def add(self, count: int) -> None:
        """See `Account.add`."""
        missing = self._held + count - self.limit
        if missing > 0:
            self.reclaim(missing)
        self._held += count

    def give(self, count: int) -> None:
        """See `Account.give`."""
        self._held -= count


class Account:
    """What one holder has of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that this holder has."""
        return self._held

    def take(self, count: int) -> None:
        """Takes bytes.

        Raises:
            OverloadedError: there are not so many left; nothing was taken.
        """
        self._budget.take(count)
        self._held += count

    def add(self, count: int) -> None:
        """Takes bytes that can't be refused, and whose number is bounded elsewhere; others make room for them."""
        self._budget.add(count)
        self._held += count

    def give(self, count: int) -> None:
        """Gives bytes back."""
        self._budget.give(count)
        self._held -= count

    def close(self) -> None:
        """Gives everything back; harmless when that was done."""
        self.give(self._held)

"""How many bytes clients can make the server hold, in sum: one budget, with an account for each holder.

What each holder may have is bounded where it is held. This bounds all of it together, so that many small demands
can't add up to more memory than the server has. A part of it can be a budget of its own, such as one owner's.
Counting only, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_exec.errors import OverloadedError, TrioExecError


def _overloaded(limit: int) -> TrioExecError:
    return OverloadedError(
        f"the server holds as much for its clients as it may ({limit} bytes, `max_retained_bytes`); "
        "try again in a few seconds"
    )


class Budget:
    """The sum, of all accounts or of some.

    Args:
        limit: bytes that all accounts may have together.
        reclaim: is called with a number of bytes that are missing, and gives back what nobody needs any more.
        whole: the budget that this one is a part of, if it is.
        refusal: makes the error for when there is no more, of the limit.
    """

    def __init__(
        self,
        limit: int,
        reclaim: Callable[[int], None] = lambda _: None,
        whole: Budget | None = None,
        refusal: Callable[[int], TrioExecError] = _overloaded,
    ) -> None:
        self.limit = limit
        self.reclaim = reclaim
        self._whole = whole
        self._refusal = refusal
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that all accounts have now."""
        return self._held

    def take(self, count: int) -> None:
        """See `Account.take`."""
        self._make_room(count)
        if self._held + count > self.limit:
            raise self._refusal(self.limit)
        if self._whole is not None:
            self._whole.take(count)
        self._held += count

    def add(self, count: int) -> None:
        """See `Account.add`."""
        self._make_room(count)
        if self._whole is not None:
            self._whole.add(count)
        self._held += count

    def give(self, count: int) -> None:
        """See `Account.give`."""
        if self._whole is not None:
            self._whole.give(count)
        self._held -= count

    def _make_room(self, count: int) -> None:
        missing = self._held + count - self.limit
        if missing > 0:
            self.reclaim(missing)


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
            QuotaExceededError: likewise, of what this account's owner may have.
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

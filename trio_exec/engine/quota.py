"""What one owner may take, beside slots: how often they start sessions, and how much is held for them.

What is remembered of owners is bounded: an owner is forgotten once that makes no difference.
"""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import trio

from trio_exec.budget import Account, Budget
from trio_exec.errors import QuotaExceededError
from trio_exec.model import Owner, Requester

_OWNERS_MAX = 100_000
"""How many owners' starts are remembered, at some hundred bytes each; of more, that of the longest ago is not."""
_MINUTE = 60


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class StartRates:
    """How often owners start sessions: a token bucket each, which is full after a minute without any.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._buckets: OrderedDict[Owner, _Bucket] = OrderedDict()  # By the last start.

    def __len__(self) -> int:
        return len(self._buckets)

    def check(self, owner: Owner, per_minute: float | None) -> None:
        """Returns if an owner could start a session now.

        Raises:
            QuotaExceededError: they have started too many lately.
        """
        bucket = self._buckets.get(owner)
        if per_minute is None or bucket is None:
            return
        tokens = self._tokens(bucket, per_minute)
        if tokens < 1:
            wait = math.ceil((1 - tokens) * _MINUTE / per_minute)
            raise QuotaExceededError(
                f"you have started as many sessions as you may: {per_minute:g} a minute (`starts_per_minute`); "
                f"the next one can start in {wait} {'second' if wait == 1 else 'seconds'}",
                quota="starts_per_minute",
                retry_after=wait,
            )

    def take(self, owner: Owner, per_minute: float | None) -> None:
        """Notes a start, after `check`."""
        if per_minute is None:
            self._buckets.pop(owner, None)
            return
        now = self._clock()
        bucket = self._buckets.pop(owner, None)
        tokens = _size(per_minute) if bucket is None else self._tokens(bucket, per_minute)
        self._buckets[owner] = _Bucket(max(0.0, tokens - 1), now)
        while len(self._buckets) > _OWNERS_MAX or self._oldest_is_full(now, per_minute):
            self._buckets.popitem(last=False)

    def _tokens(self, bucket: _Bucket, per_minute: float) -> float:
        gained = (self._clock() - bucket.at) * per_minute / _MINUTE
        return min(_size(per_minute), bucket.tokens + gained)

    def _oldest_is_full(self, now: float, per_minute: float) -> bool:
        """Whether the oldest bucket is as one that was never used; by this rate, as most have the same."""
        oldest = next(iter(self._buckets.values()))
        return now - oldest.at > _MINUTE * max(1, 1 / per_minute)


def _size(per_minute: float) -> float:
    """How many may start at once."""
    return max(1.0, per_minute)


class OwnersBudgets:
    """What is held for each owner, as a part of what is held for all.

    Args:
        whole: the budget of all.
        reclaim: gives back, of what is held for an owner, what nobody needs any more; at least so many bytes if it can.
    """

    def __init__(self, whole: Budget, reclaim: Callable[[int, Owner], None]) -> None:
        self._whole = whole
        self._reclaim = reclaim
        # An account keeps its budget alive, so an owner's is there for as long as anything is held for them.
        self._budgets: WeakValueDictionary[Owner, Budget] = WeakValueDictionary()

    def account(self, requester: Requester) -> Account:
        """An account of an owner's."""
        owner, limit = requester.owner, requester.quota.max_retained_bytes
        budget = self._budgets.get(owner)
        if budget is None:
            budget = Budget(0, lambda missing: self._reclaim(missing, owner), self._whole, _too_much)
            self._budgets[owner] = budget
        budget.limit = sys.maxsize if limit is None else limit
        return Account(budget)


def _too_much(limit: int) -> QuotaExceededError:
    return QuotaExceededError(
        f"the server holds as much for you as it may ({limit} bytes, `max_retained_bytes`): requests, input and "
        "output, also of sessions that ended lately; try again in a few seconds",
        quota="max_retained_bytes",
    )

"""What one owner may take, beside slots: starts, and what is held for them."""

from __future__ import annotations

import gc
import re

import pytest

from trio_exec.budget import Budget
from trio_exec.engine import quota
from trio_exec.engine.quota import OwnersBudgets, StartRates
from trio_exec.errors import OverloadedError, QuotaExceededError
from trio_exec.model import Owner, Quota, Requester

ONE, TWO = Owner("one"), Owner("two")


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def start(rates: StartRates, owner: Owner, per_minute: float | None) -> None:
    rates.check(owner, per_minute)
    rates.take(owner, per_minute)


def start_many(rates: StartRates, number: int, per_minute: float) -> None:
    for _ in range(number):
        start(rates, ONE, per_minute)


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    clock = Clock()
    rates = StartRates(clock)
    for _ in range(6):
        start(rates, ONE, 6)
    with pytest.raises(QuotaExceededError, match=r"6 a minute \(`starts_per_minute`\).* in 10 seconds") as caught:
        start(rates, ONE, 6)
    assert (caught.value.quota, caught.value.retry_after) == ("starts_per_minute", 10)
    start(rates, TWO, 6)

    clock.now += 9.5
    with pytest.raises(QuotaExceededError, match=r"in 1 second$"):
        rates.check(ONE, 6)
    clock.now += 0.5
    start(rates, ONE, 6)
    with pytest.raises(QuotaExceededError):
        rates.check(ONE, 6)

    clock.now += 3600
    for _ in range(6):
        start(rates, ONE, 6)
    with pytest.raises(QuotaExceededError):
        rates.check(ONE, 6)


def test_what_retry_after_says_is_enough() -> None:
    clock = Clock()
    rates = StartRates(clock)
    for per_minute in (0.5, 1, 7, 60, 999):
        with pytest.raises(QuotaExceededError) as caught:
            start_many(rates, 1001, per_minute)
        clock.now += caught.value.retry_after or 0
        start(rates, ONE, per_minute)
        clock.now += 3600


def test_less_than_one_a_minute() -> None:
    clock = Clock()
    rates = StartRates(clock)
    start(rates, ONE, 0.1)
    with pytest.raises(QuotaExceededError, match=r"0\.1 a minute .* in 600 seconds"):
        rates.check(ONE, 0.1)
    clock.now += 599
    start(rates, TWO, 0.1)  # Nobody else's start makes one's own be forgotten.
    with pytest.raises(QuotaExceededError):
        rates.check(ONE, 0.1)


def test_a_check_takes_nothing_and_no_quota_counts_nothing() -> None:
    rates = StartRates(Clock())
    for _ in range(100):
        rates.check(ONE, 1)
        start(rates, ONE, None)
    assert len(rates) == 0
    start(rates, ONE, 1)
    with pytest.raises(QuotaExceededError):
        rates.check(ONE, 1)


def test_a_quota_that_changes_counts_at_once() -> None:
    rates = StartRates(Clock())
    for _ in range(100):
        start(rates, ONE, 100)
    with pytest.raises(QuotaExceededError):
        rates.check(ONE, 100)
    start(rates, ONE, None)  # Nobody counts any more.
    start(rates, ONE, 1)


def test_owners_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    rates = StartRates(clock)
    for number in range(100):
        start(rates, Owner(str(number)), 60)
        clock.now += 1
    assert 59 <= len(rates) <= 62

    monkeypatch.setattr(quota, "_OWNERS_MAX", 10)
    for number in range(100):
        start(rates, Owner(str(number)), 60)
    assert len(rates) == 10


def requester(owner: Owner, retained_bytes: int | None) -> Requester:
    return Requester(owner, quota=Quota(max_retained_bytes=retained_bytes))


def test_one_owner_s_bytes_are_a_part_of_all() -> None:
    reclaimed: list[tuple[int, Owner]] = []
    whole = Budget(1000)
    owners = OwnersBudgets(whole, lambda missing, owner: reclaimed.append((missing, owner)))
    first, second = (owners.account(requester(ONE, 300)) for _ in range(2))
    first.take(200)
    with pytest.raises(QuotaExceededError, match=re.escape("(300 bytes, `max_retained_bytes`)")) as caught:
        second.take(101)
    assert caught.value.quota == "max_retained_bytes"
    assert reclaimed == [(1, ONE)]
    assert (first.held, second.held, whole.held) == (200, 0, 200)

    second.take(100)
    second.add(50)  # What can't be refused: others make room for it.
    assert reclaimed[1:] == [(50, ONE)]
    assert whole.held == 350

    other = owners.account(requester(TWO, None))
    with pytest.raises(OverloadedError):
        other.take(651)
    other.take(650)
    assert whole.held == 1000
    for account in (first, second, other):
        account.close()
    assert whole.held == 0


def test_what_the_owner_has_too_much_of_is_given_back_first() -> None:
    whole = Budget(1000)
    owners = OwnersBudgets(whole, lambda _, __: old.close())
    old = owners.account(requester(ONE, 300))
    old.take(250)
    new = owners.account(requester(ONE, 300))
    new.take(200)
    assert (old.held, new.held, whole.held) == (0, 200, 200)


def test_an_owner_for_whom_nothing_is_held_is_forgotten() -> None:
    whole = Budget(1000)
    owners = OwnersBudgets(whole, lambda _, __: None)

    def come_and_go(owner: Owner) -> None:
        account = owners.account(requester(owner, 10))
        account.take(1)
        account.close()

    for number in range(100):
        come_and_go(Owner(str(number)))
    gc.collect()
    assert len(owners._budgets) == 0

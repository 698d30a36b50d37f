"""User ids: never one for two."""

from __future__ import annotations

import pytest

from trio_exec.errors import ExecutorError
from trio_exec.executor.uids import UserIds


def test_each_container_has_another() -> None:
    uids = UserIds(range(5, 15))
    taken = {name: uids.take(name) for name in "abcdefghij"}

    assert sorted(taken.values()) == list(range(5, 15))
    with pytest.raises(ExecutorError, match="all 10 user ids are in use"):
        uids.take("k")


def test_one_is_free_again_only_once_its_container_is_gone() -> None:
    uids = UserIds(range(1, 3))
    first = uids.take("first")
    second = uids.take("second")
    uids.release("first")
    uids.release("first")
    uids.release("unknown")

    assert uids.take("third") == first
    uids.release("second")
    assert uids.take("fourth") == second


def test_servers_with_the_same_range_rarely_meet() -> None:
    ids = range(50000, 60000)
    assert len({UserIds(ids).take("first") for _ in range(20)}) > 10

"""Slots and the queue for them, bare."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_exec.engine.admission import Admission
from trio_exec.errors import QueueFullError


def test_first_come_first_served_with_positions() -> None:
    admission = Admission(slots=2, queue=3)
    tickets = [admission.join() for _ in range(5)]
    moves: dict[int, list[int]] = {number: [] for number in range(5)}
    for number, ticket in enumerate(tickets):
        ticket.watch(moves[number].append)
    assert (admission.running, admission.queued) == (2, 3)

    tickets[3].leave()  # Gives up waiting.
    tickets[0].leave()
    tickets[1].leave()

    assert moves == {0: [], 1: [], 2: [1, 0], 3: [2], 4: [3, 2, 1, 0]}
    assert (admission.running, admission.queued) == (2, 0)
    assert (tickets[2].granted, tickets[4].granted) == (True, True)


def test_a_full_queue_refuses_and_room_lets_in_again() -> None:
    admission = Admission(slots=1, queue=1)
    first, second = admission.join(), admission.join()
    with pytest.raises(QueueFullError, match="1 sessions run and 1 wait"):
        admission.join()
    assert admission.queued == 1

    first.leave()
    first.leave()  # Twice is once.
    assert second.granted
    assert admission.join().granted is False


def test_no_queue_at_all() -> None:
    admission = Admission(slots=1, queue=0)
    ticket = admission.join()
    with pytest.raises(QueueFullError):
        admission.join()
    ticket.leave()

    assert admission.running == 0


async def test_waiting_ends_with_the_grant() -> None:
    admission = Admission(slots=1, queue=1)
    first, second = admission.join(), admission.join()
    served: list[str] = []

    async def wait() -> None:
        await second.wait()
        served.append("second")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert served == []
        first.leave()

    assert served == ["second"]

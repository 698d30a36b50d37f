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
    assert [ticket.position for ticket in tickets] == [0, 0, 1, 2, 3]
    assert (admission.running, admission.queued) == (2, 3)

    tickets[3].leave()  # Gives up waiting.
    assert [ticket.position for ticket in (tickets[2], tickets[4])] == [1, 2]
    tickets[0].leave()
    assert [ticket.position for ticket in (tickets[2], tickets[4])] == [0, 1]
    tickets[1].leave()

    assert (admission.running, admission.queued) == (2, 0)
    assert (tickets[2].granted, tickets[4].granted) == (True, True)


def test_a_slot_whose_container_is_still_there_is_nobodys() -> None:
    lingering = 0
    admission = Admission(slots=2, queue=1, blocked=lambda: lingering)
    first = admission.join()
    admission.join()
    third = admission.join()

    lingering = 1
    first.leave()
    assert (third.granted, admission.running, admission.queued) == (False, 1, 1)

    lingering = 0
    admission.review()
    assert (third.granted, admission.running, admission.queued) == (True, 2, 0)


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
        await second.wait_moved(1)
        served.append("second")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert served == []
        first.leave()

    assert served == ["second"]

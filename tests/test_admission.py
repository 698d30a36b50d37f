"""Slots and the queue for them, bare."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_exec.engine.admission import Admission, Ticket
from trio_exec.errors import QueueFullError, QuotaExceededError
from trio_exec.model import Owner, Quota

ONE, TWO, THREE = Owner("one"), Owner("two"), Owner("three")
FREE = Quota()


def test_first_come_first_served_with_positions() -> None:
    admission = Admission(slots=2, queue=3)
    tickets = [admission.join(ONE, FREE) for _ in range(5)]
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
    first = admission.join(ONE, FREE)
    admission.join(ONE, FREE)
    third = admission.join(ONE, FREE)

    lingering = 1
    first.leave()
    assert (third.granted, admission.running, admission.queued) == (False, 1, 1)

    lingering = 0
    admission.review()
    assert (third.granted, admission.running, admission.queued) == (True, 2, 0)


def test_a_full_queue_refuses_and_room_lets_in_again() -> None:
    admission = Admission(slots=1, queue=1)
    first, second = admission.join(ONE, FREE), admission.join(ONE, FREE)
    with pytest.raises(QueueFullError, match="1 sessions run and 1 wait"):
        admission.join(ONE, FREE)
    assert admission.queued == 1

    first.leave()
    first.leave()  # Twice is once.
    assert second.granted
    assert admission.join(ONE, FREE).granted is False


def test_no_queue_at_all() -> None:
    admission = Admission(slots=1, queue=0)
    ticket = admission.join(ONE, FREE)
    with pytest.raises(QueueFullError):
        admission.join(ONE, FREE)
    ticket.leave()

    assert admission.running == 0


async def test_waiting_ends_with_the_grant() -> None:
    admission = Admission(slots=1, queue=1)
    first, second = admission.join(ONE, FREE), admission.join(ONE, FREE)
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


def join_all(admission: Admission, owner: Owner, number: int, quota: Quota = FREE) -> list[Ticket]:
    return [admission.join(owner, quota) for _ in range(number)]


def test_a_flood_delays_another_s_first_by_one_turn_at_most() -> None:
    admission = Admission(slots=2, queue=1001)
    flood = join_all(admission, ONE, 1002)
    polite = admission.join(TWO, FREE)

    assert (flood[2].position, polite.position) == (2, 1)
    flood[0].leave()
    assert polite.granted
    assert not flood[2].granted


def test_with_a_single_slot_it_is_one_turn() -> None:
    admission = Admission(slots=1, queue=10)
    flood = join_all(admission, ONE, 5)
    polite = admission.join(TWO, FREE)

    flood[0].leave()
    assert (flood[1].granted, polite.position) == (True, 1)
    flood[1].leave()
    assert polite.granted


def test_owners_take_turns_and_each_has_its_own_order() -> None:
    admission = Admission(slots=1, queue=20)
    running = admission.join(ONE, FREE)
    waiting = {
        ticket: f"{owner}{number}"
        for owner in (ONE, TWO, THREE)
        for number, ticket in enumerate(join_all(admission, owner, 3), 1)
    }
    shown = [name for _, name in sorted((ticket.position, name) for ticket, name in waiting.items())]
    served: list[str] = []
    while waiting:
        running.leave()
        (running,) = (ticket for ticket in waiting if ticket.granted)
        served.append(waiting.pop(running))

    # Whoever had none before `one` had its first comes first; then they take turns.
    assert served == ["one1", "two1", "three1", "one2", "two2", "three2", "one3", "two3", "three3"]
    assert shown == ["two1", "three1", "one1", "two2", "three2", "one2", "two3", "three3", "one3"]


def test_slots_go_to_those_who_have_fewest() -> None:
    admission = Admission(slots=4, queue=20)
    greedy = join_all(admission, ONE, 4 + 4)
    second = join_all(admission, TWO, 4)
    for ticket in greedy[:2]:
        ticket.leave()
    assert [ticket.granted for ticket in second] == [True, True, False, False]

    greedy[2].leave()  # One has one, two has two.
    assert greedy[4].granted


def test_positions_are_a_line_whoever_waits() -> None:
    admission = Admission(slots=3, queue=50)
    tickets = [ticket for owner in (ONE, TWO, THREE) for ticket in join_all(admission, owner, 10)]
    for number in (5, 17, 0, 25):
        tickets.pop(number).leave()
        waiting = sorted(ticket.position for ticket in tickets if not ticket.granted)
        assert waiting == list(range(1, len(tickets) - 2))
        assert (admission.running, admission.queued) == (3, len(waiting))


def test_beyond_its_quota_an_owner_waits_while_slots_are_free() -> None:
    admission = Admission(slots=4, queue=10)
    quota = Quota(max_sessions=2, max_queued=2)
    mine = join_all(admission, ONE, 4, quota)

    assert [ticket.granted for ticket in mine] == [True, True, False, False]
    assert admission.free == 2
    assert admission.join_if_free(ONE, quota) is None
    other = admission.join(TWO, FREE)
    assert other.granted
    with pytest.raises(QuotaExceededError, match=r"2 sessions of yours run and 2 wait.*`max_queued`") as caught:
        admission.join(ONE, quota)
    assert caught.value.quota == "max_queued"
    assert admission.queued == 2

    other.leave()
    assert not mine[2].granted
    mine[1].leave()
    assert (mine[2].granted, mine[3].granted) == (True, False)


def test_an_owner_at_its_quota_holds_up_nobody_behind() -> None:
    admission = Admission(slots=2, queue=10)
    mine = join_all(admission, ONE, 3, Quota(max_sessions=1))
    other = join_all(admission, TWO, 3)
    assert [ticket.granted for ticket in mine + other] == [True, False, False, True, False, False]

    other[0].leave()
    assert (other[1].granted, mine[1].granted) == (True, False)


def test_the_newest_quota_counts_for_all_of_an_owner_s() -> None:
    admission = Admission(slots=4, queue=10)
    mine = join_all(admission, ONE, 3, Quota(max_sessions=1))
    assert [ticket.granted for ticket in mine] == [True, False, False]

    last = admission.join(ONE, Quota(max_sessions=3))
    assert [ticket.granted for ticket in (*mine, last)] == [True, True, True, False]


def test_without_a_queue_of_one_s_own_one_more_is_refused() -> None:
    admission = Admission(slots=4, queue=10)
    admission.join(ONE, Quota(max_sessions=1, max_queued=0))
    with pytest.raises(QuotaExceededError, match="1 session of yours runs and 0 wait"):
        admission.check(ONE, Quota(max_sessions=1, max_queued=0))
    admission.check(TWO, Quota(max_sessions=1, max_queued=0))


def test_owners_without_sessions_are_forgotten() -> None:
    admission = Admission(slots=1, queue=10)
    for number in range(100):
        admission.join(Owner(str(number)), FREE).leave()
    assert admission._lines == {}

"""What clients send to a program, from the queue to the launcher's frames; the launcher's end is a fake."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import FakeContainer
from tests.sessions import RESOURCES
from trio_exec.budget import Account, Budget
from trio_exec.errors import InputFullError, OverloadedError, RequestError, SessionStateError
from trio_exec.launcher import frames
from trio_exec.session.stdin import CHUNK, CONTROLS_MAX, PENDING_MAX, ROOM_AGAIN, Stdin
from trio_exec.session.writers import WRITERS_MAX, Writers

SIGNAL = frames.encode_signal(2)
EOF = frames.encode_eof()


def input_of(launcher: FakeContainer) -> bytes:
    return b"".join(frame[5:] for frame in launcher.sent if frame[:1] == b"i")


def account(limit: int = 10 * PENDING_MAX) -> Account:
    return Account(Budget(limit))


def stdin(initial: bytes = b"", held: Account | None = None, *, ends: bool = False, terminal: bool = False) -> Stdin:
    held = held or account()
    held.take(len(initial))
    return Stdin(initial, held, ends=ends, terminal=terminal)


@asynccontextmanager
async def pumped(queue: Stdin) -> AsyncGenerator[FakeContainer]:
    launcher = FakeContainer(RESOURCES, can_update_limits=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.pump, launcher)
        await wait_all_tasks_blocked()
        yield launcher
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_input_waits_for_the_program_and_signals_do_not() -> None:
    queue = stdin(b"early ")
    queue.write(b"bird")
    queue.control(SIGNAL)
    async with pumped(queue) as launcher:
        assert launcher.sent == [SIGNAL]

        queue.open()
        await wait_all_tasks_blocked()

    assert launcher.sent == [SIGNAL, frames.encode_stdin(b"early bird")]


async def test_signals_overtake_input_that_waits() -> None:
    queue = stdin(b"x" * (2 * CHUNK))
    queue.open()
    queue.control(SIGNAL)
    async with pumped(queue) as launcher:
        pass

    assert launcher.kinds() == "gii"


async def test_no_more_is_sent_than_the_window_and_then_as_much_as_was_taken() -> None:
    queue = stdin(b"x" * (frames.STDIN_WINDOW + 1000))
    queue.open()
    async with pumped(queue) as launcher:
        assert len(input_of(launcher)) == frames.STDIN_WINDOW
        assert max(len(frame) for frame in launcher.sent) == CHUNK + 5

        queue.acknowledge(300)
        await wait_all_tasks_blocked()
        assert len(input_of(launcher)) == frames.STDIN_WINDOW + 300

        queue.acknowledge(frames.STDIN_WINDOW)
        await wait_all_tasks_blocked()
        assert len(input_of(launcher)) == frames.STDIN_WINDOW + 1000


async def test_signals_pass_where_the_window_is_used_up() -> None:
    queue = stdin(b"x" * (frames.STDIN_WINDOW + 1))
    queue.open()
    async with pumped(queue) as launcher:
        queue.control(SIGNAL)
        await wait_all_tasks_blocked()

        assert launcher.sent[-1] == SIGNAL


async def test_end_of_input_follows_all_input_and_comes_once() -> None:
    queue = stdin(b"x" * (frames.STDIN_WINDOW + 1), ends=True)
    queue.open()
    queue.end()
    async with pumped(queue) as launcher:
        assert EOF not in launcher.sent

        queue.acknowledge(1)
        await wait_all_tasks_blocked()
        queue.end()
        queue.control(SIGNAL)
        await wait_all_tasks_blocked()

    assert launcher.sent[-2:] == [EOF, SIGNAL]
    assert launcher.sent.count(EOF) == 1


def test_nothing_follows_the_end_of_input() -> None:
    queue = stdin()
    queue.end()
    with pytest.raises(SessionStateError, match="has ended"):
        queue.write(b"more")


async def test_end_of_input_waits_for_the_program() -> None:
    queue = stdin(ends=True)
    async with pumped(queue) as launcher:
        assert launcher.sent == []

        queue.open()
        await wait_all_tasks_blocked()
        assert launcher.sent == [EOF]


async def test_on_a_terminal_the_end_is_a_key_and_more_can_follow() -> None:
    queue = stdin(b"one\n", terminal=True, ends=True)
    queue.write(b"two\n")
    queue.end()
    queue.open()
    async with pumped(queue) as launcher:
        pass

    assert input_of(launcher) == b"one\n\x04two\n\x04"
    assert EOF not in launcher.sent


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"", 1),
        (b"line\n", 1),
        (b"line\r", 1),
        (b"part", 2),
        (b"line\npart", 2),
        (b"line\r\n", 1),
        (b"dropped\x03", 1),
        (b"dropped\x15", 1),
        (b"dropped\x1a", 1),
        (b"dropped\x1c", 1),
        (b"handed over\x04", 1),
        (b"dropped\x03part", 2),
        (b"ab\x7f\x7f", 1),
        (b"ab\x7f", 2),
        (b"\x7f\x7fa", 2),
        ("ü€\x7f\x7f".encode(), 1),
        ("ü€\x7f".encode(), 2),
        (b"x" * 5000, 2),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3, 100])
async def test_on_a_terminal_a_part_of_a_line_takes_two_keys_to_end(typed: bytes, keys: int, pieces: int) -> None:
    queue = stdin(typed, terminal=True, ends=True)
    queue.end()
    size = len(typed) // pieces + 1
    for at in range(0, len(typed), size):
        queue.write(typed[at : at + size])
    queue.end()
    queue.end()
    queue.open()
    async with pumped(queue) as launcher:
        pass

    assert input_of(launcher) == typed + keys * b"\x04" + b"\x04" + typed + keys * b"\x04" + b"\x04"


async def test_elsewhere_the_end_is_no_key() -> None:
    queue = stdin(b"part", ends=True)
    queue.open()
    async with pumped(queue) as launcher:
        pass

    assert launcher.sent == [frames.encode_stdin(b"part"), EOF]


def test_what_is_too_much_is_refused_as_a_whole() -> None:
    held = account()
    queue = stdin(b"x" * (PENDING_MAX - 10), held)
    with pytest.raises(InputFullError) as caught:
        queue.write(b"y" * 11)

    assert caught.value.field == "data"
    assert held.held == PENDING_MAX - 10
    queue.write(b"y" * 10)
    assert held.held == PENDING_MAX


def test_what_the_server_has_no_room_for_is_refused_as_a_whole() -> None:
    held = account(limit=100)
    queue = stdin(b"x" * 60, held)
    with pytest.raises(OverloadedError):
        queue.write(b"y" * 41)

    assert held.held == 60


def test_a_key_that_ends_input_needs_room_like_any_other() -> None:
    queue = stdin(b"x" * PENDING_MAX, terminal=True)
    with pytest.raises(InputFullError):
        queue.end()


def test_signals_are_bounded() -> None:
    queue = stdin()
    for _ in range(CONTROLS_MAX):
        queue.control(SIGNAL)
    with pytest.raises(InputFullError, match="too many signals"):
        queue.control(SIGNAL)


async def test_what_was_sent_is_held_no_more() -> None:
    held = account()
    queue = stdin(b"x" * 1000, held, terminal=True, ends=True)
    assert held.held == 1002
    queue.open()
    async with pumped(queue):
        assert held.held == 0


async def test_what_is_dropped_is_neither_held_nor_sent() -> None:
    held = account()
    queue = stdin(b"x" * 1000, held)
    queue.control(SIGNAL)
    queue.open()
    queue.close()
    async with pumped(queue) as launcher:
        pass

    assert (launcher.sent, held.held) == ([], 0)


async def test_a_container_that_is_gone_ends_the_sending_in_silence() -> None:
    queue = stdin(b"x" * (frames.STDIN_WINDOW + 1))
    queue.open()
    launcher = FakeContainer(RESOURCES, can_update_limits=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.pump, launcher)
        await wait_all_tasks_blocked()
        launcher.die()
        queue.acknowledge(1)

    assert len(input_of(launcher)) == frames.STDIN_WINDOW


async def test_room_is_told_once_there_is_plenty() -> None:
    queue = stdin(b"x" * PENDING_MAX)
    told: list[int] = []

    async def wait() -> None:
        await queue.wait_room()
        told.append(queue.room)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        async with pumped(queue):
            queue.open()
            await wait_all_tasks_blocked()
            assert told == []  # The launcher's window is less than plenty.
            queue.acknowledge(PENDING_MAX)
            await wait_all_tasks_blocked()

    assert len(told) == 2
    assert min(told) >= ROOM_AGAIN


async def test_nobody_waits_for_room_in_what_nobody_will_read() -> None:
    queue = stdin(b"x" * PENDING_MAX)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.wait_room)
        await wait_all_tasks_blocked()
        queue.close()


def test_input_that_is_sent_again_is_taken_once() -> None:
    queue = stdin()
    writers = Writers(queue)

    assert writers.write("a", 0, b"one ") == 4
    assert writers.write("a", 0, b"one ") == 4
    assert writers.write("a", 2, b"e two ") == 8
    assert writers.write("b", 0, b"other ") == 6
    assert writers.write("a", 8, b"three") == 13
    assert queue.taken == len(b"one two other three")


def test_input_with_a_gap_before_it_is_not_taken() -> None:
    queue = stdin()
    assert Writers(queue).write("a", 3, b"late") == 0
    assert queue.taken == 0


def test_as_much_is_taken_as_there_is_room_for() -> None:
    queue = stdin(b"x" * (PENDING_MAX - 3))
    writers = Writers(queue)

    assert writers.write("a", 0, b"12345") == 3
    assert writers.write("a", 3, b"45") == 3
    assert queue.room == 0


def test_what_was_taken_may_be_sent_again_after_the_end_of_input_and_nothing_else() -> None:
    queue = stdin()
    writers = Writers(queue)
    writers.write("a", 0, b"all")
    queue.end()

    assert writers.write("a", 0, b"all") == 3
    with pytest.raises(SessionStateError, match="has ended"):
        writers.write("a", 3, b"more")


def test_the_names_of_writers_are_bounded() -> None:
    writers = Writers(stdin())
    for number in range(WRITERS_MAX):
        writers.write(str(number), 0, b"x")
    with pytest.raises(RequestError, match="64 clients at most"):
        writers.write("one more", 0, b"x")
    assert writers.write("0", 1, b"y") == 2


async def test_what_is_queued_can_go_right_behind_the_stage() -> None:
    queue = stdin(b"early", ends=True)
    assert queue.begin() == frames.encode_stdin(b"early") + EOF
    async with pumped(queue) as launcher:
        assert launcher.sent == []

    queue = stdin(b"x" * (frames.STDIN_WINDOW + 1), ends=True)
    begun = queue.begin()
    async with pumped(queue) as launcher:
        assert len(begun) == frames.STDIN_WINDOW + frames.STDIN_WINDOW // CHUNK * 5  # Pieces, each with a head.
        queue.acknowledge(1)
        await wait_all_tasks_blocked()
        assert launcher.sent == [frames.encode_stdin(b"x"), EOF]

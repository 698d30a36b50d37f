"""The output log: order, positions, the limits to the byte, whatever the program writes in whatever pieces."""

from __future__ import annotations

import tracemalloc

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trio_exec.model import State, Status, Stream
from trio_exec.session.output import PIECE_MAX, EndOfStream, Entry, Output, OutputLog, Overrun, StateChange
from trio_exec.session.present import Present

RUNNING = Status(State.RUNNING)


def read_all(log: OutputLog, position: int = 0) -> list[Entry]:
    entries: list[Entry] = []
    while (entry := log.read(position)) is not None:
        assert entry.seq > position
        position = entry.seq
        entries.append(entry)
    assert position == log.end
    return entries


def bytes_of(entries: list[Entry], stream: Stream) -> bytes:
    return b"".join(entry.data for entry in entries if isinstance(entry, Output) and entry.stream is stream)


WRITES = st.lists(st.tuples(st.sampled_from(Stream), st.binary(min_size=1, max_size=8)), max_size=60)


@given(WRITES, st.integers(0, 300))
def test_each_stream_reads_as_it_was_written_from_any_position(writes: list[tuple[Stream, bytes]], start: int) -> None:
    log = OutputLog(10_000)
    whole: list[tuple[Stream, int]] = []
    for number, (stream, data) in enumerate(writes):
        if number % 5 == 4:
            log.end_streams()
        assert log.write(stream, data) is None
        whole += [(stream, byte) for byte in data]

    for stream in Stream:
        assert bytes_of(read_all(log), stream) == bytes(byte for of, byte in whole if of is stream)
    start = min(start, log.end)
    rest = sum(len(entry.data) for entry in read_all(log, start) if isinstance(entry, Output))
    before = sum(len(entry.data) for entry in log.output(0, start))
    assert before + rest == len(whole)


@given(WRITES, st.integers(0, 300), st.integers(1, 4))
def test_what_stands_before_a_position_can_be_looked_at(
    writes: list[tuple[Stream, bytes]], position: int, count: int
) -> None:
    log = OutputLog(10_000)
    for number, (stream, data) in enumerate(writes):
        if number % 7 == 6:
            log.end_streams()
        if number % 5 == 4:
            log.add_state(RUNNING)
        log.write(stream, data)
    position = min(position, log.end)

    for stream in Stream:
        expected = b""
        for entry in read_all(log):
            if entry.seq > position and not isinstance(entry, Output):
                break
            if isinstance(entry, EndOfStream) and entry.stream is stream:
                expected = b""
            elif isinstance(entry, Output) and entry.stream is stream:
                start = entry.seq - len(entry.data)
                expected += entry.data[: max(0, position - start)]
        assert log.before(position, stream, count) == expected[-count:]


def test_states_and_streams_keep_their_order() -> None:
    log = OutputLog(100)
    log.add_state(RUNNING)
    log.add_state(RUNNING)
    log.write(Stream.STDOUT, b"a")
    log.write(Stream.STDOUT, b"b\xff")
    log.write(Stream.STDERR, b"c")
    log.write(Stream.STDOUT, b"d")
    log.end_streams()
    log.add_state(Status(State.FINISHED))

    assert read_all(log) == [
        StateChange(RUNNING, 1),
        StateChange(RUNNING, 2),
        Output(Stream.STDOUT, b"ab\xff", 5),
        Output(Stream.STDERR, b"c", 6),
        Output(Stream.STDOUT, b"d", 7),
        EndOfStream(Stream.STDOUT, truncated=False, seq=8),
        EndOfStream(Stream.STDERR, truncated=False, seq=9),
        StateChange(Status(State.FINISHED), 10),
    ]


def test_what_was_written_between_two_positions() -> None:
    log = OutputLog(100)
    log.write(Stream.STDOUT, b"compiled")
    start = log.end
    log.write(Stream.STDERR, b"why")
    log.end_streams()
    log.write(Stream.STDOUT, b"more")

    assert list(log.output(start, log.end - 2)) == [
        Output(Stream.STDERR, b"why", 11),
        Output(Stream.STDOUT, b"mo", 15),
    ]


@pytest.mark.parametrize(("sizes", "complete"), [([10], True), ([11], False), ([4, 6], True), ([4, 6, 1], False)])
def test_the_limit_is_kept_to_the_byte(sizes: list[int], complete: bool) -> None:
    log = OutputLog(10)
    results = [log.write(Stream(number % 2), b"\xff" * size) for number, size in enumerate(sizes)]

    assert results == [None] * (len(sizes) - 1) + [None if complete else Overrun(10, None)]
    assert log.end == 10
    assert log.truncated is not complete


def test_a_stream_can_have_a_limit_of_its_own() -> None:
    log = OutputLog(10, {Stream.STDERR: 3})
    assert log.write(Stream.STDERR, b"123") is None
    assert log.write(Stream.STDOUT, b"123") is None
    assert log.write(Stream.STDERR, b"4") == Overrun(3, Stream.STDERR)
    log.end_streams()

    assert read_all(log) == [
        Output(Stream.STDERR, b"123", 3),
        Output(Stream.STDOUT, b"123", 6),
        EndOfStream(Stream.STDOUT, truncated=False, seq=7),
        EndOfStream(Stream.STDERR, truncated=True, seq=8),
    ]


def test_the_lower_limit_counts() -> None:
    log = OutputLog(5, {Stream.STDOUT: 7})
    log.write(Stream.STDERR, b"123")

    assert log.write(Stream.STDOUT, b"12345678") == Overrun(5, None)
    assert bytes_of(read_all(log), Stream.STDOUT) == b"12"


def test_nothing_is_taken_once_something_was_dropped() -> None:
    log = OutputLog(10, {Stream.STDERR: 1})
    log.write(Stream.STDERR, b"12")
    log.write(Stream.STDOUT, b"1")

    assert log.end == 1
    assert bytes_of(read_all(log), Stream.STDOUT) == b""


def test_all_that_is_kept_is_told() -> None:
    kept: list[int] = []
    log = OutputLog(1000, kept=kept.append)
    for number in range(300):
        log.write(Stream(number % 2), b"x")
    log.end_streams()
    log.add_state(Status(State.FINISHED))
    log.close()

    assert sum(kept) == 303 * (1 + 4)
    assert len(read_all(log)) == 303


def test_much_output_comes_in_bounded_pieces() -> None:
    log = OutputLog(1_000_000)
    log.write(Stream.STDOUT, b"x" * 300_000)

    entries = read_all(log)
    assert bytes_of(entries, Stream.STDOUT) == b"x" * 300_000
    assert all(isinstance(entry, Output) and len(entry.data) <= PIECE_MAX for entry in entries)


def test_a_million_single_bytes_stay_small() -> None:
    log = OutputLog(1_000_000)
    tracemalloc.start()
    for _ in range(100_000):
        log.write(Stream.STDOUT, b"a")
        log.write(Stream.STDERR, b"b")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert log.end == 200_000
    assert peak < 20 * log.end


async def test_readers_are_woken_by_output_by_waiting_and_by_the_end() -> None:
    log = OutputLog(100)
    news: list[object] = []

    async def follow() -> None:
        position, present = 0, Present()
        while not log.closed:
            await log.wait_news(position, present)
            if entry := log.read(position):
                position = entry.seq
                news.append(entry.data if isinstance(entry, Output) else "state")
            elif log.present != present:
                present = log.present
                news.append(f"waiting {present.waiting}")
        news.append("closed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        for step in (
            lambda: log.write(Stream.STDOUT, b"prompt"),
            lambda: log.show(Present(waiting=True)),
            lambda: log.show(Present()),
            lambda: log.add_state(RUNNING),
            log.close,
        ):
            await wait_all_tasks_blocked()
            step()

    assert news == [b"prompt", "waiting True", "waiting False", "state", "closed"]

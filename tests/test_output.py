"""The output log: order, positions, the limit to the byte, whatever the program writes in whatever pieces."""

from __future__ import annotations

import tracemalloc

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trio_exec.model import State, Status
from trio_exec.session.output import PIECE_MAX, OutputLog, StateChange, Stream, Text

RUNNING = Status(State.RUNNING)


def read_all(log: OutputLog, position: int = 0) -> list[Text | StateChange]:
    entries: list[Text | StateChange] = []
    while (entry := log.read(position)) is not None:
        assert entry.seq > position
        position = entry.seq
        entries.append(entry)
    assert position == log.end
    return entries


def text_of(entries: list[Text | StateChange], stream: Stream) -> str:
    return "".join(entry.data for entry in entries if isinstance(entry, Text) and entry.stream is stream)


WRITES = st.lists(st.tuples(st.sampled_from(Stream), st.binary(min_size=1, max_size=8)), max_size=60)


@given(WRITES)
def test_each_stream_reads_as_its_bytes_decode(writes: list[tuple[Stream, bytes]]) -> None:
    log = OutputLog(10_000)
    for stream, data in writes:
        assert log.write(stream, data)
    log.end_of_output()

    entries = read_all(log)
    for stream in Stream:
        expected = b"".join(data for of, data in writes if of is stream).decode("utf-8", "replace")
        assert text_of(entries, stream) == expected


@given(st.lists(st.tuples(st.sampled_from(Stream), st.text(min_size=1, max_size=8)), max_size=30), st.data())
def test_any_position_ever_sent_can_be_resumed_from(writes: list[tuple[Stream, str]], data: st.DataObject) -> None:
    log = OutputLog(10_000)
    seen: list[int] = [0]
    position = 0
    for number, (stream, text) in enumerate(writes):
        if number % 5 == 4:
            log.add_state(RUNNING)
        log.write(stream, text.encode())
        if data.draw(st.booleans()):  # A client that is sometimes slow sees other pieces.
            while (entry := log.read(position)) is not None:
                position = entry.seq
                seen.append(position)
    whole = read_all(log)
    for position in seen:
        rest = read_all(log, position)
        for stream in Stream:
            before = text_of(whole, stream)
            assert before.endswith(text_of(rest, stream))
        length = sum(len(entry.data.encode()) if isinstance(entry, Text) else 1 for entry in rest)
        assert length == log.end - position


def test_states_and_streams_keep_their_order() -> None:
    log = OutputLog(100)
    log.add_state(RUNNING)
    log.add_state(RUNNING)
    log.write(Stream.STDOUT, b"a")
    log.write(Stream.STDOUT, b"b")
    log.write(Stream.STDERR, b"c")
    log.write(Stream.STDOUT, b"d")
    log.add_state(Status(State.FINISHED))

    assert read_all(log) == [
        StateChange(RUNNING, 1),
        StateChange(RUNNING, 2),
        Text(Stream.STDOUT, "ab", 4),
        Text(Stream.STDERR, "c", 5),
        Text(Stream.STDOUT, "d", 6),
        StateChange(Status(State.FINISHED), 7),
    ]


@pytest.mark.parametrize(("sizes", "complete"), [([10], True), ([11], False), ([4, 6], True), ([4, 6, 1], False)])
def test_the_limit_is_kept_to_the_byte(sizes: list[int], complete: bool) -> None:
    log = OutputLog(10)
    results = [log.write(Stream(number % 2), b"x" * size) for number, size in enumerate(sizes)]

    assert all(results) is complete
    assert log.end == 10
    assert log.truncated is not complete


def test_a_character_that_the_limit_cuts_is_left_out() -> None:
    log = OutputLog(4)
    assert not log.write(Stream.STDOUT, "aé漢".encode())
    assert not log.write(Stream.STDOUT, b"b")
    log.end_of_output()

    assert text_of(read_all(log), Stream.STDOUT) == "aé"


def test_the_limit_counts_what_is_kept() -> None:
    log = OutputLog(1000)
    assert not log.write(Stream.STDOUT, b"\xff" * 1000)
    assert text_of(read_all(log), Stream.STDOUT) == "�" * 333
    assert log.truncated


def test_all_that_is_kept_is_told() -> None:
    kept: list[int] = []
    log = OutputLog(1000, kept.append)
    for number in range(300):
        log.write(Stream(number % 2), b"x")
    log.add_state(Status(State.FINISHED))
    log.close()

    assert sum(kept) == 301 * (1 + 4)
    assert len(read_all(log)) == 301


def test_much_text_comes_in_bounded_pieces_that_split_no_character() -> None:
    log = OutputLog(1_000_000)
    text = "x" + "漢" * 100_000
    log.write(Stream.STDOUT, text.encode())

    entries = read_all(log)
    assert text_of(entries, Stream.STDOUT) == text
    assert all(isinstance(entry, Text) and len(entry.data.encode()) <= PIECE_MAX for entry in entries)


def test_a_position_inside_of_a_character_means_its_beginning() -> None:
    log = OutputLog(100)
    log.write(Stream.STDOUT, "é漢".encode())

    assert log.read(3) == Text(Stream.STDOUT, "漢", 5)


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
    news: list[str] = []

    async def follow() -> None:
        position, waiting = 0, False
        while not log.closed:
            await log.wait_news(position, waiting=waiting)
            if entry := log.read(position):
                position = entry.seq
                news.append(entry.data if isinstance(entry, Text) else "state")
            elif log.waiting != waiting:
                waiting = log.waiting
                news.append(f"waiting {waiting}")
        news.append("closed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        for step in (
            lambda: log.write(Stream.STDOUT, b"prompt"),
            lambda: log.set_waiting(True),
            lambda: log.set_waiting(False),
            lambda: log.add_state(RUNNING),
            log.close,
        ):
            await wait_all_tasks_blocked()
            step()

    assert news == ["prompt", "waiting True", "waiting False", "state", "closed"]

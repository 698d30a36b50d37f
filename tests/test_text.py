"""Output as text: characters in whatever pieces, from whatever position, and bytes that are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_exec.api.native.messages import StderrMessage
from trio_exec.api.native.text import Text, TextCursor
from trio_exec.model import State, Status, Stream
from trio_exec.session.output import OutputLog, StateChange

PIECES = st.lists(
    st.tuples(
        st.sampled_from(Stream),
        st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from("aé漢😀").map(str.encode)),
    ),
    max_size=30,
)


def read_all(log: OutputLog, position: int = 0) -> list[Text | StateChange]:
    cursor = TextCursor(log, position)
    entries: list[Text | StateChange] = []
    while (entry := cursor.read()) is not None:
        entries.append(entry)
    assert cursor.position == log.end
    return entries


def text_of(entries: list[Text | StateChange], stream: Stream) -> str:
    return "".join(entry.data for entry in entries if isinstance(entry, Text) and entry.stream is stream)


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@given(PIECES)
def test_each_stream_reads_as_its_bytes_decode(writes: list[tuple[Stream, bytes]]) -> None:
    log = OutputLog(10_000)
    for stream, data in writes:
        log.write(stream, data)
    log.end_streams()

    for stream in Stream:
        expected = decoded(b"".join(data for of, data in writes if of is stream))
        assert text_of(read_all(log), stream) == expected


@given(PIECES, st.data())
def test_whoever_goes_on_from_what_was_sent_gets_the_rest_and_nothing_twice(
    writes: list[tuple[Stream, bytes]], data: st.DataObject
) -> None:
    """The client reads now and then, so it sees other pieces; and it comes back after each of them."""
    log = OutputLog(10_000)
    cursor = TextCursor(log, 0)
    sent: list[Text | StateChange] = []
    for number, (stream, piece) in enumerate(writes):
        if number % 5 == 4:
            log.end_streams()
            log.add_state(Status(State.RUNNING))
        log.write(stream, piece)
        if data.draw(st.booleans()):
            while (entry := cursor.read()) is not None:
                sent.append(entry)
    log.end_streams()
    while (entry := cursor.read()) is not None:
        sent.append(entry)

    whole = read_all(log)
    for stream in Stream:
        assert text_of(sent, stream) == text_of(whole, stream)
    for number, entry in enumerate(sent):
        rest = read_all(log, entry.seq)
        for stream in Stream:
            assert text_of(sent[: number + 1] + rest, stream) == text_of(whole, stream)


def test_a_character_is_read_where_its_last_byte_is() -> None:
    log = OutputLog(100)
    log.write(Stream.STDOUT, b"\xc3")
    log.write(Stream.STDERR, b"e")
    log.write(Stream.STDOUT, b"\xa9")

    assert read_all(log) == [Text(Stream.STDERR, "e", 2), Text(Stream.STDOUT, "é", 3)]


def test_what_is_left_of_a_character_is_shown_at_its_stages_end() -> None:
    log = OutputLog(100)
    log.write(Stream.STDOUT, b"a\xe6\xbc")
    log.write(Stream.STDERR, b"\xff\xc3")
    log.end_streams()
    log.write(Stream.STDOUT, b"\xa2")

    assert [entry.data for entry in read_all(log) if isinstance(entry, Text)] == ["a", "�", "�", "�", "�"]


def test_a_character_that_the_limit_cuts_is_left_out() -> None:
    log = OutputLog(4)
    log.write(Stream.STDOUT, "aé漢".encode())
    log.end_streams()

    assert text_of(read_all(log), Stream.STDOUT) == "aé"


def test_a_position_inside_of_a_character_gives_all_of_it() -> None:
    log = OutputLog(100)
    log.write(Stream.STDOUT, "é漢".encode())

    assert read_all(log, 3) == [Text(Stream.STDOUT, "漢", 5)]


@pytest.mark.parametrize("piece", [b"x", b"\x01", b"\xff", b'"', "漢".encode(), b"\n"])
def test_every_message_fits_what_every_client_takes(piece: bytes) -> None:
    log = OutputLog(1_000_000)
    log.write(Stream.STDERR, piece * (600_000 // len(piece)))
    log.end_streams()

    messages = [StderrMessage(data=it.data, seq=it.seq).to_json() for it in read_all(log) if isinstance(it, Text)]
    assert "".join(json.loads(message)["data"] for message in messages) == decoded(piece * (600_000 // len(piece)))
    sizes = [len(message.encode()) for message in messages]
    assert max(sizes) <= 32 * 1024
    assert min(sizes[:-1]) > 8 * 1024, "and no smaller than need be"

"""The launcher's frames and Docker's attach stream, as bytes only: any split gives the same, garbage is an error."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_exec.errors import ProtocolError
from trio_exec.executor.docker.attach_stream import STDERR, STDOUT, Demultiplexer
from trio_exec.launcher import frames

U32 = st.integers(0, 2**32 - 1)
MICROSECONDS = st.integers(0, 2**40)


def frame(kind: str, payload: bytes) -> bytes:
    return kind.encode() + struct.pack(">I", len(payload)) + payload


def stage_end(
    kind: int, code: int, wall: int, user: int, system: int, peak: int, kills: int, used_up: int, hits: int
) -> bytes:
    return frame("Z", struct.pack(">BBQQQQIBB", kind, code, wall, user, system, peak, kills, used_up, hits))


FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: (frame("O", data), frames.Stdout(data))),
    st.binary(max_size=300).map(lambda data: (frame("E", data), frames.Stderr(data))),
    st.just((frame("N", b""), frames.Pong())),
    st.just((frame("S", b""), frames.Started())),
    st.just((frame("P", b""), frames.Prestarted())),
    st.integers(0, 255).map(lambda version: (frame("R", bytes([version])), frames.Ready(version))),
    U32.map(lambda count: (frame("A", struct.pack(">I", count)), frames.Ack(count))),
    st.integers(0, 2).map(lambda how: (frame("W", bytes([how])), frames.Waiting(how == 1, sleeping=how == 2))),
    st.just((frame("V", b""), frames.Saved())),
    st.just((frame("L", b""), frames.Lingers())),
    U32.map(lambda count: (frame("C", struct.pack(">I", count)), frames.Collected(count))),
    st.builds(
        lambda path, mode, content, begins: (
            frame("F", struct.pack(">BH", not begins, mode) + path.encode() + b"\0" + content),
            frames.CollectedFile(path, mode, content, begins),
        ),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=50),
        st.integers(0, 0o7777),
        st.binary(max_size=300),
        st.booleans(),
    ),
    st.builds(
        lambda path, reason: (
            frame("M", bytes([reason.value]) + path.encode() + b"\0"),
            frames.Omitted(path, reason),
        ),
        st.text("aä漢/.-", min_size=1, max_size=50),
        st.sampled_from(frames.OmittedReason),
    ),
    st.text(max_size=50).map(lambda text: (frame("X", text.encode()), frames.Failure(text))),
    st.builds(
        lambda signalled, code, wall, peak, kills, used_up, hits: (
            stage_end(signalled, code, wall, wall + 1, wall + 2, peak, kills, used_up, hits),
            frames.StageEnd(
                None if signalled else code,
                code if signalled else None,
                wall / 1e6,
                (wall + 1) / 1e6,
                (wall + 2) / 1e6,
                peak,
                kills,
                used_up,
                frames.Hits(hits),
            ),
        ),
        st.booleans(),
        st.integers(0, 255),
        MICROSECONDS,
        MICROSECONDS,
        U32,
        st.booleans(),
        st.integers(0, 15),
    ),
)


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(FRAMES, max_size=20), st.lists(st.integers(0, 10**6), max_size=30))
def test_any_split_of_the_bytes_gives_the_same_events(pairs: list[tuple[bytes, frames.Event]], cuts: list[int]) -> None:
    decoder = frames.FrameDecoder()
    events = [event for piece in split(b"".join(data for data, _ in pairs), cuts) for event in decoder.feed(piece)]

    assert events == [event for _, event in pairs]


@given(st.binary(max_size=2000), st.lists(st.integers(0, 10**6), max_size=30))
def test_garbage_is_an_error_or_not_yet_complete_but_nothing_else(data: bytes, cuts: list[int]) -> None:
    decoder = frames.FrameDecoder()
    try:
        for piece in split(data, cuts):
            list(decoder.feed(piece))
    except ProtocolError:
        return
    # No more can be held back than one frame.
    assert len(decoder._buffer) <= frames.PAYLOAD_MAX + 5


@pytest.mark.parametrize(
    "data",
    [
        b"?\0\0\0\0",
        b"O\xff\xff\xff\xff",
        frame("A", b"123"),
        frame("W", b"\3"),
        frame("N", b"x"),
        frame("S", b"x"),
        frame("R", b""),
        frame("Z", b"short"),
        frame("V", b"x"),
        frame("C", b"123"),
        frame("F", b""),
        frame("F", b"\0\0\0no end"),
        frame("F", b"\0\0\0\0no name"),
        frame("F", b"\2\0\0a\0"),
        frame("F", b"\0\x10\0a\0"),
        frame("F", b"\0\0\0\xff\0"),
        frame("M", b""),
        frame("M", b"\4a\0"),
        frame("M", b"\0a"),
        frame("M", b"\0a\0b"),
        stage_end(2, 0, 0, 0, 0, 0, 0, 0, 0),
    ],
)
def test_what_the_launcher_never_sends_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(frames.FrameDecoder().feed(data))


@given(st.binary(max_size=200_000))
def test_a_file_of_any_size_comes_in_frames_that_fit(content: bytes) -> None:
    gathered = b""
    for number, encoded in enumerate(frames.encode_file("lib/a.py", content)):
        kind, length = struct.unpack_from(">cI", encoded)
        payload = encoded[5:]
        assert (kind, length) == (b"f", len(payload))
        assert length <= frames.PAYLOAD_MAX
        assert payload[0] == (number > 0)
        assert payload[1:].startswith(b"\1\xa4lib/a.py\0")
        gathered += payload[12:]

    assert gathered == content


@pytest.mark.parametrize(("cpu_time", "milliseconds"), [(None, 0), (1.5, 1500), (0.0001, 1)])
def test_a_stage_on_the_wire(cpu_time: float | None, milliseconds: int) -> None:
    sent = frames.encode_stage(["a", "b c"], {"N": "1"}, terminal=(24, 80), deadline=75, cpu_time=cpu_time)

    head = struct.pack(">BHHIIHH", 1, 24, 80, 75, milliseconds, 2, 1)
    assert sent == frame("s", head + b"a\0b c\0N=1\0")


def test_what_is_said_of_a_stage_may_be_gathered() -> None:
    plain, gathered = (frames.encode_stage(["a"], {}, terminal=None, deadline=1, gather=it) for it in (False, True))
    assert (plain[5], gathered[5], plain[6:]) == (0, 2, gathered[6:])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"a\nb\x1b[m", "a\\nb\\x1b[m"),
        ("é\u202e".encode(), "é\\u202e"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_any_name_that_was_left_out_can_be_shown(sent: bytes, shown: str) -> None:
    (event,) = frames.FrameDecoder().feed(frame("M", b"\3" + sent + b"\0"))
    assert event == frames.Omitted(shown, frames.OmittedReason.UNREADABLE)


def test_a_request_for_files_on_the_wire() -> None:
    sent = frames.encode_collect(["out/*.png", "ä"], 10, 1 << 33, hidden_too=True)
    assert sent == frame("c", b"\1" + struct.pack(">IQ", 10, 1 << 33) + b"out/*.png\0" + "ä".encode() + b"\0")
    assert frames.encode_collect([], 0, 0) == frame("c", bytes(13))


@pytest.mark.parametrize("pattern", ["", "/etc/passwd", "../x", "a/..", "a//b", "a/", "a\0b", "\udc80", "é" * 257])
def test_what_is_no_pattern_is_never_sent(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^the pattern .* (is|has|holds) "):
        frames.encode_collect(["fine", pattern], 1, 1)


def test_a_request_for_files_has_bounds() -> None:
    assert len(frames.encode_collect(["x" * 512] * 32, 1, 1)) <= frames.PAYLOAD_MAX
    with pytest.raises(ValueError, match="at most 32"):
        frames.encode_collect(["x"] * 33, 1, 1)
    for files, size in ((-1, 0), (1 << 32, 0), (0, -1), (0, 1 << 64)):
        with pytest.raises(ValueError, match="out of its range"):
            frames.encode_collect([], files, size)


@pytest.mark.parametrize("mode", [-1, 0o10000])
def test_a_file_has_a_mode_that_there_is(mode: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 0o7777"):
        list(frames.encode_file("a", b"", mode))


def test_hello_and_ping_on_the_wire() -> None:
    assert frames.encode_hello(30) == frame("h", bytes([frames.PROTOCOL_VERSION, 0, 30]))
    assert frames.encode_hello(65535)[-2:] == b"\xff\xff"
    assert frames.encode_ping() == frame("n", b"")


@pytest.mark.parametrize("silence", [-1, 0, 65536])
def test_a_silence_has_bounds(silence: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and 65535 seconds, not {silence}"):
        frames.encode_hello(silence)


def test_saving_and_restoring_on_the_wire() -> None:
    assert (frames.encode_save(), frames.encode_restore()) == (frame("v", b""), frame("r", b""))


def test_what_does_not_fit_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="limited to 65536"):
        frames.encode_stage(["x" * 70000], {}, terminal=None, deadline=1)
    with pytest.raises(ValueError, match="NUL"):
        frames.encode_stage(["a\0b"], {}, terminal=None, deadline=1)
    with pytest.raises(ValueError, match="too long"):
        list(frames.encode_file("x" * 70000, b""))


CHUNKS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=200)), max_size=20)


@given(CHUNKS, st.lists(st.integers(0, 10**6), max_size=30))
def test_docker_chunks_survive_any_split(chunks: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(struct.pack(">BxxxL", stream, len(chunk)) + chunk for stream, chunk in chunks)
    demultiplexer = Demultiplexer()
    gathered: list[tuple[int, bytes]] = []
    for piece in split(data, cuts):
        for stream, part in demultiplexer.feed(piece):
            if gathered and gathered[-1][0] == stream:
                gathered[-1] = (stream, gathered[-1][1] + part)
            else:
                gathered.append((stream, part))

    expected: list[tuple[int, bytes]] = []
    for stream, chunk in chunks:
        if chunk and expected and expected[-1][0] == stream:
            expected[-1] = (stream, expected[-1][1] + chunk)
        elif chunk:
            expected.append((stream, chunk))
    assert gathered == expected


@pytest.mark.parametrize("header", [b"\3\0\0\0\0\0\0\1", b"\0\0\0\0\0\0\0\1", b"\1\1\0\0\0\0\0\1", b"HTTP/1.1"])
def test_what_is_no_attach_stream_is_an_error(header: bytes) -> None:
    with pytest.raises(ProtocolError, match="not an attach stream"):
        list(Demultiplexer().feed(header))

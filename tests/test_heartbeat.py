"""The launcher's connection on a clock that jumps: who is silent is given up, and who is slow is not."""

from __future__ import annotations

import itertools
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_exec.errors import LauncherGoneError, LauncherSilentError
from trio_exec.launcher import frames
from trio_exec.launcher.connection import AHEAD_MAX, BEATS, SILENCE, LauncherConnection

READY = b"R\0\0\0\1" + bytes([frames.PROTOCOL_VERSION])
PONG = b"N\0\0\0\0"
PING = frames.encode_ping()
BEAT = SILENCE / BEATS
HOUR = 3600

Launcher = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


def stdout(data: bytes) -> bytes:
    return b"O" + struct.pack(">I", len(data)) + data


@asynccontextmanager
async def beating() -> AsyncGenerator[tuple[LauncherConnection, Launcher]]:
    """A connection whose launcher is ready, and the launcher's end of it."""
    stream, launcher = memory_stream_pair()
    ours = LauncherConnection(stream)
    await launcher.send_all(READY)
    await ours.wait_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.beat)
        yield ours, launcher
        await ours.aclose()


async def answer(launcher: Launcher, saying: Callable[[], bytes] = lambda: PONG) -> None:
    """Plays a launcher that is well."""
    pings = bytearray()
    while data := await launcher.receive_some():
        pings += data
        while pings.startswith(PING):
            del pings[: len(PING)]
            await launcher.send_all(saying())


async def test_a_launcher_that_answers_is_kept_and_nobody_hears_of_it(autojump_clock: MockClock) -> None:
    async with beating() as (ours, launcher), trio.open_nursery() as nursery:
        nursery.start_soon(answer, launcher)
        with trio.move_on_after(HOUR) as hour:
            await ours.receive()
        assert hour.cancelled_caught
        await launcher.send_all(PONG + stdout(b"a") + PONG + stdout(b"b") + PONG)
        assert await ours.receive() == [frames.Stdout(b"a"), frames.Stdout(b"b")]
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_launcher_that_says_nothing_is_given_up(autojump_clock: MockClock) -> None:
    async with beating() as (ours, launcher):
        start = trio.current_time()
        with pytest.raises(LauncherSilentError, match=f"nothing came from the container for {SILENCE} seconds"):
            await ours.receive()
        assert SILENCE <= trio.current_time() - start <= SILENCE + BEAT / 2
        for _ in range(2):
            with pytest.raises(LauncherSilentError):
                await ours.receive()
            with pytest.raises(LauncherSilentError):
                await ours.send(b"data")
        heard = b""
        while data := await launcher.receive_some():
            heard += data
        assert heard == PING * BEATS, "and its input has ended"


async def test_a_launcher_is_not_given_up_before_it_is_there(autojump_clock: MockClock) -> None:
    stream, launcher = memory_stream_pair()
    ours = LauncherConnection(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.beat)
        await trio.sleep(10 * SILENCE)
        await launcher.send_all(READY)
        await ours.wait_ready()
        await ours.aclose()


@pytest.mark.parametrize("saying", [stdout(b"x"), stdout(b"slow")[:3]])
async def test_any_byte_is_a_sign_of_life(autojump_clock: MockClock, saying: bytes) -> None:
    torn = itertools.cycle(bytes([byte]) for byte in stdout(saying))
    async with beating() as (ours, launcher), trio.open_nursery() as nursery:
        nursery.start_soon(answer, launcher, lambda: next(torn))
        with trio.move_on_after(HOUR) as hour:
            while True:
                assert await ours.receive() == [frames.Stdout(saying)]
        assert hour.cancelled_caught
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_nobody_need_read_for_a_launcher_to_be_kept(autojump_clock: MockClock) -> None:
    numbers = itertools.count()
    async with beating() as (ours, launcher), trio.open_nursery() as nursery:
        nursery.start_soon(answer, launcher, lambda: PONG + stdout(b"%d" % next(numbers)))
        await trio.sleep(HOUR)
        heard = [await ours.receive() for _ in range(2)]
        assert heard[0][:3] == [frames.Stdout(b"0"), frames.Stdout(b"1"), frames.Stdout(b"2")]
        assert len(heard[0]) >= HOUR / BEAT - 2
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_silent_launcher_is_given_up_though_nobody_reads(autojump_clock: MockClock) -> None:
    stream, _ = lockstep_stream_pair()
    ours = LauncherConnection(stream)
    ours._ready = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.beat)
        with trio.fail_after(SILENCE + 2 * BEAT), pytest.raises(LauncherSilentError):
            await ours.send(b"what nobody takes")
    with pytest.raises(LauncherSilentError):
        await ours.receive()


async def test_who_does_not_read_gives_nobody_up_and_misses_nothing(autojump_clock: MockClock) -> None:
    """As much as is read ahead waits, and the rest in the stream: behind it there is no silence to be noticed."""
    sent = stdout(b"x" * 1000) * (4 * AHEAD_MAX // 1000)
    async with beating() as (ours, launcher):
        await launcher.send_all(sent)
        await trio.sleep(HOUR)
        received = 0
        while received < len(sent) // 1005:
            received += len(await ours.receive())
        assert received == len(sent) // 1005


async def test_the_end_of_the_stream_is_no_silence(autojump_clock: MockClock) -> None:
    async with beating() as (ours, launcher):
        await launcher.send_all(stdout(b"last words"))
        await launcher.send_eof()
        await trio.sleep(HOUR)
        assert await ours.receive() == [frames.Stdout(b"last words")]
        for _ in range(2):
            with pytest.raises(LauncherGoneError, match="ended unexpectedly") as caught:
                await ours.receive()
            assert not isinstance(caught.value, LauncherSilentError)


async def test_a_server_that_was_stopped_says_so_of_those_who_left(mock_clock: MockClock) -> None:
    async with beating() as (ours, launcher):
        await wait_all_tasks_blocked()
        mock_clock.jump(SILENCE + 1)
        await launcher.send_eof()
        with pytest.raises(LauncherGoneError, match=f"nothing came from this server for {SILENCE} seconds"):
            await ours.receive()


async def test_a_server_that_was_stopped_gives_nobody_up_for_that(mock_clock: MockClock) -> None:
    async with beating() as (ours, launcher):
        for _ in range(5):
            await wait_all_tasks_blocked()
            mock_clock.jump(10 * SILENCE)
            await wait_all_tasks_blocked()
            await launcher.send_all(stdout(b"still here"))
            assert await ours.receive() == [frames.Stdout(b"still here")]


async def test_a_frame_in_part_gets_no_ping_into_it(autojump_clock: MockClock) -> None:
    stream, launcher = lockstep_stream_pair()
    ours = LauncherConnection(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.beat)
        with trio.move_on_after(1):
            await ours.send(frames.encode_stdin(b"x" * 100))
        await trio.sleep(HOUR)
        await ours.aclose()
    heard = b""
    while data := await launcher.receive_some():
        heard += data
    assert PING not in heard


@pytest.mark.parametrize("reading", [False, True])
async def test_closing_ends_the_heartbeat(autojump_clock: MockClock, reading: bool) -> None:
    stream, _ = memory_stream_pair()
    ours = LauncherConnection(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.beat)
        await trio.sleep(1)
        if reading:
            with trio.move_on_after(1):
                await ours.receive()
        start = trio.current_time()
        await ours.aclose()
    assert trio.current_time() == start


async def test_what_is_closed_has_no_heartbeat(autojump_clock: MockClock) -> None:
    stream, _ = memory_stream_pair()
    ours = LauncherConnection(stream)
    await ours.aclose()
    start = trio.current_time()
    await ours.beat()
    assert trio.current_time() == start


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 2 * BEAT), st.floats(0.01, 2 * BEAT), st.binary(min_size=1, max_size=50)),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
def test_readers_may_come_and_go_at_any_time(steps: list[tuple[float, float, bytes]], pieces: list[int]) -> None:
    """Whoever reads at the moment, each byte is taken once and in order."""

    async def main() -> None:
        async with beating() as (ours, launcher), trio.open_nursery() as nursery:

            async def write() -> None:
                lengths = itertools.cycle(pieces)
                data = b"".join(stdout(content) + PONG for _, _, content in steps)
                while data:
                    length = next(lengths)
                    await launcher.send_all(data[:length])
                    data = data[length:]
                    await trio.sleep(1)
                while True:
                    await launcher.send_all(PONG)
                    await trio.sleep(BEAT)

            nursery.start_soon(write)
            events: list[frames.Event] = []
            for away, patience, _ in steps:
                await trio.sleep(away)
                with trio.move_on_after(patience):
                    while True:
                        events += await ours.receive()
            while len(events) < len(steps):
                events += await ours.receive()
            assert events == [frames.Stdout(content) for _, _, content in steps]
            nursery.cancel_scope.cancel(reason="the test is over")

    trio.run(main, clock=MockClock(autojump_threshold=0))

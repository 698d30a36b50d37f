"""The launcher's connection over streams in memory: torn frames, ends, garbage, cancellation, several senders.

Signs of life are in `test_heartbeat`.
"""

from __future__ import annotations

import struct

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock, memory_stream_pair, wait_all_tasks_blocked

from trio_exec.errors import ExecutorError, LauncherGoneError, ProtocolError
from trio_exec.launcher import frames
from trio_exec.launcher.connection import SILENCE, START_TIMEOUT, LauncherConnection

READY = b"R\0\0\0\1" + bytes([frames.PROTOCOL_VERSION])
OLDER = b"R\0\0\0\1" + bytes([frames.PROTOCOL_VERSION - 1])


def stdout(data: bytes) -> bytes:
    return b"O" + struct.pack(">I", len(data)) + data


def connection() -> tuple[LauncherConnection, trio.StapledStream[MemorySendStream, MemoryReceiveStream]]:
    """A connection, and the launcher's end of it."""
    ours, launchers = memory_stream_pair()
    return LauncherConnection(ours), launchers


async def test_events_come_in_the_order_in_which_they_were_sent() -> None:
    ours, launcher = connection()
    await launcher.send_all(stdout(b"one") + stdout(b"two"))

    assert await ours.receive() == [frames.Stdout(b"one"), frames.Stdout(b"two")]


async def test_a_frame_in_pieces_is_one_event() -> None:
    ours, launcher = connection()
    events: list[frames.Event] = []

    async def receive() -> None:
        events.extend(await ours.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for byte in stdout(b"whole"):
            assert events == []
            await launcher.send_all(bytes([byte]))
            await wait_all_tasks_blocked()

    assert events == [frames.Stdout(b"whole")]


async def test_what_came_with_a_torn_frame_is_not_held_back() -> None:
    ours, launcher = connection()
    await launcher.send_all(stdout(b"one") + stdout(b"two")[:3])
    assert await ours.receive() == [frames.Stdout(b"one")]

    await launcher.send_all(stdout(b"two")[3:])
    assert await ours.receive() == [frames.Stdout(b"two")]


@pytest.mark.parametrize("piece", range(len(stdout(b"abc"))))
async def test_cancellation_loses_nothing(piece: int) -> None:
    ours, launcher = connection()
    await launcher.send_all(stdout(b"abc")[:piece])
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.receive)
            await wait_all_tasks_blocked()
            scope.cancel(reason="the test")
    await launcher.send_all(stdout(b"abc")[piece:])

    assert await ours.receive() == [frames.Stdout(b"abc")]


@pytest.mark.parametrize("torn", [b"", stdout(b"abc")[:-1]])
async def test_the_end_of_the_stream_is_told_every_time(torn: bytes) -> None:
    ours, launcher = connection()
    await launcher.send_all(torn)
    await launcher.send_eof()
    for _ in range(2):
        with pytest.raises(LauncherGoneError, match="ended unexpectedly"):
            await ours.receive()


async def test_what_came_before_the_end_is_still_there() -> None:
    ours, launcher = connection()
    await launcher.send_all(stdout(b"last words"))
    await launcher.send_eof()

    assert await ours.receive() == [frames.Stdout(b"last words")]


async def test_garbage_is_an_error_of_the_protocol() -> None:
    ours, launcher = connection()
    await launcher.send_all(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ProtocolError, match="HTTP/1"):
        await ours.receive()


async def test_a_stream_that_breaks_is_a_launcher_that_is_gone() -> None:
    class Broken(trio.abc.Stream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            del data
            raise trio.BrokenResourceError

        async def wait_send_all_might_not_block(self) -> None:
            raise trio.BrokenResourceError

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            del max_bytes
            raise trio.BrokenResourceError

        async def aclose(self) -> None:
            await trio.lowlevel.checkpoint()

    ours = LauncherConnection(Broken())
    with pytest.raises(LauncherGoneError, match="broke"):
        await ours.receive()
    with pytest.raises(LauncherGoneError, match="input was closed"):
        await ours.send(b"data")


async def test_several_senders_do_not_mix_their_frames() -> None:
    ours, launcher = connection()
    sent = [frames.encode_stdin(letter * 1000) for letter in (b"a", b"b", b"c")]
    launchers_half = launcher.receive_stream
    received = bytearray()

    async def receive() -> None:
        while len(received) < len(b"".join(sent)):
            received.extend(await launchers_half.receive_some(7))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for data in sent:
            nursery.start_soon(ours.send, data)

    assert sorted(bytes(received[at : at + 1005]) for at in range(0, 3 * 1005, 1005)) == sent


class Slow(trio.abc.Stream):
    """A stream that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.taken: list[bytes] = []
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.go.wait()
        self.taken.append(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self.go.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        del max_bytes
        await self.go.wait()
        return b""

    async def aclose(self) -> None:
        self.closed = True
        await self.go.wait()


async def test_senders_wait_for_each_other_in_turn() -> None:
    stream = Slow()
    ours = LauncherConnection(stream)
    async with trio.open_nursery() as nursery:
        for data in (b"1", b"2", b"3"):
            nursery.start_soon(ours.send, data)
            await wait_all_tasks_blocked()
        assert stream.taken == []
        stream.go.set()

    assert stream.taken == [b"1", b"2", b"3"]


async def test_a_sender_that_is_cancelled_lets_the_next_one_send() -> None:
    stream = Slow()
    ours = LauncherConnection(stream)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as first:
                first.start_soon(ours.send, b"1")
                await wait_all_tasks_blocked()
                nursery.start_soon(ours.send, b"2")
                await wait_all_tasks_blocked()
                scope.cancel(reason="the test")
        stream.go.set()

    assert stream.taken == [b"2"]


async def test_closing_waits_for_nobody() -> None:
    stream = Slow()
    await LauncherConnection(stream).aclose()

    assert stream.closed


async def test_what_was_closed_can_not_be_used() -> None:
    ours, _ = connection()
    await ours.aclose()
    with pytest.raises(LauncherGoneError):
        await ours.send(frames.encode_kill())
    with pytest.raises(LauncherGoneError):
        await ours.receive()


async def test_a_launcher_that_is_up_says_so() -> None:
    ours, launcher = connection()
    await launcher.send_all(READY)

    await ours.wait_ready()


async def test_hello_waits_for_no_word_of_the_launcher() -> None:
    ours, launcher = connection()
    await ours.greet()

    assert await launcher.receive_some() == frames.encode_hello(SILENCE)


async def test_versions_that_differ_are_both_told() -> None:
    ours, launcher = connection()
    await launcher.send_all(OLDER)
    await launcher.send_eof()  # It does not know what a Hello is.
    with pytest.raises(ExecutorError, match=r"speaks version 5 of .* this server version 6; run `trio-exec build`"):
        await ours.wait_ready()


@pytest.mark.parametrize("greeting", [stdout(b"hi"), READY + stdout(b"already")])
async def test_another_greeting_is_another_launcher(greeting: bytes) -> None:
    ours, launcher = connection()
    await launcher.send_all(greeting)
    with pytest.raises(ExecutorError, match="of another version; run `trio-exec build`"):
        await ours.wait_ready()


async def test_a_launcher_that_says_nothing_is_not_waited_for(autojump_clock: MockClock) -> None:
    ours, _ = connection()
    with pytest.raises(ExecutorError, match="did not come up within 30 seconds"):
        await ours.wait_ready()

    assert trio.current_time() == START_TIMEOUT

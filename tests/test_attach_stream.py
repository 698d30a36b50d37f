"""Docker's attach stream over a stream in memory, as the launcher's connection reads it."""

from __future__ import annotations

import struct

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from trio_exec.errors import ProtocolError
from trio_exec.executor.docker.attach_stream import STDERR, STDOUT, AttachStream


def chunk(data: bytes, stream: int = STDOUT) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


class Attached:
    """A stream, the engine's end of it, and what the launcher has complained of."""

    def __init__(self) -> None:
        ours, self.engine = memory_stream_pair()
        self.complaints: list[str] = []
        self.stream = AttachStream(ours, self.complaints.append)


async def test_input_goes_as_it_is() -> None:
    it = Attached()
    await it.stream.wait_send_all_might_not_block()
    await it.stream.send_all(b"input")

    assert await it.engine.receive_some() == b"input"


async def test_the_wrapping_is_taken_off() -> None:
    it = Attached()
    await it.engine.send_all(chunk(b"one ") + chunk(b"") + chunk(b"two"))

    assert await it.stream.receive_some() == b"one two"


async def test_what_there_is_of_a_chunk_is_not_held_back() -> None:
    it = Attached()
    await it.engine.send_all(chunk(b"abcdef")[:-3])
    assert await it.stream.receive_some() == b"abc"

    await it.engine.send_all(b"def" + chunk(b"g"))
    assert await it.stream.receive_some() == b"defg"


async def test_a_header_alone_is_nothing_yet() -> None:
    it = Attached()
    received: list[bytes] = []

    async def receive() -> None:
        received.append(await it.stream.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for byte in chunk(b"x")[:-1]:
            await it.engine.send_all(bytes([byte]))
            await wait_all_tasks_blocked()
            assert received == []
        await it.engine.send_all(b"x")

    assert received == [b"x"]


async def test_complaints_are_told_and_are_no_output() -> None:
    it = Attached()
    await it.engine.send_all(chunk(b"launcher: \xff deadline\n", STDERR) + chunk(b"out") + chunk(b"more\n", STDERR))

    assert await it.stream.receive_some() == b"out"
    assert it.complaints == ["launcher: � deadline", "more"]


async def test_complaints_alone_are_not_the_end() -> None:
    it = Attached()
    await it.engine.send_all(chunk(b"oh", STDERR))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(it.stream.receive_some)
            await wait_all_tasks_blocked()
            assert it.complaints == ["oh"]
            scope.cancel(reason="the test")
    await it.engine.send_all(chunk(b"out"))

    assert await it.stream.receive_some() == b"out"


@pytest.mark.parametrize("torn", [b"", chunk(b"abc")[:5], chunk(b"")])
async def test_the_end_is_told_every_time(torn: bytes) -> None:
    it = Attached()
    await it.engine.send_all(torn)
    await it.engine.send_eof()

    assert [await it.stream.receive_some(), await it.stream.receive_some()] == [b"", b""]


@pytest.mark.parametrize("piece", range(len(chunk(b"abc"))))
async def test_cancellation_loses_nothing(piece: int) -> None:
    it = Attached()
    data = chunk(b"abc")
    received = b""
    await it.engine.send_all(data[:piece])
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                nonlocal received
                while True:
                    received += await it.stream.receive_some()

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            scope.cancel(reason="the test")
    await it.engine.send_all(data[piece:])
    while len(received) < 3:
        received += await it.stream.receive_some()

    assert received == b"abc"


async def test_what_is_no_attach_stream_is_an_error() -> None:
    it = Attached()
    await it.engine.send_all(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ProtocolError, match="not an attach stream"):
        await it.stream.receive_some()


async def test_closing_closes_the_socket() -> None:
    it = Attached()
    await it.stream.aclose()

    assert await it.engine.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await it.stream.receive_some()

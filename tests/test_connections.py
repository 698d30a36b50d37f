"""Connections over raw sockets: when they are closed, who gets one, and what a client can make the server hold.

Each test says who misbehaves; it is always the client, and always others that must not notice.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
import trio

from tests.support import Client, ServerProcess
from trio_exec.server import tcp

PATIENCE = 30
MASK = b"\0\0\0\0"
MIB = 1024 * 1024
OPEN, SMALL = b"HTTP/1.1 101 ", b'{"language":"nothing","code":""}'


class Raw:
    """A connection that sends and sees bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.seen = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def until(self, part: bytes) -> bytes:
        while part not in self.seen:
            data = await self.stream.receive_some()
            assert data, self.seen
            self.seen += data
        return self.seen

    async def to_end(self) -> bytes:
        """Everything, until the server closes; a reset is a failure."""
        while data := await self.stream.receive_some():
            self.seen += data
        return self.seen

    async def answer(self) -> Reply:
        """The next answer, taken off what was seen."""
        await self.until(b"\r\n\r\n")
        head, _, body = self.seen.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        while len(body) < length:
            data = await self.stream.receive_some()
            assert data, head + body
            body += data
        self.seen = body[length:]
        return Reply(int(head.split()[1]), head.lower(), body[:length])


@dataclass
class Reply:
    """An answer; its head in lower case."""

    status: int
    head: bytes
    body: bytes

    @property
    def code(self) -> str:
        return json.loads(self.body)["code"]


@asynccontextmanager
async def raw(server: ServerProcess, first: bytes = b"") -> AsyncGenerator[Raw]:
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            await stream.send_all(first)
            yield Raw(stream)


def get(path: str = "/healthz", headers: str = "", version: str = "1.1", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n{headers}\r\n".encode()


def post(body: bytes, *, length: int | None = None, headers: str = "", kind: str = "application/json") -> bytes:
    size = len(body) if length is None else length
    return get("/session", f"Content-Type: {kind}\r\nContent-Length: {size}\r\n{headers}", method="POST") + body


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, first: int = 0) -> bytes:
    head = bytes([(0x80 if final else 0) | first | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + MASK + payload


def close_code(seen: bytes) -> int:
    """The code of a close frame at the end of what was seen."""
    at = seen.rindex(b"\x88")
    return struct.unpack_from(">H", seen, at + 2)[0]


# When connections are closed.


@pytest.mark.parametrize(
    "request_",
    [
        get(headers="Connection: close\r\n"),
        get(version="1.0"),
        get(headers="Connection: close\r\n", method="HEAD"),
        get("/", "Connection: close\r\n"),
        get("/nothing", "Connection: close\r\n"),
        get("/healthz", "Connection: close\r\n", method="DELETE"),
        get(headers="Connection: close\r\n", method="OPTIONS"),
    ],
)
async def test_a_connection_is_closed_when_the_client_wants_that(client: Client, request_: bytes) -> None:
    async with raw(client.server, request_) as it:
        with trio.fail_after(tcp.REQUEST_TIMEOUT - 1):
            assert (await it.to_end()).startswith(b"HTTP/1.1 ")


async def test_an_idle_connection_is_closed_and_a_used_one_is_not(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(keep_alive_timeout=2)
    async with raw(server) as it:
        for _ in range(4):
            await it.send(get())
            assert (await it.answer()).status == 200
            await trio.sleep(1)
        await it.to_end()


async def test_the_idle_timeout_is_five_seconds_by_default(client: Client) -> None:
    async with raw(client.server, get()) as it:
        await it.answer()
        start = trio.current_time()
        await it.to_end()
        assert 3 < trio.current_time() - start < 15


async def test_a_kept_connection_does_not_wait_long_for_half_a_request(
    start_server: Callable[..., ServerProcess],
) -> None:
    async with raw(start_server(keep_alive_timeout=1000), get()) as it:
        await it.answer()
        await it.send(b"GET /healthz HT")
        await trio.sleep(2)
        await it.send(b"TP/1.1\r\nA:")  # A little at a time does not help.
        with trio.fail_after(tcp.REQUEST_TIMEOUT + 3):
            assert await it.to_end() == b""


async def test_a_connection_is_kept_as_long_as_is_set(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(keep_alive_timeout=1000)

    async def keep(requests: int) -> None:
        async with raw(server, get() * requests) as it:
            for _ in range(2):
                for _ in range(requests):
                    assert (await it.answer()).status == 200
                await trio.sleep(tcp.REQUEST_TIMEOUT + 1)
                await it.send(get() * requests)

    async with trio.open_nursery() as nursery:  # Both at once, since they only wait.
        for requests in (1, 3):
            nursery.start_soon(keep, requests)


EARLY = {
    "too large": (post(b"", length=2 * MIB), 413),
    "no JSON": (post(b"", length=900_000, kind="text/plain"), 415),
    "not found": (get("/nothing", "Content-Length: 900000\r\n", method="GET"), 404),
    "foreign page": (post(b"", length=900_000, headers="Origin: http://evil.example\r\n"), 403),
    "wrong method": (get("/languages", "Content-Length: 900000\r\n", method="POST"), 405),
    "chunked": (get("/nothing", "Transfer-Encoding: chunked\r\n", method="POST"), 404),
}


@pytest.mark.parametrize("case", EARLY)
async def test_an_early_answer_is_seen_and_the_connection_closed(client: Client, case: str) -> None:
    head, status = EARLY[case]
    async with raw(client.server, head) as it:
        answer = await it.answer()
        assert (answer.status, b"connection: close" in answer.head) == (status, True)
        with trio.fail_after(tcp.LINGER_TIMEOUT + 5):
            await it.to_end()


@pytest.mark.parametrize("case", EARLY)
async def test_an_early_answer_survives_what_is_still_sent(client: Client, case: str) -> None:
    head, status = EARLY[case]
    chunk = b"%x\r\n" % 10000 + b"x" * 10000 + b"\r\n"
    async with raw(client.server, head) as it:
        for _ in range(80):
            await it.send(chunk)
        await trio.sleep(0.5)
        assert (await it.answer()).status == status
        await it.to_end()


async def test_a_refused_request_that_is_all_there_keeps_the_connection(client: Client) -> None:
    async with raw(client.server) as it:
        for request, status in [
            (post(SMALL, kind="text/plain"), 415),
            (post(SMALL), 400),
            (get("/nothing"), 404),
            (post(SMALL, headers="Origin: http://evil.example\r\n"), 403),
            (get(method="HEAD"), 200),
            (get("/session/unknown"), 404),
        ]:
            await it.send(request)
            if b"HEAD" in request[:4]:
                assert b" 200 " in await it.until(b"\r\n\r\n")
                it.seen = b""
                continue
            answer = await it.answer()
            assert (answer.status, b"connection: close" in answer.head) == (status, False)


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    requests = [get(), get("/nothing"), post(SMALL), get(), post(SMALL, kind="text/plain"), get("/languages")]
    async with raw(client.server, b"".join(requests)) as it:
        assert [(await it.answer()).status for _ in requests] == [200, 404, 400, 200, 415, 200]


async def test_what_is_pipelined_behind_a_close_is_not_answered_and_holds_nothing_up(client: Client) -> None:
    last = get(headers="Connection: close\r\n")
    for cut in (len(last + get() * 5), len(last), len(last) + 10):
        for _ in range(5):  # It is the answer that must come, however quick it is.
            async with raw(client.server, (last + get() * 5)[:cut]) as it:
                await it.send((last + get() * 5)[cut:])
                with trio.fail_after(tcp.REQUEST_TIMEOUT):
                    answer = await it.to_end()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_client_that_has_closed_its_side_gets_its_answers(client: Client) -> None:
    async with raw(client.server, get() + get("/languages")) as it:
        await it.stream.send_eof()
        assert (await it.to_end()).count(b"HTTP/1.1 200 ") == 2
    for _ in range(5):
        async with raw(client.server, get("/readyz", headers="Connection: close\r\n")) as it:
            await it.stream.send_eof()
            assert (await it.to_end()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("pieces", ["whole", "pieces", "chunked"])
async def test_a_body_may_come_in_pieces(client: Client, pieces: str) -> None:
    body = SMALL + b" " * 50_000
    async with raw(client.server) as it:
        if pieces == "chunked":
            await it.send(
                get("/session", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", method="POST")
            )
            for start in range(0, len(body), 3000):
                part = body[start : start + 3000]
                await it.send(b"%x\r\n%b\r\n" % (len(part), part))
                await trio.sleep(0.01)
            await it.send(b"0\r\n\r\n")
        else:
            request = post(body)
            size = len(request) if pieces == "whole" else 3000
            for start in range(0, len(request), size):
                await it.send(request[start : start + size])
                await trio.sleep(0.01)
        assert (await it.answer()).code == "unknown_language"
        await it.send(get())
        assert (await it.answer()).status == 200


async def test_a_chunked_body_that_is_too_large_is_refused(client: Client) -> None:
    async with raw(
        client.server,
        get("/session", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", method="POST"),
    ) as it:
        chunk = b"%x\r\n" % 50000 + b" " * 50000 + b"\r\n"
        for _ in range(30):
            await it.send(chunk)
        answer = await it.answer()
        assert (answer.status, answer.code) == (413, "request_too_large")
        await it.to_end()


EXPECT = "Expect: 100-continue\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(b"", length=2 * MIB, headers=EXPECT), 413),
        (post(b"", length=50, headers=EXPECT, kind="text/plain"), 415),
        (post(b"", length=50, headers=EXPECT + "Origin: http://evil.example\r\n"), 403),
        (get("/nothing", f"Content-Length: 50\r\n{EXPECT}"), 404),
    ],
)
async def test_a_refused_body_is_not_asked_for(client: Client, head: bytes, status: int) -> None:
    async with raw(client.server, head) as it:
        assert (await it.answer()).status == status
        await it.to_end()


async def test_a_wanted_body_is_asked_for(client: Client) -> None:
    async with raw(client.server, post(b"", length=len(SMALL), headers=EXPECT)) as it:
        assert (await it.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        it.seen = b""
        await it.send(SMALL)
        assert (await it.answer()).code == "unknown_language"
        await it.send(get())
        assert (await it.answer()).status == 200


async def test_a_body_that_does_not_wait_to_be_asked_for_is_taken(client: Client) -> None:
    async with raw(client.server, post(SMALL, headers=EXPECT)) as it:
        answer = await it.answer()
        if answer.status == 100:
            answer = await it.answer()
        assert answer.code == "unknown_language"


# What is spoken.


async def test_http2_is_not_spoken_to_those_who_presume_it(client: Client) -> None:
    async with raw(client.server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0") as it:
        answer = await it.answer()
        assert (answer.status, answer.code) == (505, "version_not_supported")
        await it.to_end()


async def test_an_upgrade_to_http2_is_ignored(client: Client) -> None:
    headers = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    async with raw(client.server, get(headers=headers)) as it:
        assert (await it.answer()).status == 200
        await it.send(get())
        assert (await it.answer()).status == 200


UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        UPGRADE,
        UPGRADE + "Sec-WebSocket-Version: 13\r\n",
        UPGRADE + "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        UPGRADE + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: A\r\nSec-WebSocket-Protocol: \xff\r\n",
        UPGRADE + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: A\r\nSec-WebSocket-Extensions: \xff\r\n",
    ],
)
async def test_an_invalid_upgrade_is_refused_and_closed(client: Client, headers: str) -> None:
    request = f"GET /ws/session/x HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode("latin1")
    async with raw(client.server, request) as it:
        answer = await it.answer()
        assert (answer.status, answer.code) == (400, "bad_request")
        await it.to_end()


# What a client can make the server hold.


@asynccontextmanager
async def attached(server: ServerProcess, session_id: str, headers: str = "") -> AsyncGenerator[Raw]:
    request = Client(server).upgrade_request(f"/ws/session/{session_id}", headers)
    async with raw(server, request) as it:
        await it.until(b"\r\n\r\n")
        assert it.seen.startswith(OPEN)
        yield it


@pytest.fixture
async def session_id(client: Client) -> AsyncGenerator[str]:
    """A session that waits, and that several clients may be attached to."""
    made = await client.create(language="python", code="input()", tty=True)
    yield made
    await client.request("DELETE", f"/session/{made}")


@pytest.mark.parametrize("offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-other"])
async def test_compression_is_never_agreed_to(client: Client, session_id: str, offer: str) -> None:
    async with attached(client.server, session_id, f"Sec-WebSocket-Extensions: {offer}\r\n") as it:
        assert b"extensions" not in it.seen.lower()
        await it.send(frame(1, b"\x4a\x04\x00\x00\x00\xff\xff", first=0x40))
        assert close_code(await it.to_end()) == 1002


async def test_a_broken_frame_is_answered_with_what_is_wrong(client: Client, session_id: str) -> None:
    for broken, code in [(frame(3), 1002), (frame(1, b"\xff\xfe"), 1007), (b"\x81\x01a", 1002), (frame(0, b"a"), 1002)]:
        async with attached(client.server, session_id) as it:
            await it.send(broken)
            assert close_code(await it.to_end()) == code


async def test_what_is_sent_to_one_who_is_being_refused_is_no_fault(client: Client) -> None:
    made = await client.create(language="python", code="while True: print('x' * 100)", limits={"outputBytes": 900_000})
    for _ in range(30):
        async with attached(client.server, made) as it, trio.open_nursery() as nursery:
            nursery.start_soon(it.to_end)
            await it.send(frame(1, b"x" * 20, final=False) + frame(9) * 20 + frame(0, b"x" * 2 * MIB))

    assert "could not be served" not in client.server.log()


HUGE = 64 * MIB


def one_frame() -> Iterator[bytes]:
    yield bytes([0x81, 0xFF]) + struct.pack(">Q", HUGE) + MASK
    while True:
        yield b"x" * 60000


def many_frames() -> Iterator[bytes]:
    yield frame(1, b"x", final=False)
    while True:
        yield frame(0, b"x" * 60000, final=False)


def little_frames() -> Iterator[bytes]:
    yield frame(2, b"x", final=False)
    while True:
        yield frame(0, b"x" * 100, final=False) * 500


@pytest.mark.parametrize("kind", [one_frame, many_frames, little_frames])
async def test_what_is_too_large_is_not_kept(
    client: Client, session_id: str, kind: Callable[[], Iterator[bytes]]
) -> None:
    before = client.server.resident()
    async with attached(client.server, session_id) as it, trio.open_nursery() as nursery:

        async def flood() -> None:
            sent = 0
            with contextlib.suppress(trio.BrokenResourceError):
                for piece in kind():
                    await it.send(piece)
                    sent += len(piece)
                    assert sent < HUGE, "all of it was taken"

        nursery.start_soon(flood)
        while b"\x88\x02" not in it.seen:
            data = await it.stream.receive_some()
            assert data, "closed without a word"
            it.seen += data
        assert close_code(it.seen) == 1009
    assert client.server.resident() - before < 16 * MIB


async def test_a_message_of_the_largest_size_is_taken_in_any_pieces(client: Client) -> None:
    code = "import sys; print(len(sys.stdin.readline()))"
    text = json.dumps({"type": "input", "data": "é" * 400_000 + "\n"}, ensure_ascii=False).encode()
    for size in (100_000, 999):
        made = await client.create(language="python", code=code)
        async with attached(client.server, made) as it:
            pieces = [text[start : start + size] for start in range(0, len(text), size)]
            for number, piece in enumerate(pieces):
                await it.send(frame(0 if number else 1, piece, final=number == len(pieces) - 1) + frame(9))
            assert b"400001" in await it.until(b"400001")


async def test_what_has_arrived_is_bounded_in_sum_and_little_things_always_pass(
    start_server: Callable[..., ServerProcess],
) -> None:
    client = Client(start_server(max_retained_bytes=8 * MIB))
    server = client.server
    made = await client.create(language="python", code="print(input())")
    big = b'{"language":"nothing","code":"' + b"x" * 900_000 + b'"}'
    async with AsyncExitStack() as hoarders:
        for _ in range(6):  # Of whom not all can be served: arrivals get half of the 8 MiB.
            hoarder = await hoarders.enter_async_context(raw(server))
            await hoarder.send(post(big[:-1], length=len(big)))
        await trio.sleep(0.5)
        async with raw(server, post(big)) as it:
            answer = await it.answer()
            assert (answer.status, answer.code) == (503, "overloaded")
            assert b"retry-after: " in answer.head
            assert b"connection: close" in answer.head
            await it.to_end()
        async with attached(server, made) as it:
            await it.send(frame(1, b"x" * 900_000))
            assert close_code(await it.to_end()) == 1013
        assert (await client.request("POST", "/session", {"language": "nothing", "code": ""})).status == 400
        async with client.attach(made) as other:
            await other.input("little things pass\n")
            assert "little things pass" in (await other.to_end()).stdout
    with trio.fail_after(PATIENCE):
        while True:
            async with raw(server, post(big)) as it:
                if (await it.answer()).code == "unknown_language":
                    break


# Who gets a connection.


@asynccontextmanager
async def holding(
    server: ServerProcess, count: int, first: bytes = b"", address: str = "127.0.0.1"
) -> AsyncGenerator[list[Raw]]:
    """Connections that are held, each with a beginning that may be sent."""
    async with AsyncExitStack() as stack:
        held: list[Raw] = []
        for _ in range(count):
            socket = stack.enter_context(trio.socket.socket())
            await socket.bind((address, 0))
            with trio.fail_after(PATIENCE):
                await socket.connect(("127.0.0.1", server.port))
            stream = await stack.enter_async_context(trio.SocketStream(socket))
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(first)
            held.append(Raw(stream))
        yield held


HALF = post(b"", length=1000, headers=EXPECT)


@asynccontextmanager
async def busy(server: ServerProcess, count: int, address: str = "127.0.0.1") -> AsyncGenerator[list[Raw]]:
    """Connections of which the server waits for a body, for certain; one by one, since idle ones may have to go."""
    async with AsyncExitStack() as stack:
        held: list[Raw] = []
        for _ in range(count):
            (it,) = await stack.enter_async_context(holding(server, 1, HALF, address))
            await it.until(b"100 ")
            held.append(it)
        yield held


async def test_idle_connections_give_way(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(max_connections=20, max_connections_per_address=15, keep_alive_timeout=1000)
    async with holding(server, 15, get()), holding(server, 30, get(), "127.0.0.2"):
        await trio.sleep(0.5)  # Until all have their answers, and are idle.
        for _ in range(30):
            async with raw(server, get("/readyz")) as it:
                assert (await it.answer()).status == 200


async def answer_with(server: ServerProcess, status: int, address: str = "127.0.0.1") -> Reply:
    """Asks until the answer has a status: the server may still be busy with what was there before."""
    with trio.fail_after(PATIENCE):
        while True:
            async with holding(server, 1, get(), address) as (it,):
                answer = await it.answer()
                await it.stream.send_eof()
                await it.to_end()  # So that it does not count any more.
            if answer.status == status:
                return answer
            await trio.sleep(0.1)


async def test_busy_connections_do_not_and_others_are_told(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(max_connections=20, max_connections_per_address=12, trusted_proxies="127.0.0.4")
    async with busy(server, 12) as mine:
        answer = await answer_with(server, 503)
        assert answer.code == "too_many_connections"
        assert b"connection: close" in answer.head
        assert "from your address" in json.loads(answer.body)["error"]
        assert (await answer_with(server, 200, "127.0.0.3")).body
        async with busy(server, 8, "127.0.0.4"):  # And the sum is reached.
            answer = await answer_with(server, 503, "127.0.0.3")
            assert answer.code == "too_many_connections"
            assert "from your address" not in json.loads(answer.body)["error"]
        assert (await answer_with(server, 200, "127.0.0.3")).body
        await mine[0].stream.aclose()
        assert (await answer_with(server, 200)).body


async def test_a_trusted_proxy_may_have_as_many_as_there_are(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(max_connections=20, max_connections_per_address=2, trusted_proxies="127.0.0.4")
    async with busy(server, 10, "127.0.0.4"):
        assert (await answer_with(server, 200, "127.0.0.4")).body
        assert (await answer_with(server, 200)).body


async def answer_at_last(server: ServerProcess, path: str) -> Reply:
    """Asks until there is an answer: while many come at once, one that came early may have to give way unanswered."""
    with trio.fail_after(PATIENCE):
        while True:
            async with raw(server, get(path)) as it:
                it.seen = bytes(await it.stream.receive_some())
                if it.seen:
                    return await it.answer()


@pytest.mark.parametrize("descriptors", [128, 1024])
async def test_connections_leave_descriptors_for_sessions(
    start_server: Callable[..., ServerProcess], descriptors: int
) -> None:
    client = Client(start_server(descriptors=descriptors, max_connections=5000, max_connections_per_address=5000))
    async with holding(client.server, 2 * descriptors, get()), holding(client.server, descriptors, HALF):
        for _ in range(3):
            assert (await answer_at_last(client.server, "/readyz")).status in {200, 503}
    async with holding(client.server, 2 * descriptors):
        await answer_at_last(client.server, "/healthz")  # And with it all that came before are there.
        run = await client.run(language="python", code="print(1)")
        assert (run.stdout, run.reason) == ("1\n", None)


async def test_a_lack_of_descriptors_is_survived_and_does_not_fill_the_log(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server()
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 5, limits[1]))
    async with holding(server, 30, get()):
        await trio.sleep(2)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
    async with raw(server, get()) as it:
        assert (await it.answer()).status == 200

    assert "EMFILE" in server.log()
    assert server.log().count("\n") < 20, server.log()

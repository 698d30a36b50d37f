"""Faults of the stack below us, driven over raw sockets: each must be contained, and show when an upgrade mends it.

In the tests with a raw socket it is always the client that misbehaves, and the server that closes.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import hypercorn.trio
import hypercorn.trio.run
import pytest
import trio
from hypercorn.config import Config
from quart import Quart, websocket
from quart_trio import QuartTrio
from trio.testing import wait_all_tasks_blocked

from tests.fakes import FakeExecutor
from tests.raw import raw_session
from tests.sessions import SOMEBODY
from tests.support import Client, ServerProcess
from trio_exec.api.app import Application, create_app
from trio_exec.api.arrivals import Arrivals
from trio_exec.api.auth import Authentication
from trio_exec.api.native.websocket import Attachment
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.executor.docker.janitor import Janitor
from trio_exec.keys import Keys
from trio_exec.languages import Languages
from trio_exec.limits import MIB
from trio_exec.model import Job
from trio_exec.phases import Phases
from trio_exec.server import hypercorn_worker, tcp
from trio_exec.serving import serve
from trio_exec.settings import Settings

PATIENCE = 30
MASK = b"\0\0\0\0"


def arrivals() -> Arrivals:
    return Arrivals(Budget(Settings().max_retained_bytes))


def frame(opcode: int, payload: bytes = b"") -> bytes:
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + MASK + payload


@asynccontextmanager
async def raw(client: Client, first: bytes) -> AsyncGenerator[trio.SocketStream]:
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", client.server.port) as stream:
            await stream.send_all(first)
            yield stream


async def test_a_frame_in_the_upgrades_packet_does_not_end_the_server(client: Client) -> None:
    session_id = await client.create(language="python", code="input()")
    async with client.attach(session_id) as bystander:
        await bystander.until_waiting()
        for payload in (frame(1, b'{"type":"what"}'), frame(8), frame(2), b"\xff" * 100, frame(1) * 50):
            async with raw(client, client.upgrade_request(f"/ws/session/{session_id}") + payload) as stream:
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await bystander.input("\n")
        run = await bystander.to_end()

    assert run.final.exit_code == 0
    assert client.server.process.poll() is None
    assert (await client.request("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"\r\n" * 10_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5000,
    ],
)
async def test_garbage_ends_only_its_own_connection(client: Client, garbage: bytes) -> None:
    async with raw(client, garbage) as stream:
        await stream.send_eof()
        while await stream.receive_some():
            pass

    assert (await client.request("GET", "/healthz")).status == 200


async def test_a_client_that_never_finishes_its_request_is_dropped(client: Client) -> None:
    async with raw(client, b"POST /session HTTP/1.1\r\nHost: 127.0.0.1\r\n") as stream:
        assert await stream.receive_some() == b""


async def test_a_client_that_does_not_read_is_dropped_and_can_come_back(client: Client) -> None:
    code = "import sys\nsys.stdin.readline()\nfor _ in range(250): sys.stdout.write('x' * 4000)"
    stuck = [await client.create(language="python", code=code) for _ in range(4)]
    path = f"/ws/session/{stuck[0]}"
    async with client.attach(stuck[0]) as attached:
        await attached.until_waiting()
        stream = await trio.open_tcp_stream("127.0.0.1", client.server.port)
        async with stream:
            # The smallest window there is, so that little is enough to fill what is between us.
            stream.setsockopt(1, 8, 1024)
            await stream.send_all(client.upgrade_request(path))
            await stream.receive_some(100)
            await attached.input("go\n")
            run = await attached.to_end()
            assert len(run.stdout) == 1_000_000
            with trio.fail_after(tcp.WRITE_TIMEOUT + 20):
                while (await client.info(stuck[0]))["clients"]:  # noqa: ASYNC110 - there is only asking
                    await trio.sleep(0.2)
    async with client.attach(stuck[0]) as again:
        assert (await again.to_end()).stdout == run.stdout
    for session_id in stuck[1:]:
        await client.request("DELETE", f"/session/{session_id}")


async def test_a_client_that_does_not_read_cannot_hold_up_the_end(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    code = "for _ in range(1000): print('x' * 999)"
    session_id = (await client.run(language="python", code=code)).session_id
    stream = await trio.open_tcp_stream("127.0.0.1", client.server.port)
    async with stream:
        stream.setsockopt(1, 8, 1024)
        await stream.send_all(client.upgrade_request(f"/ws/session/{session_id}"))
        await stream.receive_some(100)
        client.server.terminate()
        code = await trio.to_thread.run_sync(client.server.wait, tcp.WRITE_TIMEOUT + 20)

    assert code == 0


async def test_a_disconnect_is_seen_under_many_unread_messages(client: Client) -> None:
    session_id = await client.create(language="python", code="input()")
    async with raw(client, client.upgrade_request(f"/ws/session/{session_id}")) as stream:
        await stream.receive_some()
        await stream.send_all(frame(1, b'{"type":"input","data":"x"}') * 200)
        with trio.fail_after(10):
            while not (await client.info(session_id))["clients"]:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.05)
    with trio.fail_after(10):
        while (await client.info(session_id))["clients"]:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.05)
    await client.request("DELETE", f"/session/{session_id}")


async def test_a_message_that_is_too_large_closes_with_1009(client: Client) -> None:
    async with raw_session(client, language="python", code="input()") as session:
        await session.until_waiting()
        await session.send('{"type":"input","data":"' + "x" * 2_000_000 + '"}')
        await session.to_end()
        assert session.close_reason is not None
        assert session.close_reason.code == 1009
    await client.request("DELETE", f"/session/{session.run.session_id}")


async def test_pings_are_answered(client: Client) -> None:
    session_id = await client.create(language="python", code="input()")
    async with raw(client, client.upgrade_request(f"/ws/session/{session_id}")) as stream:
        received = b""
        await stream.send_all(frame(9, b"hey"))
        while b"\x8a\x03hey" not in received:
            received += await stream.receive_some()
    await client.request("DELETE", f"/session/{session_id}")


class BrokenSocket:
    """A WebSocket whose sending fails with what is no disconnect; a real one can't be made to do that."""

    def __init__(self) -> None:
        self.closed_with: int | None = None

    async def send(self, data: str) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError(f"can't send {data[:20]}")

    async def receive(self) -> str:
        await trio.sleep_forever()
        raise AssertionError

    async def close(self, code: int, reason: str = "") -> None:
        del reason
        await trio.lowlevel.checkpoint()
        self.closed_with = code


async def test_a_fault_in_serving_a_client_is_logged_and_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(Settings(), Languages.load(), FakeExecutor(), Budget(64 * MIB), Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        session = engine.create_session(Job("python", b""), SOMEBODY)
        socket = BrokenSocket()
        await Attachment(socket, session, 0).serve(Phases())
        nursery.cancel_scope.cancel(reason="the test is over")

    assert socket.closed_with == 1011
    assert "ValueError: can't send" in caplog.text


@pytest.mark.docker
async def test_a_crash_of_any_part_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(_: Janitor) -> None:
        await trio.sleep(0.1)
        raise RuntimeError("the janitor fell down the stairs")

    monkeypatch.setattr(Janitor, "run", crash)
    addresses: list[str] = []
    with trio.fail_after(PATIENCE), pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await serve(Settings(port=0, pool={}), addresses.append)

    assert addresses


@pytest.mark.docker
async def test_a_server_that_takes_no_connections_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stop_at_once(*_: object, task_status: trio.TaskStatus[list[str]], **__: object) -> None:  # noqa: ASYNC114 - started by hypercorn's name
        await trio.lowlevel.checkpoint()
        task_status.started(["http://127.0.0.1:1"])

    monkeypatch.setattr(hypercorn.trio, "serve", stop_at_once)
    error = pytest.RaisesExc(RuntimeError, match="takes no connections any more")
    with trio.fail_after(PATIENCE), pytest.RaisesGroup(error, flatten_subgroups=True):
        await serve(Settings(port=0, pool={}), lambda _: None)


async def test_a_slow_download_is_not_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = {**Quart.default_config, "RESPONSE_TIMEOUT": 0.2}  # Else a minute, after which it would be.
    monkeypatch.setattr(Quart, "default_config", hasty)
    size = 16 * MIB  # More than sockets hold.
    (tmp_path / "large").write_bytes(b"x" * size)
    engine = Engine(Settings(), Languages.load(), FakeExecutor(), Budget(64 * MIB), Phases())
    app = create_app(
        engine, Settings(), Authentication(Settings(), Keys({})), Phases(), static=tmp_path, arrivals=arrivals()
    )
    with trio.fail_after(PATIENCE):
        async with serving(app) as port, await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = await stream.receive_some()
            await trio.sleep(1)
            while data := await stream.receive_some():
                received += data

    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == size


async def test_a_connection_that_ends_too_slowly_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "AFTERMATH", -1)  # As where a second passes between two steps: too many connections end.

    async def handler() -> None: ...

    with trio.fail_after(PATIENCE):
        async with serve_bare(handler) as port:
            for _ in range(2):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    assert (await stream.receive_some()).startswith(b"HTTP/1.1 404")
                    while await stream.receive_some():
                        pass


# What follows shows the faults themselves, with a small application: when one of these fails after an upgrade, the
# fault is mended below us, and what contains it here can go.


@asynccontextmanager
async def serve_bare(handler: Callable[[], Awaitable[None]], **options: object) -> AsyncGenerator[int]:
    app = Application(arrivals())
    app.add_websocket("/ws", view_func=handler)
    async with serving(app, **options) as port:
        yield port


@asynccontextmanager
async def serving(app: QuartTrio, **options: object) -> AsyncGenerator[int]:
    config: Config = hypercorn_worker.make_config(Settings(port=0), arrivals(), containers=0)
    for name, value in options.items():
        setattr(config, name, value)
    async with trio.open_nursery() as nursery:
        with hypercorn_worker.installed():
            address, *_ = await nursery.start(hypercorn_worker.hypercorn.trio.serve, app, config)
            yield int(address.rsplit(":", 1)[1])
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_hypercorn_has_its_own_classes_again_when_a_server_has_ended() -> None:
    serves = vars(hypercorn.trio.run)
    own = serves["TCPServer"]
    async with serving(QuartTrio("other")):
        assert serves["TCPServer"] is tcp.ClientConnection
    assert serves["TCPServer"] is own is not tcp.ClientConnection


async def upgrade(port: int) -> trio.SocketStream:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    return stream


async def read_close_code(stream: trio.SocketStream) -> int:
    received = b""
    while b"\x88" not in received or len(received) < received.index(b"\x88") + 4:
        received += await stream.receive_some()
    return struct.unpack_from(">H", received, received.index(b"\x88") + 2)[0]


async def test_nothing_is_left_of_a_connection_that_has_ended() -> None:
    async def handler() -> None:
        await websocket.accept()
        await websocket.receive()

    with trio.fail_after(PATIENCE):
        async with serve_bare(handler) as port:
            await wait_all_tasks_blocked()
            before = trio.lowlevel.current_statistics().tasks_living
            async with await upgrade(port) as stream:
                await stream.receive_some()
                assert trio.lowlevel.current_statistics().tasks_living > before
            with trio.fail_after(hypercorn_worker.PING_INTERVAL / 2):
                while trio.lowlevel.current_statistics().tasks_living > before:  # noqa: ASYNC110 - a number has no event
                    await trio.sleep(0.05)


async def test_pings_are_sent_but_not_in_the_moment_of_the_upgrade() -> None:
    async def handler() -> None:
        await websocket.accept()
        await websocket.send("first")
        await websocket.receive()

    with trio.fail_after(PATIENCE):
        async with serve_bare(handler, websocket_ping_interval=0.5) as port, await upgrade(port) as stream:
            received = b""
            while received.count(b"\x89\x00") < 2:
                received += await stream.receive_some()

    assert received.index(b"\x89\x00") > received.index(b"first")


async def test_quart_closes_normally_after_a_crash() -> None:
    async def handler() -> None:
        await websocket.accept()
        raise RuntimeError("a crash that a client should be able to tell")

    with trio.fail_after(PATIENCE):
        async with serve_bare(handler) as port, await upgrade(port) as stream:
            assert await read_close_code(stream) == 1000


async def test_an_empty_binary_message_arrives_as_one() -> None:
    received: list[object] = []

    async def handler() -> None:
        received.append(await websocket.receive())
        await websocket.close(1000)

    with trio.fail_after(PATIENCE):
        async with serve_bare(handler) as port, await upgrade(port) as stream:
            await stream.receive_some()
            await stream.send_all(frame(2))
            await read_close_code(stream)

    assert received == [b""]  # None by hypercorn 0.18 and Quart


async def test_shutdown_sends_no_close_frame_by_itself() -> None:
    async def handler() -> None:
        await websocket.accept()
        await trio.sleep_forever()

    stop = trio.Event()
    app = Application(arrivals())
    app.add_websocket("/ws", view_func=handler)
    config = hypercorn_worker.make_config(Settings(port=0), arrivals(), containers=0)
    config.graceful_timeout = 0.5
    with hypercorn_worker.installed(), trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hypercorn_worker.hypercorn.trio.serve, app, config, shutdown_trigger=stop.wait)
            address, *_ = await nursery.start(serve)
            async with await upgrade(int(address.rsplit(":", 1)[1])) as stream:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += await stream.receive_some()
                stop.set()
                rest = b""
                while data := await stream.receive_some():
                    rest += data

    assert b"\x88" not in rest

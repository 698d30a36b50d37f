"""The client's connection to a session, against servers that are played: what goes out, and what comes of oddities."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from trio_exec.client import (
    ConnectError,
    Idle,
    InputClosedError,
    InputWait,
    Output,
    ProtocolError,
    ServerError,
    StateChanged,
    connect,
)
from trio_exec.client.outbox import FIRST_ROOM, HELD_MAX, PAUSE, PIECE_MAX, Outbox
from trio_exec.client.websocket import BrokenError, WebSocket

FINAL = {"type": "state", "state": "finished", "stage": "run", "exitCode": 0, "seq": 100}
SESSION = {"type": "session", "sessionId": "abc", "websocket": "/ws/session/abc"}
Play = Callable[["Player"], Awaitable[None]]


class Player:
    """One WebSocket, as the server has it."""

    def __init__(self, socket: WebSocketConnection, path: str) -> None:
        self._socket = socket
        self.path = path

    async def say(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self._socket.send_message(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        return json.loads(await self._socket.get_message())

    async def close(self, code: int) -> None:
        await self._socket.aclose(code)


@asynccontextmanager
async def server(*plays: Play) -> AsyncGenerator[str]:
    """A server whose connections go as they are played, one after another; gives its URL."""
    left = list(plays)

    async def handle(request: WebSocketRequest) -> None:
        play = left.pop(0)
        socket = await request.accept()
        try:
            await play(Player(socket, request.path))
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        with trio.fail_after(20):  # noqa: ASYNC100 - what the test does in it
            yield f"http://127.0.0.1:{running.port}"
        nursery.cancel_scope.cancel(reason="the test is over")
    assert not left, "not all connections were made"


async def test_what_a_newer_server_says_besides_is_passed_over() -> None:
    async def play(it: Player) -> None:
        await it.hear()
        await it.say({**SESSION, "colour": "blue"})
        await it.say({"type": "weather", "seq": 3}, {"type": "stdout", "data": "x", "seq": 5, "mood": [1]})
        await it.say({"type": "state", "state": "dreaming", "seq": 6, "dream": {}}, {**FINAL, "stages": "many"})

    async with server(play) as url, connect(url) as client, client.session("python", "", stdin="") as session:
        events = [event async for event in session]

    assert [type(event) for event in events] == [Output, StateChanged, StateChanged]
    assert [event.state for event in events if isinstance(event, StateChanged)] == ["dreaming", "finished"]


async def test_what_was_seen_already_is_not_seen_again() -> None:
    async def first(it: Player) -> None:
        await it.hear()
        await it.say(SESSION, {"type": "stdout", "data": "one", "seq": 3})
        await it.close(1001)

    async def second(it: Player) -> None:
        assert "after=3" in it.path
        await it.say({"type": "stdout", "data": "one", "seq": 3}, {"type": "stdout", "data": "two", "seq": 6}, FINAL)

    async with server(first, second) as url, connect(url) as client, client.session("python", "") as session:
        assert (await session.result()).stdout == "onetwo"


async def test_a_server_with_small_messages_gets_smaller_pieces() -> None:
    sizes: list[int] = []

    async def hear(it: Player) -> int:
        message = await it.hear()
        sizes.append(len(message["data"]))
        return message["at"] + sizes[-1]

    async def first(it: Player) -> None:
        await it.hear()
        await it.say(SESSION)
        await it.say({"type": "input_ack", "at": await hear(it), "room": 1_000_000})
        await hear(it)
        await it.close(1009)

    async def second(it: Player) -> None:
        await it.say({"type": "input_ack", "at": await hear(it), "room": 0}, FINAL)

    async with server(first, second) as url, connect(url) as client, client.session("python", "") as session:
        await session.send("x" * (FIRST_ROOM + PIECE_MAX))
        await session.result()

    assert sizes == [FIRST_ROOM, PIECE_MAX, PIECE_MAX // 2]


@pytest.mark.parametrize("said", ["no JSON", "[1]", '{"type":"stdout","seq":1}', '{"type":"stdout","data":"x"}'])
async def test_what_is_no_protocol_of_ours_is_said(said: str) -> None:
    async def play(it: Player) -> None:
        await it.hear()
        await it.say(SESSION)
        await it._socket.send_message(said)

    async with server(play) as url, connect(url) as client, client.session("python", "") as session:
        with pytest.raises(ProtocolError):
            await session.result()


async def test_a_refusal_over_the_socket_is_typed() -> None:
    async def play(it: Player) -> None:
        await it.hear()
        await it.say({"type": "error", "error": "not today", "code": "brand_new", "field": "code", "retryAfter": 7})
        await it.close(1013)

    async with server(play) as url, connect(url) as client:
        with pytest.raises(ServerError, match="not today") as caught:
            async with client.session("python", ""):
                pass

    assert (caught.value.code, caught.value.field, caught.value.retry_after) == ("brand_new", "code", 7)


async def test_a_server_that_hangs_up_is_said_at_once() -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some(10)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            trio.serve_tcp,
            hang_up,
            0,
        )
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with connect(url) as client:
            with trio.fail_after(20), pytest.raises(ConnectError):
                async with client.session("python", ""):
                    pass
            with trio.fail_after(20), pytest.raises(ConnectError):
                await client.languages()
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_another_server_is_told_from_ours() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer, 0)
        url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with connect(url) as client:
            with trio.fail_after(20), pytest.raises(ServerError, match="not from a trio-exec server") as caught:
                async with client.session("python", ""):
                    pass
            assert caught.value.status == 404
        nursery.cancel_scope.cancel(reason="the test is over")


# --- What goes out -------------------------------------------------------------------------------------------------


class Socket:
    """A WebSocket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.broken = False

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise BrokenError("broken")
        self.sent.append(json.loads(text))

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


@asynccontextmanager
async def sending(outbox: Outbox) -> AsyncGenerator[Socket]:
    """A connection, until the context is left."""
    socket = Socket()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.send_over, cast("WebSocket", socket))
        await wait_all_tasks_blocked()
        yield socket
        nursery.cancel_scope.cancel(reason="the connection is over")


async def test_one_message_of_input_is_on_its_way_at_a_time() -> None:
    outbox = Outbox()
    async with sending(outbox) as socket:
        for key in "abc":
            await outbox.write(key.encode())
            await wait_all_tasks_blocked()
        outbox.end_input()
        await wait_all_tasks_blocked()
        assert socket.sent == [{"type": "input", "at": 0, "data": "a"}]
        outbox.acknowledge({"at": 1, "room": 100})
        await wait_all_tasks_blocked()
        assert socket.sent[1:] == [{"type": "input", "at": 1, "data": "bc"}]
        outbox.acknowledge({"at": 3, "room": 0})
        await wait_all_tasks_blocked()
        assert socket.types == ["input", "input", "eof"]
        await outbox.flush()


async def test_a_new_connection_repeats_what_can_be_said_twice_and_no_signal() -> None:
    outbox = Outbox()
    async with sending(outbox) as first:
        await outbox.write(b"input")
        outbox.signal("SIGINT")
        outbox.keep_alive()
        outbox.keep_alive()
        outbox.resize(3, 4)
        outbox.resize(5, 6)
        outbox.stop()
        await wait_all_tasks_blocked()
    async with sending(outbox) as second:
        await wait_all_tasks_blocked()

    assert first.types == ["stop", "signal", "alive", "resize", "input"]
    assert second.sent == [
        {"type": "stop"},
        {"type": "resize", "rows": 5, "cols": 6},
        {"type": "input", "at": 0, "data": "input"},
    ]


async def test_what_is_sent_while_there_is_no_connection_waits_for_one() -> None:
    outbox = Outbox()
    outbox.signal("SIGTERM")
    await outbox.write(b"x")
    async with sending(outbox) as socket:
        assert socket.types == ["signal", "input"]


async def test_bytes_that_are_no_text_go_as_base64_and_characters_are_not_cut() -> None:
    outbox = Outbox()
    text = "é漢"
    await outbox.write(text.encode()[:4])
    async with sending(outbox) as socket:
        outbox.acknowledge({"at": 2, "room": 100})
        await outbox.write(text.encode()[4:])
        await wait_all_tasks_blocked()
        outbox.acknowledge({"at": 5, "room": 100})
        await outbox.write(b"\xff")
        await wait_all_tasks_blocked()

    assert [(it["at"], it["data"], it.get("encoding")) for it in socket.sent] == [
        (0, "é", None),
        (2, "漢", None),
        (5, "/w==", "base64"),
    ]


async def test_what_had_no_room_waits_and_what_was_taken_in_part_goes_on(autojump_clock: MockClock) -> None:
    outbox = Outbox()
    await outbox.write(b"12345")
    async with sending(outbox) as socket:
        outbox.acknowledge({"at": 3, "room": 0})
        await wait_all_tasks_blocked()
        assert len(socket.sent) == 1
        outbox.acknowledge({"at": 3, "room": 10})
        await wait_all_tasks_blocked()
        assert socket.sent[1:] == [{"type": "input", "at": 3, "data": "45"}]
        start = trio.current_time()
        outbox.acknowledge({"at": 3, "room": 10, "code": "overloaded", "error": "…"})
        await trio.sleep(2 * PAUSE)
        assert socket.sent[2:] == [{"type": "input", "at": 3, "data": "45"}]
        assert trio.current_time() - start >= PAUSE


async def test_input_that_is_refused_for_good_ends_the_writing(autojump_clock: MockClock) -> None:
    outbox = Outbox()
    async with sending(outbox):
        async with trio.open_nursery() as nursery:

            async def write() -> None:
                with pytest.raises(InputClosedError, match="has ended"):
                    await outbox.write(b"x" * 3 * HELD_MAX)

            nursery.start_soon(write)
            await wait_all_tasks_blocked()
            outbox.acknowledge({"at": 0, "room": 0, "code": "wrong_state", "error": "the program's input has ended"})
        with pytest.raises(InputClosedError, match="has ended"):
            await outbox.flush()


async def test_a_connection_that_breaks_under_a_message_is_no_error_of_the_writers() -> None:
    outbox = Outbox()
    async with sending(outbox) as socket:
        socket.broken = True
        await outbox.write(b"x")
        await wait_all_tasks_blocked()
    async with sending(outbox) as again:
        assert again.sent == [{"type": "input", "at": 0, "data": "x"}]


async def test_everything_was_said_once_it_has_gone_out() -> None:
    outbox = Outbox()
    outbox.signal("SIGINT")
    outbox.end_input()
    with trio.move_on_after(0.01) as scope:
        await outbox.said()
    assert scope.cancelled_caught
    async with sending(outbox) as socket:
        await outbox.said()
        assert socket.types == ["signal", "eof"]


async def test_how_often_a_program_waits_meanwhile_does_not_keep_input_from_being_sent() -> None:
    data = "x" * (4 * FIRST_ROOM)
    taken = 0

    async def play(it: Player) -> None:
        nonlocal taken
        await it.hear()
        await it.say(SESSION, {"type": "state", "state": "running", "stage": "run", "seq": 1})
        while taken < len(data):
            message = await it.hear()
            taken = message["at"] + len(message["data"])
            for _ in range(100):
                await it.say({"type": "input_wait", "waiting": True}, {"type": "input_wait", "waiting": False})
            await it.say({"type": "idle", "endsIn": 3.5}, {"type": "idle", "endsIn": None})
            await it.say({"type": "input_wait", "waiting": True})
            await it.say({"type": "input_ack", "at": taken, "room": FIRST_ROOM})
        await it.say(FINAL)

    async with server(play) as url, connect(url) as client, client.session("python", "") as session:
        await session.send(data)
        await session.flush()
        events = [event async for event in session]

    assert taken == len(data)
    assert [type(event) for event in events] == [StateChanged, InputWait, Idle, StateChanged]
    assert events[1:3] == [InputWait(waiting=True), Idle(None)]

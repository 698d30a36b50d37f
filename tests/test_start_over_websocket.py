"""`/ws/run`: a session in one round trip; and what else a WebSocket can ask for."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.api.native.opening import REQUEST_TIMEOUT


@asynccontextmanager
async def connected(client: Client, path: str = "/ws/run") -> AsyncGenerator[WebSocketConnection]:
    with trio.fail_after(PATIENCE):
        stream = await trio.open_tcp_stream("127.0.0.1", client.server.port)
        async with stream, trio.open_nursery() as nursery:
            yield await wrap_client_stream(nursery, stream, f"127.0.0.1:{client.server.port}", path)
            nursery.cancel_scope.cancel(reason="the test is done with it")


async def rest_of(socket: WebSocketConnection) -> tuple[list[Any], CloseReason]:
    messages: list[Any] = []
    while True:
        try:
            messages.append(json.loads(await socket.get_message()))
        except ConnectionClosed as closed:
            reason = closed.reason
            break
    assert reason is not None
    return messages, reason


async def test_the_first_message_starts_a_session_and_the_rest_is_its_stream(client: Client) -> None:
    async with connected(client) as socket:
        await socket.send_message(json.dumps({"language": "python", "code": "print(input('? ').upper())"}))
        session = json.loads(await socket.get_message())
        assert session["type"] == "session"
        assert session["websocket"] == f"/ws/session/{session['sessionId']}"
        await socket.send_message(json.dumps({"type": "input", "data": "ada\n"}))
        messages, reason = await rest_of(socket)
    assert reason.code == 1000
    assert "".join(it["data"] for it in messages if it["type"] == "stdout") == "? ADA\n"
    assert messages[-1]["state"] == "finished"
    async with client.attach(session["sessionId"], after=messages[0]["seq"]) as attached:
        again = await attached.to_end()
    assert again.stdout == "? ADA\n"


async def test_who_was_cut_off_goes_on_at_the_sessions_own_socket(client: Client) -> None:
    async with connected(client) as socket:
        code = "print('first', flush=True); print(input())"
        await socket.send_message(json.dumps({"language": "python", "code": code}))
        session = json.loads(await socket.get_message())["sessionId"]
        while "first" not in (message := json.loads(await socket.get_message())).get("data", ""):
            pass
    async with client.attach(session, after=message["seq"]) as attached:
        await attached.input("second\n")
        assert (await attached.to_end()).stdout == "second\n"


REFUSED: list[tuple[str | bytes, str, str | None, int]] = [
    ("{", "invalid_json", None, 1008),
    ("[]", "invalid_request", None, 1008),
    (b"{}", "invalid_request", None, 1008),
    (json.dumps({"language": "cobol", "code": ""}), "unknown_language", "language", 1008),
    (json.dumps({"language": "python", "code": "", "args": ["\0"]}), "invalid_request", "args[0]", 1008),
    (json.dumps({"language": "python", "code": "", "runs": []}), "invalid_request", "runs", 1008),
    (json.dumps({"type": "input", "data": "early"}), "invalid_request", "language", 1008),
]


@pytest.mark.parametrize(
    ("first", "code", "field", "closed"), REFUSED, ids=[f"{it[1]} {n}" for n, it in enumerate(REFUSED)]
)
async def test_what_cannot_be_run_is_told_and_closes(
    client: Client, first: str | bytes, code: str, field: str | None, closed: int
) -> None:
    async with connected(client) as socket:
        await socket.send_message(first)
        messages, reason = await rest_of(socket)
    assert [(it["type"], it["code"], it.get("field")) for it in messages] == [("error", code, field)]
    assert messages[0]["error"]
    assert reason.code == closed


async def test_a_full_server_says_when_to_come_again(start_server: Any) -> None:
    server: ServerProcess = start_server(max_sessions=1, max_queue=0)
    client = Client(server)
    async with client.session(language="python", code="input()") as attached:
        await attached.until_state("running")
        async with connected(client) as socket:
            await socket.send_message(json.dumps({"language": "python", "code": ""}))
            messages, reason = await rest_of(socket)
    assert messages[0]["code"] == "queue_full"
    assert messages[0]["retryAfter"] > 0
    assert reason.code == 1013


async def test_who_says_nothing_is_not_waited_for(client: Client) -> None:
    async with connected(client) as socket:
        messages, reason = await rest_of(socket)
    assert messages[0]["code"] == "request_timeout"
    assert str(REQUEST_TIMEOUT) in messages[0]["error"]
    assert reason.code == 1008


async def test_bytes_go_both_ways_as_base64(client: Client) -> None:
    everything = bytes(range(256)) * 200
    code = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
    async with connected(client, "/ws/run?encoding=base64") as socket:
        await socket.send_message(json.dumps({"language": "python", "code": code}))
        data = base64.b64encode(everything).decode()
        await socket.send_message(json.dumps({"type": "input", "data": data, "encoding": "base64"}))
        await socket.send_message(json.dumps({"type": "eof"}))
        messages, _ = await rest_of(socket)
    outputs = [it for it in messages if it["type"] == "stdout"]
    assert {it["encoding"] for it in outputs} == {"base64"}
    assert b"".join(base64.b64decode(it["data"], validate=True) for it in outputs) == everything
    session = messages[0]["sessionId"]
    middle = next(it["seq"] for it in outputs)
    async with connected(client, f"/ws/session/{session}?encoding=base64&after={middle}") as socket:
        rest, _ = await rest_of(socket)
    written = b"".join(base64.b64decode(it["data"]) for it in rest if it["type"] == "stdout")
    assert everything.endswith(written)
    assert len(written) == len(everything) - len(base64.b64decode(outputs[0]["data"]))


async def test_input_that_is_no_base64_is_told_and_the_session_goes_on(client: Client) -> None:
    async with connected(client) as socket:
        await socket.send_message(json.dumps({"language": "python", "code": "print(input())"}))
        await socket.send_message(json.dumps({"type": "input", "data": "??", "encoding": "base64"}))
        await socket.send_message(json.dumps({"type": "input", "data": "ok\n"}))
        messages, _ = await rest_of(socket)
    (error,) = [it for it in messages if it["type"] == "error"]
    assert (error["code"], error["field"]) == ("invalid_request", "data")
    assert "".join(it["data"] for it in messages if it["type"] == "stdout") == "ok\n"


@pytest.mark.parametrize("path", ["/ws/run?encoding=latin-1", "/ws/session/none?encoding=latin-1"])
async def test_an_encoding_that_there_is_not(client: Client, path: str) -> None:
    status, body = await client.refused_upgrade(path)
    assert status in {400, 404}
    if status == 400:
        assert body["field"] == "encoding"


async def test_the_path_is_for_websockets(client: Client) -> None:
    assert (await client.request("GET", "/ws/run")).status == 426
    assert (await client.request("POST", "/ws/run", {})).status == 405


async def test_a_connection_that_is_kept_runs_one_program_after_the_other(client: Client) -> None:
    async with connected(client, "/ws/run?keep=true") as socket:
        for number in range(3):
            await socket.send_message(json.dumps({"language": "python", "code": f"print({number})", "stdin": ""}))
            messages = await until_final(socket)
            assert messages[0]["type"] == "session"
            assert "".join(it["data"] for it in messages if it["type"] == "stdout") == f"{number}\n"
            for late in [{"type": "eof"}, {"type": "resize", "rows": 5, "cols": 5}, {"type": "input", "data": "x"}]:
                await socket.send_message(json.dumps(late))
        await socket.send_message(json.dumps({"language": "cobol", "code": ""}))
        assert json.loads(await socket.get_message())["code"] == "unknown_language"
        await socket.send_message(json.dumps({"language": "python", "code": "print('still')", "stdin": ""}))
        assert (await until_final(socket))[-1]["exitCode"] == 0


async def test_whoever_sends_the_next_program_at_once_gets_both(client: Client) -> None:
    """The second is on its way before the first one's end can have been told."""
    async with connected(client, "/ws/run?keep=true") as socket:
        await socket.send_message(json.dumps({"language": "python", "code": "print(1)", "stdin": ""}))
        first: list[Any] = []
        while not any(it.get("state") == "finished" for it in first):
            first.append(json.loads(await socket.get_message()))
        await socket.send_message(json.dumps({"language": "python", "code": "print(2)", "stdin": ""}))
        second = await until_final(socket)
    assert "".join(it["data"] for it in second if it["type"] == "stdout") == "2\n"


async def test_a_kept_connection_keeps_no_server_from_going(start_server: Any) -> None:
    server: ServerProcess = start_server()
    async with connected(Client(server), "/ws/run?keep=true") as socket:
        await socket.send_message(json.dumps({"language": "python", "code": "", "stdin": ""}))
        await until_final(socket)
        server.terminate()
        _, reason = await rest_of(socket)
    assert reason.code == 1001
    assert server.wait() == 0


async def until_final(socket: WebSocketConnection) -> list[Any]:
    messages: list[Any] = []
    while not any(it.get("state") in {"finished", "terminated"} for it in messages):
        messages.append(json.loads(await socket.get_message()))
    return messages

"""`POST /run`: a program and its whole outcome in one request."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from typing import Any

import pytest
import trio

from tests.support import PATIENCE, Answer, Client, ServerProcess
from trio_exec.api.native.outcomes import RunAnswer

EVERYTHING = """
import sys, os
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
print(sys.stdin.read().upper(), sys.argv[1:], os.environ["NAME"])
sys.exit(3)
"""


async def run(client: Client, **body: Any) -> RunAnswer:
    answer = await client.request("POST", "/run", body)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    return RunAnswer.model_validate_json(answer.body)


def lines(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_the_answer_is_the_whole_outcome(client: Client) -> None:
    result = await run(
        client, language="python", code=EVERYTHING, stdin="input", args=["a", "b c"], env={"NAME": "value"}
    )
    assert (result.state, result.stage, result.exit_code, result.signal) == ("finished", "run", 3, None)
    assert result.stdout == "out\nINPUT ['a', 'b c'] value\n"
    assert result.stderr == "err\n"
    assert sorted((piece.stream, piece.data) for piece in result.output if piece.stream == "stderr") == [
        ("stderr", "err\n")
    ]
    assert "".join(piece.data for piece in result.output if piece.stream == "stdout") == result.stdout
    assert [(stage.stage, stage.stdout, stage.stderr) for stage in result.stages] == [
        ("run", result.stdout, result.stderr)
    ]
    assert not result.output_truncated
    assert result.wall_time is not None
    assert result.peak_memory is not None
    assert result.reason is None
    assert result.files is None


async def test_stages_have_their_own_output(client: Client) -> None:
    warns = '#include <cstdio>\n#warning "look"\nint main() { puts("ran"); }'
    result = await run(client, language="cpp", code=warns)
    compiled, ran = result.stages
    assert "look" in compiled.stderr
    assert (compiled.stdout, ran.stdout, ran.stderr) == ("", "ran\n", "")
    assert result.stderr == compiled.stderr
    assert result.stdout == "ran\n"


async def test_a_program_that_does_not_compile_is_an_outcome_too(client: Client) -> None:
    result = await run(client, language="cpp", code="int main() { return x; }")
    assert (result.state, result.stage, result.exit_code) == ("finished", "compile", 1)
    assert [stage.stage for stage in result.stages] == ["compile"]
    assert "x" in result.stderr


async def test_a_limit_is_told_with_its_reason(client: Client) -> None:
    result = await run(client, language="python", code="while True: print('y' * 99)", limits={"outputBytes": 1000})
    assert (result.state, result.reason) == ("terminated", "output_limit")
    assert result.message is not None
    assert "1000 bytes" in result.message
    assert result.output_truncated
    assert len(result.stdout) == 1000


async def test_bytes_go_in_and_come_out_as_they_are(client: Client) -> None:
    everything = bytes(range(256))
    result = await run(
        client,
        language="python",
        code={
            "data": base64.b64encode(
                b"import sys\nsys.stdout.buffer.write(open('data', 'rb').read() + sys.stdin.buffer.read())"
            ).decode(),
            "encoding": "base64",
        },
        files={"data": {"data": base64.b64encode(everything).decode(), "encoding": "base64"}},
        stdin={"data": base64.b64encode(everything[::-1]).decode(), "encoding": "base64"},
        encoding="base64",
    )
    assert result.encoding == "base64"
    assert base64.b64decode(result.stdout, validate=True) == everything + everything[::-1]
    assert base64.b64decode(result.stages[0].stdout, validate=True) == everything + everything[::-1]
    assert b"".join(base64.b64decode(piece.data, validate=True) for piece in result.output) == (
        everything + everything[::-1]
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 24_479, 24_480, 24_481, 1_000_000])
async def test_large_outputs_are_whole_in_either_encoding(client: Client, size: int) -> None:
    code = f"import sys; sys.stdout.write('é' * ({size} // 2) + 'x' * ({size} % 2))"
    expected = "é" * (size // 2) + "x" * (size % 2)
    text = await run(client, language="python", code=code)
    assert text.stdout == expected
    encoded = await run(client, language="python", code=code, encoding="base64")
    assert base64.b64decode(encoded.stdout, validate=True).decode() == expected


async def test_a_character_in_part_at_the_end_of_a_stage_is_shown(client: Client) -> None:
    result = await run(client, language="python", code="import sys; sys.stdout.buffer.write(b'a\\xe2\\x82')")
    assert result.stdout == "a\ufffd"
    assert result.stages[0].stdout == "a\ufffd"


@pytest.mark.parametrize("how", ["header", "field"])
async def test_lines_are_the_websockets_messages(client: Client, how: str) -> None:
    body: dict[str, Any] = {"language": "python", "code": EVERYTHING, "env": {"NAME": ""}}
    headers = {"Accept": "application/json;q=0.1, application/x-ndjson"} if how == "header" else {}
    if how == "field":
        body["stream"] = True
    session, *rest = lines(await client.request("POST", "/run", body, headers=headers))
    assert session["type"] == "session"
    assert session["websocket"] == f"/ws/session/{session['sessionId']}"
    assert [it["state"] for it in rest if it["type"] == "state"][-2:] == ["running", "finished"]
    assert "".join(it["data"] for it in rest if it["type"] == "stderr") == "err\n"
    assert rest[-1]["exitCode"] == 3
    async with client.attach(session["sessionId"]) as attached:
        seen = await attached.to_end()
    assert [(it["type"], it["seq"]) for it in rest if it["type"] == "state"] == [
        ("state", state.seq) for state in seen.states
    ]


async def test_lines_come_while_the_program_runs(client: Client) -> None:
    """What it writes is there before it ends: it ends when it is told to, by somebody who has seen it."""
    body = {"language": "python", "code": "import time\nprint('ready', flush=True)\ntime.sleep(600)", "stream": True}

    def read() -> tuple[str, list[str]]:
        connection = http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=PATIENCE)
        connection.request("POST", "/run", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        session = json.loads(response.readline())["sessionId"]
        seen: list[str] = []
        while "ready" not in seen[-1:]:
            message = json.loads(response.readline())
            seen.append(message.get("data", message["type"]).strip())
        client.server.request("DELETE", f"/session/{session}")
        rest = [json.loads(line) for line in response.read().splitlines()]
        connection.close()
        return rest[-1]["reason"], seen

    reason, seen = await trio.to_thread.run_sync(read)
    assert reason == "stopped"
    assert seen[-1] == "ready"


@pytest.mark.parametrize("stream", [True, False])
async def test_the_session_ends_when_its_client_leaves(client: Client, *, stream: bool) -> None:
    body = json.dumps({"language": "python", "code": "import time; time.sleep(600)", "stream": stream}).encode()
    await until_running(client, 0)
    with socket.create_connection(("127.0.0.1", client.server.port)) as connection:
        connection.sendall(
            b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await until_running(client, 1)
    await until_running(client, 0)


async def until_running(client: Client, count: int) -> None:
    with trio.fail_after(PATIENCE):
        while (await client.request("GET", "/readyz")).json()["running"] != count:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.05)


REFUSED = [
    ({"code": "1"}, "language"),
    ({"language": "python"}, "code"),
    ({"language": "python", "code": "1", "interactive": True}, "interactive"),
    ({"language": "python", "code": "1", "tty": True}, "tty"),
    ({"language": "python", "code": "1", "encoding": "latin-1"}, "encoding"),
    ({"language": "python", "code": "1", "stdin": {"data": "?", "encoding": "base64"}}, "stdin"),
    ({"language": "python", "code": "1", "files": {"a": {"data": "x"}}}, "files.a"),
    ({"language": "python", "code": "1", "collect": ["../*"]}, "collect[0]"),
    ({"language": "python", "code": "1", "collect": ["/etc/passwd"]}, "collect[0]"),
    ({"language": "python", "code": "1", "limits": {"memoryBytes": 2**50}}, "limits.memoryBytes"),
]


@pytest.mark.parametrize(
    ("body", "field"), REFUSED, ids=[f"{field} {index}" for index, (_, field) in enumerate(REFUSED)]
)
async def test_bad_requests_name_the_field(client: Client, body: dict[str, Any], field: str) -> None:
    answer = await client.request("POST", "/run", body)
    assert answer.status == 400
    assert answer.json()["field"] == field
    assert answer.json()["error"].startswith(f"{field}: ")


async def test_a_slow_reader_costs_the_server_nothing_but_the_log(server: ServerProcess) -> None:
    """A client that does not read an answer of megabytes holds it back; it is not made before it is read."""
    body = json.dumps({"language": "python", "code": "import sys; sys.stdout.write('\\x01' * 1_000_000)"}).encode()
    request = (
        b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    before = server.resident()
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(6)]
    try:
        for connection in connections:
            connection.sendall(request)
        client = Client(server)
        await until_running(client, 0)
        grown = server.resident() - before
        assert grown < 6 * 4_000_000  # As text, each answer has 18 MB.
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_has_closed_its_side_still_gets_its_answer(client: Client, *, stream: bool) -> None:
    """Such as `nc -N`, however long the program is silent."""
    body = json.dumps({"language": "python", "code": "import time; time.sleep(14); print('late')", "stream": stream})
    request = f"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", client.server.port) as connection:
            await connection.send_all(f"{request}\r\n\r\n{body}".encode())
            await connection.send_eof()
            answer = b"".join([data async for data in connection])
    assert b"late" in answer
    assert b"\r\n1\r\n \r\n" in answer  # White space came meanwhile.

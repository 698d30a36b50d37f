"""`/openapi.json` and `/asyncapi.json`: valid, complete, and true of what the server does."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.descriptions import check_answer, check_message, described, described_sockets
from tests.raw import raw_session
from tests.support import Client, ServerProcess
from trio_exec import errors
from trio_exec.api import access, bodies
from trio_exec.api.native import parsing, rest, websocket
from trio_exec.api.native.messages import ClientMessage, ServerMessage
from trio_exec.errors import TrioExecError

NOT_TOLD_OVER_HTTP = {
    "configuration_error",  # before there is a server
    "input_full",  # over WebSockets
    "invalid_message",  # likewise
}
OK = {"language": "python", "code": "print(1)"}
REQUESTS: list[tuple[str, str, Any, dict[str, str], int, str | None]] = [
    ("POST", "/session", OK, {}, 201, None),
    ("POST", "/session", {}, {}, 400, "invalid_request"),
    ("POST", "/session", {"language": "cobol", "code": ""}, {}, 400, "unknown_language"),
    ("POST", "/session", OK, {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("POST", "/session", OK, {"Origin": "http://evil.example"}, 403, "origin_not_allowed"),
    ("POST", "/session", OK, {"Host": "evil.example"}, 400, "invalid_host"),
    ("POST", "/session", {**OK, "code": "x" * (1 << 20)}, {}, 413, "request_too_large"),
    ("POST", "/session", OK, {"X-Long": "x" * 200_000}, 431, "headers_too_large"),
    ("POST", "/run", OK, {}, 200, None),
    ("POST", "/run", {**OK, "collect": ["*"], "encoding": "base64"}, {}, 200, None),
    ("POST", "/run", {**OK, "stream": True, "collect": ["**"]}, {}, 200, None),
    ("POST", "/run", {"language": "cpp", "code": "int main() { return x; }"}, {}, 200, None),
    ("POST", "/run", {**OK, "code": "while True: print(1)"}, {}, 200, None),
    ("POST", "/run", {**OK, "runs": [{"expected": "1\n"}, {"expected": "2\n"}]}, {}, 200, None),
    ("POST", "/run", {"language": "cpp", "code": "int main() {}", "runs": [{}], "stream": True}, {}, 200, None),
    ("POST", "/run", {**OK, "runs": [{"args": 1}]}, {}, 400, "invalid_request"),
    ("POST", "/run", {**OK, "tty": True}, {}, 400, "invalid_request"),
    ("POST", "/format", {"language": "python", "code": "x=1"}, {}, 200, None),
    ("POST", "/format", {"language": "python", "code": "x = ="}, {}, 422, "cannot_format"),
    ("GET", "/session/none", None, {}, 404, "session_not_found"),
    ("DELETE", "/session/none", None, {}, 404, "session_not_found"),
    ("GET", "/session/none/files", None, {}, 404, "session_not_found"),
    ("GET", "/languages", None, {}, 200, None),
    ("GET", "/healthz", None, {}, 200, None),
    ("GET", "/healthz", None, {"Host": "any.example"}, 200, None),
    ("GET", "/readyz", None, {}, 200, None),
    ("GET", "/readyz?room=100000", None, {}, 503, None),
    ("GET", "/readyz?room=x", None, {}, 400, "invalid_request"),
    ("GET", "/metrics", None, {"Host": "any.example"}, 200, None),
    ("GET", "/ws/run", None, {}, 426, "upgrade_required"),
    ("GET", "/ws/session/none", None, {}, 426, "upgrade_required"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    REQUESTS,
    ids=[f"{index} {it[0]} {it[1]} {it[4]} {it[5] or ''}" for index, it in enumerate(REQUESTS)],
)
async def test_answers_are_as_described(
    client: Client, method: str, path: str, body: Any, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = await client.request(method, path, body, headers=headers)
    assert answer.status == status, answer.body
    assert code is None or answer.json()["code"] == code
    check_answer(method, path, answer.status, answer.headers.get_content_type(), answer.body)


async def test_a_session_is_as_described_all_its_life(client: Client) -> None:
    code = "open('a.txt', 'w').write('x'); print(input())"
    session = await client.create(language="python", code=code, collect=["*"])
    await client.until_info(session, "running")
    for path, statuses in [("", {200}), ("/files", {409})]:
        answer = await client.request("GET", f"/session/{session}{path}")
        assert answer.status in statuses
        check_answer("GET", f"/session/{session}{path}", answer.status, "application/json", answer.body)
    async with client.attach(session) as attached:
        await attached.input("ok\n")
        await attached.to_end()
    for method, path in [("GET", ""), ("GET", "/files"), ("DELETE", "")]:
        answer = await client.request(method, f"/session/{session}{path}")
        check_answer(method, f"/session/{session}{path}", answer.status, "application/json", answer.body)
    files = (await client.request("GET", f"/session/{session}/files")).json()["files"]
    assert [(it["name"], it["data"]) for it in files if it["name"] != "main.py"] == [("a.txt", "eA==")]


async def test_messages_are_as_described(client: Client) -> None:
    request = {"language": "python", "code": "import sys\nfor line in sys.stdin: print(line, file=sys.stderr)"}
    told: list[str] = []
    sent = [
        {"type": "input", "data": "a\n"},
        {"type": "input", "data": "YQo=", "encoding": "base64"},
        {"type": "resize", "rows": 1, "cols": 2},
        {"type": "alive"},
        {"type": "leave"},
        {"type": "nothing"},
        {"type": "signal", "signal": "SIGCONT"},
        {"type": "eof"},
        {"type": "stop"},
    ]
    check_message(json.dumps(request), sent_by="client")
    async with raw_session(client, **request) as attached:
        await attached.until_state("running")
        for message in sent:
            if message["type"] != "nothing":
                check_message(json.dumps(message), sent_by="client")
            if message["type"] == "eof":
                await attached.until(lambda run: run.stderr.count("a\n") == 2)
            await attached.send(json.dumps(message))
        await attached.to_end()
    for message in attached.messages:
        told.append(message["type"])
        check_message(json.dumps(message), sent_by="server")
    assert {"state", "stderr", "error"} <= set(told)


async def test_both_are_served_and_valid(client: Client) -> None:
    answer = await client.request("GET", "/openapi.json")
    assert answer.status == 200
    OpenAPIV31SpecValidator(answer.json()).validate()
    assert answer.json()["paths"].keys() == described()["paths"].keys()

    answer = await client.request("GET", "/asyncapi.json")
    assert answer.status == 200
    schemas = Path(__file__).parent.parent / "frontend/node_modules/@asyncapi/specs/schemas/3.0.0.json"
    found = list(Draft7Validator(json.loads(schemas.read_text())).iter_errors(answer.json()))
    assert not found, [it.message for it in found][:3]
    assert answer.json()["channels"].keys() == described_sockets()["channels"].keys()


def test_every_error_of_ours_is_described() -> None:
    ours = {
        it.code: it.status
        for module in (errors, access, bodies, parsing, rest, websocket)
        for _, it in inspect.getmembers(module, inspect.isclass)
        if issubclass(it, TrioExecError) and "code" in vars(it) and it is not TrioExecError
    }
    for code, status in ours.items():
        if code not in NOT_TOLD_OVER_HTTP and code != "request_timeout":
            assert any(
                f'"{code}"' in json.dumps(operation["responses"].get(str(status), {}))
                for operations in described()["paths"].values()
                for operation in operations.values()
            ), code


def test_every_code_of_the_docs_is_described_and_every_described_one_is_documented() -> None:
    text = (Path(__file__).parent.parent / "docs/api.md").read_text()
    whole = json.dumps(described())
    table = text[text.index("### Errors") : text.index("## WebSocket")]
    for line in table.splitlines():
        if line.startswith("| ") and line[2].isdigit():
            for code in line.split("|")[2].split("`")[1::2]:
                if (
                    code.islower()
                    and code.replace("_", "").isalpha()
                    and code not in {"not_found", "method_not_allowed"}
                ):
                    assert f'"{code}"' in whole or code in {"http_error", "chunked"}, code


def test_every_message_is_described() -> None:
    names = set(described_sockets()["components"]["messages"])
    models = [*ServerMessage.__args__, *ClientMessage.__args__]
    assert names == {model.model_fields["type"].default for model in models} | {"request"}


async def test_a_server_that_drains_answers_as_described(start_server: Any) -> None:
    server: ServerProcess = start_server(drain_timeout=5)
    client = Client(server)
    async with client.session(language="python", code="input()") as attached:
        await attached.until_state("running")
        server.terminate()
        await client.until_draining()
        for method, path, body in [("POST", "/run", OK), ("POST", "/session", OK), ("GET", "/readyz", None)]:
            answer = await client.request(method, path, body)
            assert answer.status == 503
            check_answer(method, path, answer.status, "application/json", answer.body)
    server.wait()

"""The REST surface: every bad request gets its status and a sentence that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.support import Client, ServerProcess
from trio_exec.api.native.messages import InputMessage, StopMessage

OK: dict[str, Any] = {"language": "python", "code": "print(1)"}

BAD_REQUESTS: list[tuple[str, Any, int, str, str | None, str]] = [
    # name, body (bytes go as they are), status, code, field, part of the sentence
    ("not json", b"{", 400, "invalid_json", None, "not valid JSON"),
    ("empty", b"", 400, "invalid_json", None, "not valid JSON"),
    ("not utf-8", b'{"language":"\xff"}', 400, "invalid_json", None, "not valid JSON"),
    ("a lone surrogate", b'{"language":"python","code":"\\ud800"}', 400, "invalid_json", None, "hex escape"),
    ("not an object", [1], 400, "invalid_request", None, "object"),
    ("nothing", {}, 400, "invalid_request", "language", "required"),
    ("no code", {"language": "python"}, 400, "invalid_request", "code", "as `code`, or as `files`"),
    (
        "unknown language",
        {**OK, "language": "cobol"},
        400,
        "unknown_language",
        "language",
        "available: cpp,",
    ),
    ("language of a wrong type", {**OK, "language": 3}, 400, "invalid_request", "language", "string"),
    ("code of a wrong type", {**OK, "code": ["x"]}, 400, "invalid_request", "code", "string"),
    ("an unknown field", {**OK, "cod": "x"}, 400, "invalid_request", "cod", "no such field"),
    ("files of a wrong type", {**OK, "files": "x"}, 400, "invalid_request", "files", "object"),
    ("a file of a wrong type", {**OK, "files": {"a": 1}}, 400, "invalid_request", "files.a", "string"),
    ("an absolute path", {**OK, "files": {"/etc/x": ""}}, 400, "invalid_request", "files./etc/x", "relative path"),
    ("a path that leads out", {**OK, "files": {"a/../../x": ""}}, 400, "invalid_request", None, "relative path"),
    ("a path with a dot", {**OK, "files": {"./x": ""}}, 400, "invalid_request", "files../x", "relative path"),
    ("an empty path", {**OK, "files": {"": ""}}, 400, "invalid_request", None, "relative path"),
    ("a control character", {**OK, "files": {"a\nb": ""}}, 400, "invalid_request", None, "printable"),
    ("a long path", {**OK, "files": {"x" * 300: ""}}, 400, "invalid_request", None, "512 bytes at most"),
    ("file and folder", {**OK, "files": {"a": "", "a/b": ""}}, 400, "invalid_request", "files", "both a file and"),
    ("the main file twice", {**OK, "files": {"main.py": ""}}, 400, "invalid_request", "files", "main file"),
    ("too many files", {**OK, "files": {str(i): "" for i in range(65)}}, 400, "invalid_request", "files", "64"),
    (
        "files that don't fit",
        {**OK, "files": {"a": "x" * 100_000}, "limits": {"workspaceBytes": 65536}},
        400,
        "invalid_request",
        "files",
        "the workspace has 65536",
    ),
    ("args of a wrong type", {**OK, "args": "x"}, 400, "invalid_request", "args", "array"),
    ("an argument of a wrong type", {**OK, "args": ["a", 1]}, 400, "invalid_request", "args.1", "string"),
    ("an argument with NUL", {**OK, "args": ["\0"]}, 400, "invalid_request", "args.0", "NUL"),
    ("long arguments", {**OK, "args": ["x" * 20_000]}, 400, "invalid_request", "args", "16384 bytes at most"),
    ("many arguments", {**OK, "args": ["x"] * 257}, 400, "invalid_request", "args", "256"),
    ("a variable's name", {**OK, "env": {"1A": ""}}, 400, "invalid_request", "env.1A", "valid name"),
    ("a variable with NUL", {**OK, "env": {"A": "\0"}}, 400, "invalid_request", "env.A", "NUL"),
    ("tty of a wrong type", {**OK, "tty": "yes"}, 400, "invalid_request", "tty", "boolean"),
    ("no rows", {**OK, "tty": True, "rows": 0}, 400, "invalid_request", "rows", "greater than or equal to 1"),
    ("too many columns", {**OK, "tty": True, "cols": 1001}, 400, "invalid_request", "cols", "1000"),
    ("stdin of a wrong type", {**OK, "stdin": 5}, 400, "invalid_request", "stdin", "string"),
    ("an unknown limit", {**OK, "limits": {"x": 1}}, 400, "invalid_request", "limits.x", "no such field"),
    ("a limit of nothing", {**OK, "limits": {"pids": 0}}, 400, "invalid_request", "limits.pids", "greater"),
    ("a negative limit", {**OK, "limits": {"cpus": -1}}, 400, "invalid_request", "limits.cpus", "greater"),
    ("no limit at all", b'{"language":"py","code":"","limits":{"cpus":1e999}}', 400, "invalid_request", None, "finite"),
    (
        "a limit above the server's",
        {**OK, "limits": {"memoryBytes": 2**40}},
        400,
        "invalid_request",
        "limits.memoryBytes",
        "above this server's limit of 209715200",
    ),
    (
        "a timeout above the server's",
        {**OK, "limits": {"executionTimeout": 121}},
        400,
        "invalid_request",
        "limits.executionTimeout",
        "above this server's limit of 120",
    ),
    ("too large", {**OK, "code": "x" * 1_100_000}, 413, "request_too_large", None, "1048576 bytes at most"),
]


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "sentence"),
    [pytest.param(*row[1:], id=row[0]) for row in BAD_REQUESTS],
)
async def test_a_bad_request_is_told_what_is_wrong(
    client: Client, body: Any, status: int, code: str, field: str | None, sentence: str
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.request("POST", "/session", raw=raw)

    assert answer.status == status, answer.body
    error = answer.json()
    assert error["code"] == code
    assert sentence in error["error"]
    if field is not None:
        assert error["field"] == field
        assert error["error"].startswith(f"{field}: ")


OTHER_REQUESTS: list[tuple[str, str, str, dict[str, str], int, str]] = [
    ("a path that is not there", "GET", "/nothing", {}, 404, "not_found"),
    ("a method that is not taken", "PUT", "/session", {}, 405, "method_not_allowed"),
    ("a session that is not there", "GET", "/session/nothing", {}, 404, "session_not_found"),
    ("ending what is not there", "DELETE", "/session/nothing", {}, 404, "session_not_found"),
    ("another host", "GET", "/languages", {"Host": "evil.example"}, 400, "invalid_host"),
    ("no host", "GET", "/languages", {"Host": ""}, 400, "invalid_host"),
    ("another origin", "GET", "/languages", {"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
    ("a sandboxed origin", "GET", "/languages", {"Origin": "null"}, 403, "origin_not_allowed"),
    ("a WebSocket path over HTTP", "GET", "/ws/session/nothing", {}, 404, "not_found"),
]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"), [pytest.param(*row[1:], id=row[0]) for row in OTHER_REQUESTS]
)
async def test_every_error_has_the_one_form(
    client: Client, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.request(method, path, headers=headers)

    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_only_json_is_taken(client: Client, content_type: str) -> None:
    answer = await client.request(
        "POST", "/session", raw=json.dumps(OK).encode(), headers={"Content-Type": content_type}
    )

    assert (answer.status, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_method_that_is_not_taken_names_those_that_are(client: Client) -> None:
    answer = await client.request("PUT", "/session")

    assert "POST" in answer.headers["allow"]


async def test_the_same_origin_may_use_the_api(client: Client) -> None:
    origin = f"http://127.0.0.1:{client.server.port}"
    answer = await client.request("POST", "/session", OK, headers={"Origin": origin})

    assert answer.status == 201
    assert "access-control-allow-origin" not in answer.headers


async def test_other_hosts_and_origins_can_be_allowed(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(allowed_hosts="code.example", allowed_origins="https://docs.example")
    client = Client(server)
    headers = {"Host": "code.example", "Origin": "https://docs.example"}
    answer = await client.request("GET", "/languages", headers=headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://docs.example"

    preflight = await client.request(
        "OPTIONS", "/session", headers={**headers, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status == 204
    assert "Content-Type" in preflight.headers["access-control-allow-headers"]
    refused = await client.request("GET", "/languages", headers={"Origin": "https://other.example"})
    assert refused.status == 403


async def test_languages_and_limits(client: Client) -> None:
    info = (await client.request("GET", "/languages")).json()

    assert {language["name"] for language in info["languages"]} == {"python", "javascript", "java", "cpp"}
    for language in info["languages"]:
        assert language["compiled"] is (language["name"] in {"java", "cpp"})
        assert len(language["examples"]) >= 3
    assert info["limits"]["memoryBytes"] == 200 * 2**20
    assert info["limits"]["executionTimeout"] == 120


EXAMPLES = {
    # name: input, exit code, what the output ends with
    "hello": ("", 0, "Hello, world!\n"),
    "ask": ("Ada\n2\n", 0, "1. Hello, Ada!\n2. Hello, Ada!\n"),
    "guess": ("".join(f"{number}\n" for number in range(1, 101)), 0, "guesses.\n"),
}
FAILING = {
    # The language of an example that fails on purpose: exit code, signal, part of what it says of that
    "python": (1, None, "ZeroDivisionError: division by zero\n"),
    "javascript": (1, None, "TypeError: Cannot read properties of undefined"),
    "java": (1, None, "java.lang.NullPointerException: "),
    "cpp": (None, "SIGABRT", "what():  the average of nothing\n"),
}


async def test_every_example_runs(client: Client) -> None:
    for language in (await client.request("GET", "/languages")).json()["languages"]:
        for example in language["examples"]:
            which = (language["name"], example["name"])
            body = {"language": language["name"], "code": example["code"], "tty": example["tty"]}
            if example["tty"]:
                await assert_draws(client, which, body)
            elif example["name"] == "error":
                run = await client.run(**body)
                exit_code, signal, said = FAILING[language["name"]]
                assert (run.final.state, run.final.exit_code, run.final.signal) == ("finished", exit_code, signal), (
                    which
                )
                assert said in run.stderr, which
                assert run.stdout, which
            else:
                text, exit_code, end = EXAMPLES[example["name"]]
                run = await client.run(**body, stdin=text)
                assert (run.final.state, run.final.exit_code, run.stderr) == ("finished", exit_code, ""), which
                assert run.stdout.replace("1 guess.", "1 guesses.").endswith(end), which


async def assert_draws(client: Client, which: tuple[str, str], body: dict[str, Any]) -> None:
    """An example for the terminal draws until it is done, or is stopped, and has not failed by then."""
    async with client.session(**body) as session:
        await session.until(lambda run: len(run.stdout) > 500 or run.over)
        await session.send(StopMessage())
        run = await session.to_end()
    assert "\x1b[" in run.stdout, which
    assert (run.reason, run.final.exit_code) in {("stopped", None), (None, 0)}, (which, run.stdout)


async def test_aliases_are_names_too(client: Client) -> None:
    session_id = (await client.run(language="C++", code="int main() {}")).session_id

    assert (await client.info(session_id))["language"] == "cpp"


async def test_a_session_describes_itself(client: Client) -> None:
    async with client.session(language="python", code="input()", tty=True) as session:
        await session.until_waiting()
        info = await client.info(session.run.session_id)
        await session.input("\n")
        final = (await session.to_end()).final

    assert info["state"] == "running"
    assert (info["language"], info["tty"], info["clients"]) == ("python", True, 1)
    after = await client.info(session.run.session_id)
    assert (after["state"], after["exitCode"], after["seq"]) == ("finished", 0, final.seq)


async def test_health_and_readiness(client: Client) -> None:
    assert (await client.request("GET", "/healthz")).status == 200
    ready = await client.request("GET", "/readyz")
    assert (ready.status, ready.json()["ready"]) == (200, True)


BAD_MESSAGES = [
    ("{", "invalid_json", None),
    ("[]", "invalid_message", None),
    ("{}", "invalid_message", "type"),
    ('{"type":"nothing"}', "invalid_message", "type"),
    ('{"type":"input"}', "invalid_message", "data"),
    ('{"type":"input","data":1}', "invalid_message", "data"),
    ('{"type":"input","data":"","x":1}', "invalid_message", "x"),
    ('{"type":"input","data":"\\udc00"}', "invalid_json", None),
    ('{"type":"signal","signal":"SIGNOTHING"}', "invalid_message", "signal"),
    ('{"type":"resize","rows":0,"cols":5}', "invalid_message", "rows"),
    ('{"type":"resize","rows":5,"cols":5}', "wrong_state", None),
    (b"binary", "invalid_request", None),
    (b"", "invalid_request", None),
]


async def test_bad_messages_get_an_error_and_the_session_goes_on(client: Client) -> None:
    async with client.session(language="python", code="print(input())") as session:
        await session.until_waiting()
        for number, (message, _, _) in enumerate(BAD_MESSAGES, 1):
            await session.send_raw(message)
            await session.until(lambda run, number=number: len(run.errors) == number)
        await session.send(InputMessage(data="still here\n"))
        run = await session.to_end()

    assert [(error.code, error.field) for error in run.errors] == [(code, field) for _, code, field in BAD_MESSAGES]
    assert run.stdout == "still here\n"


async def test_signals_before_the_program_runs_are_refused(client: Client) -> None:
    async with client.session(language="cpp", code="int main() {}") as session:
        await session.send_raw('{"type":"signal","signal":"SIGINT"}')
        run = await session.to_end()

    assert [error.code for error in run.errors] == ["wrong_state"]
    assert run.final.exit_code == 0


@pytest.mark.parametrize("after", ["x", "-1", "99999999", "1e3", "٣", "9" * 30])
async def test_a_position_that_is_none_is_refused(client: Client, after: str) -> None:
    session_id = (await client.run(language="python", code="")).session_id
    status, body = await client.refused_upgrade(f"/ws/session/{session_id}?after={quote(after)}")

    assert (status, body["code"], body["field"]) == (400, "invalid_request", "after")


async def test_an_unknown_session_and_another_origin_are_refused_at_the_upgrade(client: Client) -> None:
    status, body = await client.refused_upgrade("/ws/session/nothing")
    assert (status, body["code"]) == (404, "session_not_found")

    session_id = (await client.run(language="python", code="")).session_id
    status, body = await client.refused_upgrade(f"/ws/session/{session_id}", "Origin: https://evil.example\r\n")
    assert (status, body["code"]) == (403, "origin_not_allowed")

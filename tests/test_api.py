"""The REST surface: every bad request gets its status and a sentence that names what is wrong."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import trio
from trio_websocket import open_websocket_url

from tests.raw import raw_session
from tests.support import PATIENCE, Client, ServerProcess

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
    ("an argument of a wrong type", {**OK, "args": ["a", 1]}, 400, "invalid_request", "args[1]", "string"),
    ("an argument with NUL", {**OK, "args": ["\0"]}, 400, "invalid_request", "args[0]", "NUL"),
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
        "above the limit of 209715200",
    ),
    (
        "a timeout above the server's",
        {**OK, "limits": {"executionTimeout": 121}},
        400,
        "invalid_request",
        "limits.executionTimeout",
        "above the limit of 120",
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
    ("a WebSocket path over HTTP", "GET", "/ws/session/nothing", {}, 426, "upgrade_required"),
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


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/session", {"POST", "OPTIONS"}),
        ("GET", "/session", {"POST", "OPTIONS"}),
        ("POST", "/languages", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/session/x", {"GET", "HEAD", "DELETE", "OPTIONS"}),
        ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/index.html", {"GET", "HEAD"}),
        ("POST", "/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_a_method_that_is_not_taken_names_those_that_are(
    client: Client, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)

    assert (answer.status, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/nothing", "/sessions", "/session/", "/languages/", "/assets", "/ws/session/"])
async def test_a_path_that_is_not_there_is_not_there_for_any_method(client: Client, method: str, path: str) -> None:
    answer = await client.request(method, path)

    assert answer.status == 404
    assert "allow" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/index.html", "/languages", "/healthz", "/readyz", "/nothing", "/session"])
async def test_a_head_is_the_answer_to_a_get_without_its_body(client: Client, path: str) -> None:
    get, head = await client.request("GET", path), await client.request("HEAD", path)

    assert (head.status, head.body) == (get.status, b"")
    for name in ("content-type", "content-length", "cache-control", "allow"):
        assert head.headers.get(name) == get.headers.get(name), name


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/session", {"POST", "OPTIONS"}), ("/languages", {"GET", "HEAD", "OPTIONS"}), ("/", {"GET", "HEAD", "OPTIONS"})],
)
async def test_options_say_what_can_be_done(client: Client, path: str, allowed: set[str]) -> None:
    answer = await client.request("OPTIONS", path)

    assert answer.status == 200
    assert set(answer.headers["allow"].split(", ")) == allowed


ENCODINGS: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"\xef\xbb\xbf" + json.dumps(OK).encode(), {}, 201, ""),
    (json.dumps(OK).encode(), {"Content-Type": "application/json; charset=UTF-8"}, 201, ""),
    (json.dumps(OK).encode(), {"Content-Encoding": "identity"}, 201, ""),
    (json.dumps(OK).encode("utf-16"), {}, 400, "as UTF-8"),
    (json.dumps(OK).encode("utf-16-be"), {}, 400, "as UTF-8"),
    (json.dumps(OK).encode("utf-32-le"), {}, 400, "as UTF-8"),
    (json.dumps(OK).encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, 415, "UTF-8 only"),
    (gzip.compress(json.dumps(OK).encode(), mtime=0), {"Content-Encoding": "gzip"}, 415, "not compressed"),
    (json.dumps(OK).encode(), {"Content-Encoding": "br"}, 415, "not compressed"),
]


@pytest.mark.parametrize(("body", "headers", "status", "sentence"), ENCODINGS)
async def test_bodies_are_plain_utf_8(
    client: Client, body: bytes, headers: dict[str, str], status: int, sentence: str
) -> None:
    answer = await client.request("POST", "/session", raw=body, headers={"Content-Type": "application/json", **headers})

    assert answer.status == status, answer.body
    assert sentence in answer.json().get("error", "")
    compressed = headers.get("Content-Encoding") in {"gzip", "br"}
    assert answer.headers.get("accept-encoding") == ("identity" if compressed else None)


@pytest.mark.parametrize("headers", [{"Host": "10.0.1.7:8080"}, {"Host": ""}, {"Host": "kube.example"}])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_load_balancers_need_no_name(client: Client, path: str, headers: dict[str, str]) -> None:
    assert (await client.request("GET", path, headers=headers)).status == 200
    assert (await client.request("HEAD", path, headers=headers)).status == 200
    assert (await client.request("GET", "/languages", headers=headers)).status == 400


async def test_readiness_says_how_much_room_there_is(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_sessions=1, max_queue=1, pool="0"))

    async def room() -> tuple[int, int, int, int]:
        info = (await client.request("GET", "/readyz")).json()
        return info["running"], info["queued"], info["free"], info["room"]

    assert await room() == (0, 0, 1, 2)
    assert (await client.request("GET", "/readyz?room=2")).status == 200
    waiting = {"language": "python", "code": "input()"}
    async with client.session(**waiting) as first:
        assert await room() == (1, 0, 0, 1)
        async with client.session(**waiting) as second:
            assert await room() == (1, 1, 0, 0)
            assert (await client.request("GET", "/readyz")).status == 200, "who has a session here must reach it"
            full = await client.request("GET", "/readyz?room=1")
            assert (full.status, full.json()["ready"]) == (503, False)
            assert full.json()["reason"] == "the server is full: it can take 0 more sessions"
            await second.stop()
            await second.to_end()
        await first.stop()
        await first.to_end()
    wrong = await client.request("GET", "/readyz?room=x")
    assert (wrong.status, wrong.json()["field"]) == (400, "room")


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/session", "/ws/session/x/", "/languages", "/session/x"])
async def test_a_websocket_that_is_not_there_is_not_found(client: Client, path: str) -> None:
    status, error = await client.refused_upgrade(path)

    assert (status, error["code"]) == (404, "not_found")


async def test_what_came_without_its_upgrade_is_told_to_look_at_its_proxy(client: Client) -> None:
    answer = await client.request("GET", f"/ws/session/{await client.create(**OK)}")

    assert (answer.status, answer.json()["code"]) == (426, "upgrade_required")
    assert (answer.headers["upgrade"], answer.headers["connection"].lower()) == ("websocket", "upgrade")
    assert "a proxy in front" in answer.json()["error"]


@pytest.mark.parametrize(
    ("offered", "answered"),
    [([], None), (["trio-exec"], "trio-exec"), (["token", "trio-exec"], "trio-exec"), (["token", "b"], "token")],
)
async def test_a_subprotocol_that_is_offered_is_answered(
    client: Client, offered: list[str], answered: str | None
) -> None:
    url = f"ws://127.0.0.1:{client.server.port}/ws/session/{await client.create(**OK)}"
    with trio.fail_after(PATIENCE):
        async with open_websocket_url(url, subprotocols=offered) as socket:
            assert socket.subprotocol == answered


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
    assert preflight.headers["access-control-allow-credentials"] == "true"
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization,x-key"}
    preflight = await client.request("OPTIONS", "/session/x", headers={**headers, **asked})
    assert preflight.headers["access-control-allow-headers"] == "authorization,x-key"
    refused = await client.request("GET", "/languages", headers={"Origin": "https://other.example"})
    assert refused.status == 403


@pytest.mark.parametrize(
    ("setting", "origin", "credentials"),
    [("*", "https://any.example", None), ("null", "null", None), ("tauri://localhost", "tauri://localhost", "true")],
)
async def test_only_origins_by_name_may_send_credentials(
    start_server: Callable[..., ServerProcess], setting: str, origin: str, credentials: str | None
) -> None:
    client = Client(start_server(allowed_origins=setting, pool="0"))
    answer = await client.request("GET", "/languages", headers={"Origin": origin})

    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert answer.headers.get("access-control-allow-credentials") == credentials


async def test_languages_and_limits(client: Client) -> None:
    info = (await client.request("GET", "/languages")).json()

    assert {language["name"] for language in info["languages"]} == {"python", "javascript", "java", "cpp"}
    versions = {language["name"]: language["version"] for language in info["languages"]}
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for version in versions.values()), versions
    told = await client.run(language="python", code="import platform; print(platform.python_version())")
    assert told.stdout.strip() == versions["python"]
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
        await session.stop()
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
    async with raw_session(client, language="python", code="print(input())") as session:
        await session.until_waiting()
        for number, (message, _, _) in enumerate(BAD_MESSAGES, 1):
            await session.send(message)
            await session.until(lambda run, number=number: len(run.errors) == number)
        await session.input("still here\n")
        run = await session.to_end()

    assert [(error.code, error.field) for error in run.errors] == [(code, field) for _, code, field in BAD_MESSAGES]
    assert run.stdout == "still here\n"


async def test_signals_before_the_program_runs_are_refused(client: Client) -> None:
    async with client.session(language="cpp", code="int main() {}") as session:
        await session.signal("SIGINT")
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

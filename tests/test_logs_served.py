"""The log of a real server: what an operator finds in it, and what clients can't make of it."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from tests.raw import raw_session
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.logs import OWNER_LINES

SECRET = "n0-b0dys-bus1ness"


def lines(server: ServerProcess, event: str) -> list[dict[str, Any]]:
    """Those about something; all of the log has to be objects, one a line."""
    return [it for it in map(json.loads, server.log().splitlines()) if it["event"] == event]


async def until_lines(server: ServerProcess, event: str, count: int) -> list[dict[str, Any]]:
    with trio.fail_after(PATIENCE):
        while len(found := lines(server, event)) < count:  # noqa: ASYNC110 - there is only looking
            await trio.sleep(0.02)
    return found


async def test_what_became_of_a_program_is_found_by_who_and_when(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(languages="python", log_format="json", idle_timeout=1, trusted_proxies="127.0.0.1")
    client = Client(server)
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Request-ID": "from-the-proxy"}
    code = f"print('{SECRET}'); input()"
    body = {"language": "python", "code": code, "stdin": SECRET, "args": [SECRET]}
    answer = await client.request("POST", "/run", {**body, "stdin": f"{SECRET}\n"}, headers=headers)
    assert answer.json()["stdout"] == f"{SECRET}\n"
    await client.request("POST", "/session", {"language": "python", "code": "input()"}, headers=headers)
    batch = {"language": "python", "code": "print(1)", "runs": [{"expected": "1\n"}, {"expected": "2\n"}]}
    assert (await client.request("POST", "/run", batch)).status == 200

    done, waited = await until_lines(server, "session ended", 2)
    assert done["session"] == f"{answer.json()['sessionId'][:6]}…"
    assert (done["owner"], done["address"], done["request"]) == ("192.0.2.7", "192.0.2.7", "from-the-proxy")
    assert (done["kind"], done["language"], done["state"], done["exit_code"]) == ("run", "python", "finished", 0)
    assert (done["start"], done["input_bytes"], done["output_bytes"]) == ("cold", 18, 18)
    assert 0 < done["wall_seconds"] < done["duration_seconds"] < 60
    assert done["queue_seconds"] < done["start_seconds"] < done["first_output_seconds"] < done["duration_seconds"]
    assert done["peak_memory_bytes"] > 1_000_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done["time"])
    assert (waited["kind"], waited["state"], waited["reason"]) == ("session", "terminated", "idle_timeout")
    (batch_line,) = lines(server, "batch ended")
    assert (batch_line["kind"], batch_line["passed"], batch_line["failed"]) == ("batch", 1, 1)
    assert SECRET not in server.log()
    assert answer.json()["sessionId"] not in server.log()


async def test_each_refusal_has_one_line_over_http_and_over_a_websocket(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(languages="python", log_format="json")
    client = Client(server)
    unknown = {"language": "cobol", "code": SECRET}
    refused = await client.request("POST", "/session", unknown)
    await client.request("POST", "/run", unknown)
    await client.request("GET", f"/session/{SECRET}")
    await client.request("GET", f"/{SECRET}")
    await client.request("DELETE", "/run")
    await client.request("POST", "/session", raw=b"{", headers={"X-Request-ID": "no-proxy-says-this"})
    await client.refused_upgrade(f"/ws/session/{SECRET}")
    async with raw_session(client, language="python", code="input()") as attached:
        await attached.until_state("running")
        await attached.send(json.dumps({"type": SECRET}))
        await attached.send(json.dumps({"type": "stop"}))
        await attached.to_end()

    found = [
        (it["method"], it["path"], it["code"], it["status"]) for it in await until_lines(server, "request refused", 8)
    ]
    assert found == [
        ("POST", "/session", "unknown_language", 400),
        ("POST", "/run", "unknown_language", 400),
        ("GET", "/session/{sessionId}", "session_not_found", 404),
        ("GET", "", "not_found", 404),
        ("DELETE", "", "method_not_allowed", 405),
        ("POST", "/session", "invalid_json", 400),
        ("WS", "/ws/session/{sessionId}", "session_not_found", 404),
        ("WS", "/ws/session/{sessionId}", "invalid_message", 400),
    ]
    first = lines(server, "request refused")[0]
    assert (first["owner"], first["address"]) == ("127.0.0.1", "127.0.0.1")
    assert first["request"] == refused.headers["X-Request-ID"]
    assert SECRET not in server.log()
    assert "no-proxy-says-this" not in server.log()


async def test_one_client_can_neither_fill_the_log_nor_write_its_own_lines(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(languages="python")
    client = Client(server)
    forged = "x\n2026-01-01T00:00:00.000Z INFO trio_exec.sessions: session ended owner=nobody\x1b[2J"
    for _ in range(OWNER_LINES + 50):
        body = {"language": forged, "code": "", "env": {forged: ""}}
        assert (await client.request("POST", "/session", body)).status == 400
    loud = [line for line in server.log().splitlines() if "request refused" in line]
    assert len(loud) == OWNER_LINES
    assert "nobody" not in server.log()
    assert server.log().replace("\n", "").isprintable()

    # What was left out is said at the latest when the server ends.
    server.terminate()
    assert server.wait() == 0
    (last,) = [line for line in server.log().splitlines() if "not_logged=" in line]
    assert last.endswith("not_logged=49")


async def test_the_form_and_the_level_change_without_a_restart(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('log_format = "console"\n')
    server = start_server(config=file, languages="python")
    before = server.log()
    assert not any(line.startswith("{") for line in before.splitlines())
    file.write_text('log_format = "json"\n')
    server.process.send_signal(signal.SIGHUP)
    with trio.fail_after(PATIENCE):
        while '"event": "log_format is now json"' not in server.log():  # noqa: ASYNC110 - there is only looking
            await trio.sleep(0.02)
    file.write_text('log_format = "json"\nlog_level = "error"\n')
    server.process.send_signal(signal.SIGHUP)
    client = Client(server)
    with trio.fail_after(PATIENCE):
        while True:  # Until a refusal has no line any more.
            count = len(server.log())
            assert (await client.request("GET", "/nothing")).status == 404
            if len(server.log()) == count:
                return


def test_the_level_is_that_of_the_setting(images: dict[str, str]) -> None:
    server = ServerProcess(languages="python", log_level="error")
    try:
        assert server.request("GET", "/nothing").status == 404
        server.terminate()
        server.wait()
        assert server.log() == ""
    finally:
        server.close()

"""Metrics of a real server, while it runs sessions."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import trio
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.support import PATIENCE, Answer, Client, ServerProcess

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS = f"{OPENMETRICS},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What Prometheus 2.42 asks for."""


class Scrape:
    """What was there at one moment."""

    def __init__(self, answer: Answer) -> None:
        assert answer.status == 200, answer.body
        self.samples = [it for family in parse(answer.body.decode()) for it in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        found = [it.value for it in self.samples if it.name == name and labels.items() <= it.labels.items()]
        assert found, name
        return sum(found)


async def scrape(client: Client) -> Scrape:
    return Scrape(await client.request("GET", "/metrics"))


async def test_what_a_server_does_shows(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(languages="python", pool="python=1", max_sessions=2, metrics_owners="true")
    client = Client(server)
    server.wait_warm({"python": 1})
    ask = "print('on', flush=True); print(input())"
    async with client.session(language="python", code=ask) as first:
        await first.until_stdout("on\n")
        async with client.session(language="python", code=ask, tty=True) as second:
            await second.until_stdout("on\r\n")
            third = await client.create(language="python", code="print(3)")
            refused = await client.request("POST", "/session", {"language": "cobol", "code": ""})
            assert refused.status == 400

            during = await scrape(client)
            assert during.sum("trio_exec_ready") == 1
            assert during.sum("trio_exec_phase", phase="serving") == 1
            assert during.sum("trio_exec_sessions_running") == 2
            assert during.sum("trio_exec_sessions_queued") == 1
            assert during.sum("trio_exec_clients") == 2
            assert during.sum("trio_exec_sessions_refused_total", code="unknown_language", kind="session") == 1
            assert during.sum("trio_exec_pool_containers_wanted", language="python") == 1
            assert during.sum("trio_exec_connections") >= 2
            assert during.sum("trio_exec_retained_bytes") > 0
            await second.input("2\n")
            await second.to_end()
        async with client.attach(third) as waited:
            await waited.to_end()
        await first.input("1\n")
        await first.to_end()
    batch = {"language": "python", "code": "print(1)", "runs": [{"expected": "1\n"}, {"expected": "2\n"}]}
    assert (await client.request("POST", "/run", batch)).status == 200

    after = await scrape(client)
    assert after.sum("trio_exec_sessions_ended_total", kind="session", reason="finished") == 3
    assert after.sum("trio_exec_sessions_ended_total", kind="batch", reason="finished") == 1
    assert after.sum("trio_exec_batch_cases_total") == 2
    assert after.sum("trio_exec_pool_hits_total") + after.sum("trio_exec_pool_misses_total") == 4
    assert after.sum("trio_exec_pool_hits_total") >= 1
    for name in ("queue", "start", "first_output", "duration"):
        assert after.sum(f"trio_exec_session_{name}_seconds_count") == (3 if name == "first_output" else 4)
    assert after.sum("trio_exec_session_start_seconds_count", start="warm") >= 1
    assert after.sum("trio_exec_input_bytes_total") >= 4
    assert after.sum("trio_exec_program_cpu_seconds_total") > 0
    assert after.sum("trio_exec_engine_call_seconds_count", call="start") >= 3
    assert after.sum("trio_exec_owner_sessions_total", owner="127.0.0.1") == 4
    assert after.sum("trio_exec_loop_turn_seconds_count") > 100
    assert after.sum("process_open_fds") < after.sum("process_max_fds")
    assert after.sum("trio_exec_clients") == 0


async def test_scrapes_under_load_are_answered_and_counters_only_grow(server: ServerProcess) -> None:
    client = Client(server)
    before = await scrape(client)
    growing = {f"trio_exec_sessions_{name}_total" for name in ("created", "started", "ended")}
    seen = {name: [before.sum(name)] for name in growing}

    async def run() -> None:
        for number in range(3):
            assert (await client.run(language="python", code=f"print({number})")).stdout == f"{number}\n"

    async def watch() -> None:
        while True:
            now = await scrape(client)
            for name in growing:
                seen[name].append(now.sum(name))
            await trio.sleep(0.05)

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        async with trio.open_nursery() as load:
            for _ in range(4):
                load.start_soon(run)
        watching.cancel_scope.cancel(reason="all have run")
    after = await scrape(client)
    for name, values in seen.items():
        assert values == sorted(values)
        assert after.sum(name) >= before.sum(name) + 12


async def test_the_format_is_the_one_that_is_asked_for(client: Client) -> None:
    for accept, expected in [
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html, */*;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0.1, text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=x;q=y,,;", "text/plain; version=0.0.4; charset=utf-8"),
    ]:
        answer = await client.request("GET", "/metrics", headers={"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (200, expected), accept
        assert answer.body.endswith(b"# EOF\n") == expected.startswith("application/")
    assert (await client.request("POST", "/metrics", {})).status == 405


async def test_a_listener_of_its_own_has_metrics_and_nothing_else(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(languages="python", metrics_port=0)
    match = re.search(r"metrics are at http://127\.0\.0\.1:(\d+)/metrics", server.log())
    assert match, server.log()
    port = int(match[1])

    def ask(method: str, path: str) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request(method, path, headers={"Host": "prometheus.example"})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def asked(method: str, path: str) -> int:
        return ask(method, path).status

    assert Scrape(ask("GET", "/metrics")).sum("trio_exec_ready") == 1
    assert asked("GET", "/metrics/") == asked("GET", "/languages") == asked("POST", "/session") == 404
    assert asked("POST", "/metrics") == 405
    assert ask("HEAD", "/metrics").body == b""
    client = Client(server)
    assert (await client.request("GET", "/metrics")).status == 404
    assert "/metrics" not in (await client.request("GET", "/openapi.json")).json()["paths"]

    # It is there for as long as the server is, and ends with it.
    async with client.session(language="python", code="print(input())") as attached:
        await attached.until_waiting()
        server.terminate()
        await client.until_draining()
        found = Scrape(await trio.to_thread.run_sync(ask, "GET", "/metrics"))
        assert (found.sum("trio_exec_ready"), found.sum("trio_exec_phase", phase="draining")) == (0, 1)
        await attached.input("ok\n")
        assert (await attached.to_end()).stdout == "ok\n"
    assert server.wait() == 0


async def test_who_holds_all_connections_of_the_metrics_keeps_nobody_out(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(languages="python", metrics_port=0)
    match = re.search(r"metrics are at http://127\.0\.0\.1:(\d+)/metrics", server.log())
    assert match, server.log()
    async with trio.open_nursery() as nursery:
        streams = [await trio.open_tcp_stream("127.0.0.1", int(match[1])) for _ in range(100)]
        with closing(http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=PATIENCE)) as connection:
            connection.request("GET", "/metrics")
            assert connection.getresponse().status == 200
        for stream in streams:
            nursery.start_soon(stream.aclose)
    assert (await Client(server).request("GET", "/healthz")).status == 200


def test_an_address_that_is_taken_is_told(server: ServerProcess) -> None:
    command = [sys.executable, "-m", "trio_exec", "serve", "--port", "0"]
    environment = {**os.environ, "TRIO_EXEC_METRICS_PORT": str(server.port)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert done.returncode == 2
    assert f"metrics_host, metrics_port: can't listen on 127.0.0.1 port {server.port}" in done.stderr

"""A real Prometheus collects from a real server: every query of the dashboard, and every alert, is asked of it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import trio
import yaml

from tests.dashboard import DEPLOY, Query, alerts, queries
from tests.support import PATIENCE, Client, ServerProcess

pytestmark = pytest.mark.docker

RULES = DEPLOY / "prometheus"
MAY_BE_EMPTY = {"trio_exec_engine_errors_total", "trio_exec_pool_warming_failures_total"}
"""Metrics of what does not go wrong here."""


def promtool(*arguments: str, given: bytes = b"") -> None:
    done = subprocess.run(
        ["promtool", *arguments], input=given, cwd=RULES, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"FAILED" not in done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_right() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_the_adapter_makes_one_metric_of_two(tmp_path: Path) -> None:
    (rule,) = yaml.safe_load((RULES / "adapter.yml").read_text())["rules"]
    labels = '{namespace="trio-exec",pod="trio-exec-0"}'
    query = rule["metricsQuery"].replace("<<.LabelMatchers>>", labels[1:-1]).replace("<<.GroupBy>>", "pod")
    assert rule["seriesQuery"].startswith("trio_exec_sessions_running{")
    test = {
        "input_series": [
            {"series": f"trio_exec_sessions_running{labels}", "values": "7"},
            {"series": f"trio_exec_sessions_running_limit{labels}", "values": "10"},
        ],
        "promql_expr_test": [{"expr": query, "exp_samples": [{"labels": '{pod="trio-exec-0"}', "value": 0.7}]}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    promtool("test", "rules", str(tmp_path / "test.yml"))


def test_the_metrics_are_as_prometheus_wants_them(server: ServerProcess) -> None:
    promtool("check", "metrics", given=server.request("GET", "/metrics").body)


class Prometheus:
    """One that runs.

    Args:
        url: where it answers.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def values(self, expression: str) -> list[float]:
        return [float(it["value"][1]) for it in self.ask("query", query=expression)["result"]]

    async def until(self, expression: str) -> None:
        """Returns when a query has a result."""
        with trio.fail_after(PATIENCE):
            while not await trio.to_thread.run_sync(self.values, expression):  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.2)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False


@contextmanager
def running_prometheus(folder: Path, target: str) -> Generator[Prometheus]:
    """With our configuration, but for the target, and in a hurry."""
    text = (RULES / "prometheus.yml").read_text()
    assert text.count("15s") == 2
    assert text.count("127.0.0.1:8080") == 1
    (folder / "prometheus.yml").write_text(text.replace("15s", "1s").replace("127.0.0.1:8080", target))
    copy(RULES / "alerts.yml", folder)
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (match := re.search(r'msg="?Listening on"? address=(\S+)', log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        while not _is_ready(f"http://{match[1]}/-/ready"):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Prometheus(f"http://{match[1]}")
    finally:
        process.terminate()
        process.wait(PATIENCE)


async def test_every_query_has_a_result_and_no_alert_fires(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server(languages="python", pool="python=2")
    server.wait_warm({"python": 1})
    client = Client(server)
    with running_prometheus(tmp_path, f"127.0.0.1:{server.port}") as prometheus:
        await prometheus.until('up{job="trio-exec"} == 1')
        for number in range(3):  # One after the other warm, then three at once, of which some start cold.
            assert (await client.run(language="python", code=f"print({number})")).stdout == f"{number}\n"
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(lambda: client.run(language="python", code="print(1)"))
        batch = {"language": "python", "code": "print(1)", "runs": [{"expected": "1\n"}, {"expected": "2\n"}]}
        assert (await client.request("POST", "/run", batch)).status == 200
        assert (await client.request("POST", "/run", {"language": "python", "code": "print(1)"})).status == 200
        assert (await client.request("POST", "/run", {"language": "cobol", "code": ""})).status == 400
        await prometheus.until('sum(trio_exec_sessions_ended_total{reason="finished"}) == 9')
        await prometheus.until("sum(increase(trio_exec_sessions_refused_total[30s])) > 0")
        await prometheus.until("sum(increase(trio_exec_pool_warming_seconds_count[30s])) > 0")

        def check() -> None:
            without: list[str] = []
            for query in queries():
                values = prometheus.values(query.filled)
                if query.metrics & MAY_BE_EMPTY or query.where == "Restarts":
                    continue
                if not values or all(math.isnan(value) for value in values):
                    without.append(f"{query}: {query.filled}: {values}")
            assert not without, "\n".join(without)
            for _, query in alerts():
                _check_alert(prometheus, query)
            rules = prometheus.ask("rules")["groups"][0]["rules"]
            assert [it["name"] for it in rules] == [name for name, _ in alerts()]
            assert {(it["health"], it.get("lastError")) for it in rules} == {("ok", None)}
            assert {it["name"] for it in rules if it["state"] == "firing"} == set()
            variables = [prometheus.ask("label/language/values"), prometheus.ask("label/instance/values")]
            assert variables == [["python"], [f"127.0.0.1:{server.port}"]]

        await trio.to_thread.run_sync(check)


def _check_alert(prometheus: Prometheus, query: Query) -> None:
    """All that it looks at is there; that it finds nothing is as it should be."""
    prometheus.values(query.filled)
    for name in query.metrics - MAY_BE_EMPTY:
        assert prometheus.values(f"count({name})") != [], (query, name)

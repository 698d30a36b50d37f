"""Batches: cases a second, against sessions one by one, and against the plain process in a shell's loop.

And a session's start, by the ways that there are: from the request to the first output.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import trio
from trio_websocket import open_websocket

from tests.support import ServerProcess, running_server
from trio_exec.client import Run
from trio_exec.client.sync import connect

CASES = 100
POOL = 4
ONE_PROCESSOR = 1.0
"""CPUs for a session where a batch is measured against a loop that has no limit: a process uses one at most."""


@dataclass(frozen=True)
class Squares:
    """A program that squares the numbers it reads.

    Attributes:
        language: its name in the API.
        file: the main file's name.
        code: its text.
        compile: how it is compiled in a shell; nothing for no need.
        run: how it is run in a shell.
    """

    language: str
    file: str
    code: str
    compile: str
    run: str


SQUARES = [
    Squares(
        "cpp",
        "main.cpp",
        '#include <iostream>\nint main() { long n; while (std::cin >> n) std::cout << n * n << "\\n"; }\n',
        "g++ -std=gnu++20 -O2 -o program main.cpp",
        "./program",
    ),
    Squares("python", "main.py", "import sys\nfor line in sys.stdin: print(int(line) ** 2)\n", ":", "python3 main.py"),
]


def shell_loop(program: Squares) -> str:
    """A shell's script that compiles, runs all cases one after the other, and prints nanoseconds for each."""
    clock = "$(date +%s%N)"
    return (
        f"{program.compile} && from={clock} && for n in $(seq {CASES}); do echo $n | {program.run} >/dev/null; done; "
        f"to={clock}; echo $(((to - from) / {CASES}))"
    )


def _post(connection: http.client.HTTPConnection, path: str, body: Any) -> http.client.HTTPResponse:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def cases_per_second(server: ServerProcess, program: Squares, isolation: Literal["process", "container"]) -> float:
    """From the first case's end to the last one's: what a batch takes for each, its start left out."""
    runs = [Run(stdin=f"{n}\n", expected=f"{n * n}\n") for n in range(CASES)]
    ended: list[float] = []
    with (
        connect(server.url) as client,
        client.stream_batch(program.language, program.code, runs=runs, isolation=isolation) as cases,
    ):
        for case in cases:
            ended.append(time.perf_counter())
            assert case.passed, case
    assert len(ended) == CASES
    return (CASES - 1) / (ended[-1] - ended[0])


def sessions_per_second(server: ServerProcess, program: Squares, count: int) -> float:
    """The same by as many sessions, one after the other."""
    with connect(server.url) as client:
        start = time.perf_counter()
        for n in range(count):
            result = client.run(program.language, program.code, stdin=f"{n}\n")
            assert result.stdout == f"{n * n}\n", result
        return count / (time.perf_counter() - start)


def batches(plain: Callable[[Squares], float], rounds: int) -> dict[str, Any]:
    """Cases a second, by language and way.

    Args:
        plain: seconds that the plain process takes, once, in a shell's loop.
        rounds: of everything, interleaved.
    """
    results: dict[str, Any] = {}
    limited = {f"{program.language}": POOL for program in SQUARES}
    pool = ",".join(f"{name}={size}" for name, size in limited.items())
    with running_server(pool=pool) as default, running_server(pool=0, cpus=ONE_PROCESSOR) as fast:
        for program in SQUARES:
            ways: dict[str, Callable[[], float]] = {
                "plain": lambda program=program: 1 / plain(program),
                "process": lambda program=program: cases_per_second(fast, program, "process"),
                "process, default CPUs": lambda program=program: cases_per_second(default, program, "process"),
                "container": lambda program=program: cases_per_second(default, program, "container"),
                "sessions": lambda program=program: sessions_per_second(default, program, CASES // 5),
            }
            rates: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(rounds):
                for way, measure in ways.items():
                    rates[way].append(measure())
            results[program.language] = {way: statistics.median(values) for way, values in rates.items()}
    return results


HELLO = {"language": "python", "code": "print('hello')", "stdin": ""}


async def _first_output(server: ServerProcess, path: str, request: Any) -> tuple[float, float]:
    """Over a WebSocket: seconds from before the connection, and from the request alone."""
    start = time.perf_counter()
    async with open_websocket("127.0.0.1", server.port, path, use_ssl=False) as socket:
        opened = time.perf_counter()
        if request is not None:
            await socket.send_message(json.dumps(request))
        seen = 0.0
        while True:
            told = json.loads(await socket.get_message())
            if told["type"] == "stdout":
                seen = time.perf_counter()
            if told.get("state") in {"finished", "terminated"}:
                return seen - start, seen - opened


def _two_steps(server: ServerProcess, connection: http.client.HTTPConnection) -> float:
    start = time.perf_counter()
    session = json.loads(_post(connection, "/session", HELLO).read())
    posted = time.perf_counter() - start
    return posted + trio.run(_first_output, server, session["websocket"], None)[0]


def _one_request(connection: http.client.HTTPConnection) -> float:
    start = time.perf_counter()
    answer = _post(connection, "/run", {**HELLO, "stream": True})
    seen = 0.0
    for line in answer:
        if json.loads(line)["type"] == "stdout":
            seen = time.perf_counter() - start
    return seen


def starts_by_way(rounds: int) -> dict[str, float]:
    """Seconds from the request to the first output, warm, Python: medians, interleaved."""
    with (
        running_server(pool=f"python={POOL}") as server,
        closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection,
    ):
        ways: dict[str, Callable[[], float]] = {
            "two steps": lambda: _two_steps(server, connection),
            "one step": lambda: trio.run(_first_output, server, "/ws/run", HELLO)[0],
            "one step, kept": lambda: trio.run(_first_output, server, "/ws/run?keep=true", HELLO)[1],
            "run, kept": lambda: _one_request(connection),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, measure in ways.items():
                server.wait_warm({"python": POOL})
                time.sleep(0.3)
                elapsed = measure()
                if number:
                    times[way].append(elapsed)
    return {way: statistics.median(values) for way, values in times.items()}


def rows(batched: dict[str, Any], started: dict[str, float]) -> Sequence[str]:
    """What of it goes into the table."""
    lines: list[str] = []
    for language, rates in batched.items():
        ratio = rates["process"] / rates["plain"]
        lines.append(
            f"| {CASES} cases in one batch, {language}: cases a second | {ratio:.2f} × the plain process in a shell's "
            f"loop: {rates['process']:.0f} (with half a processor {rates['process, default CPUs']:.0f}; in fresh "
            f"containers {rates['container']:.1f}; as sessions, one by one, {rates['sessions']:.1f}) |"
        )
    two = started["two steps"]
    for way, words in [
        ("one step", "`/ws/run`, with a new connection"),
        ("one step, kept", "`/ws/run`, over a kept connection"),
        ("run, kept", "`POST /run`, over a kept connection"),
    ]:
        lines.append(
            f"| request to first output, warm Python, {words} | {started[way] / two:.2f} × that of `POST /session` and "
            f"a WebSocket: {started[way] * 1000:.1f} ms |"
        )
    return lines

"""What somebody polite has of it when somebody else floods the server: times of starts, quiet and beside a flood.

The flood asks for sessions as fast as it can over a few connections, far beyond its quota; the few that it gets hold
their slots. So what is measured is what admission, and refusing, cost others; not what programs take from each other.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from tests.support import ServerProcess, running_server
from trio_exec.client import connect
from trio_exec.keys import create_key

POOL = 4
CONNECTIONS = 4
WAITS = "print('up')\ninput()"


async def starts(server: ServerProcess, key: str, number: int) -> list[float]:
    """Seconds from each request to its whole answer, one after the other, each with a warm container there."""
    taken: list[float] = []
    async with connect(server.url, api_key=key) as client:
        for _ in range(number):
            await trio.to_thread.run_sync(server.wait_warm, {"python": POOL // 2})
            begun = time.perf_counter()
            assert (await client.run("python", "print('hello')")).stdout == "hello\n"
            taken.append(time.perf_counter() - begun)
    return taken


FLOOD = """
import http.client, json, sys, threading

port, key, connections, code = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
body = json.dumps({"language": "python", "code": code})
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
refused = [0] * connections

def ask(number):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        connection.request("POST", "/session", body, headers)
        answer = connection.getresponse()
        answer.read()
        refused[number] += answer.status == 429

for number in range(connections):
    threading.Thread(target=ask, args=(number,), daemon=True).start()
sys.stdin.read()
print(sum(refused))
"""
"""A process of its own, or its work would be in the times that are measured beside it."""


@contextmanager
def flood(server: ServerProcess, key: str, connections: int) -> Generator[list[int]]:
    """Asks for sessions meanwhile, over so many connections; then says how many it was refused."""
    command = [sys.executable, "-c", FLOOD, str(server.port), key, str(connections), WAITS]
    refused: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield refused
        finally:
            said, _ = process.communicate()
            refused.append(int(said))


@dataclass
class Times:
    """Seconds that starts took.

    Attributes:
        quiet: with nobody else there.
        flooded: beside a flood.
        refused_per_second: of the flood's requests.
    """

    quiet: list[float]
    flooded: list[float]
    refused_per_second: float

    def ratio(self, share: float) -> float:
        """How much slower a start is beside the flood, of the slowest that this share is no slower than."""
        quiet, flooded = (sorted(it)[math.ceil(len(it) * share) - 1] for it in (self.quiet, self.flooded))
        return flooded / quiet


async def beside_a_flood(
    server: ServerProcess, polite: str, greedy: str, *, rounds: int, number: int, connections: int
) -> Times:
    """Times of starts, so many in each round, quiet and beside a flood in turns."""
    times = Times([], [], 0)
    refused, seconds = 0, 0.0
    for _ in range(rounds):
        times.quiet += await starts(server, polite, number)
        begun = time.perf_counter()
        with flood(server, greedy, connections) as counts:
            times.flooded += await starts(server, polite, number)
        seconds += time.perf_counter() - begun
        refused += sum(counts)
    times.refused_per_second = refused / seconds
    return times


def tenants(rounds: int) -> dict[str, float]:
    """The figures, of a server of its own."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "keys.toml"
        polite, greedy = polite_and_greedy(path)
        with running_server(keys_file=path, pool=f"python={POOL}") as server:
            measure = partial(beside_a_flood, rounds=rounds, number=25, connections=CONNECTIONS)
            times = trio.run(measure, server, polite, greedy)
    return {"p50": times.ratio(0.5), "p99": times.ratio(0.99), "refused_per_second": times.refused_per_second}


def polite_and_greedy(path: Path) -> tuple[str, str]:
    """Keys of two owners, in a new file."""
    polite, _ = create_key(path, "polite", starts_per_minute=10_000)
    greedy, _ = create_key(path, "greedy", max_sessions=1, max_queued=0, starts_per_minute=100_000)
    return polite, greedy


def tenants_row(results: dict[str, float]) -> str:
    """The table's line."""
    return (
        f"| a warm start beside another owner's flood, of which {results['refused_per_second']:.0f} requests are "
        f"refused a second: p50, p99 | {results['p50']:.2f}, {results['p99']:.2f} × as long as quiet |"
    )

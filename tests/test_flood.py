"""A hostile client at full speed: the server stays far below the memory that Compose gives it, and serves others.

`FLOOD_SECONDS` says for how long; the figures are printed (`pytest -s`).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import pytest
import trio

from tests.support import Client, ServerProcess
from tests.test_connections import Raw, get

SECONDS = float(os.environ.get("FLOOD_SECONDS", "15"))
MIB = 1024 * 1024
MEMORY_MAX = 400 * MIB
"""Of the 512 MiB in docker-compose.yml."""
ANSWER_MAX = 2
"""Seconds on a processor of one's own; what others take of it counts on top."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


async def healthz(server: ServerProcess) -> float:
    """Seconds that an answer takes, asked from another address than the flood's."""
    start = trio.current_time()
    with trio.fail_after(30):
        socket = trio.socket.socket()
        await socket.bind(("127.0.0.2", 0))
        await socket.connect(("127.0.0.1", server.port))
        async with trio.SocketStream(socket) as stream:
            it = Raw(stream)
            await it.send(get())
            assert (await it.answer()).status == 200
    return trio.current_time() - start


def slowdown() -> float:
    """By how much longer than on a processor of one's own something takes now."""
    wall, own = time.perf_counter(), time.thread_time()
    while time.thread_time() - own < 0.01:
        pass
    return (time.perf_counter() - wall) / (time.thread_time() - own)


async def watch(server: ServerProcess, seconds: float) -> tuple[list[float], float, int]:
    """Latencies, sorted, by how much everything was slowed down, and the most memory that was seen."""
    latencies: list[float] = []
    slowdowns: list[float] = []
    memory = 0
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        latencies.append(await healthz(server))
        slowdowns.append(slowdown())
        memory = max(memory, server.resident())
        await trio.sleep(0.03)
    return sorted(latencies), statistics.mean(slowdowns), memory


@pytest.mark.alone
async def test_a_flood_is_survived(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_sessions=5))
    server = client.server
    quiet, _, memory = await watch(server, 2)
    say(f"\nquiet: {memory / MIB:.0f} MiB, answers in {quiet[len(quiet) // 2]:.4f} to {quiet[-1]:.4f} s")
    command = [sys.executable, "-m", "tests.hostile", str(server.port), str(SECONDS)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.run_process, command)
        latencies, slower, memory = await watch(server, SECONDS)
        nursery.cancel_scope.cancel(reason="the flood is over")
    say(
        f"flood: {memory / MIB:.0f} MiB at most, {len(latencies)} answers, "
        f"median {latencies[len(latencies) // 2]:.3f}, at most {latencies[-1]:.3f} s, slowed down by {slower:.1f}"
    )
    await trio.sleep(3)
    say(f"after: {server.resident() / MIB:.0f} MiB, log of {len(server.log())} bytes")

    assert memory < MEMORY_MAX
    assert latencies[-1] < ANSWER_MAX * slower
    assert len(server.log()) < 100_000
    assert server.process.poll() is None

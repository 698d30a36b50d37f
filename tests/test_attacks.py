"""Sessions that do all they can not to end, and what that costs everybody else: nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import trio

from tests.kubernetes import on_kubernetes
from tests.support import Client, ServerProcess

STARVING = """
import os

for name in (os.PRIO_PROCESS, os.PRIO_PGRP):
    for whom in (1, 0):
        try:
            os.setpriority(name, whom, 19)
        except OSError:
            pass
for _ in range(29):
    if os.fork() == 0:
        while True:
            pass
print("up", flush=True)
while True:
    pass
"""
"""As many processes as there may be, all of them at work, with hardly any CPU for them to end with."""
HOSTILE = 9
LIMITS = {"cpus": 0.02, "executionTimeout": 100}


async def start_times(client: Client) -> float:
    """The median of some times from the request to the first output."""
    times: list[float] = []
    for _ in range(5):
        start = time.monotonic()
        async with client.session(language="python", code="print('hello')", stdin="") as session:
            await session.until_stdout("hello\n")
            times.append(time.monotonic() - start)
            assert (await session.to_end()).final.state == "finished"
    return statistics.median(times)


async def start_hostile(client: Client) -> list[str]:
    """Starts them, and returns their ids once all are at work."""
    ids: list[str] = []

    async def one() -> None:
        session_id = await client.create(language="python", code=STARVING, limits=LIMITS)
        async with client.attach(session_id) as session:
            await session.until_stdout("up\n")
        ids.append(session_id)

    async with trio.open_nursery() as nursery:
        for _ in range(HOSTILE):
            nursery.start_soon(one)
    return ids


async def end(client: Client, session_id: str) -> None:
    async with client.attach(session_id) as session:
        assert (await client.request("DELETE", f"/session/{session_id}")).status == 202
        run = await session.to_end()
    assert (run.final.reason, run.final.signal) == ("stopped", "SIGKILL")
    assert run.final.cpu_time is not None


async def end_all(client: Client, ids: list[str]) -> None:
    """Ends them all at once, and returns when their slots are free."""
    async with trio.open_nursery() as nursery:
        for session_id in ids:
            nursery.start_soon(end, client, session_id)
    await trio.to_thread.run_sync(client.server.assert_no_containers, 5)
    while (await client.request("GET", "/readyz")).json()["running"]:  # noqa: ASYNC110 - there is only asking
        await trio.sleep(0.05)


@pytest.mark.alone
async def test_nine_that_do_not_want_to_end_cost_others_nothing_and_end_with_their_figures(
    start_server: Callable[..., ServerProcess],
) -> None:
    client = Client(start_server(max_sessions=HOSTILE + 1, detach_grace=100))
    unready: list[object] = []
    ratios: list[float] = []

    async def watch() -> None:
        while True:
            answer = await client.request("GET", "/readyz")
            if answer.status != 200:
                unready.append(answer.json())
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        for _ in range(3):  # In turns, since the machine may be faster or slower for reasons of its own.
            alone = await start_times(client)
            ids = await start_hostile(client)
            ratios.append(await start_times(client) / alone)
            await end_all(client, ids)
        nursery.cancel_scope.cancel(reason="all is seen")
    assert not unready
    assert statistics.median(ratios) < 2, ratios


async def test_a_server_that_is_killed_under_attack_leaves_nothing(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    await start_hostile(client)
    assert len(client.server.containers()) == HOSTILE
    client.server.process.kill()
    client.server.wait()

    # Nobody gives a pod more CPU to end with.
    client.server.assert_no_containers(within=30 if on_kubernetes() else 5)


async def test_last_output_arrives_from_a_session_without_cpu(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    code = STARVING.rpartition("while True:")[0] + "input()\nprint('last words', flush=True)\n"
    async with client.session(language="python", code=code, limits={"cpus": 0.05}) as session:
        await session.until_stdout("up\n")
        await session.input("\n")
        run = await session.to_end()
    assert (run.stdout, run.final.state, run.final.exit_code) == ("up\nlast words\n", "finished", 0)
    client.server.assert_no_containers(within=5)

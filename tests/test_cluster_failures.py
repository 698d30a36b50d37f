"""What becomes of sessions in pods when parts of a cluster fail: each ends with a reason, and nothing stays behind.

Components are killed, and networks go silent, in the cluster that `script/cluster` started. A failure that somebody is
told of ends a session at once. Of one that nobody is told of, both ends learn by the other's silence.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from tests import cluster
from tests.kubernetes import on_kubernetes, pods
from tests.support import GENEROUS, PATIENCE, Attached, Client, Run, ServerProcess
from trio_exec.executor.kubernetes.labels import SESSION_ANNOTATION
from trio_exec.ids import short_id
from trio_exec.launcher.connection import SILENCE

TOLD = 2
"""Seconds in which a session ends when somebody is told of what broke; on an idle machine it takes a third of one."""
CUT = SILENCE + 5
"""Seconds in which it ends when nobody is."""
LEFT = 60
"""Seconds in which all that it leaves is gone."""

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not on_kubernetes(), reason="script/cluster test runs these"),
]


@dataclass
class Victim:
    """A session whose program waits for its end.

    Attributes:
        attached: its client.
        node: where it runs.
        mark: is in the program's command line, and in no other.
    """

    attached: Attached
    node: str
    mark: str

    def runs(self) -> bool:
        """Whether the program does, by the machine's own list."""
        return any(self.mark in words for words in command_lines())

    async def end(self, within: float) -> Run:
        with trio.fail_after(within):
            return await self.attached.to_end()


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_text()
        except OSError:  # it has ended
            continue


@pytest.fixture
def client(start_server: Callable[..., ServerProcess]) -> Client:
    return Client(start_server(**GENEROUS, pool=0, languages="python").wait_ready())


@asynccontextmanager
async def victim(client: Client) -> AsyncGenerator[Victim]:
    mark = f"{secrets.randbelow(10**9)}.{os.getpid()}"
    code = f"import os; print('runs', flush=True); os.execvp('sleep', ['sleep', '{mark}'])"
    async with client.session(language="python", code=code, limits={"idleTimeout": 110}) as attached:
        await attached.until_stdout("runs")
        (pod,) = [it for it in await all_pods() if it["metadata"]["annotations"][SESSION_ANNOTATION] == short(attached)]
        yield Victim(attached, pod["spec"]["nodeName"], mark)


def short(attached: Attached) -> str:
    return short_id(attached.run.session_id)


async def all_pods() -> list[Any]:
    return await trio.to_thread.run_sync(pods)


async def until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    with trio.fail_after(within):
        while not await trio.to_thread.run_sync(condition):  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.2)


async def works(client: Client) -> None:
    run = await client.run(language="python", code="print('well')")
    assert run.stdout == "well\n", run.final


async def works_again(client: Client) -> None:
    """Returns when sessions run, and the pods of those that ended are gone."""
    await client.until_ready()
    await works(client)
    await until(lambda: not client.server.containers(), LEFT)


def failed(run: Run, words: str) -> None:
    assert (run.final.state, run.final.reason) == ("terminated", "engine_error")
    assert words in (run.final.message or "")


@pytest.mark.parametrize("component", ["kube-apiserver", "kubelet", "containerd"])
async def test_what_carries_a_session_is_killed(client: Client, component: str) -> None:
    async with victim(client) as session:
        name = component if component == "kube-apiserver" else f"{component}@{session.node}"
        async with cluster.without(name):
            failed(await session.end(TOLD), "the connection to the pod broke")
            # Where containerd has gone, the launcher's input stays open, and only silence tells it.
            await until(lambda: not session.runs(), CUT if component == "containerd" else TOLD)
    await works_again(client)


async def test_all_that_a_session_does_not_need_is_killed(client: Client) -> None:
    async with victim(client) as session, AsyncExitStack() as killed:
        for component in ("etcd", "kube-scheduler", "kube-controller-manager"):
            await killed.enter_async_context(cluster.without(component))
        for component in ("kube-proxy", "kube-router"):
            await killed.enter_async_context(cluster.without(f"{component}@{session.node}"))
        await client.until_draining()
        assert session.runs()
        await session.attached.stop()
        assert (await session.end(TOLD)).reason == "stopped"
        await until(lambda: not session.runs(), TOLD)
    await works_again(client)


async def test_a_node_is_cut_off(client: Client) -> None:
    async with victim(client) as session, cluster.cut_off(session.node):
        failed(await session.end(CUT), "")
        await until(lambda: not session.runs(), CUT)
        # Its cluster takes a while to give it up, and has pods start there meanwhile.
        with trio.fail_after(2 * PATIENCE):
            while (await client.run(language="python", code="print('well')")).stdout != "well\n":
                pass
    await works_again(client)


async def test_the_server_is_cut_off(client: Client) -> None:
    async with victim(client) as session, cluster.cut_off("host"):
        failed(await session.end(CUT), "")
        await until(lambda: not session.runs(), CUT)
        assert (await client.until_draining()).json()["reason"]
    await works_again(client)


async def test_a_pool_is_filled_again(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(**GENEROUS, pool="python=2", languages="python").wait_ready())
    await trio.to_thread.run_sync(client.server.wait_warm, {"python": 2})
    known = set(client.server.containers())
    async with cluster.without("kube-apiserver"):
        await client.until_draining()
    await client.until_ready()
    await until(lambda: not known & set(client.server.containers()))
    await trio.to_thread.run_sync(client.server.wait_warm, {"python": 2})
    await works(client)

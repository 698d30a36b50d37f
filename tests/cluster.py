"""The test cluster's parts, to be killed, started and cut off: `script/cluster` does it.

Which cluster it is, the environment says, as it does to the script.
"""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SCRIPT = Path(__file__).parent.parent / "script" / "cluster"
NODES = ("node-1", "node-2")
DEADLINE = 60  # seconds for one command


def kubelet(node: str) -> str:
    """The name of a node's kubelet."""
    return f"kubelet@{node}"


def containerd(node: str) -> str:
    """The name of a node's container engine."""
    return f"containerd@{node}"


async def ask(*words: str) -> str:
    """What a command of the script prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with trio.fail_after(DEADLINE):
        done = await trio.run_process([str(SCRIPT), *words], capture_stdout=True)
    return done.stdout.decode()


async def kill(component: str) -> None:
    """End a component as a crash would: `kube-apiserver`, `etcd`, `kubelet@node-1`, … It stays away until `start`."""
    await ask("kill", component)


async def start(component: str) -> None:
    """Start a component that was killed; it needs a while until it answers."""
    await ask("start", component)


async def cut(machine: str) -> None:
    """Let a node's network, or this machine's way to them all (`host`), go silent: packets vanish, nobody is told."""
    await ask("cut", machine)


async def mend(machine: str) -> None:
    """End what `cut` began."""
    await ask("mend", machine)


@asynccontextmanager
async def without(component: str) -> AsyncGenerator[None]:
    """Have a component killed meanwhile. It is started afterwards, also when the test is cancelled."""
    await kill(component)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):  # `ask` has a deadline
            await start(component)


@asynccontextmanager
async def cut_off(machine: str) -> AsyncGenerator[None]:
    """Have a machine cut off meanwhile. Its network is mended afterwards, also when the test is cancelled."""
    await cut(machine)
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):  # `ask` has a deadline
            await mend(machine)


def reason_against(*options: str) -> str:
    """Why there can be no cluster on this machine; empty if there can."""
    done = subprocess.run([SCRIPT, "check", *options], capture_output=True, text=True, check=False, timeout=DEADLINE)
    return done.stdout.strip() if done.returncode else ""

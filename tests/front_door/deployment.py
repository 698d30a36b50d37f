"""What is deployed in a cluster: how to ask for it, and to reach it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from tests import manifests
from tests.compose import Deployed

HERE = Path(__file__).parent
NAMESPACE = "trio-exec"
TIMEOUT = 180


def kubectl(*arguments: str, check: bool = True) -> str:
    """Runs it, and returns what it says on either stream if it fails and may."""
    command = [manifests.kubectl(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0 or not check, (arguments, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


async def in_background(*arguments: str) -> str:
    """The same from Trio; when cancelled, it ends on its own."""
    return await trio.to_thread.run_sync(lambda: kubectl(*arguments), abandon_on_cancel=True)


def described(*arguments: str) -> Any:
    """What `kubectl get` says of something."""
    return json.loads(kubectl("get", "--output", "json", *arguments))


def namespaces() -> set[str]:
    return {it["metadata"]["name"] for it in described("namespaces")["items"]}


def kill_container(pod: str, name: str) -> None:
    """Kills a container's processes, which are this machine's, as a fault of its own would: its pod stays."""
    statuses = described("-n", NAMESPACE, "pod", pod)["status"]["containerStatuses"]
    (identity,) = [it["containerID"].rpartition("/")[2] for it in statuses if it["name"] == name]
    killed = 0
    for cgroup in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):  # It ends just now.
            if identity in cgroup.read_text():
                os.kill(int(cgroup.parent.name), signal.SIGKILL)
                killed += 1
    assert killed, f"no process here is of {pod}'s container {identity}: is the cluster on another machine?"


@dataclass
class Deployment:
    """Servers, and nginx in front of them.

    Attributes:
        door: the way in, by one node's port.
    """

    door: Deployed

    @classmethod
    def when_ready(cls) -> Deployment:
        """Returns when all of it is."""
        wait_until_settled()
        (port,) = described("-n", NAMESPACE, "service", "trio-exec")["spec"]["ports"]
        node = described("nodes")["items"][0]
        (address,) = [it["address"] for it in node["status"]["addresses"] if it["type"] == "InternalIP"]
        return cls(Deployed(port["nodePort"], address))


def wait_until_settled() -> None:
    """Returns when all servers are ready, and have been for long enough that nginx knows it."""
    for it in ("statefulset/trio-exec", "deployment/trio-exec-front"):
        said = kubectl("-n", NAMESPACE, "rollout", "status", it, f"--timeout={TIMEOUT - 10}s", check=False)
        assert "successfully" in said or "complete" in said, (said, what_happened())
    all_of_them = "--for=jsonpath={.status.availableReplicas}=2"
    kubectl("-n", NAMESPACE, "wait", all_of_them, "statefulset/trio-exec", f"--timeout={TIMEOUT - 10}s")


def what_happened() -> str:
    """For somebody who looks why it did not get ready."""
    pods = kubectl("-n", NAMESPACE, "get", "pods", "--output", "wide", check=False)
    events = kubectl("-n", NAMESPACE, "get", "events", "--field-selector", "type!=Normal", check=False)
    logs = kubectl(
        "-n", NAMESPACE, "logs", "--selector", "app.kubernetes.io/component=server", "--all-containers", check=False
    )
    return f"{pods}\n{events[-3000:]}\n{logs[-3000:]}"

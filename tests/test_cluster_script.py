"""script/cluster: what it starts can be used, and it leaves nothing behind, however it ends.

It is a cluster of the test's own, beside one that may be there. These tests run where its programs are built.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .cluster import SCRIPT, reason_against

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "of-a-test"
NETWORK = "10.213"
INTERFACE = f"k-{NAME}"
RUN = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "trio-exec", "cluster", "run", NAME)
DEADLINE = 240  # seconds for all of it to start, on a busy machine
SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
"""What a kubelet or a network plugin sets where nobody keeps it from doing so."""
FOLDERS = (
    "/etc/cni",
    "/mnt",
    "/opt",
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log",
)
"""Where they write, by their defaults."""

pytestmark = [pytest.mark.cluster, pytest.mark.alone]


def script(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CLUSTER_NAME": NAME, "CLUSTER_NETWORK": NETWORK}
    return subprocess.run(
        [SCRIPT, *words], env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def traces() -> dict[str, object]:
    """What there is of everything that a cluster makes, but for what belongs to other clusters and to containers."""
    interfaces = [line.split(":")[1].split("@")[0].strip() for line in output("ip", "-o", "link").splitlines()]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "interfaces": {name for name in interfaces if name == INTERFACE or not name.startswith(("k-", "veth"))},
        "routes": [line for line in output("ip", "-4", "route").splitlines() if INTERFACE in line or " k-" not in line],
        "rules": re.sub(r"\[\d+:\d+\]|^#.*$", "", output("iptables-save"), flags=re.MULTILINE),
        "mounts": [mount for mount in mounts if mount.startswith((*FOLDERS, "/proc", "/sys", str(RUN)))],
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob(f"*/*{NAME}*")},
        "processes": sorted(programs()),
        "sysctls": {name: Path("/proc/sys", name).read_text() for name in SYSCTLS},
        "files": {folder: Path(folder).is_dir() and sorted(os.listdir(folder)) for folder in FOLDERS},
        "temporary files": {name for name in os.listdir("/tmp") if name.startswith(("ovl-", "containerd", "ctd-"))},
    }


def programs() -> Iterator[str]:
    """The programs that run on the machines of the tests' cluster."""
    for process in Path("/proc").glob("[0-9]*"):
        # Gone, or one that is about to be.
        with suppress(OSError):
            if f"{RUN}/" in (process / "mountinfo").read_text():
                yield str((process / "exe").readlink())


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    if reason := reason_against("--built"):
        pytest.skip(reason)
    yield
    script("down")


def test_it_starts_and_leaves_nothing_behind() -> None:
    before = traces()
    up = script("up")
    assert up.returncode == 0, up.stderr
    assert f"KUBECONFIG={RUN}/admin.kubeconfig" in up.stderr
    nodes = output(
        f"{RUN}/control/bin/kubectl", f"--kubeconfig={RUN}/admin.kubeconfig", "get", "nodes", "--output=name"
    )
    assert nodes.split() == ["node/node-1", "node/node-2"]
    assert traces() != before
    down = script("down")
    assert down.returncode == 0, down.stderr
    assert traces() == before
    assert not RUN.exists()


def test_one_that_was_killed_half_way_is_started_anew_and_ended() -> None:
    before = traces()
    environment = {**os.environ, "CLUSTER_NAME": NAME, "CLUSTER_NETWORK": NETWORK}
    with subprocess.Popen([SCRIPT, "up"], env=environment, start_new_session=True) as half:
        while "/mnt/bin/kube-apiserver" not in programs():
            assert half.poll() is None
        os.killpg(half.pid, signal.SIGKILL)
    up = script("up")
    assert up.returncode == 0, up.stderr
    assert script("kill", "kubelet@node-1").returncode == 0
    assert "kubelet@node-1" in script("status").stdout
    down = script("down")
    assert down.returncode == 0, down.stderr
    assert traces() == before
    assert script("down").returncode == 0


def test_what_does_not_exist_is_named() -> None:
    wrong = script("kill", "kubelet@node-3")
    assert wrong.returncode == 1
    assert "there is no component 'kubelet@node-3'; there are etcd kube-apiserver" in wrong.stderr
    wrong = script("cut", "control")
    assert wrong.returncode == 1
    assert "there is no machine 'control' to cut off; there are host node-1 node-2" in wrong.stderr

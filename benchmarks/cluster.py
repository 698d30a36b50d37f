"""What a session costs on a Kubernetes cluster, beside the Docker engine of the same machine, in one run.

`script/bench --kubernetes` starts a cluster of its own and runs this. What is compared is interleaved: shared machines
are noisy, so look at the ratios first. What a reader needs for a capacity of their own is per session: writes, CPU,
memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from benchmarks.bench import ECHO, ROOT, first_output, machine, memory, percentile, processor, say, throughput
from benchmarks.programs import PROGRAMS
from benchmarks.table import ms
from tests.kubernetes import kubectl, pods, server_settings
from tests.support import Client, ServerProcess, running_server
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.images import build_missing
from trio_exec.languages import Languages

PYTHON = PROGRAMS[0]
POOL = 4
WORKERS = 8
STREAMS = 40
SETTLED = 45
"""Seconds in which the objects of pods that are over are gone: their nodes have told, and they are removed."""
COMPONENTS: tuple[str, ...] = (
    "kube-apiserver",
    "etcd",
    "kube-scheduler",
    "kube-controller-manager",
    "kubelet",
    "containerd",
)
NOISE = 0.05
"""Requests for each session, below which a number is chance."""
PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Component:
    """A process of the cluster.

    Attributes:
        name: of its program.
        cpu: seconds that it and its children that have ended took.
        memory: bytes that it has.
    """

    name: str
    cpu: float
    memory: int


def components(names: tuple[str, ...] = COMPONENTS) -> list[Component]:
    """Those of the cluster that is measured: they run in a place of its own, whatever else runs here."""
    place = f"/cluster/run/{os.environ['CLUSTER_NAME']}/"
    found: list[Component] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = Path(os.readlink(process / "exe")).name
            if name in names and place in (process / "mountinfo").read_text():
                fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
                found.append(Component(name, sum(map(int, fields[11:15])) / PER_SECOND, memory(int(process.name))))
        except (OSError, StopIteration):
            continue  # It ends just now.
    return found


def cpu_by_name() -> dict[str, float]:
    used = dict.fromkeys(COMPONENTS, 0.0)
    for it in components():
        used[it.name] += it.cpu
    return used


def requests() -> Counter[str]:
    """What the API server was asked since its start, and what it has written to etcd."""
    counted: Counter[str] = Counter()
    for line in kubectl("get", "--raw", "/metrics").splitlines():
        if match := re.fullmatch(r"(apiserver_request_total|etcd_requests_total)\{(.*)\} (\S+)", line):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
            if match[1] == "etcd_requests_total":
                name = f"etcd {labels['operation']}"
            elif labels["resource"] in {"pods", "events"}:
                name = (
                    f"{labels['verb']} {labels['resource']}{'/' * bool(labels['subresource'])}{labels['subresource']}"
                )
            else:
                continue
            counted[name] += int(float(match[3]))
    return counted


def first_outputs(rounds: int) -> dict[str, Any]:
    """From the request to the first output, warm and cold, on either."""
    ways: dict[str, dict[str, Any]] = {
        "docker warm": {"pool": f"python={POOL}"},
        "docker cold": {"pool": 0},
        "pods warm": {"pool": f"python={POOL}", **server_settings()},
        "pods cold": {"pool": 0, **server_settings()},
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    with running_all(ways) as servers:
        for number in range(rounds + 1):
            for way, server in servers.items():
                if "warm" in way:
                    server.wait_warm({"python": POOL})
                    time.sleep(0.5)
                elapsed = trio.run(first_output, Client(server), PYTHON)
                if number:  # The first round fills caches.
                    times[way].append(elapsed)
    return {
        way: {"p50": statistics.median(values), "p95": percentile(values, 0.95), "n": len(values)}
        for way, values in times.items()
    }


@contextmanager
def running_all(ways: dict[str, dict[str, Any]]) -> Generator[dict[str, ServerProcess]]:
    """Servers by way, with these settings."""
    common: dict[str, Any] = {"languages": "python", "owner_max_sessions": 1000, "owner_starts_per_minute": 100000}
    with ExitStack() as stack:
        yield {way: stack.enter_context(running_server(**common, **settings)) for way, settings in ways.items()}


def rates(count: int) -> dict[str, Any]:
    """Sessions per second, each with a container of its own, and the CPU of server and cluster for one."""
    ways: dict[str, dict[str, Any]] = {
        "docker, pool": {"pool": f"python={POOL}"},
        "docker, cold": {"pool": 0},
        "pods, pool": {"pool": f"python={POOL}", **server_settings()},
        "pods, cold": {"pool": 0, **server_settings()},
    }
    results: dict[str, Any] = {}
    with running_all(ways) as servers:
        for way, server in servers.items():
            measured: list[tuple[float, float]] = []
            for _ in range(3):
                used = processor(server.process.pid)
                rate = trio.run(throughput, Client(server), count, WORKERS)
                measured.append((rate, (processor(server.process.pid) - used) / count))
            results[way] = {
                "per_second": statistics.median(rate for rate, _ in measured),
                "server_cpu": statistics.median(cpu for _, cpu in measured),
            }
            say(f"{way}: {results[way]}")
    return results


@dataclass(frozen=True)
class Point:
    """What was counted until a moment.

    Attributes:
        at: that moment, in seconds.
        requests: see `requests`.
        cpu: seconds that the cluster's parts took, by name.
    """

    at: float
    requests: Counter[str]
    cpu: dict[str, float]

    @classmethod
    def now(cls) -> Point:
        return cls(time.monotonic(), requests(), cpu_by_name())


def beyond_idle(points: list[Point], read: Callable[[Point], Mapping[str, float]], count: int) -> dict[str, float]:
    """What each of so many sessions took between the last two points, less what an idle cluster takes in that time."""
    start, idle, end = points
    share = (end.at - idle.at) / (idle.at - start.at)
    values = [read(it) for it in points]
    before, between, after = ({name: it.get(name, 0) for name in values[-1]} for it in values)
    return {
        name: (after[name] - between[name] - share * (between[name] - before[name])) / count for name in sorted(after)
    }


def cost(count: int) -> dict[str, Any]:
    """Of one cold session: requests, writes to etcd, and CPU of the cluster; less what an idle one takes."""
    with running_all({"pods": {"pool": 0, **server_settings()}}) as servers:
        time.sleep(SETTLED)
        points = [Point.now()]
        time.sleep(SETTLED)
        points.append(Point.now())
        trio.run(throughput, Client(servers["pods"]), count, WORKERS)
        time.sleep(SETTLED)
        points.append(Point.now())
    asked = beyond_idle(points, lambda it: it.requests, count)
    start, idle, _ = points
    return {
        "requests": {name: round(value, 2) for name, value in asked.items() if value >= NOISE},
        "cpu": {name: round(value, 4) for name, value in beyond_idle(points, lambda it: it.cpu, count).items()},
        "idle_cpu": (sum(idle.cpu.values()) - sum(start.cpu.values())) / (idle.at - start.at),
    }


async def streams(server: ServerProcess) -> dict[str, float]:
    """What a session that waits for input takes: of the pod, its supervisor, and the API server's stream."""
    client = Client(server)
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(client.session(language="python", code=ECHO))
        await trio.sleep(5)
        api = sum(it.memory for it in components(("kube-apiserver",)))
        nodes = sum(it.memory for it in components(("kubelet", "containerd")))
        own = memory(server.process.pid)
        for _ in range(STREAMS):
            session = await opened.enter_async_context(client.session(language="python", code=ECHO))
            await session.input("up\n")
            await session.until_stdout("up\n")
        await trio.sleep(10)
        shims = [it.memory for it in components(("containerd-shim-runc-v2",))]
        usages = [pod_memory(it["metadata"]["uid"]) for it in pods() if it["status"]["phase"] == "Running"]
        return {
            "pod": statistics.median(usages),
            "shim": statistics.median(shims),
            "api_server": (sum(it.memory for it in components(("kube-apiserver",))) - api) / STREAMS,
            "kubelet_and_containerd": (sum(it.memory for it in components(("kubelet", "containerd"))) - nodes)
            / STREAMS,
            "server": (memory(server.process.pid) - own) / STREAMS,
        }


def pod_memory(uid: str) -> int:
    """Bytes that the kernel charges a pod, all of its containers and files included; with cgroup v1."""
    (group,) = Path("/sys/fs/cgroup/memory").glob(f"cluster-{os.environ['CLUSTER_NAME']}/*/kubepods/*/pod{uid}")
    return int((group / "memory.usage_in_bytes").read_text())


async def saturation(server: ServerProcess, sessions: int, seconds: float) -> dict[str, float]:
    """Echoes through one server, as many as it can: each is a message in and one out."""
    client, count, stop = Client(server), 0, trio.Event()
    ready: list[int] = []
    go = trio.Event()

    async def one() -> None:
        nonlocal count
        async with client.session(language="python", code=ECHO) as session:
            await session.input("up\n")
            await session.until_stdout("up\n")
            ready.append(1)
            await go.wait()
            turn = 0
            while not stop.is_set():
                turn += 1
                await session.input(f"{turn}\n")
                await session.until(lambda run, text=f"{turn}\n": getattr(run.messages[-1], "data", "").endswith(text))
                count += 1
            await session.eof()
            await session.to_end()

    async with trio.open_nursery() as nursery:
        for _ in range(sessions):
            nursery.start_soon(one)
        while len(ready) < sessions:  # noqa: ASYNC110 - they need not tell
            await trio.sleep(0.1)
        used, begun, before = processor(server.process.pid), time.perf_counter(), count
        go.set()
        await trio.sleep(seconds)
        elapsed, cpu, echoes = time.perf_counter() - begun, processor(server.process.pid) - used, count - before
        stop.set()
    return {"per_second": echoes / elapsed, "per_cpu_second": echoes / cpu, "server_cpu": cpu / elapsed}


def table(results: dict[str, Any]) -> str:
    """As Markdown; ratios first."""
    start, rate, per, memory_of = (results[it] for it in ("first_output", "rates", "session", "memory"))
    lines = ["| first output of Python | p50 | p95 | ÷ Docker's p50 |", "|---|---|---|---|"]
    for way, it in start.items():
        ratio = it["p50"] / start[f"docker {way.split()[1]}"]["p50"]
        lines.append(f"| {way} | {ms(it['p50'])} | {ms(it['p95'])} | {ratio:.2f} |")
    lines += ["", f"| {WORKERS} clients, one session after the other | sessions a second | CPU of the server for one |"]
    lines += ["|---|---|---|"]
    lines += [f"| {way} | {it['per_second']:.2f} | {ms(it['server_cpu'])} |" for way, it in rate.items()]
    writes = sum(per["requests"].get(f"etcd {it}", 0) for it in ("create", "update", "delete"))
    asked = ", ".join(f"{value:.1f} {name}" for name, value in per["requests"].items() if not name.startswith("etcd"))
    cpu = ", ".join(f"{name} {ms(value)}" for name, value in per["cpu"].items())
    lines += [
        "",
        "| of one session in a pod | |",
        "|---|---|",
        f"| writes to etcd | {writes:.1f} |",
        f"| requests to the API server about pods and events | {asked} |",
        f"| CPU of the cluster's parts, their children included | {ms(sum(per['cpu'].values()))}: {cpu} |",
        f"| memory: its pod, waiting for input | {memory_of['pod'] / 1e6:.1f} MB |",
        f"| its supervisor (`containerd-shim`) | {memory_of['shim'] / 1e6:.1f} MB |",
        f"| API server, for the stream | {memory_of['api_server'] / 1e6:.2f} MB |",
        f"| kubelet and containerd | {memory_of['kubelet_and_containerd'] / 1e6:.2f} MB |",
        f"| the server | {memory_of['server'] / 1e6:.2f} MB |",
        "",
        "| echoes through one server, as fast as they go | a second | a second of its CPU |",
        "|---|---|---|",
        *[
            f"| {way} | {it['per_second']:.0f} | {it['per_cpu_second']:.0f} |"
            for way, it in results["saturation"].items()
        ],
        "",
        f"The idle cluster takes {per['idle_cpu']:.2f} CPUs. Machine: {results['machine']}, {results['kubernetes']}; "
        f"load average before the run {results['load']:.1f}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="first outputs of each kind")
    parser.add_argument("--sessions", type=int, default=32, help="of each kind, for rates and costs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="where benchmark-kubernetes.* go")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    api = DockerAPI()
    images = build_missing(api, Languages.load(only=["python"]).values(), started=say, progress=lambda _: None)
    api.close()
    subprocess.run(["script/cluster", "load", *images.values()], check=True, cwd=ROOT)
    version = json.loads(kubectl("version", "--output", "json"))["serverVersion"]["gitVersion"]
    results: dict[str, Any] = {
        "machine": machine(),
        "kubernetes": f"Kubernetes {version}, two nodes on it",
        "date": time.strftime("%Y-%m-%d"),
        "load": load,
        "sizes": {"pool": POOL, "workers": WORKERS, "streams": STREAMS, "sessions": arguments.sessions},
    }
    results["first_output"] = first_outputs(arguments.rounds)
    say(f"first output: {results['first_output']}")
    results["rates"] = rates(arguments.sessions)
    results["session"] = cost(arguments.sessions)
    say(f"a session: {results['session']}")
    with running_all({"pods": {"pool": 0, "max_sessions": STREAMS + 10, **server_settings()}}) as servers:
        results["memory"] = trio.run(streams, servers["pods"])
    say(f"memory: {results['memory']}")
    many = {"pool": 0, "max_sessions": 30}
    with running_all({"docker": many, "pods": {**many, **server_settings()}}) as servers:
        results["saturation"] = {way: trio.run(saturation, it, 20, 10.0) for way, it in servers.items()}
    text = table(results)
    say(text)
    (arguments.output / "benchmark-kubernetes.json").write_text(json.dumps(results, indent=2) + "\n")
    (arguments.output / "benchmark-kubernetes.md").write_text(f"{text}\n")


if __name__ == "__main__":
    main()

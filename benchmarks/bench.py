"""The benchmark: one table, from one run, with everything that is compared interleaved.

Per language, from the request to the first line of output:

- local: the program run by a shell in the language's image, without limits, no trio-exec (what your own shell takes)
- docker: `create, attach, start` of a hardened container by docker-py, running the same shell line
- cold: trio-exec without a pool
- warm: trio-exec with a pool, filled

Then a burst on a small pool, the echo round trip, throughput against the raw engine's cycle, how many of a steady
stream of sessions find a warm container, many sessions at once, a start beside a flood, and a megabyte of output.
Shared machines are noisy: look at the ratios first.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import statistics
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import docker
import trio
from docker.utils.socket import frames_iter

from benchmarks.batches import Squares, batches, shell_loop, starts_by_way
from benchmarks.chart import draw
from benchmarks.order import BOTH_STREAMS, misorder
from benchmarks.programs import PROGRAMS, Program
from benchmarks.table import ms, table
from benchmarks.tenants import tenants
from tests.support import Client, ServerProcess, running_server
from trio_exec.client import Output
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.hardening import HARDENING, WORKSPACE
from trio_exec.executor.docker.images import build_missing
from trio_exec.executor.docker.labels import INSTANCE_LABEL, SESSION_LABEL
from trio_exec.languages import Languages
from trio_exec.model import StageName
from trio_exec.settings import Settings

ROOT = Path(__file__).parent.parent
WAYS = ["local", "docker", "cold", "warm"]
CONCURRENT = 100
POOL = 4
BURST = 30
LOADS = [0.25, 0.5, 0.75]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def summary(values: list[float]) -> dict[str, float]:
    return {"p50": statistics.median(values), "p99": percentile(values, 0.99), "n": len(values)}


class Engine:
    """The raw engine, through docker-py, as a script of somebody's own would use it."""

    def __init__(self, images: dict[str, str]) -> None:
        self._client = docker.from_env(timeout=60)
        self._images = images
        self._shells: dict[str, str] = {}

    def local(self, program: Program) -> float:
        """In a container that is there already and has no limits: as near to a bare local process as the image is.

        Timed by the shell inside, from the command's start to its end, so that `docker exec` is left out.
        """
        name = self._shells.get(program.language) or self._open_shell(program)
        clock = "$(date +%s%N)"
        script = f"rm -rf .build program; from={clock}; ({program.shell}) >/dev/null; to={clock}; echo $((to - from))"
        created = self._client.api.exec_create(name, ["sh", "-c", script], workdir="/work")
        return int(self._client.api.exec_start(created["Id"])) / 1e9

    def plain(self, program: Squares) -> float:
        """Seconds that the plain process takes, once, in the loop of a shell in a container without limits."""
        created = self._client.api.create_container(
            self._images[program.language],
            entrypoint=["sh", "-c"],
            command=[f'mkdir /work; cd /work; printf %s "$CODE" > {program.file}; {shell_loop(program)}'],
            environment={"CODE": program.code},
            working_dir="/",
        )
        self._client.api.start(created["Id"])
        self._client.api.wait(created["Id"])
        printed = self._client.api.logs(created["Id"], stdout=True, stderr=False)
        self._client.api.remove_container(created["Id"], force=True)
        return int(printed) / 1e9

    def _open_shell(self, program: Program) -> str:
        created = self._client.api.create_container(
            self._images[program.language],
            entrypoint=["sleep"],
            command=["3600"],
            working_dir="/",
            host_config=self._client.api.create_host_config(auto_remove=True),
        )
        self._client.api.start(created["Id"])
        self._client.api.put_archive(created["Id"], "/", _tar({f"work/{program.file}": program.code}))
        self._shells[program.language] = created["Id"]
        return created["Id"]

    def docker(self, program: Program) -> float:
        """From nothing to the first line of output, with the same image and limits, then thrown away."""
        script = f'printf %s "$CODE" > {program.file} && {program.shell}'
        start = time.perf_counter()
        name = self._create(program.language, ["sh", "-c", script], {"CODE": program.code, "HOME": WORKSPACE})
        socket: Any = self._client.api.attach_socket(name, {"stdout": 1, "stream": 1})
        self._client.api.start(name)
        data = socket.read(8)
        elapsed = time.perf_counter() - start
        assert data
        socket.close()
        self._client.api.wait(name)
        self._client.api.remove_container(name, force=True)
        return elapsed

    def cycle(self) -> None:
        """Create, attach, start, wait, remove: what any engine on Docker must do for each run."""
        name = self._create("python", ["python3", "-c", "print('hello')"], {})
        socket: Any = self._client.api.attach_socket(name, {"stdout": 1, "stream": 1})
        self._client.api.start(name)
        while socket.read(4096):
            pass
        socket.close()
        self._client.api.wait(name)
        self._client.api.remove_container(name, force=True)

    def both_streams(self, *, merged: bool) -> str:
        """What a program writes to both streams, as the engine's stream has it, or one pipe of a shell's."""
        script = f"""python3 -c '{BOTH_STREAMS.replace("'", '"')}' {"2>&1" if merged else ""}"""
        name = self._create("python", ["sh", "-c", script], {})
        socket: Any = self._client.api.attach_socket(name, {"stdout": 1, "stderr": 1, "stream": 1})
        self._client.api.start(name)
        text = b"".join(data for _, data in frames_iter(socket, tty=False))
        socket.close()
        self._client.api.wait(name)
        self._client.api.remove_container(name, force=True)
        return text.decode()

    def _create(self, language: str, command: list[str], environment: dict[str, str]) -> str:
        settings = Settings()
        uid, limits = settings.uid_range.start, settings.limits
        resources = limits.resources(StageName.RUN)
        arguments = {**HARDENING.host_config(limits, resources, None, uid), "auto_remove": False}
        return self._client.api.create_container(
            self._images[language],
            entrypoint=command[:1],
            command=command[1:],
            environment=environment,
            user=f"{uid}:{uid}",
            network_disabled=True,
            host_config={**self._client.api.create_host_config(**arguments), **HARDENING.paths()},
        )["Id"]

    def close(self) -> None:
        for name in self._shells.values():
            self._client.api.remove_container(name, force=True)
        self._client.close()


def _tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


async def first_output(client: Client, program: Program) -> float:
    start = time.perf_counter()
    async with client.session(language=program.language, code=program.code, stdin="") as session:
        await session.until(lambda run: run.stdout)
        elapsed = time.perf_counter() - start
        run = await session.to_end()
    assert run.stdout == "hello\n", run
    return elapsed


def wait_full(server: ServerProcess, language: str) -> None:
    """Returns when nothing is being warmed or removed any more: that would be measured along."""
    server.wait_warm({language: POOL})
    time.sleep(0.5)


def starts(engine: Engine, cold: ServerProcess, rounds: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for program in PROGRAMS:
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        with running_server(pool=f"{program.language}={POOL}") as warm:
            for number in range(rounds + 1):
                measured = {
                    "local": engine.local(program),
                    "docker": engine.docker(program),
                    "cold": trio.run(first_output, Client(cold), program),
                }
                wait_full(warm, program.language)
                measured["warm"] = trio.run(first_output, Client(warm), program)
                if number:  # The first round fills caches.
                    for way, elapsed in measured.items():
                        times[way].append(elapsed)
        results[program.language] = {way: summary(values) for way, values in times.items()}
        say(f"{program.language}: " + ", ".join(f"{way} {ms(results[program.language][way]['p50'])}" for way in WAYS))
    return results


async def burst(client: Client) -> list[float]:
    """As many sessions at once as a class that presses Run together; each one's time to its first output."""
    times: list[float] = []

    async def one() -> None:
        times.append(await first_output(client, PROGRAMS[0]))

    async with trio.open_nursery() as nursery:
        for _ in range(BURST):
            nursery.start_soon(one)
    return times


def bursts(cold: ServerProcess, rounds: int) -> dict[str, Any]:
    language = PROGRAMS[0].language
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    slowest: dict[str, list[float]] = {"cold": [], "warm": []}
    with running_server(pool=f"{language}={POOL}") as warm:
        for _ in range(rounds):
            for way, server in {"cold": cold, "warm": warm}.items():
                wait_full(warm, language)
                measured = trio.run(burst, Client(server))
                times[way] += measured
                slowest[way].append(max(measured))
    return {way: {**summary(times[way]), "slowest": statistics.median(slowest[way])} for way in times}


ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line)"


async def echo(client: Client, rounds: int) -> list[float]:
    times: list[float] = []
    async with client.session(language="python", code=ECHO) as session:
        for number in range(rounds):
            start = time.perf_counter()
            await session.input(f"{number}\n")
            await session.until(
                lambda run, text=f"{number}\n": run.messages and getattr(run.messages[-1], "data", "").endswith(text)
            )
            times.append(time.perf_counter() - start)
        await session.eof()
        await session.to_end()
    return times[rounds // 10 :]


async def throughput(client: Client, count: int, workers: int) -> float:
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            run = await client.run(language="python", code="print('hello')")
            assert run.stdout == "hello\n", run

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(workers):
            nursery.start_soon(work)
    return count / (time.perf_counter() - start)


def raw_throughput(engine: Engine, count: int, workers: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: engine.cycle(), range(count)))
    return count / (time.perf_counter() - start)


async def stream(client: Client, rate: float, seconds: float) -> list[float]:
    """Sessions that come at random, so many a second as a rule; each one's time to its first output."""
    times: list[float] = []
    chance = random.Random(1)

    async def one() -> None:
        times.append(await first_output(client, PROGRAMS[0]))

    async with trio.open_nursery() as nursery:
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            nursery.start_soon(one)
            await trio.sleep(chance.expovariate(rate))
    return times


def cold_starts(server: ServerProcess, since: float) -> int:
    """How many containers the server has made for a session, and not ahead, by the engine's own record."""
    client = docker.from_env()
    # The engine takes fractions of seconds, whatever the stubs say.
    filters = {"event": "create", "label": f"{INSTANCE_LABEL}={server.instance}"}
    events = client.api.events(since=cast("Any", since), until=cast("Any", time.time()), filters=filters, decode=True)
    cold = sum(1 for event in events if event["Actor"]["Attributes"].get(SESSION_LABEL))
    client.close()
    return cold


def steady(capacity: float, seconds: float) -> dict[str, Any]:
    """The share of warm starts under a steady load, by the share of the capacity that the load is."""
    results: dict[str, Any] = {}
    for share in LOADS:
        with running_server(pool=f"{PROGRAMS[0].language}={POOL}", max_sessions=50) as server:
            wait_full(server, PROGRAMS[0].language)
            since = time.time()
            times = trio.run(stream, Client(server), share * capacity, seconds)
            warm = 1 - cold_starts(server, since) / len(times)
        results[f"{share:.2f}"] = {"warm": warm, **summary(times)}
    return results


def memory(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def processor(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def many(server: ServerProcess, seconds: float) -> dict[str, Any]:
    """Sessions that wait for input, each of which gets an echo now and then."""
    client = Client(server)
    times: list[float] = []
    ready = 0
    all_ready, stop = trio.Event(), trio.Event()
    before = memory(server.process.pid)

    async def one(number: int) -> None:
        nonlocal ready
        async with client.session(language="python", code=ECHO) as session:
            await session.input("up\n")
            await session.until_stdout("up\n")
            ready += 1
            if ready == CONCURRENT:
                all_ready.set()
            await all_ready.wait()
            await trio.sleep(number / CONCURRENT)
            turn = 0
            while not stop.is_set():
                turn += 1
                start = time.perf_counter()
                await session.input(f"{turn}\n")
                await session.until_stdout(f"\n{turn}\n")
                times.append(time.perf_counter() - start)
                await trio.sleep(1)
            await session.eof()
            await session.to_end()

    async with trio.open_nursery() as nursery:
        for number in range(CONCURRENT):
            nursery.start_soon(one, number)
        await all_ready.wait()
        used, start = processor(server.process.pid), time.perf_counter()
        await trio.sleep(seconds)
        share = (processor(server.process.pid) - used) / (time.perf_counter() - start)
        grown = memory(server.process.pid) - before
        stop.set()
    return {"echo": summary(times), "server_cpu": share, "memory_per_session": grown / CONCURRENT}


async def both_streams(client: Client) -> str:
    return (await client.run(language="python", code=BOTH_STREAMS)).output


async def megabyte(client: Client) -> float:
    async with client.session(language="python", code="input()\nimport os\nos.write(1, b'x' * 1_000_000)") as session:
        await session.until_waiting()
        start = time.perf_counter()
        await session.input("\n")
        await session.until(lambda run: sum(len(m.data) for m in run.messages if isinstance(m, Output)) >= 1_000_000)
        elapsed = time.perf_counter() - start
        await session.to_end()
    return elapsed


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def machine() -> str:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    client = docker.from_env()
    version = client.version()["Version"]
    client.close()
    return f"{os.cpu_count()} cores, {memory_bytes / 2**30:.0f} GB, Linux {platform.release()}, Docker {version}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each kind")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="where benchmark.json and .svg go")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)  # Now, and not after some minutes of measuring.
    api = DockerAPI()
    images = build_missing(api, Languages.load().values(), started=say, progress=lambda _: None)
    api.close()
    engine = Engine(images)
    results: dict[str, Any] = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "sizes": {"pool": POOL, "burst": BURST, "concurrent": CONCURRENT},
    }
    servers = [ServerProcess(pool=0), ServerProcess(pool=0, max_sessions=200)]
    try:
        cold, wide = (server.wait_ready() for server in servers)
        results["starts"] = starts(engine, cold, arguments.rounds)
        results["burst"] = bursts(cold, 3)
        say(f"burst: {results['burst']}")
        results["echo"] = summary(trio.run(echo, Client(cold), 1000))
        say(f"echo: {results['echo']}")
        rates = [
            (raw_throughput(engine, 60, 8), trio.run(throughput, Client(cold), 60, 8))
            for _ in range(6)  # In pairs: the machine's speed changes within a minute.
        ]
        results["throughput"] = {
            "raw": statistics.median(raw for raw, _ in rates),
            "ours": statistics.median(ours for _, ours in rates),
            "ratio": statistics.median(ours / raw for raw, ours in rates),
        }
        say(f"throughput: {results['throughput']}")
        results["steady"] = steady(results["throughput"]["ours"], 20)
        say(f"steady: {results['steady']}")
        results["many"] = trio.run(many, wide, 10.0)
        say(f"many: {results['many']}")
        results["batches"] = batches(engine.plain, 3)
        say(f"batches: {results['batches']}")
        results["ways"] = starts_by_way(arguments.rounds)
        say(f"ways: {results['ways']}")
        results["tenants"] = tenants(arguments.rounds)
        say(f"tenants: {results['tenants']}")
        results["order"] = misorder(
            {
                "ours": lambda: trio.run(both_streams, Client(cold)),
                "docker": lambda: engine.both_streams(merged=False),
                "shell": lambda: engine.both_streams(merged=True),
            }
        )
        say(f"order: {results['order']}")
        results["megabyte"] = summary([trio.run(megabyte, Client(cold)) for _ in range(10)])
    finally:
        for server in servers:
            server.close()
        engine.close()
    text = table(results)
    say(text)
    (arguments.output / "benchmark.json").write_text(json.dumps(results, indent=2) + "\n")
    (arguments.output / "benchmark.svg").write_text(draw(results["starts"], WAYS))
    (arguments.output / "benchmark.md").write_text(f"{text}\n")


if __name__ == "__main__":
    main()

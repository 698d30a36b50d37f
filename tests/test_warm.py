"""Warm starts: everything is as in a cold start, but sooner, and nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

import docker
import pytest
import trio

from tests.programs import JAVA_MAIN, PROGRAMS
from tests.support import GENEROUS, Client, Run, ServerProcess, running_server
from trio_exec.limits import MIB

WARM = {"python": 2, "javascript": 2, "java": 2, "cpp": 2}
POOL = ",".join(f"{language}={size}" for language, size in WARM.items())


@pytest.fixture(scope="module")
def warm_server(images: dict[str, str]) -> Generator[ServerProcess]:
    with running_server(pool=POOL, **GENEROUS) as process:
        yield process
    process.assert_no_containers()


@pytest.fixture
def warm(warm_server: ServerProcess) -> Client:
    warm_server.wait_warm({"python": 1})
    return Client(warm_server)


def seen(run: Run) -> tuple[object, ...]:
    final = run.final
    stderr = re.sub(r"^\(node:\d+\)", "(node)", run.stderr, flags=re.M)  # Node warns with its PID.
    return (run.stdout, stderr, final.exit_code, final.signal, final.reason, final.stage, run.state_names)


@pytest.mark.parametrize(
    ("language", "code", "stdin"), [pytest.param(*row[1:], id=f"{row[1]}: {row[0]}") for row in PROGRAMS]
)
async def test_warm_is_as_cold(
    client: Client, warm_server: ServerProcess, language: str, code: str, stdin: str
) -> None:
    cold_run = await client.run(language=language, code=code, stdin=stdin)
    warm_server.wait_warm({language: 1})
    warm_run = await Client(warm_server).run(language=language, code=code, stdin=stdin)

    assert seen(warm_run) == seen(cold_run)


NAMES = {
    "python": ["solution.py", "a b.py", "lib/x.py", "prog", "größe.py", "-odd.py", "LOUD.PY", "__main__.py"],
    "javascript": ["solution.js", "a b.js", "lib/x.js", "prog", "größe.js", "-odd.js", "LOUD.JS", "x.mjs", "x.cjs"],
}


def renamed() -> list[Any]:
    """The programs again, each under one of the other names in turn."""
    rows = {language: [row for row in PROGRAMS if row[1] == language] for language in NAMES}
    return [
        pytest.param(language, NAMES[language][i % len(NAMES[language])], *row[2:], id=f"{language}: {row[0]}")
        for language in NAMES
        for i, row in enumerate(rows[language])
    ]


@pytest.mark.parametrize(("language", "name", "code", "stdin"), renamed())
async def test_warm_is_as_cold_under_another_name(
    client: Client, warm_server: ServerProcess, language: str, name: str, code: str, stdin: str
) -> None:
    cold_run = await client.run(language=language, files={name: code}, stdin=stdin)
    warm_server.wait_warm({language: 1})
    warm_run = await Client(warm_server).run(language=language, files={name: code}, stdin=stdin)

    assert seen(warm_run) == seen(cold_run)


PYTHON_NAMED = """
import inspect, multiprocessing, os, runpy, sys, warnings
def names(_=None):
    main = sys.modules["__main__"]
    return sys.argv, sys.orig_argv, main.__file__, main.__spec__, sys.path, main.__loader__.__class__
if __name__ == "__main__":
    print(names(), __name__, __builtins__, list(globals()), sys.meta_path, sys.flags)
    print(list(sys.modules), sorted(sys.path_importer_cache))
    print(inspect.getsource(names), inspect.getsourcefile(names), runpy.__dict__.keys())
    for folder in ".", ".tmp": print(sorted(os.listdir(folder)))
    for method in "spawn", "forkserver":
        with multiprocessing.get_context(method).Pool(1) as pool: print(pool.map(names, [1]))
    warnings.warn("look here")
    raise SystemError(os.path.abspath(__file__))
"""

NODE_NAMED = """
const Module = require("module"), fs = require("fs"), { fork } = require("child_process");
const { isMainThread, Worker } = require("worker_threads");
console.log(process.argv, process.argv0, process.execArgv, __filename, module.id, module.paths, module.children);
console.log(require.main === module, process.mainModule === module, Object.keys(require.cache), module.parent);
console.log(Object.values(require.cache).map(({ id, children }) => [id, children.map(({ id }) => id)]));
console.log(Object.keys(Module), Object.getOwnPropertyDescriptor(Module, "runMain"), RegExp.$1, RegExp.input);
if (isMainThread && !process.send) {
  Error.stackTraceLimit = 50;
  console.log(new Error("here").stack, fs.readdirSync("."), fs.readdirSync(".tmp"));
  new Worker(__filename).on("exit", () => fork(__filename).on("exit", () => { throw new TypeError("at last"); }));
}
"""

MODULE_NAMED = """
import fs, { readFileSync } from "node:fs";
import Module, { runMain } from "node:module";
console.log(import.meta.url, import.meta.filename, process.argv, runMain, Module.runMain === runMain);
console.log(fs.readFileSync === readFileSync, new Error("here").stack);
await null;
throw new TypeError("at last");
"""


@pytest.mark.parametrize(
    ("language", "name", "code"),
    [
        *(("python", name, PYTHON_NAMED) for name in ["main.py", *NAMES["python"]]),
        *(
            ("javascript", name, code)
            for name in ["main.js", *NAMES["javascript"]]
            for code in [NODE_NAMED, MODULE_NAMED]
        ),
    ],
)
async def test_a_program_finds_its_own_name_everywhere(
    client: Client, warm_server: ServerProcess, language: str, name: str, code: str
) -> None:
    cold_run = await client.run(language=language, files={name: code})
    warm_server.wait_warm({language: 1})
    warm_run = await Client(warm_server).run(language=language, files={name: code})

    assert seen(warm_run) == seen(cold_run)
    assert name in warm_run.stdout + warm_run.stderr


AGE = """
with open("/proc/uptime") as file: now = float(file.read().split()[0])
with open("/proc/self/stat") as file: started = int(file.read().rsplit(")", 1)[1].split()[19]) / 100
print(now - started > 0.5, end="")
"""


@pytest.mark.parametrize("tty", [False, True])
async def test_the_program_really_was_started_before(warm: Client, tty: bool) -> None:
    warm.server.wait_warm({"python": WARM["python"]})
    await trio.sleep(1)  # So that it is old.
    run = await warm.run(language="python", code=AGE, tty=tty)

    assert (run.stdout, run.ending) == ("True", "run: exit 0")
    assert run.final.cpu_time is not None
    assert run.final.cpu_time < 0.5


NODE_AGE = """
import("fs").then(({ readFileSync }) => {
  const now = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const started = Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ")[19]) / 100;
  process.stdout.write(now - started > 0.5 && process.uptime() < 0.5 ? "True" : `${now - started} ${process.uptime()}`);
});
"""
AGES = {"python": AGE, "javascript": NODE_AGE}


@pytest.mark.parametrize(("language", "name"), [(language, name) for language in NAMES for name in NAMES[language]])
async def test_a_program_of_any_name_was_started_before(warm_server: ServerProcess, language: str, name: str) -> None:
    warm_server.wait_warm({language: WARM[language]})
    await trio.sleep(1)
    run = await Client(warm_server).run(language=language, files={name: AGES[language]})

    assert run.outcome == ("True", "", "run: exit 0")


JAVA_AGE = JAVA_MAIN % (
    "Main",
    """
    var started = ProcessHandle.current().info().startInstant().get();
    System.out.print(java.time.Duration.between(started, java.time.Instant.now()).toMillis() > 500);
    """,
)


@pytest.mark.parametrize("tty", [False, True])
async def test_the_virtual_machine_really_was_started_before(warm_server: ServerProcess, tty: bool) -> None:
    warm_server.wait_warm({"java": WARM["java"]})
    await trio.sleep(1)
    run = await Client(warm_server).run(language="java", code=JAVA_AGE, tty=tty)

    assert run.outcome == ("true", "", "run: exit 0")


@pytest.mark.parametrize("names", [["Main.java", "Other.java", "data.txt"], ["Other.java", "Main.java"], ["größe"]])
async def test_java_files_of_any_name_and_number_start_warm(warm_server: ServerProcess, names: list[str]) -> None:
    warm_server.wait_warm({"java": WARM["java"]})
    await trio.sleep(1)
    texts = {"Other.java": "class Other {}", "data.txt": "x"}
    run = await Client(warm_server).run(language="java", files={name: texts.get(name, JAVA_AGE) for name in names})

    assert run.outcome == ("true", "", "run: exit 0")


JAVA_UPTIME = JAVA_MAIN % (
    "Main",
    """
    var machine = java.lang.management.ManagementFactory.getRuntimeMXBean();
    var words = java.nio.file.Files.readString(java.nio.file.Path.of("/proc/uptime")).split(" ");
    var stat = java.nio.file.Files.readString(java.nio.file.Path.of("/proc/self/stat"));
    var started = Long.parseLong(stat.substring(stat.lastIndexOf(')')).split(" ")[20]) * 10;
    var age = (long) (1000 * Double.parseDouble(words[0])) - started;
    var start = System.currentTimeMillis() - machine.getStartTime();
    System.out.println((age - machine.getUptime() > 500) + " " + (age - start > 500));
    """,
)


async def test_the_virtual_machine_looks_as_old_as_its_program(warm_server: ServerProcess) -> None:
    warm_server.wait_warm({"java": WARM["java"]})
    await trio.sleep(1)
    run = await Client(warm_server).run(language="java", code=JAVA_UPTIME)

    assert run.outcome == ("true true\n", "", "run: exit 0")


JAVA_LIMITS = JAVA_MAIN % (
    "Main",
    """
    for (var name : new String[] {"memory.max", "memory/memory.limit_in_bytes"}) {
        var path = java.nio.file.Path.of("/sys/fs/cgroup", name);
        if (java.nio.file.Files.exists(path)) System.out.print(java.nio.file.Files.readString(path));
    }
    var threads = java.lang.management.ManagementFactory.getThreadMXBean();
    long start = System.nanoTime(), used = threads.getCurrentThreadCpuTime();
    while (System.nanoTime() - start < 2_000_000_000L) {}
    used = threads.getCurrentThreadCpuTime() - used;
    System.out.println(used < 0.75 * (System.nanoTime() - start));
    """,
)


async def test_the_run_limits_hold_from_the_first_instruction_of_what_was_started_before_them(
    warm_server: ServerProcess,
) -> None:
    warm_server.wait_warm({"java": 1})
    run = await Client(warm_server).run(language="java", code=JAVA_LIMITS)

    assert run.outcome == (f"{200 * 2**20}\ntrue\n", "", "run: exit 0")


LIMITS_IN_FORCE = """
from pathlib import Path
cgroup = Path("/sys/fs/cgroup")
if (cgroup / "memory.max").exists():
    memory, (quota, period) = (cgroup / "memory.max").read_text(), (cgroup / "cpu.max").read_text().split()
else:
    memory = (cgroup / "memory/memory.limit_in_bytes").read_text()
    quota, period = ((cgroup / f"cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
print("", int(memory), int(quota) / int(period))
"""


@pytest.mark.parametrize(
    ("limits", "memory", "cpus"),
    [
        ({"executionTimeout": 20, "idleTimeout": 10, "outputBytes": 1000}, 200 * MIB, 0.5),
        ({"memoryBytes": 16 * MIB}, 16 * MIB, 0.5),
        ({"cpus": 0.25, "memoryBytes": 64 * MIB}, 64 * MIB, 0.25),
    ],
)
async def test_lower_limits_hold_in_a_warm_container_too(
    warm: Client, limits: dict[str, float], memory: int, cpus: float
) -> None:
    warm.server.wait_warm({"python": WARM["python"]})
    await trio.sleep(1)  # So that it is old.
    run = await warm.run(language="python", code=AGE + LIMITS_IN_FORCE, limits=limits)

    assert (run.stdout, run.stderr, run.final.exit_code) == (f"True {memory} {cpus}\n", "", 0)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "console.log('hello')"),
        ("java", JAVA_MAIN % ("Main", 'System.out.println("hello");')),
        ("cpp", '#include <cstdio>\nint main() { puts("hello"); }'),
    ],
)
async def test_the_other_languages_run_with_less_memory(warm_server: ServerProcess, language: str, code: str) -> None:
    warm_server.wait_warm({language: 1})
    run = await Client(warm_server).run(language=language, code=code, limits={"memoryBytes": 96 * MIB})

    assert run.outcome == ("hello\n", "", "run: exit 0")


@pytest.mark.parametrize(
    "options",
    [{"args": ["x"]}, {"env": {"A": "1"}}, {"files": {".hidden.py": ""}}, {"limits": {"pids": 16}}],
    ids=lambda options: next(iter(options)),
)
async def test_what_was_started_ahead_is_not_used_for_anything_else(warm: Client, options: dict[str, Any]) -> None:
    warm.server.wait_warm({"python": WARM["python"]})
    await trio.sleep(1)
    code = AGE + "\nimport os, sys\nprint(sys.argv[1:], os.environ.get('A'), sorted(os.listdir('.')))"
    run = await warm.run(language="python", code=code, **options)

    expected = ["x"] if "args" in options else []
    value = "1" if "env" in options else None
    files = sorted([".tmp", "main.py", *options.get("files", {})])
    assert run.outcome == (f"False{expected} {value} {files}\n", "", "run: exit 0")


@pytest.mark.parametrize("tty", [False, True])
async def test_a_program_in_another_encoding_was_started_before(warm: Client, tty: bool) -> None:
    warm.server.wait_warm({"python": WARM["python"]})
    await trio.sleep(1)
    run = await warm.run(language="python", code=f"# coding: latin-1\n{AGE}\nprint(len('\u00e9'))", tty=tty)

    assert (run.stdout.split(), run.ending) == (["True2"], "run: exit 0")


@pytest.mark.parametrize(
    ("language", "code"),
    [
        (
            "python",
            "import os, subprocess, sys\nos.mkfifo('/tmp/name')\nsubprocess.run([sys.executable, '-c', 'print(1)'])",
        ),
        (
            "javascript",
            "require('child_process').execFileSync('mkfifo', ['/tmp/name']);"
            "new (require('worker_threads').Worker)('console.log(1)', { eval: true });",
        ),
    ],
)
async def test_what_a_program_starts_waits_at_no_fifo_of_the_programs_own(
    client: Client, language: str, code: str
) -> None:
    run = await client.run(language=language, code=code)

    assert run.outcome == ("1\n", "", "run: exit 0")


FURTHER = {
    "python": {"data.txt": "", "lib/helper.py": "def end(): print(' imported', end='')"},
    "javascript": {"data.txt": "", "lib/helper.js": "exports.end = () => process.stdout.write(' imported')"},
}
USES = {"python": "from lib.helper import end\nend()", "javascript": "require('./lib/helper.js').end();"}


@pytest.mark.parametrize("language", FURTHER)
async def test_a_program_of_several_files_was_started_before(warm_server: ServerProcess, language: str) -> None:
    warm_server.wait_warm({language: WARM[language]})
    await trio.sleep(1)
    name = NAMES[language][0]
    files = {name: f"{USES[language]}\n{AGES[language]}", **FURTHER[language]}
    run = await Client(warm_server).run(language=language, files=files)

    assert run.outcome == (" importedTrue", "", "run: exit 0")


async def test_a_terminal_has_the_clients_size_and_not_the_pools(warm: Client) -> None:
    code = "import os\nprint(os.get_terminal_size())\ninput()\nprint(os.get_terminal_size())"
    async with warm.session(language="python", code=code, tty=True, rows=51, cols=97) as session:
        await session.until_stdout("columns=97, lines=51)")
        await session.resize(10, 20)
        await session.input("\n")
        await session.until_stdout("columns=20, lines=10)")


async def test_a_burst_is_served_whole(warm: Client) -> None:
    runs: list[Run] = []

    async def one(number: int) -> None:
        runs.append(await warm.run(language="python", code=f"print({number})"))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(one, number)

    assert {run.ending for run in runs} == {"run: exit 0"}
    assert sorted(int(run.stdout) for run in runs) == list(range(30))


async def test_a_warm_container_that_dies_is_replaced(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(pool="python=2")
    server.wait_warm({"python": 2})
    engine = docker.from_env()
    killed = set(server.containers())
    for name in killed:
        engine.api.kill(name)
    engine.close()
    with trio.fail_after(30):
        while len(set(server.containers()) - killed) < 2:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.1)
    server.wait_warm({"python": 2})
    assert (await Client(server).run(language="python", code="print(1)")).stdout == "1\n"


def test_a_killed_server_leaves_no_warm_container(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(pool="python=2,java=1")
    server.wait_warm({"python": 2, "java": 1})
    server.process.kill()
    server.wait()

    server.assert_no_containers(within=5)


async def test_a_drain_lets_the_pool_go_and_the_borrowed_finish(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(pool="python=2"))
    client.server.wait_warm({"python": 2})
    async with client.session(language="python", code="print(input())") as session:
        await session.until_waiting()
        client.server.terminate()
        with trio.fail_after(15):
            while len(client.server.containers()) != 1:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        await session.input("still\n")
        assert (await session.to_end()).stdout == "still\n"

    assert await trio.to_thread.run_sync(client.server.wait) == 0
    client.server.assert_no_containers()

"""A program that runs into a limit is told which one, whatever it makes of it; and figures are those of all of it."""

from __future__ import annotations

import pytest

from tests.programs import JAVA_MAIN
from tests.support import Client

THREADS = """
#include <chrono>
#include <thread>
#include <vector>
int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < 50; i++)
        threads.emplace_back([] { std::this_thread::sleep_for(std::chrono::seconds(60)); });
}
"""


async def test_a_program_that_dies_for_want_of_threads(client: Client) -> None:
    run = await client.run(language="cpp", code=THREADS)

    assert (run.ending, run.final.hit) == ("run: SIGABRT", ["pids"])
    assert run.final.message is not None
    assert "the limit of 32 processes and threads was reached" in run.final.message


HANGS = JAVA_MAIN % (
    "Main",
    """
    var pool = java.util.concurrent.Executors.newFixedThreadPool(60);
    for (int i = 0; i < 60; i++) pool.submit(() -> { Thread.sleep(100000); return 0; });
    """,
)


async def test_one_that_hangs_for_it(client: Client) -> None:
    run = await client.run(language="java", code=HANGS, limits={"idleTimeout": 2})

    assert (run.ending, run.final.hit) == ("run: idle_timeout", ["pids"])
    assert run.final.message is not None
    assert "no input and no output for 2 seconds" in run.final.message
    assert "the limit of 32 processes and threads was reached" in run.final.message
    assert [stage.hit for stage in run.final.stages] == [[], ["pids"]]


COPES = """
import os, time
children = []
try:
    while True:
        if (pid := os.fork()) == 0: time.sleep(60)
        children.append(pid)
except BlockingIOError: print('refused')
for pid in children: os.kill(pid, 9)
"""


async def test_one_that_copes_is_told_by_the_figures_alone(client: Client) -> None:
    run = await client.run(language="python", code=COPES)

    assert run.stdout == "refused\n"
    assert (run.final.exit_code, run.final.hit, run.final.message) == (0, ["pids"], None)


FULL = {
    "workspace": ("open('big', 'wb').write(bytes(64 << 20))", "exit 1", "the workspace was full, with 32 MiB"),
    "mapped files": (
        "import mmap\nfor name in 'ab':\n    f = open(name, 'w+b')\n    f.truncate(24 << 20)\n"
        "    m = mmap.mmap(f.fileno(), 0)\n    for i in range(0, 24 << 20, 4096): m[i] = 1",
        "SIGBUS",
        "the workspace was full, with 32 MiB",
    ),
    "inodes": (
        "i = 0\nwhile True:\n    open(str(i), 'w').close()\n    i += 1",
        "exit 1",
        "as many files as it may have",
    ),
}


@pytest.mark.parametrize(("code", "ending", "message"), FULL.values(), ids=FULL.keys())
async def test_a_full_workspace_has_a_name(client: Client, code: str, ending: str, message: str) -> None:
    run = await client.run(language="python", code=code)

    assert run.ending == f"run: {ending}", run.stderr
    assert run.final.message is not None
    assert message in run.final.message
    assert run.final.hit in (["workspace"], ["inodes"])


async def test_memory_has_one_as_well(client: Client) -> None:
    run = await client.run(language="python", code="x = []\nwhile True: x.append(bytearray(1 << 20))")

    assert (run.ending, run.final.hit) == ("run: memory_limit", ["memory"])


async def test_a_program_that_meets_none_has_none(client: Client) -> None:
    run = await client.run(language="python", code="raise SystemExit(1)")

    assert (run.final.hit, run.final.message) == ([], None)


MIB = 1 << 20
TOGETHER = """
import os, time
pids = []
for _ in range(4):
    if (pid := os.fork()) == 0:
        data = bytearray(20 << 20)
        time.sleep(1)
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
"""
MEMORY = {
    "four processes": (TOGETHER, 80 * MIB, 130 * MIB),
    "a file": ("open('big', 'wb').write(bytes(16 << 20))", 16 * MIB, 60 * MIB),
    "a moment's": ("x = bytearray(90 << 20)\ndel x", 90 * MIB, 130 * MIB),
    "hardly any": ("pass", 2 * MIB, 40 * MIB),
}


@pytest.mark.parametrize(("code", "least", "most"), MEMORY.values(), ids=MEMORY.keys())
async def test_peak_memory_is_that_of_the_whole_container(client: Client, code: str, least: int, most: int) -> None:
    run = await client.run(language="python", code=code)

    assert run.ending == "run: exit 0"
    assert run.final.peak_memory is not None
    assert least <= run.final.peak_memory <= most


async def test_a_compilers_memory_is_not_the_programs(client: Client) -> None:
    code = '#include <regex>\n#include <iostream>\nint main() { std::regex r("a"); }'
    run = await client.run(language="cpp", code=code)

    compiled, ran = run.final.stages
    assert compiled.peak_memory is not None
    assert ran.peak_memory is not None
    assert ran.peak_memory < 30 * MIB < compiled.peak_memory

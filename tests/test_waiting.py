"""Whether a program waits for its input is known, however it does that, and not said of one that goes on by itself."""

from __future__ import annotations

import pytest
import trio

from tests.support import Client
from trio_exec.client import Activity, InputWait

WAYS = {
    "input": ("python", "print(input())"),
    "select": ("python", "import select, sys\nselect.select([sys.stdin], [], [])\nprint(input())"),
    "select among others": (
        "python",
        "import os, select, sys\nr, w = os.pipe()\nselect.select([r, sys.stdin], [w][1:], [])\nprint(input())",
    ),
    "poll": (
        "python",
        "import select, sys\np = select.poll()\np.register(0, select.POLLIN)\np.poll()\nprint(input())",
    ),
    "epoll": (
        "python",
        "import select, sys\np = select.epoll()\np.register(0, select.EPOLLIN)\np.poll()\nprint(input())",
    ),
    "asyncio": (
        "python",
        "import asyncio, sys\n"
        "async def main():\n"
        "    got = asyncio.get_running_loop().create_future()\n"
        "    asyncio.get_running_loop().add_reader(0, lambda: got.done() or got.set_result(input()))\n"
        "    print(await got)\n"
        "asyncio.run(main())",
    ),
    "a thread": (
        "python",
        "import threading\nt = threading.Thread(target=lambda: print(input()))\nt.start()\nt.join()",
    ),
    "another number": ("python", "import os, select\nos.dup2(0, 17)\nselect.select([17], [], [])\nprint(input())"),
    "Node's events": (
        "javascript",
        "process.stdin.once('data', (d) => { console.log(String(d).trim()); process.exit(); })",
    ),
    "Node's readline": (
        "javascript",
        "const rl = require('readline').createInterface({ input: process.stdin });\n"
        "rl.question('', (line) => { console.log(line); rl.close(); });",
    ),
    "Node's lines": (
        "javascript",
        "import { createInterface } from 'node:readline';\n"
        "for await (const line of createInterface({ input: process.stdin })) { console.log(line); process.exit(); }",
    ),
}


@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize(("language", "code"), WAYS.values(), ids=WAYS.keys())
async def test_a_program_that_waits_is_known_to_wait(client: Client, language: str, code: str, tty: bool) -> None:
    async with client.session(language=language, code=code, tty=tty) as session:
        await session.until_waiting()
        await session.input("hello\n")
        run = await session.to_end()

    assert "hello" in run.stdout
    assert run.ending == "run: exit 0"


async def test_a_program_that_sleeps_is_told_from_one_that_computes(client: Client) -> None:
    code = (
        "import time\ndef compute():\n    end = time.monotonic() + 2.5\n    while time.monotonic() < end: pass\n"
        "compute()\nprint('computed')\ntime.sleep(2.5)\nprint('slept')\ncompute()\ninput()"
    )
    async with client.session(language="python", code=code) as session:
        await session.until_stdout("computed")
        assert not any(isinstance(it, Activity) for it in session.run.messages)
        await session.until(lambda run: Activity(sleeping=True) in run.messages)
        assert "slept" not in session.run.stdout
        await session.until(lambda run: run.messages[-1:] == [Activity(sleeping=False)])
        await session.until_waiting()
        assert session.run.messages.count(Activity(sleeping=True)) == 1
        await session.input("\n")
        run = await session.to_end()

    assert run.ending == "run: exit 0"


NOT_WAITING = {
    "asleep": ("python", "import time\nprint('on')\ntime.sleep(1.2)"),
    "a time limit": (
        "python",
        "import select, sys\nprint('on')\nfor _ in range(6): select.select([sys.stdin], [], [], 0.2)",
    ),
    "another pipe": (
        "python",
        "import os, select, threading, time\nr, w = os.pipe()\nprint('on')\n"
        "threading.Timer(1.2, os.write, [w, b'x']).start()\nselect.select([r], [], [])",
    ),
    "for room": ("python", "import select\nprint('on')\nselect.select([], [1], [])\nimport time\ntime.sleep(1)"),
    "Node's timers": ("javascript", "console.log('on'); setTimeout(() => {}, 1200)"),
    "a closed input": ("javascript", "console.log('on'); process.stdin.destroy(); setTimeout(() => {}, 1200)"),
}


@pytest.mark.parametrize(("language", "code"), NOT_WAITING.values(), ids=NOT_WAITING.keys())
async def test_one_that_goes_on_by_itself_is_not(client: Client, language: str, code: str) -> None:
    with trio.fail_after(60):
        async with client.session(language=language, code=code) as session:
            run = await session.to_end()

    assert (run.stdout, run.ending) == ("on\n", "run: exit 0")
    assert not any(isinstance(it, InputWait) and it.waiting for it in run.messages)

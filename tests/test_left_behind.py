"""What a program's processes write after it has ended still comes; and nobody waits for those that stay."""

from __future__ import annotations

import pytest
import trio

from tests.support import Client, Run

FORKS = """
#include <cstdio>
#include <unistd.h>
int main() {
    fork(); fork(); fork();
    std::printf("hello\\n");
    return 3;
}
"""

CHILD_LATER = """
import subprocess, sys
subprocess.Popen(["sh", "-c", "sleep 0.4; echo from child; sleep 0.4; echo to errors >&2"])
print("main done", flush=True)
sys.exit(5)
"""


@pytest.mark.parametrize("tty", [False, True])
async def test_every_process_of_a_fork_without_a_wait_is_heard(client: Client, tty: bool) -> None:
    for _ in range(10):
        run = await client.run(language="cpp", code=FORKS, tty=tty)
        assert run.stdout.replace("\r", "") == "hello\n" * 8
        assert (run.final.state, run.final.exit_code) == ("finished", 3)


@pytest.mark.parametrize("tty", [False, True])
async def test_children_that_sleep_first_are_heard_and_the_exit_code_is_mains(client: Client, tty: bool) -> None:
    run = await client.run(language="python", code=CHILD_LATER, tty=tty)

    assert run.output.replace("\r", "") == "main done\nfrom child\nto errors\n"
    assert (run.final.state, run.final.exit_code) == ("finished", 5)
    assert run.final.wall_time is not None
    assert run.final.wall_time < 0.4, "the time is the program's own"


DETACHED = {
    "javascript": "require('child_process').spawn('sh', ['-c', 'sleep 0.2; echo late'],"
    " {detached: true, stdio: 'inherit'}).unref(); console.log('main')",
    "java": "public class Main { public static void main(String[] args) throws Exception {"
    ' new ProcessBuilder("sh", "-c", "sleep 0.2; echo late").inheritIO().start(); System.out.println("main"); } }',
    "cpp": '#include <cstdlib>\n#include <iostream>\nint main() { std::cout << "main" << std::endl;'
    ' std::system("(sleep 0.2; echo late) &"); }',
    "python": "import os, time\nprint('main', flush=True)\nif os.fork() == 0:\n    os.setsid(); time.sleep(0.2)\n"
    "    if os.fork() == 0: print('late')",
}


@pytest.mark.parametrize("language", DETACHED)
async def test_in_every_language_and_in_sessions_of_their_own(client: Client, language: str) -> None:
    run = await client.run(language=language, code=DETACHED[language])

    assert run.stdout == "main\nlate\n"
    assert run.ending == "run: exit 0"


STAYS = """
import os, sys, time
if os.fork() == 0:
    {what}
os._exit(4)
"""
STAYERS = {
    "a silent one": "time.sleep(1000)",
    "one that writes for ever": "while True: print('x', flush=True); time.sleep(0.1)",
    "one that floods": "while True: os.write(2, b'x' * 10)",
    "one that ignores all signals": "import signal\n    for s in range(1, 31):\n        if s not in (9, 19): "
    "signal.signal(s, signal.SIG_IGN)\n    time.sleep(1000)",
    "one that forks for ever": "while True:\n        if os.fork(): os._exit(0)",
    "one that computes": "while True: pass",
}


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("what", STAYERS.values(), ids=STAYERS.keys())
async def test_no_process_that_stays_keeps_the_session_open(client: Client, what: str, tty: bool) -> None:
    limits = {"outputBytes": 100_000}
    with trio.fail_after(20):  # It is killed after two seconds; on a machine with other work, that takes its time.
        run = await client.run(language="python", code=STAYS.format(what=what), tty=tty, limits=limits)

    if run.final.reason is None:
        assert (run.final.state, run.final.exit_code) == ("finished", 4)
    else:
        assert "floods" in next(name for name, it in STAYERS.items() if it == what)
        assert (run.final.reason, run.final.exit_code) == ("output_limit", 4)


async def lasts(client: Client, code: str) -> tuple[Run, float]:
    start = trio.current_time()
    run = await client.run(language="python", code=code)
    assert run.final.exit_code == 4
    return run, trio.current_time() - start


async def test_one_that_nobody_could_hear_is_not_waited_for(client: Client) -> None:
    closes = "[os.close(fd) for fd in (0, 1, 2)]; time.sleep(1000)"
    heard, silent = [], []
    for _ in range(3):
        heard.append((await lasts(client, STAYS.format(what="time.sleep(1000)")))[1])
        silent.append((await lasts(client, STAYS.format(what=closes)))[1])

    assert min(heard) > 1
    assert min(silent) < min(heard) - 0.5


async def test_deadlines_are_the_programs_and_not_those_of_its_remains(client: Client) -> None:
    code = STAYS.format(what="time.sleep(0.5); print('late', flush=True); time.sleep(0.7); print('later', flush=True)")
    run = await client.run(language="python", code=code, limits={"idleTimeout": 0.3})

    assert run.stdout == "late\nlater\n"
    assert run.ending == "run: exit 4"


async def test_their_processor_time_and_that_of_killed_children_counts(client: Client) -> None:
    busy = "import os, signal, time\npid = os.fork()\nif pid == 0:\n    while True: pass\n{}"
    killed = await client.run(
        language="python", code=busy.format("time.sleep(1)\nos.kill(pid, 9)\n" + "os.waitpid(pid, 0)")
    )
    ignores = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    unwaited = await client.run(language="python", code=busy.format(ignores + "time.sleep(1)\nos.kill(pid, 9)"))
    behind = await client.run(language="python", code=busy.format("time.sleep(0.1)"))

    for run in (killed, unwaited, behind):
        assert run.final.cpu_time is not None
        assert run.final.cpu_time > 0.2


GROUPS = """
import os, sys
print(os.getpgrp() == os.getpid())
os.setpgrp()
os.setpgid(0, 0)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    print('child', os.getpgrp() == os.getpid())
    sys.exit()
os.waitpid(pid, 0)
print(os.getsid(0) != os.getpid())
if sys.stdout.isatty():
    print(os.tcgetpgrp(0) == os.getpgrp(), os.ctermid())
    open('/dev/tty', 'w').write('to the terminal\\n')
"""


@pytest.mark.parametrize("tty", [False, True])
async def test_a_program_is_a_job_of_a_shell(client: Client, tty: bool) -> None:
    run = await client.run(language="python", code=GROUPS, tty=tty)

    rest = "True /dev/tty\nto the terminal\n" if tty else ""
    assert run.stdout.replace("\r", "") == f"True\nchild True\nTrue\n{rest}"
    assert run.final.exit_code == 0


async def test_children_that_stay_in_the_background_can_read_the_terminal_no_more(client: Client) -> None:
    code = STAYS.format(what="print('got', repr(sys.stdin.readline()), flush=True)")
    run = await client.run(language="python", code=code, tty=True)

    assert run.ending == "run: exit 4"


STOPPED = """
import os, signal, sys
print('ready', flush=True)
print(input(), flush=True)
signal.signal(signal.SIGCONT, lambda *_: os.write(1, b'goes on\\n'))  # A print may be under way.
print('again', flush=True)
print(input(), flush=True)
"""


async def test_the_key_that_stops_a_program_leaves_it_to_nobody_and_so_it_goes_on(client: Client) -> None:
    async with client.session(language="python", code=STOPPED, tty=True) as session:
        await session.until_stdout("ready")
        await session.input("\x1a")
        await session.input("one\n")
        await session.until_stdout("again")
        await session.input("\x1a")
        await session.until_stdout("goes on")
        await session.input("two\n")
        run = await session.to_end()

    assert "one\r\n" in run.stdout
    assert "two\r\n" in run.stdout
    assert run.ending == "run: exit 0"

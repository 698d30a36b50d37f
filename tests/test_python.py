"""Python in a session against Python on one's own machine: nothing is lost, nothing is mixed up, prompts are seen."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support import Client, Run

BOTH = pytest.mark.parametrize("tty", [False, True])


async def lines(client: Client, code: str, *, tty: bool, **options: Any) -> list[str]:
    """What a program that must end well prints."""
    run = await client.run(language="python", code=code, tty=tty, **options)
    assert (run.stderr, run.ending) == ("", "run: exit 0"), run.stdout[-500:]
    return run.stdout.replace("\r\n", "\n").splitlines()


THREADS = """
import threading, time
def work(name):
    for step in range(40):
        print("worker", name, "step", step)
        time.sleep(0.001)
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
PROCESSES = """
import multiprocessing, sys, time
def work(name):
    for step in range(40):
        print("worker", name, "step", step)
        time.sleep(0.001)
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    processes = [context.Process(target=work, args=(n,)) for n in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
"""


@BOTH
@pytest.mark.parametrize(
    "code",
    [THREADS, PROCESSES.replace("{method}", "fork"), PROCESSES.replace("{method}", "spawn")],
    ids=["threads", "forked", "spawned"],
)
async def test_lines_of_threads_and_processes_are_whole(client: Client, code: str, tty: bool) -> None:
    for _ in range(3):
        seen = await lines(client, code, tty=tty)

        assert sorted(seen) == sorted(f"worker {name} step {step}" for name in range(4) for step in range(40))


INTERRUPTED = """
import os, signal, subprocess, sys, threading
from signal import SIGALRM, SIGCHLD, SIGINT, SIGWINCH
for number in (SIGALRM, SIGCHLD, SIGINT, SIGWINCH):
    signal.signal(number, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
def others():
    for _ in range(50):
        for number in (SIGINT, SIGWINCH, SIGCHLD):
            os.kill(os.getpid(), number)
thread = threading.Thread(target=others)
thread.start()
for _ in range(4):
    {write}
thread.join()
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@BOTH
@pytest.mark.parametrize(
    "write",
    [
        'print("x" * 200_000)',
        'print("x" * 200_000, file=sys.stderr)',
        'sys.stdout.write("x" * 200_000 + "\\n")',
        'sys.stdout.buffer.write(b"x" * 200_000 + b"\\n")',
        'print("x" * 100_000, "x" * 99_999, sep="x")',
    ],
    ids=["print", "stderr", "write", "bytes", "pieces"],
)
async def test_signal_handlers_cut_no_output_short(client: Client, write: str, tty: bool) -> None:
    run = await client.run(language="python", code=INTERRUPTED.replace("{write}", write), tty=tty)

    assert run.ending == "run: exit 0"
    text = run.stdout + run.stderr
    assert (len(text.replace("\r", "")), set(text)) == (800_004, set("x\r\n" if tty else "x\n"))


async def test_a_window_that_changes_its_size_cuts_no_output_short(client: Client) -> None:
    code = """
import signal, sys, time
seen = []
signal.signal(signal.SIGWINCH, lambda *_: seen.append(1))
print("ready")
while not seen: time.sleep(0.001)
for _ in range(4): print("x" * 200_000)
"""
    async with client.session(language="python", code=code, tty=True) as session:
        await session.until_stdout("ready")
        for rows in range(25, 65):
            await session.resize(rows, 80)
        run = await session.to_end()

    assert (run.stdout.count("x"), run.ending) == (800_000, "run: exit 0")


WAYS_TO_ASK = {
    "input": "input()",
    "readline": "sys.stdin.readline()",
    "iteration": "next(iter(sys.stdin))",
    "read": "sys.stdin.read(1)",
    "bytes": "sys.stdin.buffer.readline()",
    "one read of bytes": "sys.stdin.buffer.read1()",
    "unbuffered bytes": "sys.stdin.buffer.raw.read(2)",
    "fileinput": "next(fileinput.input())",
    "another module's name for it": "__import__('code').InteractiveConsole().raw_input()",
}


@BOTH
@pytest.mark.parametrize("way", WAYS_TO_ASK.values(), ids=list(WAYS_TO_ASK))
async def test_a_prompt_is_seen_before_it_is_answered(client: Client, way: str, tty: bool) -> None:
    code = f"import fileinput, sys\nprint('name', end='? ')\nprint(repr({way}))"
    async with client.session(language="python", code=code, tty=tty) as session:
        await session.until_stdout("name? ")
        await session.input("a\n")
        await session.eof()
        run = await session.to_end()

    assert run.ending == "run: exit 0"
    assert re.search(r"b?'a(\\n)?'", run.stdout)


async def test_reading_to_the_end_shows_the_prompt_too(client: Client) -> None:
    for way in ("sys.stdin.read()", "sys.stdin.buffer.read()", "list(sys.stdin)", "sys.stdin.buffer.raw.readall()"):
        async with client.session(language="python", code=f"import sys\nprint(end='? ')\nprint({way})") as session:
            await session.until_stdout("? ")
            await session.input("a\n")
            await session.eof()
            assert (await session.to_end()).ending == "run: exit 0"


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, 'job.py'])",
        "subprocess.run(['python3', '-I', 'job.py'])",
        "subprocess.run(['python3', '-E', '-s', 'job.py'])",
        "subprocess.run(['python', 'job.py'], env={})",
        "os.system('python3 job.py')",
        "os.execvp('python3', ['python3', 'job.py'])",
        "subprocess.run('python3 job.py | cat', shell=True)",
        "sys.stdout.writelines(subprocess.Popen(['python3', 'job.py'], stdout=-1, text=True).stdout)",
        "multiprocessing.get_context('spawn').Process(target=runpy.run_path, args=('job.py',)).start()",
        "multiprocessing.get_context('fork').Process(target=runpy.run_path, args=('job.py',)).start()",
    ],
)
async def test_the_lines_of_children_are_seen_at_once(client: Client, start: str) -> None:
    code = f"""
import multiprocessing, os, runpy, subprocess, sys
if __name__ == "__main__":
    with open("/tmp/main", "w") as file: file.write(str(os.getpid()))
    {start}
"""
    # Nothing but the test lets it end: a line that is seen was not held back until the end.
    job = "print('step')\nopen(f'/proc/{open(\"/tmp/main\").read()}/fd/0').readline()\nprint('end')"
    async with client.session(language="python", code=code, files={"job.py": job}) as session:
        await session.until_stdout("step\n")
        await session.input("go\n")
        run = await session.to_end()

    assert run.outcome == ("step\nend\n", "", "run: exit 0")


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        ({"env": {"PYTHONUNBUFFERED": "1"}}, True),
        ({"files": {"sitecustomize.py": "import sys\nsys.stdout.flush()"}}, False),
    ],
    ids=["PYTHONUNBUFFERED", "line by line"],
)
async def test_unbuffered_is_for_those_who_ask_for_it(client: Client, how: dict[str, Any], seen: bool) -> None:
    code = "import os, sys\nprint('.', end='')\nos.write(1, b'!')\nprint('.')\nprint(sys.stdout.write_through)"
    run = await client.run(language="python", code=code, **how)

    assert run.outcome == (f"{'.!' if seen else '!.'}.\n{seen}\n", "", "run: exit 0")


async def test_unbuffered_is_what_it_was_for_a_child_too(client: Client) -> None:
    code = (
        "import subprocess\nsubprocess.run(['python3', '-uc', 'import os; print(1, end=str()); os.write(1, b\"2\")'])"
    )

    assert (await client.run(language="python", code=code)).outcome == ("12", "", "run: exit 0")


async def test_a_file_is_written_as_anywhere(client: Client) -> None:
    code = """
import os, subprocess, sys
child = "import os; print(1); os.write(1, b'2')"
with open("out", "w") as out: subprocess.run([sys.executable, "-c", child], stdout=out)
print(open("out").read(), end="")
"""
    assert await lines(client, code, tty=False) == ["21"]


@BOTH
async def test_streams_look_as_on_a_terminal(client: Client, tty: bool) -> None:
    code = """
import io, sys
print(sys.stdin, sys.stdout, sys.stderr)
print([type(stream) is io.TextIOWrapper for stream in (sys.stdin, sys.stdout, sys.stderr)])
print(sys.stdin is sys.__stdin__, sys.stdin.buffer, sys.stdin.buffer.raw, sys.stdin.fileno(), sys.stdin.newlines)
print(sys.stdout.line_buffering, sys.stdout.write_through, sys.stdout.buffer, sys.flags.utf8_mode, sys.orig_argv)
"""
    assert await lines(client, code, tty=tty) == [
        *(
            " ".join(
                f"<_io.TextIOWrapper name='<{name}>' mode='{'r' if name == 'stdin' else 'w'}' encoding='utf-8'>"
                for name in ("stdin", "stdout", "stderr")
            ),
            "[True, True, True]",
            "True <_io.BufferedReader name='<stdin>'> <_io.FileIO name='<stdin>' mode='rb' closefd=False> 0 None",
        ),
        "True False <_io.BufferedWriter name='<stdout>'> 0 ['python3', 'main.py']",
    ]


async def test_ctrl_c_in_a_read_has_no_line_of_ours_in_its_traceback(client: Client) -> None:
    code = "import sys\nprint('ready', flush=True)\nsys.stdin.readline()"
    async with client.session(language="python", code=code) as session:
        await session.until_waiting()
        await session.signal("SIGINT")
        run = await session.to_end()

    assert run.stderr == (
        'Traceback (most recent call last):\n  File "/workspace/main.py", line 3, in <module>\n'
        "    sys.stdin.readline()\nKeyboardInterrupt\n"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys\nsys.stdout.close()\nsys.stderr.write(sys.stdin.read())", ("", "in", "run: exit 0")),
        ("import sys\nsys.stdin.close()\nprint(1)", ("1\n", "", "run: exit 0")),
        (
            "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), 'latin-1')\n"
            "print(input('? '), ascii(sys.stdout.encoding))",
            ("? in 'latin-1'\n", "", "run: exit 0"),
        ),
        (
            "import sys\nsys.stdin.reconfigure(encoding='utf-16-le')\nprint(ascii(input()))",
            ("'\\u6e69'\n", "", "run: exit 0"),
        ),
    ],
    ids=["closed output", "closed input", "another encoding of output", "another encoding of input"],
)
async def test_streams_can_be_changed(client: Client, code: str, expected: tuple[str, str, str]) -> None:
    assert (await client.run(language="python", code=code, stdin="in")).outcome == expected


@BOTH
async def test_locales_are_those_of_an_american_machine(client: Client, tty: bool) -> None:
    code = """
import locale, os, subprocess, sys
print(locale.setlocale(locale.LC_ALL, ""), locale.currency(1234.5, grouping=True), locale.getlocale())
print(locale.setlocale(locale.LC_ALL, "en_US.UTF-8"), f"{1234567:n}", locale.format_string("%d", 1234, grouping=True))
print(sorted(["b", "a", "B", "A"], key=locale.strxfrm), locale.nl_langinfo(locale.D_T_FMT))
print(locale.setlocale(locale.LC_ALL, "C.UTF-8"), locale.setlocale(locale.LC_ALL, "C"))
print(sys.stdout.encoding, sys.getfilesystemencoding(), sys.flags.utf8_mode, os.environ["LANG"])
"""
    assert await lines(client, code, tty=tty) == [
        "en_US.UTF-8 $1,234.50 ('en_US', 'UTF-8')",
        "en_US.UTF-8 1,234,567 1,234",
        "['a', 'A', 'b', 'B'] %a %d %b %Y %r %Z",
        "C.UTF-8 C",
        "utf-8 utf-8 0 en_US.UTF-8",
    ]


POOLS = """
import concurrent.futures, multiprocessing, os
def square(number): return number * number
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool() as pool: print(pool.map(square, range(10)))
    with concurrent.futures.ProcessPoolExecutor() as pool: print(list(pool.map(square, range(10))))
    with concurrent.futures.ThreadPoolExecutor() as pool: print(list(pool.map(square, range(10))))
    print(os.cpu_count() == multiprocessing.cpu_count() == min({processors}, len(os.sched_getaffinity(0))))
"""


async def test_pools_of_the_usual_size_fit_the_limit_of_processes(client: Client) -> None:
    squares = str([number * number for number in range(10)])

    assert await lines(client, POOLS.replace("{processors}", "4"), tty=False) == [squares] * 5 + ["True"]


@pytest.mark.parametrize(("count", "processors"), [("1", "1"), ("1000", "1000"), ("0", "1000"), ("many", "1000")])
async def test_programs_count_no_more_processors_than_they_are_told(
    client: Client, count: str, processors: str
) -> None:
    code = f"import os\nprint(os.cpu_count() == min({processors}, len(os.sched_getaffinity(0))))"

    assert await lines(client, code, tty=False, env={"PYTHON_CPU_COUNT": count}) == ["True"]


HELP: dict[str, tuple[str, list[str], str]] = {
    "help(x)": ("help(len)", [], "Help on built-in function len in module builtins:"),
    "pydoc": ("import pydoc; pydoc.help(len)", [], "Help on built-in function len in module builtins:"),
    "python -m pydoc": ("import os; os.system('python -m pydoc len')", [], "Help on built-in function len"),
    "help()": ("help()", ["len\n", "quit\n"], "Help on built-in function len in module builtins:"),
    "pdb": ("breakpoint()\n1", ["help next\n", "c\n"], "Continue execution until the next line"),
    "pdb's page": ("breakpoint()\n1", ["help pdb\n", "q", "c\n"], "The Python Debugger Pdb"),
    "a long text": ("help(str)", ["q"], "Help on class str in module builtins:"),
}


@pytest.mark.parametrize(("code", "keys", "expected"), HELP.values(), ids=list(HELP))
async def test_help_is_there_at_once_and_can_be_left(client: Client, code: str, keys: list[str], expected: str) -> None:
    async with client.session(language="python", code=code + "\nprint('after')", tty=True) as session:
        for key in keys:
            already = len(session.run.stdout)

            def asks(run: Run, already: int = already) -> bool:
                return re.sub(r"\x1b\[\d*\w", "", run.stdout[already:]).rstrip().endswith((">", "(Pdb)", ":"))

            await session.until(asks)
            if key == "q":
                assert expected in session.run.stdout
            await session.input(key)
        run = await session.to_end()

    assert expected in run.stdout
    assert (run.stdout.endswith("after\r\n"), run.ending) == (True, "run: exit 0")


async def test_help_is_plain_text_without_a_terminal(client: Client) -> None:
    run = await client.run(language="python", code="help(len)\nprint('after')")

    assert run.stdout.startswith("Help on built-in function len in module builtins:\n\nlen(obj, /)\n")
    assert run.outcome == (run.stdout, "", "run: exit 0")


@BOTH
async def test_programs_for_terminals_are_there(client: Client, tty: bool) -> None:
    code = """
import curses, os
os.system("clear")
curses.setupterm()
print(os.environ["TERM"], os.popen("ps -o comm=").read().split()[:2])
"""
    run = await client.run(language="python", code=code, tty=tty)

    assert (run.stderr, run.ending) == ("", "run: exit 0")
    assert run.stdout.rstrip().endswith(f"{'xterm-256color' if tty else 'dumb'} ['python3', 'sh']")
    assert tty == run.stdout.startswith("\x1b[H\x1b[2J")

"""`trio-exec run` and its kin, as a person or a script uses them: real pipes, real terminals, a real server."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import PATIENCE, ServerProcess
from trio_exec.cli import ending
from trio_exec.keys import create_key

COMMAND = [sys.executable, "-m", "trio_exec"]


@pytest.fixture
def environment(server: ServerProcess) -> dict[str, str]:
    return {**os.environ, "TRIO_EXEC_URL": server.url, "TERM": "xterm"}


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs the command in an empty folder, with pipes for its standard streams."""

    def run(*arguments: str, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *arguments],
            input=stdin,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )

    return run


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


Command = Callable[..., subprocess.CompletedProcess[bytes]]


def test_a_file_runs_as_though_it_were_local(command: Command, tmp_path: Path) -> None:
    write(
        tmp_path, "sum.py", "import sys\nprint(sum(map(int, sys.stdin.read().split())), sys.argv[1:], file=sys.stderr)"
    )
    done = command("run", "sum.py", "-v", "--stats", "a b", stdin=b"1\n2\n3\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"6 ['-v', '--stats', 'a b']\n")


def test_bytes_are_bytes(command: Command, tmp_path: Path) -> None:
    everything = bytes(range(256)) * 1000
    write(tmp_path, "cat.py", "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)")
    done = command("run", "cat.py", stdin=everything)
    assert (done.returncode, done.stdout, done.stderr) == (0, everything, b"")


@pytest.mark.parametrize(
    ("code", "exit_code", "told"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139, ""),
        ("while True: pass", 124, "cpu_time_limit"),
        ("x = 'x' * 500_000_000", 137, "memory_limit"),
        ("while True: print('y' * 1000)", 137, "output_limit"),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_the_exit_code_is_the_programs(command: Command, tmp_path: Path, code: str, exit_code: int, told: str) -> None:
    write(tmp_path, "main.py", code)
    done = command("run", "--limit", "cpu_time=0.5", "main.py")
    assert done.returncode == exit_code
    assert told in done.stderr.decode()
    assert command("run", "-q", "--limit", "cpu_time=0.5", "main.py").returncode == exit_code


def test_compile_errors_name_the_local_file(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "wrong.cpp", "int main() { return nothing; }")
    done = command("run", "wrong.cpp")
    assert done.returncode == 1
    assert b"wrong.cpp:1" in done.stderr


def test_further_files_go_along(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "app/main.py", "import lib.part; print(lib.part.WORD, open('data.txt').read())")
    write(tmp_path, "app/lib/part.py", "WORD = 'found'")
    write(tmp_path, "app/data.txt", "data")
    write(tmp_path, "app/.hidden", "secret")
    done = command("run", "--files", "app", "app/main.py")
    assert (done.returncode, done.stdout) == (0, b"found data\n"), done.stderr
    done = command("run", "--files", "none", "app/main.py")
    assert (done.returncode, b"no folder none" in done.stderr) == (2, True)


def test_the_program_can_come_from_standard_input(command: Command) -> None:
    done = command("run", "-l", "py", "-", "a", stdin=b"import sys; print(sys.argv[1:], repr(sys.stdin.read()))")
    assert (done.returncode, done.stdout) == (0, b"['a'] ''\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "none.py"], "none.py: No such file"),
        (["run", "notes.txt"], "name it with --language: "),
        (["run", "-l", "cobol", "notes.txt"], "unknown language 'cobol'; available: "),
        (["run", "--limit", "pids=many", "notes.txt"], "'many' is no number"),
        (["run", "-l", "py", "--limit", "pids=100000", "notes.txt"], "above the limit"),
        (["run", "-l", "py", "--limit", "speed=1", "notes.txt"], "limits.speed"),
        (["run", "-e", "=x", "notes.txt"], "NAME=VALUE"),
        (["attach"], "ID"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(command: Command, tmp_path: Path, arguments: list[str], told: str) -> None:
    write(tmp_path, "notes.txt", "1")
    done = command(*arguments)
    assert done.returncode == 2
    assert told in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_server_that_is_not_there(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "main.py", "1")
    for arguments in (["run", "main.py"], ["languages"], ["attach", "x"]):
        done = command(arguments[0], "--url", "http://127.0.0.1:1", *arguments[1:])
        assert done.returncode == 125
        assert done.stderr.startswith(b"trio-exec: ")
    assert command("attach", "unknown").returncode == 125


def test_a_server_that_wants_a_key(
    start_server: Callable[..., ServerProcess], environment: dict[str, str], tmp_path: Path
) -> None:
    key, _ = create_key(tmp_path / "keys.toml", "alice")
    server = start_server(keys_file=tmp_path / "keys.toml")
    write(tmp_path, "main.py", "print(6 * 7)")

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "run", "--url", server.url, "main.py"],
            env={**environment, **variables},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert run(TRIO_EXEC_API_KEY=key).stdout == "42\n"
    without, wrong = run(), run(TRIO_EXEC_API_KEY="te_wrong")
    assert (without.returncode, wrong.returncode) == (125, 125)
    assert without.stderr == "trio-exec: this server needs an API key: set TRIO_EXEC_API_KEY\n"
    assert wrong.stderr.startswith("trio-exec: TRIO_EXEC_API_KEY: this API key is not known here, or was revoked")


def test_closed_output_is_quiet_and_ends_the_program(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, "yes.py", "import time\nfor n in range(10**9): print(n, flush=True); time.sleep(0.001)")
    script = f"{' '.join(COMMAND)} run yes.py | head -n 3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.splitlines() == [b"0", b"1", b"2", b"141"]
    assert done.stderr == b""


def test_files_come_back(command: Command, tmp_path: Path) -> None:
    write(
        tmp_path,
        "main.py",
        "import os; os.mkdir('out'); open('out/a.txt', 'w').write('A'); open('b.txt', 'w').write('B')",
    )
    done = command("run", "--collect", "**/*.txt", "--output-dir", "kept", "main.py")
    assert done.returncode == 0
    assert (tmp_path / "kept/out/a.txt").read_text() == "A"
    assert (tmp_path / "kept/b.txt").read_text() == "B"
    assert b"wrote kept/b.txt" in done.stderr


def test_a_link_that_is_there_leads_nowhere(command: Command, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "b.txt").symlink_to("precious")
    write(tmp_path, "main.py", "open('b.txt', 'w').write('B')")
    assert command("run", "--collect", "*.txt", "main.py").returncode == 2
    assert (tmp_path / "precious").read_text() == "mine"


def test_json_is_one_object(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "main.py", "import sys; print(sys.stdin.read()); sys.exit(3)")
    done = command("run", "--json", "main.py", stdin=b"in")
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_code"], found["stdout"], found["state"]) == (3, 3, "in\n", "finished")


def test_stats_are_told_on_standard_error(command: Command, tmp_path: Path) -> None:
    write(tmp_path, "main.cpp", "int main() {}")
    done = command("run", "--stats", "main.cpp")
    assert b"exit 0; compile: " in done.stderr
    assert b"; run: " in done.stderr
    assert done.stdout == b""


def test_languages_are_listed(command: Command) -> None:
    assert b"python" in command("languages").stdout
    found = json.loads(command("languages", "--json").stdout)
    assert "py" in next(it for it in found["languages"] if it["name"] == "python")["extensions"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(command: Command, shell: str) -> None:
    done = command("completion", shell)
    assert done.returncode == 0
    assert b"trio-exec" in done.stdout


def test_bash_completes_commands_and_options(environment: dict[str, str], tmp_path: Path) -> None:
    """As its shell function asks: the words so far in the environment, the answer on descriptor 8."""
    asked = "trio-exec run --sta"
    variables = {"_ARGCOMPLETE": "1", "COMP_LINE": asked, "COMP_POINT": str(len(asked)), "_ARGCOMPLETE_IFS": "\n"}
    script = f"{' '.join(COMMAND)} 8>&1 9>&2 >/dev/null 2>&1"
    done = subprocess.run(
        ["bash", "-c", script], env={**environment, **variables}, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.split() == [b"--stats"]


def test_without_a_server_an_engine_is_started_for_the_run(environment: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, "main.py", "print(input())")
    alone = {name: value for name, value in environment.items() if not name.startswith("TRIO_EXEC_")}
    # In a network of its own there is nobody at the default address, whatever runs on this machine.
    script = "ip link set lo up && exec " + " ".join(COMMAND) + " run main.py"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script],
        input=b"hello\n",
        env=alone,
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert done.stderr.count(b"starting an engine for this run") == 1


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.master, terminal = pty.openpty()
        self._terminal = terminal
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(terminal)
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=environment,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - there are no threads here
        )
        self.seen = b""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str, start: int = 0) -> str:
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.seen[start:]:
            assert time.monotonic() < deadline, self.seen
            ready, _, _ = select.select([self.master], [], [], 1)
            if ready:
                self.seen += os.read(self.master, 65536)
            elif self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {self.seen!r}")
        return self.seen.decode(errors="replace")

    def wait(self) -> int:
        """Its exit code; whatever happened, the terminal is as it was."""
        while self.process.poll() is None:
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                self.seen += os.read(self.master, 65536)
        assert termios.tcgetattr(self._terminal) == self.before
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self._terminal)


@pytest.fixture
def on_terminal(environment: dict[str, str], tmp_path: Path) -> Generator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        opened.append(Terminal(list(arguments), environment, tmp_path))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_on_a_terminal_the_program_has_one(on_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    write(
        tmp_path,
        "main.py",
        "import os, sys\nprint(sys.stdin.isatty(), sys.stdout.isatty(), os.get_terminal_size(), os.environ['TERM'])\n"
        "print('got', input('name? '))",
    )
    terminal = on_terminal("run", "main.py")
    terminal.until("name? ")
    terminal.type("Ada\r")
    shown = terminal.until("got Ada")
    assert "True True os.terminal_size(columns=100, lines=30) xterm" in shown
    assert terminal.wait() == 0


def test_progress_comes_and_goes(on_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    write(tmp_path, "main.cpp", '#include <cstdio>\nint main() { puts("out"); }')
    terminal = on_terminal("run", "main.cpp")
    shown = terminal.until("out\r\n")
    assert "compiling…" in shown
    assert shown.endswith("\r\x1b[Kout\r\n")
    assert terminal.wait() == 0
    quiet = on_terminal("run", "-q", "main.cpp")
    assert quiet.wait() == 0
    assert quiet.seen == b"out\r\n"


def test_keys_are_the_programs(on_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """Ctrl-C interrupts it, Ctrl-Z does not stop anything, Ctrl-D ends its input."""
    write(
        tmp_path,
        "main.py",
        "import time, sys\nprint('ready')\ntry:\n  time.sleep(600)\nexcept KeyboardInterrupt:\n  print('interrupted')\n"
        "print(repr(sys.stdin.read()))",
    )
    terminal = on_terminal("run", "main.py")
    terminal.until("ready")
    terminal.type("\x03")
    terminal.until("interrupted")
    terminal.type("\x1aline\r\x04")
    terminal.until("'line\\n'")
    assert terminal.wait() == 0


def test_resizes_are_passed_on(on_terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    write(
        tmp_path,
        "main.py",
        "import os, signal\n"  # With print, a handler could meet itself, or the program, in the midst of one.
        "signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b'%s\\n' % str(os.get_terminal_size()).encode()))\n"
        "print('ready')\nwhile True: signal.pause()",
    )
    terminal = on_terminal("run", "main.py")
    terminal.until("ready")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 11, 22, 0, 0))
    terminal.until("columns=22, lines=11")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM


def test_the_terminal_is_restored_when_the_program_is_killed(
    on_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    write(tmp_path, "main.py", "import os, signal, sys\nprint('ready'); input(); os.kill(os.getpid(), signal.SIGKILL)")
    terminal = on_terminal("run", "main.py")
    terminal.until("ready")
    terminal.type("\r")
    assert terminal.wait() == 137


def test_two_interrupts_leave_a_program_that_does_not_answer(
    on_terminal: Callable[..., Terminal], tmp_path: Path, command: Command
) -> None:
    write(
        tmp_path,
        "main.py",
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('ready'); print(input())",
    )
    terminal = on_terminal("run", "main.py")
    terminal.until("ready")
    terminal.type("\x03")
    time.sleep(0.2)
    terminal.type("\x03")
    shown = terminal.until("trio-exec attach ")
    assert terminal.wait() == 130
    session = shown.rsplit("trio-exec attach ", 1)[1].split()[0]
    joined = on_terminal("attach", session)
    joined.until("ready")
    joined.type("back\r")
    joined.until("back\r\nback\r\n")
    assert joined.wait() == 0


@contextmanager
def piped(arguments: list[str], environment: dict[str, str], folder: Path) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_the_programs(environment: dict[str, str], tmp_path: Path, number: signal.Signals) -> None:
    write(
        tmp_path,
        "main.py",
        "import os, signal, sys, time\n"  # With print, the handler could meet the program in the midst of its own.
        f"signal.signal({number.value}, lambda *_: (os.write(1, b'handled\\n'), sys.exit(5)))\n"
        "print('ready')\nwhile True: time.sleep(0.01)  # A signal just before pause() would be missed.",
    )
    with piped(["run", "main.py"], environment, tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == b"handled\n"
        assert process.wait(PATIENCE) == 5


def test_output_streams_and_input_may_stay_open(environment: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path, "echo.py", "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)\nprint('end')"
    )
    with piped(["run", "echo.py"], environment, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"one\n", b"two\n"):
            process.stdin.write(word)
            process.stdin.flush()
            assert process.stdout.readline() == word.upper()
        process.stdin.close()
        assert process.stdout.readline() == b"end\n"
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("count.py", "import sys\nprint(sum(len(it) for it in iter(lambda: sys.stdin.buffer.read(65536), b'')))"),
        ("count.js", "let n = 0; process.stdin.on('data', it => n += it.length).on('end', () => console.log(n))"),
    ],
)
def test_much_input_passes_in_little_memory(
    environment: dict[str, str], tmp_path: Path, server: ServerProcess, name: str, code: str
) -> None:
    write(tmp_path, name, code)
    size = 100_000_000
    before = server.resident()
    peak = 0
    with piped(["run", name], environment, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        piece = b"x" * 1_000_000
        for _ in range(size // len(piece)):
            process.stdin.write(piece)
            with open(f"/proc/{process.pid}/status") as status:
                resident = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))
            peak = max(peak, resident)
        process.stdin.close()
        assert process.stdout.read() == f"{size}\n".encode()
        assert process.wait(PATIENCE) == 0
    assert peak < 150_000_000
    assert server.resident() - before < 50_000_000


def documented() -> list[str]:
    """The commands of the documentation that run programs."""
    text = (Path(__file__).parent.parent / "docs/command-line.md").read_text()
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("line", documented())
def test_the_documented_commands_run(environment: dict[str, str], tmp_path: Path, line: str) -> None:
    write(tmp_path, "sum.py", "import sys; print(sum(map(int, sys.stdin)))")
    write(tmp_path, "program.py", "print('ran')")
    write(tmp_path, "numbers.txt", "1\n2\n")
    write(
        tmp_path, "src/plot.py", "import sys; assert sys.argv[1:] == ['--size', '40']; open('plot.png', 'w').write('P')"
    )
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={**environment, "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "plot" in line:
        assert (tmp_path / "plot.png").read_text() == "P"
    else:
        assert done.stdout in {b"3\n", b"ran\n"}


def test_exit_codes_are_documented() -> None:
    text = (Path(__file__).parent.parent / "docs/command-line.md").read_text()
    for code in (2, ending.TIMED_OUT, ending.FAILED, 130, 137):
        assert f"| {code} |" in text or f"{code} also" in text, code

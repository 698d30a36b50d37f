"""Sessions from end to end in seconds: real engine, sessions and launcher, in plain processes and without Docker."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.sessions import SOMEBODY, SPEC, outcome_of, output, over, states
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import ConfigurationError, ExecutorError, ExecutorUnavailableError, LauncherGoneError
from trio_exec.events import Events
from trio_exec.executor.process import binary
from trio_exec.executor.process import executor as process_executor
from trio_exec.executor.process.executor import ProcessExecutor, open_process_executor
from trio_exec.languages import Language, Languages, Stage, Warm
from trio_exec.launcher import frames
from trio_exec.limits import MIB
from trio_exec.model import Job, Reason, StageName, State, Stream
from trio_exec.phases import Phases
from trio_exec.server.process import run_server
from trio_exec.session.session import Session
from trio_exec.settings import Settings

PATIENCE = 30
STAGED = Language(
    name="staged",
    title="A shell script that makes another one",
    version="1",
    source_file="make.sh",
    compile=Stage(command=["sh", "{source}"]),
    run=Stage(command=["sh", "./made.sh"]),
    directory=Path(),
)
LANGUAGES = Languages([Languages.load()["python"], STAGED])


@pytest.fixture(scope="module")
def possible() -> None:
    """Skips where processes can't be run so."""
    if missing := binary.missing():
        pytest.skip(missing)


@pytest.fixture
async def executor(possible: None) -> AsyncGenerator[ProcessExecutor]:
    with trio.fail_after(PATIENCE):
        async with open_process_executor() as executor:
            yield executor
            assert executor.lingering == 0
    assert launchers() == []


@asynccontextmanager
async def running(executor: ProcessExecutor, **settings: Any) -> AsyncGenerator[Engine]:
    engine = Engine(Settings(**settings), LANGUAGES, executor, Budget(64 * MIB), Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield engine
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")


def launchers() -> list[int]:
    """Ids of the launchers that this process, or any of its children, has started."""
    found: list[int] = []
    children = [os.getpid()]
    while children:
        pid = children.pop()
        with suppress(OSError):  # It has ended meanwhile.
            for thread in Path(f"/proc/{pid}/task").glob("*/children"):
                children += map(int, thread.read_text().split())
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/launcher\0"):
                found.append(pid)
    return found


async def until(session: Session, condition: Callable[[], bool]) -> None:
    while not condition():
        assert not session.log.closed, session.status
        await session.log.wait_news(session.log.end, session.log.present)


async def test_hello(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("python", b"print('hello')"), SOMEBODY)
        status = await over(session)

    assert states(session) == [State.WAITING, State.RUNNING, State.FINISHED]
    assert output(session) == "hello\n"
    assert status.figures is not None
    assert (status.figures.exit_code, status.figures.signal) == (0, None)
    assert status.figures.cpu_time > 0
    assert status.figures.peak_memory > MIB


async def test_input_files_arguments_and_variables_reach_the_program(executor: ProcessExecutor) -> None:
    code = b"import os, sys, helper\nprint(helper.x, sys.argv[1:], os.environ['NAME'], input(), sys.stdin.read())"
    job = Job(
        "python",
        code,
        files={"helper.py": b"x = 1"},
        args=["a b"],
        env={"NAME": "value"},
        stdin=b"first\n",
    )
    async with running(executor) as engine:
        session = engine.create_session(job, SOMEBODY)
        await until(session, lambda: session.log.present.waiting)
        session.write_input(b"second")
        session.end_input()
        await over(session)

    assert output(session) == "1 ['a b'] value first second\n"
    assert output(session, Stream.STDERR) == ""


async def test_a_terminal_is_one(executor: ProcessExecutor) -> None:
    code = b"import os\nprint(os.isatty(0), *os.get_terminal_size())"
    async with running(executor) as engine:
        session = engine.create_session(Job("python", code, terminal=(30, 100)), SOMEBODY)
        await over(session)

    assert output(session) == "True 100 30\r\n"


async def test_a_program_that_fails_is_a_value(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("python", b"import os\nos.kill(os.getpid(), 11)"), SOMEBODY)
        status = await over(session)

    assert (status.state, status.reason) == (State.FINISHED, None)
    assert status.figures is not None
    assert (status.figures.exit_code, status.figures.signal) == (None, signal.SIGSEGV)


async def test_what_is_made_by_the_first_stage_is_run_by_the_second(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("staged", b"echo making\necho 'echo made' > made.sh"), SOMEBODY)
        status = await over(session)

    assert states(session) == [State.WAITING, State.COMPILING, State.RUNNING, State.FINISHED]
    assert output(session) == "making\nmade\n"
    assert status.stage is StageName.RUN


async def test_what_can_not_be_made_is_not_run(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("staged", b"echo why >&2\nexit 3"), SOMEBODY)
        status = await over(session)

    assert states(session) == [State.WAITING, State.COMPILING, State.FINISHED]
    assert output(session, Stream.STDERR) == "why\n"
    assert status.figures is not None
    assert (status.stage, status.figures.exit_code) == (StageName.COMPILE, 3)


async def test_a_stop_in_the_queue(executor: ProcessExecutor) -> None:
    async with running(executor, max_sessions=1) as engine:
        first, second = (engine.create_session(Job("python", b"input()"), SOMEBODY) for _ in range(2))
        second.end(Reason.STOPPED)
        status = await over(second)
        first.end(Reason.STOPPED)

    assert (status.state, status.reason, status.stage) == (State.TERMINATED, Reason.STOPPED, None)
    assert states(second) == [State.WAITING, State.TERMINATED]


async def test_a_stop_while_the_container_opens(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("python", b"print('never')"), SOMEBODY)
        while not launchers() and not session.ended:  # noqa: ASYNC110 - a process has no event for it
            await trio.sleep(0.001)
        session.end(Reason.STOPPED)
        status = await over(session)

    assert (status.state, status.reason) == (State.TERMINATED, Reason.STOPPED)
    assert output(session) == ""


async def test_a_stop_while_it_is_made_keeps_output_and_figures(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("staged", b"echo making\nsleep 60"), SOMEBODY)
        await until(session, lambda: output(session) == "making\n")
        session.end(Reason.STOPPED)
        status = await over(session)

    assert states(session) == [State.WAITING, State.COMPILING, State.TERMINATED]
    assert (status.reason, status.stage) == (Reason.STOPPED, StageName.COMPILE)
    assert status.figures is not None
    assert status.figures.signal == signal.SIGKILL


async def test_a_stop_while_it_runs_leaves_none_of_its_processes(executor: ProcessExecutor) -> None:
    code = b"import os\nif os.fork(): print('up', flush=True)\nwhile True: pass"
    async with running(executor) as engine:
        session = engine.create_session(Job("python", code), SOMEBODY)
        await until(session, lambda: output(session) == "up\n")
        session.end(Reason.STOPPED)
        status = await over(session)

    assert (status.state, status.reason, status.stage) == (State.TERMINATED, Reason.STOPPED, StageName.RUN)
    assert status.figures is not None
    assert (status.figures.signal, status.figures.cpu_time > 0) == (signal.SIGKILL, True)


async def test_a_stop_after_the_end_changes_nothing(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("python", b""), SOMEBODY)
        await over(session)
        before = session.status
        session.end(Reason.STOPPED)

    assert (before.state, session.status) == (State.FINISHED, before)


async def test_cpu_time_is_counted_without_a_cgroup_too(executor: ProcessExecutor) -> None:
    code = b"import os\nif os.fork() == 0:\n  while True: pass\nos.wait()"
    async with running(executor) as engine:
        session = engine.create_session(Job("python", code, limits={"cpu_time": 0.3}), SOMEBODY)
        status = await over(session)

    assert (status.state, status.reason) == (State.TERMINATED, Reason.CPU_TIME_LIMIT)
    assert status.figures is not None
    assert status.figures.cpu_time > 0.2


async def test_output_beyond_the_limit_ends_the_program(executor: ProcessExecutor) -> None:
    code = b"while True: print('0123456789' * 1000)"
    async with running(executor, max_output_bytes=100_000) as engine:
        session = engine.create_session(Job("python", code), SOMEBODY)
        status = await over(session)

    assert (status.state, status.reason, status.output_truncated) == (State.TERMINATED, Reason.OUTPUT_LIMIT, True)
    assert len(output(session)) == 100_000


async def test_the_workspace_is_limited_and_all_that_can_be_written_to(executor: ProcessExecutor) -> None:
    code = b"""
def attempt(path, size):
    try:
        with open(path, "wb", buffering=0) as file:
            while size > 0:
                size -= file.write(b"x" * size)
    except OSError as error:
        print(error.strerror)

attempt("fits", 50_000)
attempt("fits-not", 200_000)
attempt("/file", 1)
attempt("/usr/file", 1)
attempt("/dev/file", 1)
attempt("/tmp/file", 1)
"""
    async with running(executor, workspace_bytes=131072) as engine:
        session = engine.create_session(Job("python", code), SOMEBODY)
        await over(session)

    assert output(session).splitlines() == [
        "No space left on device",
        "Permission denied",
        "Read-only file system",
        "Permission denied",
        "No space left on device",
    ]


async def test_a_launcher_that_is_killed_is_told_and_the_next_session_runs(executor: ProcessExecutor) -> None:
    async with running(executor) as engine:
        session = engine.create_session(Job("python", b"print('up')\ninput()"), SOMEBODY)
        await until(session, lambda: output(session) == "up\n")
        (pid,) = launchers()
        os.kill(pid, signal.SIGKILL)
        status = await over(session)
        again = engine.create_session(Job("python", b"print('again')"), SOMEBODY)
        await over(again)

    assert (status.state, status.reason) == (State.TERMINATED, Reason.EXECUTOR_FAILED)
    assert status.message is not None
    assert "the container ended unexpectedly" in status.message
    assert (output(session), output(again)) == ("up\n", "again\n")


@pytest.mark.parametrize("code", [b"sleep 60", b"echo 'sleep 60' > made.sh"])
async def test_cancelling_the_engine_leaves_nothing(executor: ProcessExecutor, code: bytes) -> None:
    engine = Engine(Settings(), LANGUAGES, executor, Budget(64 * MIB), Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        session = engine.create_session(Job("staged", code), SOMEBODY)
        wanted = State.COMPILING if code == b"sleep 60" else State.RUNNING
        await until(session, lambda: session.status.state is wanted)
        nursery.cancel_scope.cancel(reason="the whole engine")

    assert (session.status.state, outcome_of(session).reason) == (State.TERMINATED, Reason.SHUTDOWN)
    assert (launchers(), executor.lingering) == ([], 0)


@pytest.mark.parametrize("after", [0, 0.005, 0.02, 0.05])
async def test_who_stops_waiting_for_a_container_leaves_none(executor: ProcessExecutor, after: float) -> None:
    with trio.move_on_after(after):
        async with executor.open_container(SPEC):
            await trio.sleep_forever()

    assert (launchers(), executor.lingering) == ([], 0)


async def test_a_container_that_was_left_is_of_no_use(executor: ProcessExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        assert len(launchers()) == 1

    with pytest.raises(LauncherGoneError):
        await container.send(frames.encode_kill())
    with pytest.raises(LauncherGoneError):
        await container.receive()


async def test_a_launcher_that_is_stuck_is_killed(executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_executor, "LEAVE_TIMEOUT", 0.05)
    async with executor.open_container(SPEC):
        (pid,) = launchers()
        os.kill(pid, signal.SIGSTOP)  # It can't see that its input has ended.

    assert (launchers(), executor.lingering) == ([], 0)


async def test_a_container_that_stays_lingers_until_it_is_gone(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_executor, "LEAVE_TIMEOUT", 0)
    monkeypatch.setattr(process_executor, "KILL_TIMEOUT", 0)
    monkeypatch.setattr(process_executor, "_kill", lambda _: None)  # As where the kernel is stuck.
    async with executor.open_container(SPEC):
        (pid,) = launchers()
        os.kill(pid, signal.SIGSTOP)
    assert executor.lingering == 1

    os.kill(pid, signal.SIGKILL)
    await executor.wait_lingering(1)
    assert (launchers(), executor.lingering) == ([], 0)


def machine() -> tuple[os.stat_result, list[str], list[str]]:
    """What a launcher that is let loose would change: the terminals' file, names beside it, and what is mounted."""
    names = [name for name in ("/dev/passwd", "/dev/group", "/workspace", "/launcher") if Path(name).exists()]
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return os.stat("/dev/pts/ptmx"), names, [it for it in mounted if it in {"/", "/tmp", "/usr", "/dev", "/proc"}]


def root_of(pid: int) -> tuple[os.stat_result, set[str]]:
    root = Path(f"/proc/{pid}/root")
    return (root / "dev/pts/ptmx").stat(), {it.name for it in root.iterdir()}


async def test_the_machine_stays_as_it_was(executor: ProcessExecutor) -> None:
    before, names, mounted = machine()
    async with executor.open_container(SPEC):
        (pid,) = launchers()
        inside, seen = root_of(pid)
    after = machine()

    assert stat.S_IMODE(inside.st_mode) == 0o660
    assert inside.st_dev != before.st_dev
    assert (after[0].st_mode, after[1:]) == (before.st_mode, (names, mounted))
    commands = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
    assert seen - commands == {"dev", "etc", "launcher", "proc", "tmp", "usr", "workspace"}


def test_a_server_that_is_killed_leaves_nothing(possible: None) -> None:
    script = """
import trio
from tests.sessions import SPEC
from tests.test_process_executor import launchers, open_process_executor

async def main():
    async with open_process_executor() as executor, executor.open_container(SPEC):
        print(*launchers(), flush=True)
        await trio.sleep_forever()

trio.run(main)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        launcher = os.pidfd_open(int(server.stdout.readline()))
        server.kill()
    gone, _, _ = select.select([launcher], [], [], PATIENCE)
    os.close(launcher)
    assert gone, "the launcher is still there"


async def test_what_keeps_a_container_from_coming_up_is_told(executor: ProcessExecutor) -> None:
    with pytest.raises(ExecutorError, match="could not be started: launcher: usage: launcher SECONDS UID"):
        async with executor.open_container(replace(SPEC, lifetime=0)):
            pass

    assert (launchers(), executor.lingering) == ([], 0)


async def ask(address: str, method: str, path: str, body: str = "") -> tuple[int, Any]:
    """Status and body of an answer."""
    port = int(address.rpartition(":")[2])
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all((head + body).encode())
        answer = b"".join([data async for data in stream])
    return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_a_server_serves_any_executor_from_its_first_container_to_its_last(possible: None) -> None:
    addresses, address = trio.open_memory_channel[str](1)
    settings = Settings(port=0, pool={"python": 1})
    # This machine's Python can't be told its script; it waits for one of the usual name.
    python = LANGUAGES["python"].model_copy(update={"warm": [Warm(stage=StageName.RUN)]})
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                run_server, settings, Languages([python]), open_process_executor(), Events(), addresses.send_nowait
            )
            url = await address.receive()
            while (await ask(url, "GET", "/readyz"))[1]["warm"]["python"] == 0:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.02)
            status, created = await ask(url, "POST", "/session", json.dumps({"language": "python", "code": "print(1)"}))
            assert status == 201
            session = f"/session/{created['sessionId']}"
            while (info := (await ask(url, "GET", session))[1])["state"] != "finished":  # noqa: ASYNC110 - likewise
                await trio.sleep(0.02)
            assert info["exitCode"] == 0
            signal.raise_signal(signal.SIGTERM)
    assert launchers() == []


async def test_a_pool_for_a_language_that_is_not_there_is_refused_before_anything_begins() -> None:
    settings = Settings(port=0, pool={"cobol": 1})
    with pytest.raises(ConfigurationError, match="pool: unknown: cobol; available: python, staged"):
        await run_server(settings, LANGUAGES, open_process_executor(), Events(), print)


async def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "COMPILER", "gcc-that-is-not-there")
    monkeypatch.setattr(binary.os, "geteuid", lambda: 0)
    async with open_process_executor() as executor:
        assert executor.not_ready_reason is not None
        assert "gcc-that-is-not-there" in executor.not_ready_reason
        with trio.move_on_after(0.1) as waiting:
            await executor.wait_ready()
        assert waiting.cancelled_caught
        with pytest.raises(ExecutorUnavailableError, match="gcc-that-is-not-there"):
            async with executor.open_container(SPEC):
                pass


def test_the_launcher_is_compiled_once_with_the_flags_of_its_image(possible: None, tmp_path: Path) -> None:
    dockerfile = (binary.SOURCES / "Dockerfile").read_text()
    assert [flag for flag in binary.FLAGS if flag not in dockerfile.split()] == []

    made = binary.launcher(tmp_path / "cache")
    when = made.stat().st_mtime_ns
    assert binary.launcher(tmp_path / "cache") == made
    assert made.stat().st_mtime_ns == when
    assert list((tmp_path / "cache").iterdir()) == [made]


def test_a_launcher_that_can_not_be_compiled_is_told(
    possible: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binary, "FLAGS", (*binary.FLAGS, "-fno-such-flag"))
    with pytest.raises(ConfigurationError, match="fno-such-flag"):
        binary.launcher(tmp_path)

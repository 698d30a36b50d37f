"""The launcher in a real container, driven through the executor, without sessions and servers around it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from tests.sessions import SPEC
from tests.stages import ENVIRONMENT, run, send_file
from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.launcher import frames


@asynccontextmanager
async def opened(executor: DockerExecutor, lifetime: int = 300) -> AsyncGenerator[Container]:
    spec = replace(SPEC, lifetime=lifetime)
    with trio.fail_after(280):
        async with executor.open_container(spec) as container:
            yield container


async def test_a_thousand_programs_that_end_at_once_lose_no_byte(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        for number in range(1000):
            script = f"printf out{number}; printf err{number} >&2; exit {number % 256}"
            result = await run(container, ["dash", "-c", script])
            assert (result.stdout, result.stderr) == (f"out{number}".encode(), f"err{number}".encode())
            assert result.end.exit_code == number % 256


async def test_output_is_whole_and_before_the_end_whatever_its_size(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        for size in (1, 4095, 4096, 65535, 65536, 65537, 1_000_000):
            script = f"head -c {size} /dev/zero; head -c {size} /dev/zero >&2"
            result = await run(container, ["dash", "-c", script])
            assert (len(result.stdout), len(result.stderr)) == (size, size)


async def test_exit_codes_and_signals_are_told_apart(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        for code in range(256):
            end = (await run(container, ["dash", "-c", f"exit {code}"])).end
            assert (end.exit_code, end.signal, end.oom_kills) == (code, None, 0)
        for number in range(1, 65):
            if number in UNUSUAL_SIGNALS:
                continue
            # A small C-like program, since shells and Python have signals of their own in hand.
            code = f"import os, signal; signal.signal({number}, signal.SIG_DFL); os.kill(os.getpid(), {number})"
            if number == signal.SIGKILL:
                code = "import os; os.kill(os.getpid(), 9)"
            end = (await run(container, ["python3", "-S", "-c", f"{code}; os._exit(200)"])).end
            assert (end.exit_code, end.signal) == ((200, None) if number in IGNORED_SIGNALS else (None, number))


UNUSUAL_SIGNALS = {32, 33, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
"""The C library's own, and those that stop a program instead of ending it."""
IGNORED_SIGNALS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}


async def test_processor_time_and_memory_are_those_of_the_stage(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        busy = await run(container, ["python3", "-c", "x = bytearray(60_000_000)\nfor _ in range(3_000_000): pass"])
        child = await run(container, ["dash", "-c", "python3 -c 'for _ in range(3_000_000): pass' & wait"])
        idle = await run(container, ["sleep", "0.3"])

    assert busy.end.user_time > 0.03
    assert busy.end.peak_memory > 60_000_000
    assert child.end.user_time > 0.03, "children count"
    assert idle.end.user_time + idle.end.system_time < 0.1
    assert idle.end.wall_time >= 0.3
    assert idle.end.peak_memory < 20_000_000


async def test_a_command_that_is_not_there_is_told_and_the_next_one_runs(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        with pytest.raises(AssertionError, match="cannot run nothing: No such file or directory"):
            await run(container, ["nothing"])
        assert (await run(container, ["echo", "fine"])).stdout == b"fine\n"


async def test_files_arrive_whole_and_cannot_lead_out(executor: DockerExecutor) -> None:
    content = bytes(range(256)) * 1000
    async with opened(executor) as container:
        for encoded in frames.encode_file("a/b/c.bin", content):
            await container.send(encoded)
        assert (await run(container, ["cat", "a/b/c.bin"])).stdout == content
        for path in ("/etc/x", "../x", "a/../../x", ""):
            for encoded in frames.encode_file(path, b"x"):
                await container.send(encoded)
            (event,) = await container.receive()
            assert isinstance(event, frames.Failure)
            assert "out of the workspace" in event.message


@pytest.mark.parametrize("garbage", [b"?\0\0\0\0", b"i\xff\xff\xff\xff"])
async def test_garbage_ends_the_launcher(executor: DockerExecutor, garbage: bytes) -> None:
    async with opened(executor) as container:
        await container.send(garbage)
        with pytest.raises(ExecutorError):
            await container.receive()


async def test_the_launchers_own_deadlines_end_it(executor: DockerExecutor) -> None:
    async with opened(executor, lifetime=1) as container:
        with pytest.raises(ExecutorError):
            await container.receive()
    async with opened(executor) as container:
        with pytest.raises(ExecutorError):
            await run(container, ["sleep", "60"], deadline=1)


async def test_a_window_that_is_not_kept_to_ends_the_launcher(executor: DockerExecutor) -> None:
    async with opened(executor) as container:
        await container.send(frames.encode_stage(["sleep", "60"], ENVIRONMENT, terminal=None, deadline=60))

        async def flood() -> None:
            for _ in range(5):
                await container.send(frames.encode_stdin(b"x" * 65536))
            while True:
                await container.receive()

        with pytest.raises(ExecutorError):
            await flood()


@pytest.mark.parametrize("step", ["create", "attach", "start"])
async def test_cancelling_leaves_no_container_wherever_it_strikes(executor: DockerExecutor, step: str) -> None:
    original = getattr(executor._api, step)
    reached = trio.Event()

    def slow(*args: object, **options: object) -> object:
        trio.from_thread.run_sync(reached.set)
        done = original(*args, **options)
        time.sleep(0.3)  # The engine is done, and we are being cancelled before we know.
        return done

    setattr(executor._api, step, slow)
    async with trio.open_nursery() as nursery:

        async def use() -> None:
            async with opened(executor):
                raise AssertionError("it opened")

        nursery.start_soon(use)
        await reached.wait()
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel(reason="the session is to end")
    listed = await trio.to_thread.run_sync(executor._api.list, "trio-exec.instance")
    assert not [it.name for it in listed if executor.instance in it.name]


async def test_open_containers_are_removed_wherever_they_fail(executor: DockerExecutor) -> None:
    api = DockerAPI()
    for step in ("create", "attach", "start"):
        original = getattr(executor._api, step)

        def fail(*args: object, original=original, step=step, **options: object) -> object:
            if step != "create":
                done = original(*args, **options)
                if isinstance(done, socket.socket):
                    done.close()
            raise ExecutorError(f"{step} failed on purpose")

        setattr(executor._api, step, fail)
        with pytest.raises(ExecutorError, match="on purpose"):
            async with opened(executor):
                raise AssertionError("it opened")
        setattr(executor._api, step, original)
        left = [it.name for it in await trio.to_thread.run_sync(api.list, "trio-exec.instance")]
        assert not [name for name in left if executor.instance in name], step
    api.close()


MAKER = """
import os, subprocess, sys
subprocess.Popen(["sleep", "1000"], start_new_session=True)
{extra}
with open("out/new", "w") as file: file.write('''{age}''')
os.replace("out/new", "out/made.py")
"""
FIRST, SECOND = ["python3", "first.py"], ["python3", "out/made.py"]
NOBODY_SLEEPS = "! grep -lsz '^sleep$' /proc/[0-9]*/cmdline"


@asynccontextmanager
async def holding_two(executor: DockerExecutor, code: str) -> AsyncGenerator[Container]:
    """A container that holds two commands, of which the first is to run `code`."""
    async with opened(executor) as container:
        await container.send(frames.encode_prestart("first.py", FIRST, ENVIRONMENT, terminal=None))
        await container.send(frames.encode_prestart("out/made.py", SECOND, ENVIRONMENT, terminal=None))
        events: list[frames.Event] = []
        while len(events) < 2:
            events += await container.receive()
        assert events == [frames.Prestarted(), frames.Prestarted()]
        for frame in frames.encode_file("first.py", code.encode()):
            await container.send(frame)
        yield container


AGE = """
with open("/proc/uptime") as file: now = float(file.read().split()[0])
with open("/proc/self/stat") as file: started = int(file.read().rsplit(")", 1)[1].split()[19]) / 100
print("old" if now - started > 0.5 else "new", end="")
"""


async def test_the_second_of_two_held_commands_waits_for_what_the_first_makes(executor: DockerExecutor) -> None:
    async with holding_two(executor, MAKER.format(extra="", age=AGE)) as container:
        await trio.sleep(1)
        first = await run(container, FIRST)
        assert (first.stdout, first.stderr, first.end.exit_code) == (b"", b"", 0)
        second = await run(container, SECOND)
        assert (second.stdout, second.stderr, second.end.exit_code) == (b"old", b"", 0)
        # What the first had left behind is gone all the same.
        assert (await run(container, ["dash", "-c", NOBODY_SLEEPS])).end.exit_code == 0


@pytest.mark.parametrize(
    "extra",
    [
        "os.kill(-1, 9)",  # All but the launcher and itself.
        "os.unlink('out/made.py'); os.mkfifo('out/made.py'); sys.exit()",
        "os.unlink('out/made.py'); os.symlink('/etc/passwd', 'out/made.py'); sys.exit()",
        "sys.exit()",
    ],
)
async def test_a_held_command_that_has_nothing_to_run_is_not_let_go(executor: DockerExecutor, extra: str) -> None:
    async with holding_two(executor, MAKER.format(extra=extra, age=AGE)) as container:
        await trio.sleep(1)
        await run(container, FIRST)
        await run(
            container, ["dash", "-c", "mkdir -p out; rm -f out/made.py; cat > out/made.py <<'END'\n" + AGE + "END"]
        )
        assert (await run(container, SECOND)).stdout == b"new"


NAMED = """
if [ -p .tmp/name ]; then name=$(cat .tmp/name); else name="new, $0"; fi
echo "$name" "$#" "$PWD"
test -e .tmp/name && echo still there
exit 7
"""


async def test_a_held_command_can_be_told_its_last_argument(executor: DockerExecutor) -> None:
    command = ["dash", "-c", NAMED, "main.py"]
    given = {
        ("main.py",): "main.py",
        ("an other.py",): "an other.py",
        ("lib/ü" + "x" * 4000,): "lib/ü" + "x" * 4000,
        ("main.py", "argument"): "new, main.py",
        (): "new, dash",
    }
    for last, expected in given.items():
        async with opened(executor) as container:
            frame = frames.encode_prestart(".tmp/name", command, ENVIRONMENT, terminal=None, named=True)
            await container.send(frame)
            assert await container.receive() == [frames.Prestarted()]
            await send_file(container, last[0] if last and len(last[0]) < 100 else "x", b"")
            result = await run(container, [*command[:-1], *last])
            assert result.stdout.decode() == f"{expected} {max(len(last) - 1, 0)} /workspace\n"
            assert (result.stderr, result.end.exit_code) == (b"", 7)


async def test_a_third_command_cannot_be_held(executor: DockerExecutor) -> None:
    async with holding_two(executor, "") as container:
        await container.send(frames.encode_prestart("third.py", FIRST, ENVIRONMENT, terminal=None))
        (event,) = await container.receive()
        assert isinstance(event, frames.Failure)
        assert (await run(container, FIRST)).end.exit_code == 0


async def test_killing_ends_what_is_held_as_well(executor: DockerExecutor) -> None:
    async with holding_two(executor, "") as container:
        await container.send(frames.encode_kill())
        result = await run(container, ["dash", "-c", "ls -A; ls -d /proc/[0-9]*"])
        assert result.stdout.decode().split()[:3] == [".tmp", "first.py", "out"]
        assert len(result.stdout.decode().split()) == 3 + 2  # The launcher, and ls, which the shell became.

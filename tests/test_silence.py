"""Real launchers and servers that can't reach each other any more, and others that are only slow."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from subprocess import PIPE
from typing import IO, Any, Protocol, cast

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sessions import SPEC
from tests.stages import ENVIRONMENT, gather, restore, run, save, send_file
from tests.test_process_executor import LANGUAGES, ask, launchers
from trio_exec.errors import ExecutorError, LauncherGoneError, LauncherSilentError
from trio_exec.events import Events
from trio_exec.executor.base import Container
from trio_exec.executor.process import binary
from trio_exec.executor.process import executor as process_executor
from trio_exec.executor.process.executor import ProcessExecutor, open_process_executor
from trio_exec.languages import Languages, Warm
from trio_exec.launcher import connection, frames
from trio_exec.launcher.connection import LauncherConnection
from trio_exec.launcher.layout import PATH
from trio_exec.model import StageName
from trio_exec.server.process import run_server
from trio_exec.session.lent import LentContainer
from trio_exec.settings import Settings

PATIENCE = 60
READY = b"R\0\0\0\1" + bytes([frames.PROTOCOL_VERSION])
SILENCE = 2
LONG = 2 * SILENCE
"""Seconds after which each end would have given the other up, had it been silent."""


class Cuttable(trio.abc.Stream):
    """A stream that can be cut in each direction, of which neither end hears."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.sends = True
        self.receives = True

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.sends:
            await self._stream.send_all(data)
        else:
            await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        while True:
            data = await self._stream.receive_some(max_bytes)
            if self.receives or not data:  # The end is that of the process, which a network would not tell.
                return data

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.fixture(scope="module")
def possible() -> None:
    """Skips where processes can't be run so."""
    if missing := binary.missing():
        pytest.skip(missing)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENCE", SILENCE)


@pytest.fixture
async def executor(possible: None) -> AsyncGenerator[ProcessExecutor]:
    with trio.fail_after(PATIENCE):
        async with open_process_executor() as executor:
            yield executor
            assert executor.lingering == 0
    assert launchers() == []


@pytest.fixture
async def container(executor: ProcessExecutor) -> AsyncGenerator[Container]:
    async with executor.open_container(SPEC) as container:
        yield container


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[Cuttable]:
    """The streams of the launchers that are started from now on."""
    streams: list[Cuttable] = []

    def connect(stream: trio.abc.Stream) -> LauncherConnection:
        streams.append(Cuttable(stream))
        return LauncherConnection(streams[-1])

    monkeypatch.setattr(process_executor, "LauncherConnection", connect)
    return streams


async def start(container: Container, *command: str) -> None:
    await container.send(frames.encode_stage(command, ENVIRONMENT, terminal=None, deadline=PATIENCE))


async def drain(container: Container) -> int:
    """Bytes of output until the stage ends."""
    size = 0
    while True:
        for event in await container.receive():
            if isinstance(event, frames.Stdout):
                size += len(event.data)
            elif isinstance(event, frames.StageEnd):
                return size


async def receive_all(container: Container) -> None:
    while True:
        await container.receive()


@contextmanager
def watched(pid: int) -> Generator[Callable[[float], bool]]:
    """Tells whether a process ends within so many seconds."""
    descriptor = os.pidfd_open(pid)
    try:
        yield lambda seconds: bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("command", [["sleep", "60"], ["yes"]])
async def test_a_launcher_that_hears_nothing_ends(
    executor: ProcessExecutor, streams: list[Cuttable], command: list[str]
) -> None:
    async with executor.open_container(SPEC) as container:
        await start(container, *command)
        streams[0].sends = False
        with pytest.raises(LauncherGoneError, match=f"nothing from this server reached it for {SILENCE} seconds"):
            await receive_all(container)
        assert launchers() == []


async def test_a_launcher_that_is_not_heard_is_given_up(executor: ProcessExecutor, streams: list[Cuttable]) -> None:
    async with executor.open_container(SPEC) as container:
        await start(container, "yes")
        streams[0].receives = False
        with pytest.raises(LauncherSilentError, match=f"nothing came from the container for {SILENCE} seconds"):
            await receive_all(container)


async def test_one_that_hangs_is_given_up_whoever_has_it(executor: ProcessExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        lent = LentContainer(container)
        (pid,) = launchers()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(LauncherSilentError):
            await lent.receive()
        assert not lent.usable
        with pytest.raises(LauncherSilentError):
            await lent.send(frames.encode_kill())


async def test_a_warm_one_that_hangs_leaves_the_pool(possible: None) -> None:
    python = LANGUAGES["python"].model_copy(update={"warm": [Warm(stage=StageName.RUN)]})
    addresses, address = trio.open_memory_channel[str](1)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                run_server,
                *(Settings(port=0, pool={"python": 1}), Languages([python]), open_process_executor(), Events()),
                addresses.send_nowait,
            )
            url = await address.receive()

            async def warm() -> int:
                while (await ask(url, "GET", "/readyz"))[1]["warm"]["python"] == 0:  # noqa: ASYNC110 - it can only be asked
                    await trio.sleep(0.05)
                (pid,) = launchers()
                return pid

            first = await warm()
            os.kill(first, signal.SIGSTOP)
            with watched(first) as gone:
                assert await trio.to_thread.run_sync(gone, PATIENCE)
            assert await warm() != first
            signal.raise_signal(signal.SIGTERM)
    assert launchers() == []


async def test_who_does_not_read_is_no_dead_server(container: Container) -> None:
    """Neither the launcher nor the server gives the other up, and each byte arrives."""
    size = 3_000_000
    await start(container, "head", "-c", str(size), "/dev/zero")
    await trio.sleep(LONG)
    assert await drain(container) == size


async def test_who_reads_slowly_is_no_dead_server(container: Container) -> None:
    await start(container, "yes")
    with trio.move_on_after(LONG):
        while True:
            await container.receive()
            await trio.sleep(SILENCE / 2)
    await container.send(frames.encode_kill())
    await drain(container)


BUSY = "import os\nfor _ in range(4): os.fork()\nwhile True: pass"
STOPPED = "import os, signal; print(flush=True); os.kill(0, signal.SIGSTOP)"


async def test_a_program_that_keeps_itself_or_us_busy_is_no_dead_launcher(executor: ProcessExecutor) -> None:
    async def hold(code: str, *, reading: bool) -> None:
        async with executor.open_container(SPEC) as container:
            await start(container, "python3", "-c", code)
            with trio.move_on_after(LONG):
                if reading:
                    await receive_all(container)
                await trio.sleep_forever()
            await container.send(frames.encode_kill())
            await drain(container)
            assert (await run(container, ["echo", "well"])).stdout == b"well\n"

    async with trio.open_nursery() as nursery:
        for code in ("input()", BUSY, STOPPED):
            nursery.start_soon(partial(hold, code, reading=True))
            nursery.start_soon(partial(hold, code, reading=False))


async def test_input_that_nobody_takes_is_no_dead_launcher(container: Container) -> None:
    await start(container, "sh", "-c", f"sleep {LONG}; wc -c")
    for _ in range(3):  # As much as the window allows, beside what the pipe takes.
        await container.send(frames.encode_stdin(b"x" * (frames.STDIN_WINDOW // 4)))
    await container.send(frames.encode_eof())
    received = b""
    over = False
    while not over:
        for event in await container.receive():
            received += event.data if isinstance(event, frames.Stdout) else b""
            over |= isinstance(event, frames.StageEnd)
    assert int(received) == 3 * frames.STDIN_WINDOW // 4


async def test_files_may_be_collected_slowly(container: Container) -> None:
    sizes = {f"file{number}": 300_000 for number in range(5)}
    for name, size in sizes.items():
        await send_file(container, name, b"x" * size)
    await container.send(frames.encode_collect(["**"], 100, 10_000_000))
    await trio.sleep(LONG)
    taken: dict[str, int] = {}
    over = False
    while not over:
        await trio.sleep(0.1)
        for event in await container.receive():
            if isinstance(event, frames.CollectedFile):
                taken[event.path] = taken.get(event.path, 0) + len(event.content)
            over |= isinstance(event, frames.Collected)
    assert taken == sizes


async def test_a_workspace_goes_back_while_pings_come(container: Container) -> None:
    for number in range(50):
        await send_file(container, f"folder/file{number}", b"x" * 1000)
    await save(container)
    start = trio.current_time()
    while trio.current_time() < start + LONG:
        await restore(container)
        assert (await run(container, ["sh", "-c", "ls folder | wc -l; rm -r folder"])).stdout == b"50\n"
    await restore(container)
    await container.send(frames.encode_collect(["**"], 100, 10_000_000))
    assert (await gather(container)).count == 50


async def test_a_launcher_of_another_version_is_told(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = frames.PROTOCOL_VERSION
    monkeypatch.setattr(frames, "PROTOCOL_VERSION", real + 1)
    sentence = (
        f"launcher speaks version {real} of the protocol, and this server version {real + 1}; run `trio-exec build`"
    )
    with pytest.raises(ExecutorError, match=sentence):
        async with executor.open_container(SPEC):
            pass


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        (frames.encode_kill(), "does not begin with Hello: .* run `trio-exec build` with the server"),
        (b"h\0\0\0\0", "does not begin with Hello"),
        (b"h\0\0\0\3\xff\0\1", "the server speaks version 255 of the protocol, and .*; run `trio-exec build`"),
        (b"h\0\0\0\1" + bytes([frames.PROTOCOL_VERSION]), "malformed hello"),
        (b"h\0\0\0\3" + bytes([frames.PROTOCOL_VERSION, 0, 0]), "malformed hello"),
        (b"h\0\0\0\4" + bytes([frames.PROTOCOL_VERSION, 0, 1, 0]), "malformed hello"),
        (b"h\xff\xff\xff\xff", "a frame is too long"),
        (2 * frames.encode_hello(1), "unknown frame type"),
    ],
)
def test_a_server_of_another_version_is_told(possible: None, first: bytes, complaint: str) -> None:
    with launcher_alone() as process:
        process.stdin.write(first)
        process.stdin.flush()
        assert re.search(complaint, process.stderr.read().decode())
        assert process.wait(PATIENCE) != 0


def test_a_server_that_does_not_greet_is_waited_for_in_vain(possible: None) -> None:
    with launcher_alone() as process:
        assert process.stdout.read() == b"", "nothing is said before it"
        complaint = "no Hello came from the server for 20 seconds: .* run `trio-exec build`"
        assert re.search(complaint, process.stderr.read().decode())
        assert process.wait(PATIENCE) != 0


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=100), st.binary(max_size=20).map(lambda it: b"h" + struct.pack(">I", len(it)) + it))
)
def test_garbage_instead_of_hello_ends_the_launcher_or_changes_nothing(possible: None, garbage: bytes) -> None:
    with launcher_alone() as process:
        process.stdin.write(garbage)
        process.stdin.close()
        said = process.stdout.read()
        assert process.wait(PATIENCE) in {0, 1}
    assert said in {b"", READY}


class Launcher(Protocol):
    """A process whose three streams are pipes."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def wait(self, timeout: float) -> int: ...


@contextmanager
def launcher_alone() -> Generator[Launcher]:
    """A launcher without a server, by its pipes."""
    program = binary.launcher(binary.default_cache())
    command = [*binary.ISOLATED, "/bin/sh", str(process_executor.NAMESPACES), str(program), "1000000", "300", "60000"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={"PATH": PATH}) as process:
        yield cast(Launcher, process)


SERVER = f"""
import trio
from tests.test_process_executor import LANGUAGES, open_process_executor
from trio_exec.events import Events
from trio_exec.launcher import connection
from trio_exec.server.process import run_server
from trio_exec.settings import Settings

connection.SILENCE = {SILENCE}
say = lambda address: print(address, flush=True)
trio.run(run_server, Settings(port=0, pool={{}}), LANGUAGES, open_process_executor(), Events(), say)
"""


@pytest.fixture
def server(possible: None) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()
            assert server.wait(PATIENCE) == 0
    assert launchers() == []


async def test_launchers_outlive_no_server_that_is_stopped(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    programs = ["input()", "import time\nwhile True: time.sleep(0.005); print('x' * 1000)", "while True: pass"]

    async def create(code: str) -> str:
        status, created = await ask(url, "POST", "/session", json.dumps({"language": "python", "code": code}))
        assert status == 201
        return f"/session/{created['sessionId']}"

    async def reach(session: str, state: str) -> Any:
        while (info := (await ask(url, "GET", session))[1])["state"] != state:  # noqa: ASYNC110 - it can only be asked
            assert info["state"] in {"waiting", "running"}, info
            await trio.sleep(0.05)
        return info

    with trio.fail_after(PATIENCE):
        sessions = [await create(code) for code in programs]
        for session in sessions:
            await reach(session, "running")
        found = launchers()
        assert len(found) == len(programs)
        with ExitStack() as stack:
            ends = [stack.enter_context(watched(pid)) for pid in found]
            server.send_signal(signal.SIGSTOP)
            for gone in ends:
                assert await trio.to_thread.run_sync(gone, PATIENCE), "while the server is stopped"
        server.send_signal(signal.SIGCONT)
        for session in sessions:
            info = await reach(session, "terminated")
            assert info["reason"] == "engine_error"
            assert f"nothing came from this server for {SILENCE} seconds" in info["message"]
        assert (await reach(await create("print(1)"), "finished"))["exitCode"] == 0

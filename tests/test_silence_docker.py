"""As `test_silence`, on Docker: containers that are paused or have next to no processor, streams that are cut."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import docker
import pytest
import trio

from tests.sessions import LIMITS, RESOURCES, SPEC
from tests.stages import ENVIRONMENT, gather, restore, run, run_python, save
from tests.support import GENEROUS, PATIENCE, Client, ServerProcess
from tests.test_silence import Cuttable, drain, receive_all
from trio_exec.errors import LauncherGoneError, LauncherSilentError
from trio_exec.executor.docker import executor as docker_executor
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.launcher import connection, frames
from trio_exec.launcher.connection import LauncherConnection

SILENCE = 2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENCE", SILENCE)


@pytest.fixture
def streams(short: None, monkeypatch: pytest.MonkeyPatch) -> list[Cuttable]:
    """The streams of the launchers that are started from now on."""
    streams: list[Cuttable] = []

    def connect(stream: trio.abc.Stream) -> LauncherConnection:
        streams.append(Cuttable(stream))
        return LauncherConnection(streams[-1])

    monkeypatch.setattr(docker_executor, "LauncherConnection", connect)
    return streams


def names(executor: DockerExecutor) -> list[str]:
    return [it.name for it in executor._api.list("trio-exec.instance") if executor.instance in it.name]


async def test_a_container_that_is_paused_for_too_long_is_given_up(short: None, executor: DockerExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        await container.send(frames.encode_stage(["sleep", "60"], ENVIRONMENT, terminal=None, deadline=60))
        (name,) = await trio.to_thread.run_sync(names, executor)
        engine = docker.from_env()
        await trio.to_thread.run_sync(engine.api.pause, name)
        engine.close()
        with pytest.raises(LauncherSilentError, match="it was paused"):
            await receive_all(container)
    assert executor.clean, "and it is gone"


async def test_a_container_that_is_paused_for_a_moment_is_kept(short: None, executor: DockerExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        (name,) = await trio.to_thread.run_sync(names, executor)
        engine = docker.from_env()
        for _ in range(3):
            await trio.to_thread.run_sync(engine.api.pause, name)
            await trio.sleep(0.6 * SILENCE)
            await trio.to_thread.run_sync(engine.api.unpause, name)
            assert (await run(container, ["echo", "well"])).stdout == b"well\n"
        engine.close()


@pytest.mark.parametrize("cut", ["sends", "receives"])
async def test_a_stream_that_is_cut_in_one_direction(
    executor: DockerExecutor, streams: list[Cuttable], cut: str
) -> None:
    error = LauncherGoneError if cut == "sends" else LauncherSilentError
    async with executor.open_container(SPEC) as container:
        await container.send(frames.encode_stage(["sleep", "60"], ENVIRONMENT, terminal=None, deadline=60))
        setattr(streams[0], cut, False)
        with pytest.raises(error, match=f"for {SILENCE} seconds"):
            await receive_all(container)


async def test_next_to_no_processor_is_no_death(short: None, executor: DockerExecutor) -> None:
    """Copying a workspace, making it anew, walking through it: each may take longer than the silence."""
    limits = replace(LIMITS, pids=64, workspace_bytes=32 << 20)
    async with executor.open_container(replace(SPEC, limits=limits)) as container:
        code = "for i in range(3000):\n with open(f'file{i}', 'wb') as file: file.write(b'x' * 8000)"
        await run_python(container, code)
        await container.update_resources(replace(RESOURCES, cpus=0.01))
        start = time.monotonic()
        await save(container)
        saved = time.monotonic()
        await restore(container)
        await container.send(frames.encode_collect(["file1???"], 10_000, 1 << 30))
        gathered = await gather(container)
    assert (gathered.count, gathered.omitted) == (1000, [])
    assert saved - start > SILENCE, "it was slow enough to tell"


async def test_next_to_no_processor_that_many_fight_for_is_no_death(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel collects what was used beyond a hundredth, so whole seconds pass in which nothing runs in there."""
    monkeypatch.setattr(connection, "SILENCE", 10)
    busy = "import os\nfor _ in range(4): os.fork()\nwhile True: pass"
    async with executor.open_container(SPEC) as container:
        await container.update_resources(replace(RESOURCES, cpus=0.01))
        await container.send(frames.encode_stage(["python3", "-c", busy], ENVIRONMENT, terminal=None, deadline=60))
        with trio.move_on_after(15):
            await receive_all(container)
        await container.send(frames.encode_kill())
        await drain(container)


def test_launchers_end_while_their_server_is_stopped(start_server: Callable[..., ServerProcess]) -> None:
    """With the silence that is usual."""
    server = start_server(languages="python", pool="python=1", **GENEROUS)
    server.wait_warm({"python": 1})

    async def main() -> None:
        client = Client(server)
        async with client.session(language="python", code="print('up', flush=True)\nwhile True: pass") as session:
            await session.until_stdout("up")
            server.process.send_signal(signal.SIGSTOP)
            await trio.to_thread.run_sync(server.assert_no_containers, PATIENCE)
            server.process.send_signal(signal.SIGCONT)
            run = await session.to_end()
        assert run.reason == "engine_error"
        assert run.final.message is not None
        assert "nothing came from this server for 30 seconds" in run.final.message
        assert (await client.run(language="python", code="print('again')")).stdout == "again\n"

    trio.run(main)

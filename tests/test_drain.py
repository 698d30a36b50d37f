"""How a server ends: drained, hurried, killed; and what it leaves behind, which is nothing."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import docker
import pytest
import trio

from tests.raw import RawAttached, attach_over, raw_session
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.executor.docker.labels import INSTANCE_LABEL
from trio_exec.limits import MIB

ASK = "name = input('name? ')\nprint('hello', name)"


async def test_drain_lets_sessions_finish_and_clients_join(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_sessions=1))
    async with client.session(language="python", code=ASK) as session:
        await session.until_waiting()
        queued = await client.create(language="python", code="print('queued one')", stdin="")
        async with client.attach(queued) as in_queue:
            await in_queue.until_state("waiting")
            client.server.terminate()
            ready = await client.until_draining()
            assert ready.json()["reason"] == "the server is going away"
            refused = await client.request("POST", "/session", {"language": "python", "code": ""})
            assert (refused.status, refused.json()["code"]) == (503, "draining")
            assert int(refused.headers["Retry-After"]) > 0
            assert (await client.request("GET", "/healthz")).status == 200

            async with client.attach(session.run.session_id) as late:
                await late.until_stdout("name? ")
                await session.input("Ada\n")
                assert (await late.to_end()).stdout == "name? hello Ada\n"
            run = await session.to_end()
            assert (run.stdout, run.final.state) == ("name? hello Ada\n", "finished")
            assert (await in_queue.to_end()).stdout == "queued one\n"

    assert await trio.to_thread.run_sync(client.server.wait) == 0
    client.server.assert_no_containers()


async def test_load_balancers_are_told_before_new_sessions_are_refused(
    start_server: Callable[..., ServerProcess],
) -> None:
    client = Client(start_server(drain_delay=5))
    client.server.terminate()
    await client.until_draining(within=4)
    async with client.session(language="python", code=ASK) as session:
        await session.until_waiting()
        body = {"language": "python", "code": "", "stdin": ""}
        with trio.fail_after(PATIENCE):
            while (refused := await client.request("POST", "/session", body)).status == 201:  # noqa: ASYNC110 - only asking
                await trio.sleep(0.1)
        assert (refused.status, refused.json()["code"]) == (503, "draining")
        await session.input("Ada\n")
        assert (await session.to_end()).stdout == "name? hello Ada\n"
    assert await trio.to_thread.run_sync(client.server.wait) == 0


async def test_a_second_signal_ends_the_delay_too(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(drain_delay=1000)
    server.terminate()
    await Client(server).until_draining()
    server.terminate()
    assert await trio.to_thread.run_sync(server.wait) == 0


@pytest.mark.parametrize("how", ["second signal", "timeout"])
async def test_what_does_not_finish_is_ended_cleanly(start_server: Callable[..., ServerProcess], how: str) -> None:
    client = Client(start_server(drain_timeout=1 if how == "timeout" else 100))
    async with raw_session(client, language="python", code="print('x', flush=True)\ninput()") as session:
        await session.until_waiting()
        client.server.terminate()
        if how == "second signal":
            await client.until_draining()
            client.server.process.send_signal(signal.SIGINT)
        run = await session.to_end()

    assert (run.stdout, run.final.state, run.reason) == ("x\n", "terminated", "shutdown")
    assert session.close_reason is not None
    assert session.close_reason.code == 1000
    assert await trio.to_thread.run_sync(client.server.wait) == 0
    client.server.assert_no_containers()


async def test_an_idle_server_ends_at_once(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(drain_timeout=1000)
    server.terminate()

    assert await trio.to_thread.run_sync(server.wait) == 0


async def test_a_killed_server_leaves_no_container(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    sessions = [
        await client.create(language="python", code="while True: pass", limits={"executionTimeout": 100})
        for _ in range(4)
    ]
    for session_id in sessions:
        async with client.attach(session_id) as attached:
            await attached.until_state("running")
    assert len(client.server.containers()) == 4
    client.server.process.kill()
    client.server.wait()

    client.server.assert_no_containers()


async def test_a_server_that_is_killed_while_sessions_start_leaves_no_container(
    start_server: Callable[..., ServerProcess],
) -> None:
    for tenths in range(1, 9):
        client = Client(start_server())
        assert client.server.instance
        async with trio.open_nursery() as nursery:

            async def create(client: Client) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):  # It may be killed in the midst of it.
                    await client.create(language="python", code="while True: pass")

            for _ in range(8):
                nursery.start_soon(create, client)
            await trio.sleep(tenths / 10)
            client.server.process.kill()
            nursery.cancel_scope.cancel(reason="nobody answers any more")
        client.server.wait()

        client.server.assert_no_containers()


def guards(server: ServerProcess) -> list[int]:
    """The processes that guard a server's containers."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"trio_exec.executor.docker.guard" in words and server.instance.encode() in words:
                found.append(int(path.parent.name))
    return found


async def until_guards(server: ServerProcess, condition: Callable[[list[int]], bool]) -> list[int]:
    with trio.fail_after(PATIENCE):
        while not condition(found := guards(server)):  # noqa: ASYNC110 - there is only looking
            await trio.sleep(0.05)
    return found


async def test_the_guard_ends_with_its_server_and_is_replaced_when_it_dies(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server()
    (first,) = await until_guards(server, bool)
    os.kill(first, signal.SIGTERM)
    os.kill(first, signal.SIGINT)
    await trio.sleep(0.2)
    assert guards(server) == [first]  # Who ends a whole group of processes does not end it too early.
    os.kill(first, signal.SIGKILL)
    (second,) = await until_guards(server, lambda found: bool(found) and first not in found)
    assert "the guard has ended with -9" in server.log()

    server.terminate()
    assert await trio.to_thread.run_sync(server.wait) == 0
    assert not await until_guards(server, lambda found: second not in found)


async def test_the_guard_of_a_killed_server_removes_its_containers_and_ends(
    start_server: Callable[..., ServerProcess], images: dict[str, str]
) -> None:
    client = Client(start_server())
    engine = docker.from_env()
    made = engine.api.create_container(
        images["python"],
        command=["60"],
        name=f"trio-exec-{client.server.instance}-unstarted",  # As if the server had just asked for it.
        labels={INSTANCE_LABEL: client.server.instance},
    )["Id"]
    await until_guards(client.server, bool)
    client.server.process.kill()
    client.server.wait()
    client.server.assert_no_containers()
    assert made not in {it["Id"] for it in engine.api.containers(all=True)}
    engine.close()
    assert not await until_guards(client.server, lambda found: not found)


@asynccontextmanager
async def slow_reader(client: Client, session_id: str) -> AsyncGenerator[RawAttached]:
    """A client whose connection takes little at once, so that the server has to wait for it."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", client.server.port))
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        async with trio.open_nursery() as nursery:
            yield await attach_over(stream, nursery, client.server.port, f"/ws/session/{session_id}")
            nursery.cancel_scope.cancel(reason="the client leaves")


async def test_clients_read_to_the_end_before_the_server_goes(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_output_bytes=4 * MIB))
    code = f"import sys; sys.stdout.write('x' * {4 * MIB})"
    with trio.fail_after(PATIENCE):
        async with slow_reader(client, await client.create(language="python", code=code, stdin="")) as reader:
            await reader.until_state("running")
            await client.until_info(reader.run.session_id, "finished")
            client.server.terminate()
            await client.until_draining()
            while await reader.next() is not None:  # noqa: ASYNC110 - a client that is slow
                await trio.sleep(0.02)  # The size of a piece is 64 KiB, so this takes more than a second.
            run = reader.run

    assert (len(run.stdout), run.final.state) == (4 * MIB, "finished")
    assert reader.close_reason is not None
    assert reader.close_reason.code == 1000
    assert await trio.to_thread.run_sync(client.server.wait) == 0


async def test_a_client_that_does_not_read_keeps_no_server(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_output_bytes=4 * MIB, drain_timeout=2))
    code = f"import sys; sys.stdout.write('x' * {4 * MIB})"
    async with slow_reader(client, await client.create(language="python", code=code, stdin="")) as reader:
        await reader.until_state("running")
        client.server.terminate()
        assert await trio.to_thread.run_sync(client.server.wait) == 0


async def test_a_hangup_ends_nothing(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    async with client.session(language="python", code="print(input())") as session:
        await session.until_waiting()
        client.server.process.send_signal(signal.SIGHUP)
        with trio.fail_after(PATIENCE):
            while "SIGHUP" not in client.server.log():  # noqa: ASYNC110 - there is only looking
                await trio.sleep(0.02)
        await session.input("on\n")
        run = await session.to_end()

    assert (run.stdout, run.final.state) == ("on\n", "finished")
    assert (await client.request("GET", "/readyz")).status == 200


async def test_a_third_signal_ends_the_process_at_once(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_output_bytes=4 * MIB))
    code = f"import sys; sys.stdout.write('x' * {4 * MIB})"
    async with slow_reader(client, await client.create(language="python", code=code, stdin="")) as reader:
        await reader.until_state("running")
        client.server.terminate()
        await client.until_draining()
        for number in range(2):  # The second leaves the client a few seconds, the third none.
            client.server.terminate()
            if number == 0:
                with trio.fail_after(PATIENCE):
                    while "again: ending all sessions" not in client.server.log():  # noqa: ASYNC110 - there is only looking
                        await trio.sleep(0.02)
        assert await trio.to_thread.run_sync(client.server.wait) == 128 + signal.SIGTERM
    client.server.assert_no_containers()


async def test_leftovers_are_swept_and_other_servers_containers_are_not(
    start_server: Callable[..., ServerProcess], images: dict[str, str]
) -> None:
    engine = docker.from_env()
    made = {
        name: engine.api.create_container(
            images["python"],
            command=["60"],
            stdin_open=True,
            name=f"trio-exec-other-{name}-{os.getpid()}",
            labels=labels,
        )["Id"]
        for name, labels in {
            "expired": {"trio-exec.instance": "other", "trio-exec.lifetime": "0"},
            "current": {"trio-exec.instance": "other", "trio-exec.lifetime": "600"},
        }.items()
    }
    try:
        start_server()
        deadline = time.monotonic() + PATIENCE
        while any(it["Id"] == made["expired"] for it in engine.api.containers(all=True)):
            assert time.monotonic() < deadline, "the expired one is still there"
            await trio.sleep(0.1)
        assert any(it["Id"] == made["current"] for it in engine.api.containers(all=True))
    finally:
        engine.api.remove_container(made["current"], force=True)
        engine.close()


async def test_a_taken_port_is_said_in_a_sentence(start_server: Callable[..., ServerProcess]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = await trio.run_process(
            [sys.executable, "-m", "trio_exec", "serve", "--port", str(taken.getsockname()[1])],
            capture_stderr=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    assert result.returncode == 2
    assert b"host, port: can't listen on 127.0.0.1" in result.stderr
    assert b"Traceback" not in result.stderr


async def test_a_client_of_a_draining_server_can_still_send(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server())
    async with client.session(language="python", code="import sys; print(len(sys.stdin.read()))") as session:
        await session.until_waiting()
        client.server.terminate()
        await session.input("12345")
        await session.eof()
        run = await session.to_end()

    assert run.stdout == "5\n"
    assert await trio.to_thread.run_sync(client.server.wait) == 0


def test_a_server_that_is_the_first_process_can_be_stopped_before_it_is_up() -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "trio_exec", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline
            with contextlib.suppress(OSError), open(children) as file:  # It may have ended meanwhile.
                for child in file.read().split():
                    os.kill(int(child), signal.SIGTERM)
            time.sleep(0.02)
        assert (process.returncode, process.stdout.read()) == (128 + signal.SIGTERM, b"")

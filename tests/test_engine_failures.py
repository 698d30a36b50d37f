"""The Docker engine goes away under a running server, for real: a private dockerd is stopped, killed and started."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import docker
import pytest
import trio

from tests.dockerd import Dockerd, private_dockerd
from tests.support import Client, ServerProcess, running_server
from trio_exec.executor.images import launcher_image


@pytest.fixture(scope="module")
def dockerd(images: dict[str, str]) -> Generator[Dockerd]:
    with private_dockerd([images["python"], launcher_image().tag], "1g") as engine:
        yield engine


@pytest.fixture
def client(dockerd: Dockerd) -> Generator[Client]:
    with running_server(DOCKER_HOST=dockerd.host, languages="python") as server:
        yield Client(server)


async def until_ready(client: Client) -> None:
    with trio.fail_after(60):
        while (await client.request("GET", "/readyz")).status != 200:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.1)


async def until_log(server: ServerProcess, text: str) -> None:
    with trio.fail_after(60):
        while text not in server.log():  # noqa: ASYNC110 - there is only looking
            await trio.sleep(0.05)


async def recovered(client: Client) -> None:
    await until_ready(client)
    assert (await client.run(language="python", code="print('again')")).stdout == "again\n"


def add_language(languages: Path, name: str, dockerfile: str) -> None:
    directory = languages / name
    directory.mkdir()
    (directory / "language.toml").write_text(
        f'name = "{name}"\ntitle = "{name}"\nversion = "1"\nsource_file = "main.py"\n'
        '[run]\ncommand = ["python3", "{source}"]\n'
    )
    (directory / "Dockerfile").write_text(dockerfile)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_sessions_end_with_a_reason_and_the_server_serves_again_by_itself(
    dockerd: Dockerd, client: Client, how: signal.Signals
) -> None:
    async with client.session(language="python", code="print('up', flush=True)\ninput()") as session:
        await session.until_waiting()
        await trio.to_thread.run_sync(dockerd.end, how)
        run = await session.to_end()
    assert run.stdout == "up\n"
    assert (run.final.state, run.reason) == ("terminated", "engine_error")
    assert run.final.message

    ready = await client.request("GET", "/readyz")
    assert (ready.status, ready.json()["ready"]) == (503, False)
    assert "can't be reached" in ready.json()["reason"]
    assert (await client.request("GET", "/healthz")).status == 200
    answer = None
    for _ in range(2):  # Found out by a session at first, then known before one is made.
        answer = await client.request("POST", "/session", {"language": "python", "code": "", "stdin": ""})
        if answer.status == 201:
            async with client.attach(answer.json()["sessionId"]) as attached:
                assert (await attached.to_end()).reason == "engine_error"
    assert answer is not None
    assert (answer.status, answer.json()["code"]) == (503, "engine_unavailable")
    assert answer.headers["Retry-After"]

    await trio.to_thread.run_sync(dockerd.start)
    await recovered(client)
    await trio.to_thread.run_sync(dockerd.wait_left, set())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_pool_fills_again_and_leaves_nothing_behind(dockerd: Dockerd, how: signal.Signals) -> None:
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python", pool="python=3")
    try:
        client = Client(server.wait_ready())
        server.wait_warm({"python": 3})
        before = set(dockerd.left())
        assert len(before) == 3
        await trio.to_thread.run_sync(dockerd.end, how)
        with trio.fail_after(30):
            while (await client.request("GET", "/readyz")).json()["warm"]["python"]:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        await trio.to_thread.run_sync(dockerd.start)
        await trio.to_thread.run_sync(server.wait_warm, {"python": 3})
        assert (await client.run(language="python", code="print('warm')")).stdout == "warm\n"
        with trio.fail_after(30):
            while before & set(await trio.to_thread.run_sync(dockerd.left)):  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.2)
    finally:
        server.close()
    assert dockerd.left() == []


async def test_a_server_can_start_before_its_engine(dockerd: Dockerd) -> None:
    await trio.to_thread.run_sync(dockerd.end, signal.SIGTERM)
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python")
    try:
        client = Client(server)
        answer = await client.request("POST", "/session", {"language": "python", "code": ""})
        assert (answer.status, answer.json()["code"]) == (503, "engine_unavailable")
        await trio.to_thread.run_sync(dockerd.start)
        await recovered(client)
    finally:
        server.close()


async def test_an_engine_that_dies_in_the_midst_of_a_build_takes_no_server_along(
    dockerd: Dockerd, images: dict[str, str], tmp_path: Path
) -> None:
    marker = time.monotonic_ns()  # So that no layer is there already.
    add_language(tmp_path, "slow", f"FROM {images['python']}\nRUN echo {marker}; sleep 5\n")
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages_dir=tmp_path, languages="slow")
    try:
        client = Client(server)
        await until_log(server, "building trio-exec/slow")
        await trio.sleep(2)  # The build sleeps for longer.
        await trio.to_thread.run_sync(dockerd.end, signal.SIGKILL)
        await until_log(server, "will try again")
        assert (await client.request("GET", "/healthz")).status == 200
        ready = await client.request("GET", "/readyz")
        assert (ready.status, ready.json()["ready"]) == (503, False)
        await trio.to_thread.run_sync(dockerd.start)
        await until_ready(client)
        assert (await client.run(language="slow", code="print(1)")).stdout == "1\n"
    finally:
        server.close()


async def test_a_language_that_can_not_be_built_keeps_no_other_away_and_may_come_later(
    dockerd: Dockerd, images: dict[str, str], tmp_path: Path
) -> None:
    base = f"example.invalid/base:{time.monotonic_ns()}"
    add_language(tmp_path, "broken", f"FROM {images['python']}\nRUN echo the very reason; exit 3\n")
    add_language(tmp_path, "late", f"FROM {base}\n")
    # Credentials that can't be had are no reason: a build needs none.
    (tmp_path / "config.json").write_text('{"credsStore": "nowhere"}')
    with running_server(
        DOCKER_HOST=dockerd.host,
        DOCKER_CONFIG=tmp_path,
        languages_dir=tmp_path,
        languages="python,broken,late",
        pool="python=1,broken=1,late=1",
    ) as server:
        client = Client(server)
        assert (await client.run(language="python", code="print(1)")).stdout == "1\n"
        for language in ("broken", "late"):
            await until_log(server, f"{language} can't be run")
        ready = await client.request("GET", "/readyz")
        assert ready.status == 200
        assert sorted(ready.json()["missing"]) == ["broken", "late"]
        assert "returned a non-zero code: 3; it is tried again in" in ready.json()["missing"]["broken"]
        refused = await client.request("POST", "/session", {"language": "broken", "code": ""})
        assert (refused.status, refused.json()["code"]) == (503, "language_unavailable")
        assert refused.json()["error"].startswith("broken can't be run now: building trio-exec/broken:")
        assert refused.headers["Retry-After"]
        assert "\n    the very reason\n" in server.log()

        engine = docker.DockerClient(dockerd.host)
        repository, _, tag = base.partition(":")
        engine.api.tag(images["python"], repository, tag)
        await trio.to_thread.run_sync(server.wait_warm, {"late": 1})
        engine.api.remove_image(base)
        engine.close()
        assert (await client.run(language="late", code="print('at last')")).stdout == "at last\n"
        assert list((await client.request("GET", "/readyz")).json()["missing"]) == ["broken"]
    assert dockerd.left() == []


async def test_without_any_language_the_server_is_not_ready_and_says_why(
    dockerd: Dockerd, images: dict[str, str], tmp_path: Path
) -> None:
    add_language(tmp_path, "broken", f"FROM {images['python']}\nRUN exit 4\n")
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages_dir=tmp_path, languages="broken")
    try:
        answer = await Client(server).until_told("non-zero code: 4")
        assert answer.status == 503
        assert answer.json()["reason"].startswith("no language can be run yet; broken: building trio-exec/broken:")
    finally:
        server.close()


async def test_a_runtime_that_is_not_there_is_said(dockerd: Dockerd) -> None:
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python", runtime="runny")
    try:
        client = Client(server)
        with trio.fail_after(30):
            while "runny" not in (ready := (await client.request("GET", "/readyz")).json())["reason"]:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        assert ready["ready"] is False
        answer = await client.request("POST", "/session", {"language": "python", "code": ""})
        assert (answer.status, answer.json()["code"]) == (503, "engine_unavailable")
        assert "runny" in answer.json()["error"]
    finally:
        server.close()


async def test_an_image_that_was_removed_is_said(dockerd: Dockerd, client: Client, images: dict[str, str]) -> None:
    engine = docker.DockerClient(dockerd.host)
    engine.api.tag(images["python"], "kept", "1")
    engine.api.remove_image(images["python"])
    try:
        run = await client.run(language="python", code="")
        assert run.reason == "engine_error"
        assert run.final.message is not None
        assert "is missing on the engine; `trio-exec build` makes it" in run.final.message
    finally:
        name, _, tag = images["python"].partition(":")
        engine.api.tag("kept:1", name, tag)
        engine.close()
    assert (await client.run(language="python", code="print(1)")).stdout == "1\n"


def test_what_cannot_be_removed_keeps_nothing_else(dockerd: Dockerd, images: dict[str, str]) -> None:
    engine = docker.DockerClient(dockerd.host)
    labels = {"trio-exec.instance": "other", "trio-exec.lifetime": "0"}
    free, stuck = (engine.api.create_container(images["python"], ["60"], labels=labels)["Id"] for _ in range(2))
    engine.close()
    directory = dockerd.root / "data" / "containers" / stuck  # The newest is listed, and tried, first.
    subprocess.run(["chattr", "+i", directory], check=True)
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python")
    try:
        dockerd.wait_left({stuck})
        assert f"could not remove the container {free}" not in server.log()
        subprocess.run(["chattr", "-i", directory], check=True)
        dockerd.wait_left(set())
        assert "operation not permitted; will try again" in server.log()
    finally:
        subprocess.run(["chattr", "-i", directory], check=False, stderr=subprocess.DEVNULL)
        server.close()


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while file.write(b"x" * 2**20):
            pass


async def test_a_full_disk_is_said_and_room_lets_sessions_run_again(dockerd: Dockerd, client: Client) -> None:
    filler = dockerd.root / "filler"
    with pytest.raises(OSError, match="No space left on device"):
        fill(filler)
    try:
        run = await client.run(language="python", code="print(1)")
        assert (run.final.state, run.reason) == ("terminated", "engine_error")
        assert run.final.message is not None
        assert "free some disk space on the engine's machine" in run.final.message
    finally:
        filler.unlink()
    await recovered(client)

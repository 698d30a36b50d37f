"""The Docker engine goes away under a running server, for real: a private dockerd is stopped, killed and started."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import docker
import pytest
import trio

from tests.support import Client, ServerProcess
from trio_exec.executor.images import launcher_image

START_TIMEOUT = 60


class Dockerd:
    """An engine of our own beside the machine's: other socket, other data, no network."""

    def __init__(self, root: Path) -> None:
        self.host = f"unix://{root}/docker.sock"
        self.root = root
        self._log = root.with_suffix(".log")  # Outside, since the inside can be full.
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        # A killed dockerd takes its containerd along. Where nobody reaps that, it looks alive by its number.
        (self.root / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [
                    # In a network of its own: without a bridge it would take the machine's docker0 away.
                    "unshare",
                    "--net",
                    "dockerd",
                    f"--host={self.host}",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/pid",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip-masq=false",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        # Not by docker-py, which leaves a socket open when it can't connect.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.host.removeprefix("unix://"))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in probe.recv(1000)
            except OSError:
                return False

    def end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None

    def close(self) -> None:
        if self._process is None:
            self.start()
        self.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory, images: dict[str, str]) -> Generator[Dockerd]:
    if shutil.which("dockerd") is None:
        pytest.skip("needs dockerd itself, and not only a connection to one")
    # A short path: a socket's name has an end.
    root = Path("/tmp") / f"trio-exec-dockerd-{time.monotonic_ns()}"
    root.mkdir()
    # A disk of its own, which can be filled.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", root], check=True)
    engine = Dockerd(root)
    source, target = docker.from_env(timeout=300), docker.DockerClient(engine.host, version="1.41", timeout=300)
    for tag in (images["python"], launcher_image().tag):
        target.images.load(source.images.get(tag).save(named=True))
    source.close()
    target.close()
    try:
        yield engine
    finally:
        engine.close()
        for mounted in (root / "data", root):  # dockerd mounts its directory upon itself.
            subprocess.run(["umount", "--lazy", mounted], check=False)
        root.with_suffix(".log").unlink()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def client(dockerd: Dockerd) -> Generator[Client]:
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python")
    try:
        yield Client(server.wait_ready())
    finally:
        server.close()


def left_on(dockerd: Dockerd) -> list[str]:
    """Ids of the containers that there are.

    A restarted engine may list one as dead that it has removed, and knows nothing of it when asked: its list was
    written while the removal went on (moby's pull request 51692 tells of it). It is gone with the next restart.
    """
    engine = docker.DockerClient(dockerd.host, version="1.41")
    try:
        left: list[str] = []
        for item in engine.api.containers(all=True):
            with contextlib.suppress(docker.errors.NotFound):
                left.append(engine.api.inspect_container(item["Id"])["Id"])
        return left
    finally:
        engine.close()


def wait_left(dockerd: Dockerd, expected: set[str], within: float = 60) -> None:
    """Returns when these containers are left, by their ids."""
    deadline = time.monotonic() + within
    while (left := set(left_on(dockerd))) != expected:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


async def recovered(client: Client) -> None:
    with trio.fail_after(30):
        while (await client.request("GET", "/readyz")).status != 200:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.1)
    assert (await client.run(language="python", code="print('again')")).stdout == "again\n"


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
    for _ in range(2):  # Found out by a session at first, then known before one is made.
        answer = await client.request("POST", "/session", {"language": "python", "code": "", "stdin": ""})
        if answer.status == 201:
            async with client.attach(answer.json()["sessionId"]) as attached:
                assert (await attached.to_end()).reason == "engine_error"
    assert (answer.status, answer.json()["code"]) == (503, "engine_unavailable")
    assert answer.headers["Retry-After"]

    await trio.to_thread.run_sync(dockerd.start)
    await recovered(client)
    await trio.to_thread.run_sync(wait_left, dockerd, set())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_pool_fills_again_and_leaves_nothing_behind(dockerd: Dockerd, how: signal.Signals) -> None:
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python", pool="python=3")
    try:
        client = Client(server.wait_ready())
        server.wait_warm({"python": 3})
        before = set(left_on(dockerd))
        assert len(before) == 3
        await trio.to_thread.run_sync(dockerd.end, how)
        with trio.fail_after(30):
            while (await client.request("GET", "/readyz")).json()["warm"]["python"]:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        await trio.to_thread.run_sync(dockerd.start)
        await trio.to_thread.run_sync(server.wait_warm, {"python": 3})
        assert (await client.run(language="python", code="print('warm')")).stdout == "warm\n"
        with trio.fail_after(30):
            while before & set(await trio.to_thread.run_sync(left_on, dockerd)):  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.2)
    finally:
        server.close()
    assert left_on(dockerd) == []


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


async def test_an_image_that_was_removed_is_said(dockerd: Dockerd, client: Client, images: dict[str, str]) -> None:
    engine = docker.DockerClient(dockerd.host, version="1.41")
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
    engine = docker.DockerClient(dockerd.host, version="1.41")
    labels = {"trio-exec.instance": "other", "trio-exec.expires": "1"}
    free, stuck = (engine.api.create_container(images["python"], ["60"], labels=labels)["Id"] for _ in range(2))
    engine.close()
    directory = dockerd.root / "data" / "containers" / stuck  # The newest is listed, and tried, first.
    subprocess.run(["chattr", "+i", directory], check=True)
    server = ServerProcess(DOCKER_HOST=dockerd.host, languages="python")
    try:
        wait_left(dockerd, {stuck})
        assert f"could not remove the container {free}" not in server.log()
        subprocess.run(["chattr", "-i", directory], check=True)
        wait_left(dockerd, set())
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

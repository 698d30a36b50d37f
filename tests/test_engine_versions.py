"""Engines of several versions, and one that is upgraded under a running server: real ones, where there are such."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import trio

from tests.dockerd import newer_docker, private_dockerd
from tests.played_engine import VERSION, played_engine
from tests.support import Client, running_server
from trio_exec.errors import ExecutorUnavailableError
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.client import NEWEST, OLDEST, choose
from trio_exec.executor.images import launcher_image

DEMANDING = {"DOCKER_MIN_API_VERSION": "1.44"}
"""What Docker 29 asks for by default."""


def printed(host: str, command: list[str]) -> str:
    """What a command prints that works with this engine."""
    return subprocess.run(
        [sys.executable, "-m", "trio_exec", *command],
        env=os.environ | {"DOCKER_HOST": host},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize(
    ("newest", "oldest", "chosen"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.43", "1.12", "1.43"),
        (NEWEST, "1.24", NEWEST),
        ("1.52", "1.44", NEWEST),
        ("1.100", "1.24", NEWEST),  # by numbers, not by letters
        ("1.100", "1.99", "1.99"),  # none that both know
        ("1.41", "", OLDEST),
    ],
)
def test_the_newest_version_that_both_know_is_taken(newest: str, oldest: str, chosen: str) -> None:
    assert choose({"ApiVersion": newest, "MinAPIVersion": oldest}) == chosen


def test_an_engine_that_is_too_old_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with played_engine({"/version": {"Version": "19.03.15", "ApiVersion": "1.40"}}) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        api = DockerAPI()
        with pytest.raises(
            ExecutorUnavailableError,
            match=r"too old: its version is 19\.03\.15 \(API 1\.40\); Docker 20\.10 \(API 1\.41\) or newer is needed",
        ):
            api.ping()
        api.close()


def test_an_engine_is_asked_for_its_version_once_and_again_after_it_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, object] = {"/version": VERSION, "/_ping": b"OK"}
    with played_engine(answers) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        api = DockerAPI()
        api.ping()
        answers["/version"] = {**VERSION, "ApiVersion": "1.40"}
        api.ping()
        answers["/_ping"] = (400, {"message": "client version 1.45 is too new. Maximum supported API version is 1.40"})
        with pytest.raises(ExecutorUnavailableError, match="another one than a moment ago"):
            api.ping()
        with pytest.raises(ExecutorUnavailableError, match="too old"):
            api.ping()
        api.close()


async def test_an_engine_that_refuses_old_versions_of_the_api_runs_sessions(images: dict[str, str]) -> None:
    tags = [images["python"], launcher_image().tag]
    with private_dockerd(tags, "1g", programs=newer_docker(), environment=DEMANDING) as dockerd:
        with running_server(DOCKER_HOST=dockerd.host, languages="python", pool="python=1") as server:
            server.wait_warm({"python": 1})
            client = Client(server)
            for code in ("print(input())", "import sys; print(sys.stdin.read())"):
                assert (await client.run(language="python", code=code, stdin="new")).stdout == "new\n"
            crash = await client.run(language="python", code="x = bytearray(10**9)")
            assert crash.reason == "memory_limit"
        dockerd.wait_left(set())
        for command, output in (
            (["prune"], "nothing to remove: the engine has no images of other versions\n"),
            (["build", "python"], f"python: {images['python']}\n"),
        ):
            assert await trio.to_thread.run_sync(printed, dockerd.host, command) == output


async def test_an_engine_may_keep_its_images_in_containerd(images: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    config.write_text('{"features": {"containerd-snapshotter": true}}')
    tags = [images["python"], launcher_image().tag]
    with private_dockerd(tags, "1g", f"--config-file={config}", programs=newer_docker()) as dockerd:
        engine = docker.DockerClient(dockerd.host)
        status = engine.info()["DriverStatus"]
        engine.close()
        assert ["driver-type", "io.containerd.snapshotter.v1"] in status, "or this shows nothing"
        with running_server(DOCKER_HOST=dockerd.host, languages="python", pool="python=1") as server:
            server.wait_warm({"python": 1})
            client = Client(server)
            assert (await client.run(language="python", code="print(input())", stdin="in")).stdout == "in\n"
            assert (await client.request("GET", "/languages")).json()["languages"][0]["version"].count(".") == 2
        dockerd.wait_left(set())


async def test_an_engine_may_be_upgraded_under_a_running_server(images: dict[str, str]) -> None:
    newer = newer_docker()
    with private_dockerd([images["python"], launcher_image().tag], "1g") as dockerd:
        with running_server(DOCKER_HOST=dockerd.host, languages="python") as server:
            client = Client(server)
            assert (await client.run(language="python", code="print('old')")).stdout == "old\n"

            await trio.to_thread.run_sync(dockerd.end, signal.SIGTERM)
            dockerd.programs = newer
            dockerd.environment.update(DEMANDING)
            await trio.to_thread.run_sync(dockerd.start)

            await trio.to_thread.run_sync(server.wait_ready)
            assert (await client.run(language="python", code="print('new')")).stdout == "new\n"
        dockerd.wait_left(set())

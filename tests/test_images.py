"""Removing the languages' old images, on an engine of the test's own: the machine's may have some that others need."""

from __future__ import annotations

import os
import subprocess
import sys

import docker
import pytest

from tests.dockerd import private_dockerd
from trio_exec.errors import ExecutorError
from trio_exec.executor.docker.images import _version, launcher_image


def test_prune_removes_what_other_versions_have_built(images: dict[str, str]) -> None:
    present = {images["python"], launcher_image().tag}
    with private_dockerd(present, "1g") as dockerd:
        engine = docker.DockerClient(dockerd.host)
        for tag in ("trio-exec/python:old", "trio-exec/launcher:old", "trio-exec/java:old", "trio-exec/server:1"):
            repository, _, version = tag.partition(":")
            engine.api.tag(launcher_image().tag, repository, version)
        engine.api.tag(images["python"], "trio-exec/python", "in-use")
        made = engine.api.commit(
            engine.api.create_container(images["python"], ["60"])["Id"], "trio-exec/python", "used"
        )
        container = engine.api.create_container(made["Id"], ["60"])["Id"]

        def prune() -> list[str]:
            done = subprocess.run(
                [sys.executable, "-m", "trio_exec", "prune"],
                env=os.environ | {"DOCKER_HOST": dockerd.host},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            return done.stdout.splitlines()

        assert prune() == [
            "removed trio-exec/java:old",
            "removed trio-exec/launcher:old",
            "removed trio-exec/python:in-use",
            "removed trio-exec/python:old",
            "kept trio-exec/python:used: a container needs it",
        ]
        left = {tag for image in engine.images.list() for tag in image.tags}
        assert left == present | {"trio-exec/python:used", "trio-exec/server:1"}

        engine.api.remove_container(container)
        assert prune() == ["removed trio-exec/python:used"]
        assert prune() == []
        engine.close()


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Python 3.11.2\n", "3.11.2"),
        ("v20.19.2\n", "20.19.2"),
        ("openjdk 21.0.9 2025-10-21\nOpenJDK Runtime Environment", "21.0.9"),
        ("GNU bash, version 5.2.37(1)-release", "5.2.37"),
        ("ruby 3.3", "3.3.0"),
        ("14", "14.0.0"),
        ("1.2.3.4", "1.2.3"),
    ],
)
def test_a_version_has_three_numbers(printed: str, version: str) -> None:
    assert _version(launcher_image(), printed) == version


def test_a_command_that_prints_no_version_is_told() -> None:
    with pytest.raises(ExecutorError, match="its version_command prints no version"):
        _version(launcher_image(), "command not found")

"""Building and removing images, on an engine of the test's own: the machine's may have some that others need."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.images import Image

from tests.dockerd import private_dockerd
from trio_exec.errors import ExecutorError
from trio_exec.executor.images import language_images, launcher_image, version_in
from trio_exec.languages import RUNTIMES, Languages


def add_language(languages: Path, name: str, dockerfile: str) -> None:
    directory = languages / name
    directory.mkdir()
    (directory / "language.toml").write_text(
        f'name = "{name}"\ntitle = "{name}"\nversion = "1"\nsource_file = "main.py"\n[run]\ncommand = ["true"]\n'
    )
    (directory / "Dockerfile").write_text(dockerfile)


def run_build(environment: dict[str, str], *languages: str) -> tuple[int, str, str]:
    """Exit code and output of `trio-exec build`."""
    done = subprocess.run(
        [sys.executable, "-m", "trio_exec", "build", *languages],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_every_base_image_can_come_from_a_mirror() -> None:
    for path in RUNTIMES.glob("*/Dockerfile"):
        lines = path.read_text().splitlines()
        assert lines.index("ARG REGISTRY=") < next(n for n, line in enumerate(lines) if line.startswith("FROM"))
        stages = {line.split()[3] for line in lines if line.startswith("FROM") and " AS " in line}
        bases = (
            {line.split()[1] for line in lines if line.startswith("FROM")} - stages - {"scratch", "${LAUNCHER_IMAGE}"}
        )
        assert all(base.startswith("${REGISTRY}debian:") for base in bases), path


def test_builds_verify_tls_and_name_no_host() -> None:
    for path in RUNTIMES.glob("*/Dockerfile"):
        for file in [path, *path.parent.glob("formatter.*")]:
            text = file.read_text()
            assert not re.search(r"--insecure|--trusted-host|strict-ssl|--index-url|--registry", text), file
            named = re.findall(r"https?://[\w.-]+", text)
            assert set(named) <= {"http://ant.apache.org"}, file  # a namespace of XML's


@pytest.mark.parametrize(
    ("details", "current"),
    [
        ({"Comment": "Imported from -", "Config": {"Labels": {"trio-exec.authorities": "a1"}}}, True),
        ({"Comment": "Imported from -", "Config": {"Labels": {"trio-exec.authorities": "b2"}}}, False),
        ({"Comment": "Imported from -", "Config": {"Labels": None}, "RepoDigests": []}, False),
        ({"Comment": "Imported from -", "Config": {"Labels": None}, "RepoDigests": ["debian@sha256:0"]}, True),
        ({"Config": {"Labels": None}}, True),
    ],
)
def test_base_images_made_here_are_made_anew_for_other_authorities_and_pulled_ones_are_not(
    details: dict[str, Any], current: bool
) -> None:
    is_current = runpy.run_path(str(RUNTIMES.parent.parent / "script" / "lib" / "engine.py"))["is_current"]
    assert is_current(Image(attrs=details), "a1") is current


def test_other_base_images_have_other_tags() -> None:
    languages = Languages.load(only=["python"]).values()
    usual, mirrored = (language_images(languages, registry)["python"] for registry in ("", "mirror.example.org/"))
    assert usual.tag != mirrored.tag
    assert dict(mirrored.arguments)["REGISTRY"] == "mirror.example.org/"
    assert "REGISTRY" not in dict(usual.arguments)


def test_bytecode_that_an_installer_leaves_makes_no_other_image(tmp_path: Path) -> None:
    add_language(tmp_path, "other", "FROM scratch\n")
    languages = Languages.load(tmp_path, ["other"]).values()
    before = language_images(languages)["other"].tag
    (tmp_path / "other" / "__pycache__").mkdir()
    (tmp_path / "other" / "__pycache__" / "start.cpython-311.pyc").write_bytes(b"0")

    assert language_images(languages)["other"].tag == before


def test_builds_know_of_proxies_and_mirrors_and_say_what_may_be_wrong(images: dict[str, str], tmp_path: Path) -> None:
    tell = 'RUN echo "$HTTP_PROXY $https_proxy $NO_PROXY"'
    add_language(tmp_path, "mirrored", f"ARG REGISTRY=\nFROM ${{REGISTRY}}base:1\n{tell}\n")
    untrusted = "SSL certificate problem: unable to get local issuer certificate"
    add_language(tmp_path, "inspected", f"FROM {images['python']}\nRUN echo {untrusted}; exit 60\n")
    with private_dockerd([images["python"]], "1g") as dockerd:
        engine = docker.DockerClient(dockerd.host)
        for tag in (
            "example.invalid/x/base:1",
            launcher_image("example.invalid/x/").tag,
        ):  # The latter is not to be built.
            repository, _, version = tag.partition(":")
            engine.api.tag(images["python"], repository, version)
        engine.close()
        code, out, err = run_build(
            {
                "DOCKER_HOST": dockerd.host,
                "TRIO_EXEC_LANGUAGES_DIR": str(tmp_path),
                "TRIO_EXEC_BASE_REGISTRY": "example.invalid/x/",
                "HTTP_PROXY": "http://proxy.invalid:3128",
                "https_proxy": "http://proxy.invalid:3129",
                "NO_PROXY": "",
            },
            "inspected",
            "mirrored",
        )
    assert code == 1
    assert "http://proxy.invalid:3128 http://proxy.invalid:3129 \n" in out
    assert "inspected" in err
    assert err.endswith("; the network seems to inspect TLS, for which docs/deploy.md has a remedy\n")


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
        assert prune() == ["nothing to remove: the engine has no images of other versions"]
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
    assert version_in(launcher_image().tag, printed) == version


def test_a_command_that_prints_no_version_is_told() -> None:
    with pytest.raises(ExecutorError, match="its version_command prints no version"):
        version_in(launcher_image().tag, "command not found")


def test_the_names_can_be_asked_for_other_machines(images: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-m", "trio_exec", "images"], capture_output=True, text=True, check=True)

    assert set(images.values()) <= set(done.stdout.split())

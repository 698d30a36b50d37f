"""Fixtures: the cluster that KUBECONFIG names, and what is applied to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import docker
import pytest

from tests.front_door.deployment import HERE, NAMESPACE, Deployment, kubectl, namespaces
from tests.manifests import ROOT
from tests.test_deploy import BUILD_TIMEOUT, context
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.images import build_missing, launcher_image
from trio_exec.languages import Languages

__all__ = ["context"]

TAG = "tested"
"""Of the images, as in small/kustomization.yaml."""


@pytest.fixture(scope="session")
def cluster() -> None:
    """Skips what needs a cluster where there is none."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("there is no cluster: script/cluster test has one")


@pytest.fixture(scope="module")
def deployed_images(cluster: None, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """The nodes have the images of what is deployed, built as docs/kubernetes.md builds them."""
    names = [f"trio-exec/{name}:{TAG}" for name in ("server", "front", "engine", "languages")]
    server, front, engine, languages = names
    archive = tmp_path_factory.mktemp("languages")
    deploy = context / "deploy"
    build(context / "Dockerfile", server, context)
    build(deploy / "front.Dockerfile", front, deploy)
    build(deploy / "engine.Dockerfile", engine, deploy)
    api = DockerAPI()
    tags = build_missing(api, Languages.load(only=["python"]).values(), started=print, progress=lambda _: None)
    api.close()
    run("docker", "save", "--output", str(archive / "languages.tar"), launcher_image().tag, *tags.values())
    build(deploy / "languages.Dockerfile", languages, archive, f"ENGINE={engine}")
    shutil.rmtree(archive)
    run(str(ROOT / "script" / "cluster"), "load", *names, *tags.values())
    yield
    client = docker.from_env()
    for name in names:
        client.api.remove_image(name, force=True)
    client.close()


def build(dockerfile: Path, name: str, directory: Path, *arguments: str) -> None:
    options = [option for argument in arguments for option in ("--build-arg", argument)]
    run("docker", "build", "--quiet", "--file", str(dockerfile), "--tag", name, *options, str(directory))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, check=False)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


@pytest.fixture(scope="module")
def deployment(request: pytest.FixtureRequest, deployed_images: None) -> Generator[Deployment]:
    """What a folder beside this file describes, ready; the parameter is the folder's name."""
    directory = HERE / request.param
    before = namespaces()
    kubectl("label", "nodes", "--all", "--overwrite", "trio-exec/engine=true")
    kubectl("apply", "--kustomize", str(directory))
    try:
        yield Deployment.when_ready()
    finally:
        # Other tests may have the sandboxes' namespace.
        new = [f"namespace/{name}" for name in namespaces() - before]
        kubectl("delete", "--wait=false", *new)
        # They have nothing to finish any more.
        kubectl("-n", NAMESPACE, "delete", "pods", "--all", "--grace-period=1")
        kubectl("wait", "--for=delete", "--timeout=120s", *new)
        kubectl("label", "nodes", "--all", "trio-exec/engine-")

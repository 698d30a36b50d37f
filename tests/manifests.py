"""What is in deploy/kubernetes, as kubectl renders it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
UNPACKED = ROOT / ".venv" / "kubectl" / "kubectl"
"""Where script/test puts one on machines that have none, or an old one."""

Object = dict[str, Any]


def kubectl() -> str:
    """The program; skips the test where there is none."""
    found = str(UNPACKED) if UNPACKED.exists() else shutil.which("kubectl")
    if not found:
        pytest.skip("kubectl is missing; script/test installs it")
    return found


@cache
def rendered(directory: Path) -> list[Object]:
    """The objects of a kustomization."""
    command = [kubectl(), "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(objects: list[Object], kind: str, name: str, namespace: str | None = None) -> Object:
    """The object of that kind and name, in that namespace if there are several."""
    (found,) = [
        it
        for it in objects
        if it["kind"] == kind
        and base_name(it) == name
        and (namespace is None or it["metadata"].get("namespace") == namespace)
    ]
    return found


def base_name(it: Object) -> str:
    """Its name, without the hash that kustomize has added."""
    name: str = it["metadata"]["name"]
    return name.rpartition("-")[0] if it["kind"] == "ConfigMap" else name


def pod_of(it: Object) -> Object:
    """The pod that a StatefulSet or a Deployment makes."""
    return it["spec"]["template"]["spec"]


def containers(pod: Object) -> Iterator[Object]:
    """All containers, those before the first one included."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def settings(objects: list[Object]) -> dict[str, str]:
    """The servers' environment."""
    return one(objects, "ConfigMap", "trio-exec-settings")["data"]

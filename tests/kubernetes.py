"""Tests on a cluster: with TESTED_EXECUTOR=kubernetes, servers run programs in pods of the one that KUBECONFIG names.

Everything that tests an engine by way of a server's API runs there as it is. Servers are let in as the user that the
manifests make, and may do nothing else. What can't hold there is listed here, with the reason.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

NAMESPACE = "trio-exec-tests"
MANIFESTS = Path(__file__).parent.parent / "deploy" / "kubernetes" / "sandboxes"
_USER = "tester"

_DOCKERS = "asks the Docker engine"
_RESOURCES = "a pod's memory and CPU can't be changed from stage to stage: compilers have what programs have"
SKIPPED: dict[str, str] = {
    "test_isolation.py::test_the_engine_confirms_every_field": _DOCKERS,
    "test_isolation.py::test_the_run_limits_are_in_force_before_the_first_instruction": _RESOURCES,
    "test_isolation.py::test_heavy_headers_compile": _RESOURCES,
    "test_isolation.py::test_the_standard_libraries_work_in_there[cpp]": _RESOURCES,
    "test_isolation.py::test_no_network_but_loopback": "a pod has an interface, which leads nowhere",
    "test_isolation.py::test_the_workspace_has_an_end": "a pod's volume has no limit of files, but that of memory",
    "test_isolation.py::test_sockets_are_of_few_kinds": "a node's own filter refuses more",
    "test_isolation.py::test_the_machine_is_not_to_be_watched": "which of /proc is hidden is the node's matter",
    "test_batch.py::test_a_case_finds_nothing": "the workspace is a volume of root's, whose mode no program can change",
    "test_batch.py::test_a_batch_ends_with_the_server_and_in_its_time": "a pod's cold start takes most of that time",
    "test_drain.py::test_the_guard": "a launcher that has lost its server ends by itself: there is no guard",
    "test_drain.py::test_leftovers": _DOCKERS,
    "test_attacks.py::test_nine": "a pod can't be given more CPU to end with, so its last words may come too late",
}
"""Reasons by the beginning of a test's id, without "tests/"."""


def on_kubernetes() -> bool:
    return os.environ.get("TESTED_EXECUTOR") == "kubernetes"


def reason_to_skip(nodeid: str) -> str | None:
    """Why a test is not for a cluster; None if it is."""
    name = nodeid.removeprefix("tests/")
    return next((reason for beginning, reason in SKIPPED.items() if name.startswith(beginning)), None)


def kubectl(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def pods(selector: str = "app.kubernetes.io/managed-by=trio-exec", namespace: str = NAMESPACE) -> list[Any]:
    """The objects of the pods that there are."""
    listed = kubectl("get", "pods", "--namespace", namespace, "--selector", selector, "--output", "json")
    return json.loads(listed)["items"]


def pod_names() -> list[str]:
    """Of the pods whose container has not ended."""
    return [it["metadata"]["name"] for it in pods() if it["status"].get("phase") not in {"Succeeded", "Failed"}]


def make_namespace(name: str) -> None:
    """One for pods, as the manifests have it; harmless if there is one."""
    with open(__file__) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # Two processes of pytest would create the same.
        _make_namespace(name)


def _make_namespace(name: str) -> None:
    kubectl("apply", "--filename", "-", text=kubectl("kustomize", str(MANIFESTS)).replace("trio-exec-sandboxes", name))
    user = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _USER, "namespace": name}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _USER, "namespace": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "trio-exec"},
        "subjects": [{"kind": "ServiceAccount", "name": _USER, "namespace": name}],
    }
    for it in (user, binding):
        kubectl("apply", "--filename", "-", text=json.dumps(it))


@functools.cache
def server_settings(namespace: str = NAMESPACE) -> dict[str, str]:
    """What has a server run programs in a namespace, with no other rights than those of the manifests' role."""
    make_namespace(namespace)
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--output", "json"))
    token = kubectl("create", "token", _USER, "--namespace", namespace, "--duration", "3h").strip()
    config["users"][0]["user"] = {"token": token}
    with tempfile.NamedTemporaryFile("w", prefix="kubeconfig-", delete=False) as file:
        json.dump(config, file)
    return {"executor": "kubernetes", "kubernetes_namespace": namespace, "KUBECONFIG": file.name}

"""Tests on a cluster: with TESTED_EXECUTOR=kubernetes, servers run programs in pods of the one that KUBECONFIG names.

Everything that tests an engine by way of a server's API runs there as it is. What can't hold there is listed here, with
the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

NAMESPACE = "trio-exec-sandboxes"

_DOCKERS = "asks the Docker engine"
_RESOURCES = "a pod's memory and CPU can't be changed from stage to stage: compilers have what programs have"
SKIPPED: dict[str, str] = {
    "test_isolation.py::test_the_engine_confirms_every_field": _DOCKERS,
    "test_isolation.py::test_the_run_limits_are_in_force_before_the_first_instruction": _RESOURCES,
    "test_isolation.py::test_heavy_headers_compile": _RESOURCES,
    "test_isolation.py::test_no_network_but_loopback": "a pod has an interface; that it leads nowhere is tested elsewhere",
    "test_isolation.py::test_the_workspace_has_an_end": "a pod's volume has no limit of files, but that of memory",
    "test_isolation.py::test_sockets_are_of_few_kinds": "a node's own filter refuses more",
    "test_isolation.py::test_the_machine_is_not_to_be_watched": "which of /proc is hidden is the node's matter",
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


def pods(selector: str = "app.kubernetes.io/managed-by=trio-exec") -> list[Any]:
    """The objects of the pods that there are."""
    return json.loads(kubectl("get", "pods", "--namespace", NAMESPACE, "--selector", selector, "--output", "json"))[
        "items"
    ]


def pod_names() -> list[str]:
    """Of the pods whose container has not ended."""
    return [it["metadata"]["name"] for it in pods() if it["status"].get("phase") not in {"Succeeded", "Failed"}]

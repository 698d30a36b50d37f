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

SKIPPED: dict[str, str] = {}
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

"""The labels on our pods, by which servers and operators know them; as on Docker's containers, where they can be."""

from __future__ import annotations

import os
import re
import socket

from trio_exec.executor.base import ContainerSpec
from trio_exec.ids import short_id

CONTAINER = "sandbox"
"""The name of a pod's one container."""
INSTANCE_LABEL = "trio-exec.dev/instance"
"""The server that made it."""
HOST_LABEL = "trio-exec.dev/host"
"""The pod that the server is in, if it is; see `janitor`."""
LANGUAGE_LABEL = "trio-exec.dev/language"
SESSION_ANNOTATION = "trio-exec.dev/session"
"""The beginning of the id of the session that it was made for: the whole is a capability. Empty if made ahead."""
LIFETIME_ANNOTATION = "trio-exec.dev/lifetime"
"""Seconds after its creation from which on any server may delete it: no launcher lives that long."""
EXPIRY_MARGIN = 120
"""Seconds beyond a launcher's lifetime."""

_NO_LABEL = re.compile(r"[^A-Za-z0-9_.-]")
_LABEL_MAX = 63


def host_name() -> str:
    """Names the pod that this server is in; empty if it is in none.

    A StatefulSet's pod has the name of the one that it replaces, which has ended by then: what that one left is
    nobody's.
    """
    return label(socket.gethostname()) if os.environ.get("KUBERNETES_SERVICE_HOST") else ""


def label(text: str) -> str:
    """A text as a label's value; what can't be in one is replaced."""
    return _NO_LABEL.sub("-", text)[:_LABEL_MAX].strip("-_.")


def labels_of(spec: ContainerSpec, instance: str) -> tuple[dict[str, str], dict[str, str]]:
    """A pod's labels and its annotations.

    Args:
        spec: what it is made for.
        instance: names this server.
    """
    labels = {
        "app.kubernetes.io/name": "trio-exec-sandbox",
        "app.kubernetes.io/managed-by": "trio-exec",
        INSTANCE_LABEL: instance,
        HOST_LABEL: host_name(),
        LANGUAGE_LABEL: label(spec.language.replace("+", "p").replace("#", "sharp")),
    }
    annotations = {
        SESSION_ANNOTATION: short_id(spec.session_id) if spec.session_id else "",
        LIFETIME_ANNOTATION: str(spec.lifetime + EXPIRY_MARGIN),
    }
    return labels, annotations

"""Which cluster's pods programs run in, where they do."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from trio_exec.limits import MIB
from trio_exec.settings.fields import Group, Names

_LABEL = re.compile(r"[^=]+=[^=]*")
_TOLERATION = re.compile(r"(?P<key>[^=:]+)(=(?P<value>[^:]*))?(:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute))?")
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"


class KubernetesSettings(Group):
    """Which cluster's pods programs run in, where they do."""

    heading = (
        "Kubernetes: pods instead of Docker's containers, in the cluster that the server is in or KUBECONFIG names"
    )

    executor: Literal["docker", "kubernetes"] = Field(
        default="docker", description="what runs programs: docker, or kubernetes for pods of a cluster"
    )
    kubernetes_namespace: str = Field(
        default="trio-exec-sandboxes", pattern=_NAME, description="namespace for the pods, and for nothing else"
    )
    kubernetes_registry: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._:-]+/)*$",
        description="what comes before the images' names, such as registry.example.org/team/; see trio-exec images",
    )
    kubernetes_runtime_class: str | None = Field(
        default=None, pattern=_NAME, description="RuntimeClass of the pods, such as gvisor; default: the cluster's"
    )
    kubernetes_user_namespaces: bool = Field(
        default=False, description="give each pod users of its own (hostUsers: false), where the nodes can"
    )
    kubernetes_node_selector: Names = Field(
        default=(), description="labels of the nodes to use, such as pool=sandboxes,disk=ssd"
    )
    kubernetes_tolerations: Names = Field(
        default=(), description="taints of nodes to use nevertheless, such as sandboxes=true:NoSchedule"
    )
    kubernetes_cpu_request: float = Field(
        default=0.05, gt=0, le=64, description="CPUs set aside for each pod; its limit is cpus"
    )
    kubernetes_memory_request_bytes: int = Field(
        default=48 * MIB, gt=0, description="memory set aside for each pod; its limit is memory_bytes"
    )
    kubernetes_start_timeout: float = Field(
        default=60, gt=0, le=600, description="seconds that a pod may take to start, waiting for room included"
    )
    kubernetes_unisolated: bool = Field(
        default=False, description="run programs although pods can reach the network; only where you trust them"
    )

    @field_validator("kubernetes_node_selector")
    @classmethod
    def _labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [it for it in value if _LABEL.fullmatch(it) is None]:
            raise ValueError(f"{wrong[0]!r} is not of the form label=value; write pool=sandboxes,disk=ssd")
        return value

    @field_validator("kubernetes_tolerations")
    @classmethod
    def _taints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [it for it in value if _TOLERATION.fullmatch(it) is None]:
            raise ValueError(f"{wrong[0]!r} is not of the form key[=value][:effect]; write sandboxes=true:NoSchedule")
        return value

    @property
    def node_selector(self) -> dict[str, str]:
        """As it is in a pod's object."""
        return dict(it.split("=", 1) for it in self.kubernetes_node_selector)

    @property
    def tolerations(self) -> tuple[dict[str, str | int], ...]:
        """As they are in a pod's object."""
        return tuple(_toleration(it) for it in self.kubernetes_tolerations)


def _toleration(text: str) -> dict[str, str | int]:
    match = _TOLERATION.fullmatch(text)
    assert match is not None  # noqa: S101 - as was checked
    found = {name: value for name, value in match.groupdict().items() if value is not None}
    return {"operator": "Equal" if "value" in found else "Exists", **found}

"""How every pod is locked down: its object, whole, to be reviewed at a glance.

It keeps to the Pod Security Standards' restricted profile. What pods can't be told (inodes of the workspace, mount
options, the log) is the nodes' matter; docs/kubernetes.md lists it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.kubernetes.labels import CONTAINER, labels_of
from trio_exec.executor.kubernetes.objects import Object
from trio_exec.executor.machine import LOOK
from trio_exec.launcher.layout import WORKSPACE
from trio_exec.limits import MIB, Resources

SHARED_MEMORY = 8 * MIB
LOG = 64 * MIB
"""Bytes that a pod may take on its node's disk: nothing but the node's log of what the launcher sends."""
DEADLINE_MARGIN = 60
"""Seconds beyond a launcher's lifetime after which its node ends the pod."""
NAMES = "trio-exec.dev/passwd", "trio-exec.dev/group"
"""Annotations with the files that name the program's user, which the pod finds as files."""


@dataclass(frozen=True, slots=True)
class PodOptions:
    """What operators choose for all pods.

    Attributes:
        runtime_class: name of a RuntimeClass; None for the cluster's default.
        user_namespaces: whether pods have users of their own.
        node_selector: labels that nodes must have.
        tolerations: taints that nodes may have, as in a pod's object.
        cpu_request: CPUs that are set aside for a pod.
        memory_request: bytes that are set aside for a pod.
    """

    runtime_class: str | None = None
    user_namespaces: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    tolerations: tuple[Mapping[str, str | int], ...] = ()
    cpu_request: float = 0.05
    memory_request: int = 48 * MIB


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What operators choose for a cluster.

    Attributes:
        namespace: where pods go.
        uids: the programs' user ids.
        pods: for all pods.
        start_timeout: seconds that a pod may take to start.
        registry: what comes before the names of images.
        unisolated: whether pods may be used although they can reach something.
    """

    namespace: str
    uids: range
    pods: PodOptions
    start_timeout: float
    registry: str = ""
    unisolated: bool = False


def pod_object(
    spec: ContainerSpec, options: PodOptions, *, name: str, image: str, resources: Resources, uid: int, instance: str
) -> Object:
    """The object to create.

    Args:
        spec: what is asked for.
        options: what the operator chose.
        name: of the pod.
        image: the language's.
        resources: what it may use; they can't be changed later.
        uid: the launcher's user and group, and the program's.
        instance: names this server.
    """
    labels, annotations = labels_of(spec, instance)
    annotations |= dict(zip(NAMES, _names(uid), strict=True))
    body: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": spec.lifetime + DEADLINE_MARGIN,
        "terminationGracePeriodSeconds": 1,  # its launcher does not listen to signals, and has ended by itself
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # or the environment would name the namespace's services
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "hostname": "trio-exec",
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},  # and the launcher has a narrower one of its own
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",  # its tag is a hash of what is in it
                # A pod has no limit of processes, but its user can have one, which no other pod has.
                "args": [str(spec.lifetime), f"{uid}:{spec.limits.pids}", LOOK],
                "workingDir": WORKSPACE,
                "stdin": True,
                "stdinOnce": True,  # when our connection ends, so does the launcher
                # Root's own folder, which nobody else may enter: the usual file can be written to by programs, and
                # grows on the node's disk.
                "terminationMessagePath": "/root/termination-log",
                "securityContext": {
                    "runAsUser": uid,  # of the container alone: what holds the pod's namespaces is another user
                    "runAsGroup": uid,
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "resources": {
                    "limits": {
                        "cpu": f"{max(1, round(resources.cpus * 1000))}m",
                        "memory": str(resources.memory_bytes),
                        "ephemeral-storage": str(LOG),
                    },
                    "requests": {
                        "cpu": f"{max(1, round(min(options.cpu_request, resources.cpus) * 1000))}m",
                        "memory": str(min(options.memory_request, resources.memory_bytes)),
                        "ephemeral-storage": str(MIB),
                    },
                },
                "volumeMounts": [
                    {"name": "workspace", "mountPath": WORKSPACE},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - a mount's place
                    {"name": "names", "mountPath": "/dev/passwd", "subPath": "passwd", "readOnly": True},
                    {"name": "names", "mountPath": "/dev/group", "subPath": "group", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "workspace", "emptyDir": {"medium": "Memory", "sizeLimit": str(spec.limits.workspace_bytes)}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": str(SHARED_MEMORY)}},
            {
                "name": "names",
                "downwardAPI": {"items": [_item(annotation) for annotation in NAMES]},
            },
        ],
        # A node that is lost has lost its sessions, too: nothing is gained by waiting for the usual five minutes.
        "tolerations": [
            {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
            for taint in ("not-ready", "unreachable")
        ]
        + [dict(it) for it in options.tolerations],
    }
    if options.runtime_class is not None:
        body["runtimeClassName"] = options.runtime_class
    if options.user_namespaces:
        body["hostUsers"] = False
    if options.node_selector:
        body["nodeSelector"] = dict(options.node_selector)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": body,
    }


def _item(annotation: str) -> Object:
    return {"path": annotation.rpartition("/")[2], "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}


def _names(uid: int) -> tuple[str, str]:
    """The files passwd and group, as the launcher writes them where it is root."""
    passwd = (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"runner:x:{uid}:{uid}:runner:{WORKSPACE}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    return passwd, f"root:x:0:\ntty:x:5:\nrunner:x:{uid}:\nnogroup:x:65534:\n"

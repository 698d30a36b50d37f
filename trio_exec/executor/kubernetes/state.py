"""What a pod's object says of its one container: whether it runs, and if not, why; pure.

See "Pod Lifecycle" in Kubernetes' docs for phases, conditions and reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trio_exec.errors import ExecutorError, OutOfMemoryError
from trio_exec.executor.kubernetes.objects import NOTHING, entries, mapping, text

_HOPELESS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
"""Why a container that waits will hardly ever start."""
_OUT_OF_MEMORY = "OOMKilled"
_LEFT_ALONE = {"", "Completed", "Error"}
"""Reasons that say nothing beyond that it has ended."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod as it was last heard of.

    Attributes:
        version: of the object, to go on watching from.
        running: whether its container runs.
        ended: whether that has ended, or will never start; or the pod is gone.
        deleted: whether somebody has asked for its deletion.
        reason: why it waits, or has ended, in the cluster's word; empty if there is none.
        message: the cluster's sentence about that; may be empty.
        hopeless: whether it waits in vain.
        node_ip: address of its node; empty as long as it has none.
        ip: its own address; likewise.
    """

    version: str = ""
    running: bool = False
    ended: bool = False
    deleted: bool = False
    reason: str = ""
    message: str = ""
    hopeless: bool = False
    node_ip: str = ""
    ip: str = ""


CREATED = PodState()
"""As long as nothing has been heard of it."""
GONE = PodState(ended=True, deleted=True, reason="Deleted")
"""There is no such pod any more."""


def state_of(pod: Mapping[str, Any]) -> PodState:
    """What an object of the API says."""
    status = mapping(pod, "status")
    containers = entries(status, "containerStatuses")
    container = mapping(containers[0] if containers else NOTHING, "state")
    waiting, terminated = mapping(container, "waiting"), mapping(container, "terminated")
    ended = bool(terminated) or status.get("phase") in {"Succeeded", "Failed"}
    unscheduled = next((it for it in entries(status, "conditions") if _is_unscheduled(it)), NOTHING)
    # Of an eviction, the pod's own reason says more than that of its container, which was killed.
    about = next((it for it in (status, terminated, waiting, unscheduled) if it.get("reason")), NOTHING)
    if terminated.get("reason") == _OUT_OF_MEMORY:
        about = terminated
    metadata = mapping(pod, "metadata")
    return PodState(
        version=text(metadata, "resourceVersion"),
        running="running" in container and not ended,
        ended=ended,
        deleted="deletionTimestamp" in metadata,
        reason=text(about, "reason"),
        message=text(about, "message")[:_SHOWN],
        hopeless=not ended and waiting.get("reason") in _HOPELESS,
        node_ip=text(status, "hostIP"),
        ip=text(status, "podIP"),
    )


def ended_at(pod: Mapping[str, Any]) -> str:
    """When a pod's container ended, in RFC 3339; when the pod was created, if it never ran."""
    containers = entries(mapping(pod, "status"), "containerStatuses")
    terminated = mapping(mapping(containers[0] if containers else NOTHING, "state"), "terminated")
    return text(terminated, "finishedAt") or text(mapping(pod, "metadata"), "creationTimestamp")


def why_not_started(state: PodState, seconds: float) -> ExecutorError:
    """The error for a pod whose container does not run.

    Args:
        state: of the pod.
        seconds: for which it was waited for.
    """
    about = f"{state.reason}: {state.message}" if state.message else state.reason
    if state.ended:
        return ExecutorError(f"the pod ended before it was of use: {about or 'no reason was given'}")
    if state.hopeless:
        return ExecutorError(f"the pod can't start: {about}")
    if state.reason == "Unschedulable":
        return ExecutorError(f"no node of the cluster had room within {seconds:.0f} seconds: {state.message}")
    return ExecutorError(f"the pod did not start within {seconds:.0f} seconds{f': {about}' if about else ''}")


def why_ended(state: PodState, otherwise: ExecutorError) -> ExecutorError:
    """The error for a pod whose launcher has gone.

    Args:
        state: of the pod, some time afterwards.
        otherwise: what is known besides, where the cluster gives no reason.
    """
    about = f"{state.reason}: {state.message}" if state.message else state.reason
    if state.reason == _OUT_OF_MEMORY:
        return OutOfMemoryError("the kernel ended the container for want of memory")
    if state.ended and state.reason not in _LEFT_ALONE and state != GONE:
        return ExecutorError(f"the cluster ended the pod: {about}")
    if state.deleted:
        return ExecutorError("somebody deleted the pod, or its node went away")
    if state.running:
        return ExecutorError(
            "the connection to the pod broke: the Kubernetes API server, or what carries containers on the node, was "
            "stopped"
        )
    return otherwise


def _is_unscheduled(condition: Mapping[str, Any]) -> bool:
    return condition.get("type") == "PodScheduled" and condition.get("status") == "False"

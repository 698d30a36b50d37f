"""The janitor: goes through the namespace for pods that nobody can want any more.

Other servers may use the same namespace, and nothing need be known of them. All ages are by the API server's clock.
Every server does this, so what one left behind is gone soon, whether or not it comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Container as Collection
from datetime import datetime

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import Emit, LeftoverRemoved, ignore
from trio_exec.executor.kubernetes.api import KubernetesAPI
from trio_exec.executor.kubernetes.labels import HOST_LABEL, INSTANCE_LABEL, LIFETIME_ANNOTATION, host_name
from trio_exec.executor.kubernetes.objects import Object, mapping, text
from trio_exec.executor.kubernetes.state import ended_at, state_of

LOGGER = logging.getLogger("trio_exec.janitor")

SWEEP_INTERVAL = 30
ENDED_MAX_AGE = 30
"""Seconds after a pod's end in which its server has deleted it, if it still can."""
PARALLEL = 8
"""Deletions at once."""


class Janitor:
    """Deletes leftovers.

    Args:
        api: the cluster's.
        instance: names this server in its pods' labels.
        owned: names of pods that this server takes care of itself.
        emit: reports what is deleted.
    """

    def __init__(self, api: KubernetesAPI, instance: str, owned: Collection[str], emit: Emit = ignore) -> None:
        self._api = api
        self._instance = instance
        self._owned = owned
        self._emit = emit
        self._host = host_name()
        self._limiter = trio.CapacityLimiter(PARALLEL)

    async def run(self) -> None:
        """Deletes leftovers now and then, until cancelled."""
        while True:
            try:
                await self._sweep()
            except ExecutorError as error:
                LOGGER.warning("%s; will try again", error)
            await trio.sleep(SWEEP_INTERVAL)

    async def _sweep(self) -> None:
        listed, _, now = await self._api.list(INSTANCE_LABEL)
        async with trio.open_nursery() as nursery:
            for pod in listed:
                name = pod["metadata"]["name"]
                if name not in self._owned and self.is_leftover(pod, now):
                    nursery.start_soon(self._delete, name)

    async def _delete(self, name: str) -> None:
        async with self._limiter:
            try:
                await self._api.delete(name)
            except ExecutorError as error:
                LOGGER.warning("%s; will try again", error)
                return
        LOGGER.info("deleted %s, which nobody owned", name)
        self._emit(LeftoverRemoved(name))

    def is_leftover(self, pod: Object, now: float) -> bool:
        """Whether nobody can still want a pod that this server does not own.

        Args:
            pod: its object.
            now: the time there, in seconds since 1970.
        """
        metadata = mapping(pod, "metadata")
        labels = mapping(metadata, "labels")
        if "deletionTimestamp" in metadata:
            return False  # Its node is about it.
        if labels.get(INSTANCE_LABEL) == self._instance:
            return True
        if self._host and labels.get(HOST_LABEL) == self._host:
            return True  # Its server had our name, and has ended.
        lifetime = text(mapping(metadata, "annotations"), LIFETIME_ANNOTATION)
        if lifetime.isdecimal() and now - _seconds(metadata["creationTimestamp"]) > int(lifetime):
            return True
        return state_of(pod).ended and now - _seconds(ended_at(pod)) > ENDED_MAX_AGE


def _seconds(timestamp: str) -> float:
    """Of a time in RFC 3339, since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()

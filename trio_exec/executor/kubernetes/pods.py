"""What becomes of this server's pods, told by one watch for all of them.

A watch goes on where the one before ended. When that can't be, everything is listed anew, and a pod that is not in the
list is gone. See "Efficient detection of changes" in Kubernetes' docs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from trio_exec.errors import ExecutorError
from trio_exec.executor.kubernetes.api import KubernetesAPI
from trio_exec.executor.kubernetes.errors import ExpiredError
from trio_exec.executor.kubernetes.objects import Object
from trio_exec.executor.kubernetes.state import CREATED, GONE, PodState, state_of

LOGGER = logging.getLogger("trio_exec.kubernetes")

RETRY_FIRST, RETRY_LAST = 0.5, 8
"""Seconds until the API is asked again, where it failed; doubled each time."""


class Pod:
    """One that is followed.

    Attributes:
        name: the pod's.
        state: as it was last heard of.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = CREATED
        self.exists = False
        """Whether the API has said so: before, a list without it means nothing."""
        self._changed = trio.Event()

    def hear(self, state: PodState) -> None:
        """Takes news of it."""
        self.exists = True
        self.state = state
        self._changed.set()
        self._changed = trio.Event()

    def refused(self, why: str) -> None:
        """Takes that it could not be created yet."""
        self.state = PodState(reason=why)

    async def wait(self, condition: Callable[[PodState], bool]) -> PodState:
        """Returns the first state from now on that meets a condition; may be the present one.

        Cancellation: at any moment.
        """
        await trio.lowlevel.checkpoint()
        while not condition(self.state):
            await self._changed.wait()
        return self.state


class Pods:
    """Follows pods. `run` must be running.

    Args:
        api: the cluster's.
        selector: matches the labels of all pods that are to be followed.
    """

    def __init__(self, api: KubernetesAPI, selector: str) -> None:
        self._api = api
        self._selector = selector
        self._followed: dict[str, Pod] = {}
        self._version: str | None = None

    def follow(self, name: str) -> Pod:
        """A pod, from before it is created on, until it is let go of."""
        self._followed[name] = Pod(name)
        return self._followed[name]

    def let_go(self, name: str) -> None:
        """Follows a pod no more; harmless where it was not followed."""
        self._followed.pop(name, None)

    def __getitem__(self, name: str) -> Pod:
        return self._followed[name]

    async def run(self) -> None:
        """Follows until cancelled."""
        delay = RETRY_FIRST
        while True:
            try:
                if self._version is None:
                    await self._list()
                await self._api.watch(self._selector, self._version or "", self._hear)
                delay = RETRY_FIRST
            except ExpiredError:
                self._version = None
            except ExecutorError as error:
                # What was missed meanwhile may be more than the API server still knows.
                self._version = None
                LOGGER.warning("pods can't be watched: %s; will try again", error)
                await trio.sleep(delay)
                delay = min(2 * delay, RETRY_LAST)

    async def _list(self) -> None:
        existed = [pod for pod in self._followed.values() if pod.exists]
        listed, version, _ = await self._api.list(self._selector)
        for pod in listed:
            self._hear("ADDED", pod)
        names = {pod["metadata"]["name"] for pod in listed}
        for pod in existed:
            if pod.name not in names:
                pod.hear(GONE)
        self._version = version

    def _hear(self, kind: str, pod: Object) -> None:
        self._version = pod["metadata"]["resourceVersion"]
        followed = self._followed.get(pod["metadata"].get("name", ""))
        if followed is not None:
            followed.hear(GONE if kind == "DELETED" else state_of(pod))

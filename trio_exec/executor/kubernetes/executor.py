"""The executor on Kubernetes: single-use pods, each owned by a task of its own until it is gone.

    host                 as long as a pod is left
    ├─ pods              watches what becomes of them
    ├─ connections       one for each pod that is attached
    └─ owners            one for each pod, see `leases`

No pod stays behind: its owner deletes it; its launcher ends when its input does, which the node sees to when our
connection ends (`stdinOnce`); where a connection is cut and nobody knows, it ends for want of a heartbeat; the node
ends it after `activeDeadlineSeconds`; and any server's janitor deletes what has ended or is past its lifetime.

A session's end does not wait for its pod's: the launcher is told, memory and processes are free within a second, and
the object goes when the node has confirmed it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.events import Emit, ignore
from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.health import Health
from trio_exec.executor.kubernetes.api import KubernetesAPI
from trio_exec.executor.kubernetes.attach_stream import AttachStream, attach
from trio_exec.executor.kubernetes.container import PodContainer
from trio_exec.executor.kubernetes.errors import NotYetError, QuotaFullError, ThrottledError
from trio_exec.executor.kubernetes.hardening import PodOptions, pod_object
from trio_exec.executor.kubernetes.isolation import Isolation
from trio_exec.executor.kubernetes.janitor import Janitor
from trio_exec.executor.kubernetes.labels import INSTANCE_LABEL
from trio_exec.executor.kubernetes.objects import Object
from trio_exec.executor.kubernetes.pods import Pod, Pods
from trio_exec.executor.kubernetes.state import PodState, why_not_started
from trio_exec.executor.leases import Lease
from trio_exec.executor.owning import OwningExecutor
from trio_exec.ids import short_id
from trio_exec.launcher.connection import LauncherConnection

LOGGER = logging.getLogger("trio_exec.kubernetes")

OPENING_AT_ONCE = 8
"""Pods that a pool has started at once: each takes seconds, and nearly all of it elsewhere."""
ROOM_FIRST, ROOM_LAST = 0.25, 4
"""Seconds until a pod for which there was no room is asked for again; doubled each time."""
ATTACH_RETRY = 0.2
"""Seconds until a pod is attached to again that runs, as its cluster says, and not yet as its node does."""


class KubernetesExecutor(OwningExecutor[PodContainer]):
    """Opens containers as pods; see `OwningExecutor`.

    Args:
        api: the cluster's.
        uids: the programs' user ids.
        options: what the operator chose for pods.
        isolation: holds pods back until they reach nothing.
        start_timeout: seconds that a pod may take to start, waiting for room included.
        emit: reports what happens to pods, and the API's calls.

    Attributes:
        can_update_limits: never; see `PodContainer.apply_resources`.
        warm_at_once: how many pods a pool may have started at once.
    """

    can_update_limits = False
    warm_at_once = OPENING_AT_ONCE

    def __init__(
        self,
        api: KubernetesAPI,
        uids: range,
        options: PodOptions,
        *,
        isolation: Isolation,
        start_timeout: float,
        emit: Emit = ignore,
    ) -> None:
        health = Health(api.ping, engine="the Kubernetes API", unusable="a first pod is being tried", emit=emit)
        # A session's end does not wait for its pod's.
        super().__init__(uids, health=health, emit=emit, wait=False)
        self._api = api
        self._options = options
        self._isolation = isolation
        self._start_timeout = start_timeout
        self._pods = Pods(api, f"{INSTANCE_LABEL}={self.instance}")
        self._connections: trio.Nursery | None = None

    async def _tidy(self) -> None:
        await Janitor(self._api, self.instance, self._owners.names, self._emit).run()

    async def _host(self, ending: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The same, and watches pods meanwhile."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as background:
                self._connections = background
                background.start_soon(self._pods.run)
                async with trio.open_nursery() as nursery:
                    await nursery.start(super()._host, ending)
                    task_status.started()
                background.cancel_scope.cancel(reason="no pod is left")

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[PodContainer]:
        """A pod for as long as the context lasts; see `Executor`. What is left of it then goes soon after."""
        async with self.open_unheld(spec) as container:
            await self._isolation.hold(container)
            yield container

    def open_unheld(self, spec: ContainerSpec) -> AbstractAsyncContextManager[PodContainer]:
        """The same, for no program of anybody's: whether it reaches anything is not looked at."""
        return self._open(spec)

    async def make(self, lease: Lease[PodContainer], spec: ContainerSpec) -> PodContainer | None:
        """Makes a pod, and attaches to it; see `Maker`."""
        pod = self._pods.follow(lease.name)
        start = trio.current_time()
        stream: AttachStream | None = None
        with trio.move_on_after(self._start_timeout):
            await self._create(lease, spec, pod)
            stream = await self._attach_when_it_runs(lease, spec, pod)
        if lease.returned.is_set():
            if stream is not None:
                await stream.aclose()
            return None
        if stream is None:
            raise why_not_started(pod.state, trio.current_time() - start)
        launcher = LauncherConnection(stream)
        try:
            await launcher.greet()
        except ExecutorError:
            await launcher.aclose()
            raise
        return PodContainer(launcher, pod, spec.lifetime, self.health.doubt)

    async def _create(self, lease: Lease[PodContainer], spec: ContainerSpec, pod: Pod) -> None:
        """Creates the pod; for a session, as soon as there is room for it. A pool comes back by itself."""
        wanted = pod_object(
            spec,
            self._options,
            name=lease.name,
            image=self._images[spec.language],
            resources=spec.resources[-1],
            uid=self._uids.take(lease.name),
            instance=self.instance,
        )
        delay = ROOM_FIRST
        while not lease.returned.is_set():
            try:
                await self._call_create(wanted)
            except QuotaFullError as error:
                if not spec.session_id:
                    raise
                pod.refused(error.message)
            except ThrottledError as error:
                pod.refused(error.message)
                delay = max(delay, error.seconds)
            else:
                return
            with trio.move_on_after(delay):
                await lease.returned.wait()
            delay = min(2 * delay, ROOM_LAST)

    async def _call_create(self, wanted: Object) -> None:
        try:
            await self._api.create(wanted)
        except ExecutorUnavailableError as error:
            self.health.fail(error.message)
            raise

    async def _attach_when_it_runs(
        self, lease: Lease[PodContainer], spec: ContainerSpec, pod: Pod
    ) -> AttachStream | None:
        """None where nobody wants it any more."""
        assert self._connections is not None  # noqa: S101 - owners are its tasks

        def complain(words: str) -> None:
            LOGGER.warning("session %s: %s", short_id(spec.session_id), words)

        while not lease.returned.is_set():
            state = await _settled(pod, lease.returned)
            if state is None:
                break
            if not state.running:
                raise why_not_started(state, 0)
            try:
                return await attach(self._connections, self._api.access, self._api.namespace, pod.name, complain)
            except NotYetError:
                await trio.sleep(ATTACH_RETRY)
        return None

    async def remove(self, lease: Lease[PodContainer]) -> None:
        """Has the pod deleted, and returns when its container has ended; see `Maker`."""
        await self._api.delete(lease.name)
        pod = self._pods[lease.name]
        if pod.exists:
            await pod.wait(lambda state: state.ended)

    def gone(self, lease: Lease[PodContainer]) -> None:
        """Has its user id back; see `Maker`."""
        self._pods.let_go(lease.name)
        super().gone(lease)


async def _settled(pod: Pod, unwanted: trio.Event) -> PodState | None:
    """A pod's state once it runs, or is known not to; None if nobody wants it before."""
    state: PodState | None = None
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            await unwanted.wait()
            nursery.cancel_scope.cancel(reason="nobody wants it any more")

        nursery.start_soon(give_up)
        state = await pod.wait(_has_settled)
        nursery.cancel_scope.cancel(reason="it is known")
    return state


def _has_settled(state: PodState) -> bool:
    return state.running or state.ended or state.hopeless or state.deleted

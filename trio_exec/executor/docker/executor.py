"""The executor on Docker: single-use containers, each owned by a task of its own until it is gone.

Several things see to it that no container stays behind: its owner removes it; the launcher
inside ends when its input does, which happens by itself when this process dies, and the engine then removes the
container (`auto_remove`); the guard, a process beside this one, removes what a killed server was just about to make;
and any server's janitor removes what is past the lifetime that its label tells.

Blocking docker-py calls run in threads, under limiters by kind: removals that take long keep no session from
starting, and neither keeps the engine's health from being known. The attached socket is Trio's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeVar

import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError, LimitsMissingError
from trio_exec.events import Emit, ignore
from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.attach_stream import AttachStream
from trio_exec.executor.docker.calls import Calls
from trio_exec.executor.docker.container import DockerContainer
from trio_exec.executor.docker.enforcement import Enforcement
from trio_exec.executor.docker.hardening import HARDENING, Hardening
from trio_exec.executor.docker.janitor import Janitor, host_name
from trio_exec.executor.docker.labels import (
    HOST_LABEL,
    INSTANCE_LABEL,
    LANGUAGE_LABEL,
    LIFETIME_LABEL,
    SESSION_LABEL,
    USER_LABEL,
)
from trio_exec.executor.health import Health
from trio_exec.executor.leases import Lease
from trio_exec.executor.machine import EXTRA_CAPABILITIES
from trio_exec.executor.owning import OwningExecutor
from trio_exec.ids import short_id
from trio_exec.launcher.connection import LauncherConnection
from trio_exec.limits import Limits, Resources
from trio_exec.model import StageName
from trio_exec.settings import LIMIT_NAMES

LOGGER = logging.getLogger("trio_exec.docker")

THREADS = 16
"""Calls of a kind at once. The engine itself works on few starts at a time; more would only wait there."""
EXPEDITE_AFTER = 0.5
"""Seconds that a container gets to go by itself, once its launcher's input has ended, before it gets more CPU."""
LEAVE_TIMEOUT = 2
"""Seconds that it then gets before it is killed."""
EXPIRY_MARGIN = 60
"""Seconds beyond a launcher's lifetime after which any server may remove its container."""

_T = TypeVar("_T")


class DockerExecutor(OwningExecutor[DockerContainer]):
    """Opens containers on the engine that the environment names; see `OwningExecutor`.

    Args:
        api: the engine.
        uids: the programs' user ids.
        runtime: Docker runtime, or None for the engine's default.
        missing_limits: names of limits that containers may do without; see `enforcement`.
        emit: reports what happens to containers, and the engine's calls.

    Attributes:
        can_update_limits: whether the limits of a running container can be changed, as far as is known.
    """

    def __init__(
        self,
        api: DockerAPI,
        uids: range,
        runtime: str | None = None,
        missing_limits: Collection[str] = (),
        emit: Emit = ignore,
    ) -> None:
        self._api = api
        self._calls = Calls(emit)
        ping = trio.CapacityLimiter(1)
        health = Health(
            lambda: self._calls("ping", api.ping, ping),
            engine="the Docker engine",
            unusable="the Docker engine is being asked which of the languages' images it has",
            emit=emit,
        )
        super().__init__(uids, health=health, emit=emit, wait=True)
        self._hardening = HARDENING
        self._runtime = runtime
        self._enforcement = Enforcement(missing_limits)
        self.can_update_limits = False
        self._host_label = host_name()
        self._starts = trio.CapacityLimiter(THREADS)
        self._updates = trio.CapacityLimiter(THREADS)
        self._removals = trio.CapacityLimiter(THREADS)

    async def _tidy(self) -> None:
        await Janitor(self._api, self.instance, self._owners.names, self._emit).run()

    async def _call(self, name: str, function: Callable[[], _T], limiter: trio.CapacityLimiter) -> _T:
        """Calls the engine; see `Calls`. One that can't be reached is a matter for everybody."""
        try:
            return await self._calls(name, function, limiter)
        except ExecutorUnavailableError as error:
            self.health.fail(error.message)
            raise

    @property
    def hardening(self) -> Hardening:
        """How containers are locked down, as far as the engine's machine is known."""
        return self._hardening

    @property
    def warm_at_once(self) -> int:
        """As many as suit the engine's machine; see `Executor`."""
        return self._hardening.machine.warm_at_once

    def use_images(self, images: Mapping[str, str]) -> None:
        """Says which images languages run in, which therefore can be run."""
        super().use_images(images)
        for language in images:
            self.missing.pop(language, None)

    async def try_out(self, limits: Limits) -> None:
        """Opens a container, to learn what the engine and its runtime can do before anybody relies on it.

        Raises:
            ExecutorUnavailableError: the engine can't be reached.
            ExecutorError: it can't run our containers; says why.
        """
        machine = await self._call("info", self._api.machine, self._starts)
        if not machine.charges_sockets:
            LOGGER.warning(
                "the engine's machine has cgroup v1, where memory in TCP sockets is outside of the memory limit: "
                "programs get fewer descriptors and no UDP; cgroup v2 is better"
            )
        if not machine.has_cgroups:
            self._enforcement.refuse(LIMIT_NAMES, "it has no cgroup driver")
        resources = limits.resources(StageName.RUN)
        language = next(iter(self._images))
        spec = ContainerSpec(session_id="", language=language, limits=limits, resources=[resources], lifetime=60)
        refusal: ExecutorError | None = None
        for extra in (EXTRA_CAPABILITIES, EXTRA_CAPABILITIES[:1], EXTRA_CAPABILITIES[1:], ()):
            self._hardening = replace(HARDENING, machine=replace(machine, extra_capabilities=extra))
            try:
                async with self.open_container(spec) as container:
                    await self._try_updating(container, resources)
            except (ExecutorUnavailableError, LimitsMissingError):
                raise
            except ExecutorError as error:
                if not extra:
                    raise
                refusal = error
                continue
            if refusal is not None:
                missing = " and ".join(sorted(set(EXTRA_CAPABILITIES) - set(extra)))
                LOGGER.warning("launchers do without %s, which the engine does not give: %s", missing, refusal)
            break
        self.usable()

    async def _try_updating(self, container: DockerContainer, resources: Resources) -> None:
        try:
            # Any change will do; a little more is valid whatever the limit.
            await container.update_resources(replace(resources, cpus=resources.cpus + 0.01))
            self.can_update_limits = True
        except ExecutorUnavailableError:
            raise
        except ExecutorError:
            LOGGER.warning(
                "the engine's runtime can't change the limits of a running container: the compile stage gets the run "
                "stage's, and sessions with lower ones start cold"
            )

    def open_container(self, spec: ContainerSpec) -> AbstractAsyncContextManager[DockerContainer]:
        """A container for as long as the context lasts; see `Executor`."""
        return self._open(spec)

    async def make(self, lease: Lease[DockerContainer], spec: ContainerSpec) -> DockerContainer | None:
        """Makes a container; see `Maker`."""
        name = lease.name
        resources = spec.resources[0 if self.can_update_limits else -1]
        uid = self._uids.take(name)
        await self._call("create", lambda: self._create(name, spec, uid, resources), self._starts)
        if lease.returned.is_set():
            return None
        socket = await self._call("attach", lambda: self._api.attach(name), self._starts)
        stream = AttachStream(
            trio.SocketStream(trio.socket.from_stdlib_socket(socket)),
            lambda complaint: LOGGER.warning("session %s: %s", short_id(spec.session_id), complaint),
        )
        launcher = LauncherConnection(stream)
        try:
            await launcher.greet()
            await self._call("start", lambda: self._api.start(name), self._starts)
        except ExecutorError:
            await launcher.aclose()
            raise
        return DockerContainer(
            launcher,
            in_force=HARDENING.changeable(resources),
            update=lambda limits: self._call("update", lambda: self._api.update(name, limits), self._updates),
            can_update=self.can_update_limits,
            ran_out_of_memory=lambda: self._ran_out_of_memory(name),
            doubt=self.health.doubt,
        )

    async def _ran_out_of_memory(self, name: str) -> bool:
        try:
            return await self._call("events", lambda: self._api.ran_out_of_memory(name), self._updates)
        except ExecutorError as error:
            LOGGER.debug("why %s ended is not known: %s", name, error)
            return False

    def _create(self, name: str, spec: ContainerSpec, uid: int, resources: Resources) -> None:
        host_config = self._hardening.host_config(spec.limits, resources, self._runtime, uid)
        warnings = self._api.create(
            name=name,
            image=self._images[spec.language],
            command=[str(spec.lifetime), str(uid), *self._hardening.machine.charged],
            labels={
                INSTANCE_LABEL: self.instance,
                HOST_LABEL: self._host_label,
                SESSION_LABEL: spec.session_id,
                LANGUAGE_LABEL: spec.language,
                USER_LABEL: str(uid),
                LIFETIME_LABEL: str(spec.lifetime + EXPIRY_MARGIN),
            },
            host_config=host_config,
            paths=self._hardening.paths(),
        )
        # Not for each: it takes another call. But the engine may be another one since the try-out.
        if warnings or not self._ready.is_set():
            self._enforcement.check(host_config, self._api.host_config(name), warnings)

    async def remove(self, lease: Lease[DockerContainer]) -> None:
        """Returns when a container is gone; see `Maker`."""
        if lease.container is None or not await self._leaves(lease.name, lease.container):
            await self._call("remove", lambda: self._api.remove(lease.name), self._removals)

    async def _leaves(self, name: str, container: DockerContainer) -> bool:
        """Whether the container goes by itself, as its launcher's input has ended: cheaper than to kill it."""
        if await self._call("wait", lambda: self._api.wait_removed(name, EXPEDITE_AFTER), self._removals):
            return True
        await container.expedite()
        return await self._call("wait", lambda: self._api.wait_removed(name, LEAVE_TIMEOUT), self._removals)

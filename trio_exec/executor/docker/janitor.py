"""The janitor: goes through the engine's list for containers that nobody can want any more.

Other servers may use the same engine, and nothing need be known of them: what they still want is started soon after
it was created, and younger than the lifetime in its label. All ages are by the engine's own clock; servers' clocks
may differ.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Container as Collection
from collections.abc import Mapping

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import Emit, LeftoverRemoved, ignore
from trio_exec.executor.docker.api import DockerAPI, Listed
from trio_exec.executor.docker.calls import Calls
from trio_exec.executor.docker.labels import HOST_LABEL, INSTANCE_LABEL, LIFETIME_LABEL

LOGGER = logging.getLogger("trio_exec.janitor")

SWEEP_INTERVAL = 60
RETRY_FIRST, RETRY_LAST = 2, 16
"""Seconds until what the engine refused is tried again; doubled each time."""
UNSTARTED_MAX_AGE = 120
"""Seconds after which a container that was created but never started belongs to nobody."""
PARALLEL = 4
"""Removals at once: one on which the engine hangs, for as long as a call may take, holds up no other."""

_FIRST_PROCESS = 1
_CONTAINER_NAME = re.compile(r"[0-9a-f]{12}")


def host_name() -> str:
    """Names the container that this server runs in as its first process; empty where it does not.

    Docker gives a container its short id as host name. Of two servers that name the same one, the other is dead: it
    was this one's predecessor, before the container was restarted.
    """
    name = socket.gethostname()
    return name if os.getpid() == _FIRST_PROCESS and _CONTAINER_NAME.fullmatch(name) else ""


class Janitor:
    """Removes leftovers.

    Args:
        api: the engine.
        instance: names this server in its containers' labels.
        owned: names of containers that this server takes care of itself.
        emit: reports what is removed, and the engine's calls.
    """

    def __init__(self, api: DockerAPI, instance: str, owned: Collection[str], emit: Emit = ignore) -> None:
        self._api = api
        self._emit = emit
        self._calls = Calls(emit)
        self._instance = instance
        self._owned = owned
        self._host = host_name()
        self._limiter = trio.CapacityLimiter(1)
        self._removals = trio.CapacityLimiter(PARALLEL)

    async def run(self) -> None:
        """Removes leftovers now and then regularly, until cancelled."""
        retry = RETRY_FIRST
        while True:
            try:
                await self._sweep()
            except ExecutorError as error:
                LOGGER.warning("%s; will try again", error)
                await trio.sleep(retry)
                retry = min(2 * retry, RETRY_LAST)
            else:
                retry = RETRY_FIRST
                await trio.sleep(SWEEP_INTERVAL)

    async def _sweep(self) -> None:
        """Removes every leftover that the engine lets go.

        Raises:
            ExecutorError: at least one is still there; the others are gone.
        """
        foreign = [
            container
            for container in await self._calls("list", lambda: self._api.list(INSTANCE_LABEL), self._limiter)
            if container.name not in self._owned
        ]
        if not foreign:
            return
        now = await self._calls("info", self._api.now, self._limiter)
        refusals: list[ExecutorError] = []
        async with trio.open_nursery() as nursery:
            for container in foreign:
                if self._is_leftover(container, now):
                    nursery.start_soon(self._remove, container.name, refusals)
        if refusals:
            raise refusals[0]

    async def _remove(self, name: str, refusals: list[ExecutorError]) -> None:
        try:
            # An engine that was restarted may list what is gone for good (moby's pull request 51692): no news.
            if await self._calls("remove", lambda: self._api.remove(name), self._removals):
                LOGGER.info("removed %s, which nobody owned", name)
                self._emit(LeftoverRemoved(name))
        except ExecutorError as error:
            refusals.append(error)

    def _is_leftover(self, container: Listed, now: float) -> bool:
        """Whether nobody can still want a container that this server does not own."""
        labels: Mapping[str, str] = container.labels
        if labels.get(INSTANCE_LABEL) == self._instance:
            return True
        if self._host and labels.get(HOST_LABEL) == self._host:
            return True
        age = now - container.created
        lifetime = labels.get(LIFETIME_LABEL, "")
        if lifetime.isdecimal() and age > int(lifetime):
            return True
        return container.status == "created" and age > UNSTARTED_MAX_AGE

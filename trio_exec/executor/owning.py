"""What an executor has that lives beside its containers' engine: owners for them, the engine's health, what is known.

run
├─ owners            one for each container, see `leases`
├─ janitor           removes what other servers have left behind
└─ health            keeps the answer to whether the engine can be used
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Generic

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import Emit
from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.health import Health
from trio_exec.executor.leases import C, Lease, Owners
from trio_exec.executor.uids import UserIds


class OwningExecutor(ABC, Generic[C]):
    """Opens containers, each of which has a task as its owner. `run` must be running.

    Args:
        uids: the programs' user ids.
        health: whether the engine can be used.
        emit: reports what lingers.
        wait: whether whoever leaves a container waits for its removal; see `Owners`.

    Attributes:
        versions: of the languages, as x.y.z, as far as they are known.
        missing: the languages that can't be run yet, with the reason; see `Executor`.
        health: the same.
        instance: names this server in its containers' labels.
    """

    def __init__(self, uids: range, *, health: Health, emit: Emit, wait: bool) -> None:
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.health = health
        self.instance = secrets.token_hex(8)
        self._emit = emit
        self._images: dict[str, str] = {}
        self._uids = UserIds(uids)
        self._owners = Owners(self, emit, wait=wait)
        self._ready = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Owns containers until cancelled, and then for as long as their removal takes; see `Owners`."""
        ending = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._host, ending)
            nursery.start_soon(self._tidy)
            nursery.start_soon(self.health.run)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                ending.set()

    async def _host(  # noqa: ASYNC128 - owners say that they have started
        self, ending: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Owns containers until the event, and while any are left."""
        await self._owners.run(ending, task_status=task_status)

    @abstractmethod
    async def _tidy(self) -> None:
        """Removes what other servers have left behind, until cancelled."""

    @abstractmethod
    async def make(self, lease: Lease[C], spec: ContainerSpec) -> C | None:
        """Makes a container; see `Maker`."""

    @abstractmethod
    async def remove(self, lease: Lease[C]) -> None:
        """Returns when a container is gone; see `Maker`."""

    def gone(self, lease: Lease[C]) -> None:
        """Has its user id back; see `Maker`."""
        self._uids.release(lease.name)

    def use_images(self, images: Mapping[str, str]) -> None:
        """Says which images languages run in, besides those that are known already."""
        self._images |= images

    def usable(self) -> None:
        """Says that containers can be opened."""
        self.health.usable()
        self._ready.set()

    async def wait_ready(self) -> None:
        """Returns once a container could be opened; see `Executor`."""
        await self._ready.wait()

    @property
    def warm(self) -> Mapping[str, int]:
        """None: every container is opened when it is asked for."""
        return {}

    @property
    def not_ready_reason(self) -> str | None:
        """What keeps containers from being opened; see `Executor`."""
        return self.health.not_ready_reason

    async def check(self) -> None:
        """Returns when `not_ready_reason` is up to date; see `Executor`."""
        await self.health.settle()

    @property
    def lingering(self) -> int:
        """How many containers are there that should not be; see `Executor`."""
        return len(self._owners.lingering)

    async def wait_lingering(self, known: int) -> None:
        """Returns when `lingering` is another number; see `Executor`."""
        await self._owners.lingering.wait_other(known)

    @property
    def clean(self) -> bool:
        """Whether no container of this server is left."""
        return self._owners.clean

    def _open(self, spec: ContainerSpec) -> AbstractAsyncContextManager[C]:
        """A container for as long as the context lasts; see `Executor`."""
        if spec.language not in self._images:
            raise ExecutorError(f"{spec.language} has no image yet")
        return self._owners.open(f"trio-exec-{self.instance}-{secrets.token_hex(8)}", spec)

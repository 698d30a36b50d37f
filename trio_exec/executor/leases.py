"""Containers, each owned by a task of its own until it is gone, and lent to whoever asked for it.

    run
    └─ owner   one for each container: has it made, lends it to whoever asked, has it removed until it is gone
       └─ beat meanwhile: signs of life to its launcher, and from there

Who opens a container waits for its owner, and can stop waiting at any moment: a call to an engine that hangs holds up
nobody but the owner.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.events import ContainerLingers, Emit
from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.lingering import Lingering
from trio_exec.launcher.connection import LauncherConnection

LOGGER = logging.getLogger("trio_exec.containers")

CLEANUP_TIMEOUT = 10
"""Seconds that whoever opened a container waits for its removal; then it lingers, and only its owner waits on."""
RETRY_FIRST, RETRY_LAST = 2, 16
"""Seconds until an owner tries again to remove what the engine did not let go; doubled each time."""


class HasLauncher(Protocol):
    """A container with its launcher."""

    @property
    def launcher(self) -> LauncherConnection:
        """The connection to it."""
        ...


C = TypeVar("C", bound=HasLauncher)


@dataclass(eq=False, slots=True)
class Lease(Generic[C]):
    """A container between its owner and whoever asked for it.

    Attributes:
        name: known before the container exists: whatever fails from here on, there is a name to remove it by.
        settled: it was started, or that failed.
        container: once it was started.
        failure: why it could not be.
        returned: nobody wants it any more.
        tried: the engine was asked to remove it, with or without success.
        gone: it does not exist.
    """

    name: str
    settled: trio.Event = field(default_factory=trio.Event)
    container: C | None = None
    failure: ExecutorError | None = None
    returned: trio.Event = field(default_factory=trio.Event)
    tried: trio.Event = field(default_factory=trio.Event)
    gone: trio.Event = field(default_factory=trio.Event)


class Maker(Protocol[C]):
    """What makes and removes containers; an executor."""

    async def make(self, lease: Lease[C], spec: ContainerSpec) -> C | None:
        """A container that runs, and whose launcher is greeted; None if it has been returned meanwhile.

        Raises:
            ExecutorError: it could not be made; what there is of it is to be removed.
        """
        ...

    async def remove(self, lease: Lease[C]) -> None:
        """Returns when a container is gone, whose launcher's input has ended already; harmless if there is none.

        Raises:
            ExecutorError: the engine does not let it go now.
        """
        ...

    def gone(self, lease: Lease[C]) -> None:
        """Is called when a container is gone for certain."""
        ...


class Owners(Generic[C]):
    """The tasks that own containers. `run` must be running.

    Args:
        maker: makes containers and removes them.
        emit: reports what lingers.
        wait: whether whoever leaves a container's context waits for its removal. If not, that goes on behind their
            back, and the container lingers only if it takes longer than `CLEANUP_TIMEOUT`.
    """

    def __init__(self, maker: Maker[C], emit: Emit, *, wait: bool) -> None:
        self._maker = maker
        self._emit = emit
        self._wait = wait
        self._leases: dict[str, Lease[C]] = {}
        self._nursery: trio.Nursery | None = None
        self.lingering = Lingering()

    @property
    def names(self) -> Container[str]:
        """Names of the containers that are owned."""
        return self._leases

    @property
    def clean(self) -> bool:
        """Whether there is no container."""
        return not self._leases

    async def run(self, ending: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Owns containers until the event, and then for as long as removals take, `CLEANUP_TIMEOUT` at most.

        Cancellation: not before that.
        """
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await ending.wait()
                self._nursery = None
                for lease in self._leases.values():
                    lease.returned.set()
                nursery.cancel_scope.deadline = trio.current_time() + CLEANUP_TIMEOUT

    @asynccontextmanager
    async def open(self, name: str, spec: ContainerSpec) -> AsyncGenerator[C]:
        """A container for as long as the context lasts; see `Executor`.

        Args:
            name: the container's, which no other has had.
            spec: what to open.
        """
        if self._nursery is None:
            raise ExecutorUnavailableError("this server does not run containers now")
        lease = Lease[C](name)
        self._leases[name] = lease
        self._nursery.start_soon(self._own, lease, spec)
        try:
            await lease.settled.wait()
            if lease.container is None:
                raise lease.failure or ExecutorError("the container could not be opened")
            await lease.container.launcher.wait_ready()
            yield lease.container
        finally:
            lease.returned.set()
            if self._wait:
                with trio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                    await lease.tried.wait()
                if not lease.gone.is_set():
                    self._linger(lease)

    def _linger(self, lease: Lease[C]) -> None:
        LOGGER.warning("the container %s is still there; its slot stays taken until it is gone", lease.name)
        self.lingering.add(lease)
        self._emit(ContainerLingers(lease.name))

    async def _own(self, lease: Lease[C], spec: ContainerSpec) -> None:
        """Makes a container, waits until nobody wants it, and removes it."""
        try:
            lease.container = await self._maker.make(lease, spec)
        except ExecutorError as error:
            lease.failure = error
        lease.settled.set()
        if lease.container is not None:
            await _lend(lease, lease.container)
            await lease.container.launcher.aclose()
        async with trio.open_nursery() as nursery:
            if not self._wait:
                nursery.start_soon(self._linger_later, lease)
            await self._remove(lease)
            nursery.cancel_scope.cancel(reason="it is gone")

    async def _linger_later(self, lease: Lease[C]) -> None:
        await trio.sleep(CLEANUP_TIMEOUT)
        if not lease.gone.is_set():
            self._linger(lease)

    async def _remove(self, lease: Lease[C]) -> None:
        """Returns when the container is gone, however often the engine has to be asked."""
        retry = RETRY_FIRST
        while not lease.gone.is_set():
            try:
                await self._maker.remove(lease)
                self._let_go(lease)
            except ExecutorError as error:
                LOGGER.log(logging.DEBUG if lease.tried.is_set() else logging.WARNING, "%s; will try again", error)
                lease.tried.set()
                await trio.sleep(retry)
                retry = min(2 * retry, RETRY_LAST)

    def _let_go(self, lease: Lease[C]) -> None:
        """All at once, so that whoever hears of it finds it so."""
        self._maker.gone(lease)
        del self._leases[lease.name]
        self.lingering.discard(lease)
        lease.gone.set()
        lease.tried.set()


async def _lend(lease: Lease[C], container: C) -> None:
    """Returns when nobody wants the container any more."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(container.launcher.beat)
        await lease.returned.wait()
        nursery.cancel_scope.cancel(reason="it is not wanted any more")

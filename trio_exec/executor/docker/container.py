"""A running container on Docker, by its launcher and its engine."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from trio_exec.errors import ExecutorError, LauncherGoneError, LauncherSilentError, OutOfMemoryError
from trio_exec.executor.docker.hardening import HARDENING
from trio_exec.launcher import frames
from trio_exec.launcher.connection import LauncherConnection
from trio_exec.limits import Resources

LOGGER = logging.getLogger("trio_exec.docker")

ENDING_CPUS = 1
"""CPUs for a container that has to end: its own limit may be too low for many processes to die by."""


class DockerContainer:
    """It is a `trio_exec.executor.base.Container`.

    Args:
        launcher: the connection to its launcher.
        in_force: what it may use, as for `update`.
        update: changes that.
        can_update: whether it is to be changed from stage to stage.
        ran_out_of_memory: tells of a container that has ended whether that was why.
        doubt: is called when the container ends unexpectedly.

    Attributes:
        launcher: the same.
        warm: whether a pool had it ready.
        gone: whether its launcher was found gone.
    """

    def __init__(
        self,
        launcher: LauncherConnection,
        *,
        in_force: Mapping[str, int],
        update: Callable[[Mapping[str, int]], Awaitable[None]],
        can_update: bool,
        ran_out_of_memory: Callable[[], Awaitable[bool]],
        doubt: Callable[[], None],
    ) -> None:
        self.launcher = launcher
        self.warm = False
        self.gone = False
        self._in_force = in_force
        self._update = update
        self._can_update = can_update
        self._ran_out_of_memory = ran_out_of_memory
        self._doubt = doubt

    async def send(self, data: bytes) -> None:
        """Sends encoded frames; see `Container`."""
        await self.launcher.send(data)

    async def receive(self) -> Sequence[frames.Event]:
        """The next events; see `Container`."""
        try:
            return await self.launcher.receive()
        except LauncherGoneError as error:
            gone = error
        self.gone = True
        self._doubt()
        if isinstance(gone, LauncherSilentError):
            raise gone  # It has not ended, for want of memory or else; and who knows whether the engine answers.
        if await self._ran_out_of_memory():
            raise OutOfMemoryError("the kernel ended the container for want of memory") from gone
        raise gone

    async def apply_resources(self, resources: Resources) -> None:
        """Puts in force what a stage may use; see `Container`."""
        if self._can_update:
            await self.update_resources(resources)

    async def update_resources(self, resources: Resources) -> None:
        """The same, whether or not the engine is known to be able to."""
        wanted = HARDENING.changeable(resources)
        if wanted != self._in_force:
            await self._update(wanted)
            self._in_force = wanted

    async def expedite(self) -> None:
        """Gives it CPU to end with; see `Container`."""
        quota = HARDENING.cpu_period * ENDING_CPUS
        if self._in_force["cpu_quota"] >= quota:
            return
        try:
            await self._update({"cpu_period": HARDENING.cpu_period, "cpu_quota": quota})
        except ExecutorError as error:
            LOGGER.debug("a container that ends gets no CPU: %s", error)

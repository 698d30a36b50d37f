"""A container that several sessions use, one after the other: the cases of a batch.

To a session it looks like one of its own that it opens and leaves.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

import trio

from trio_exec.errors import ExecutorError, LauncherGoneError
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.launcher import frames
from trio_exec.limits import Resources

SEND_GRACE = 3
"""Seconds that a frame gets which is on its way when its session is over."""


class LentContainer:
    """Lends a container; a `trio_exec.executor.base.Opener`, and the `Container` that it opens.

    Args:
        container: to be used by nobody else meanwhile.

    Attributes:
        warm: whether the container was there before anybody asked for it.
        usable: whether another session can have it. One that was gone, or left in the midst of a stage, is of no use.
        uses: how many have had it since it was saved.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self.warm = container.warm
        self.usable = True
        self.uses = 0
        self._saved = False
        self._owed = b""

    async def save(self) -> None:
        """Has the launcher remember the workspace as what every session from now on finds.

        Raises:
            ExecutorError: the container is gone, or has no room for it.
        """
        await self.send(frames.encode_save())
        while True:
            for event in await self.receive():
                match event:
                    case frames.Saved():
                        self._saved, self.uses = True, 0
                        return
                    case frames.Failure(message):
                        raise ExecutorError(f"the workspace could not be saved: {message}")
                    case _:
                        pass  # What a stage that is over had yet to say of its input.

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        """The container, as it was saved; before that, as it is."""
        del spec  # It was opened for all of them.
        if self._saved and self.uses > 0:
            self._owed = frames.encode_restore()  # Nothing answers; so it goes with what comes next.
        self.uses += 1
        yield self

    @property
    def gone(self) -> bool:
        """Whether its launcher was found gone; see `Container`."""
        return self._container.gone

    async def send(self, data: bytes) -> None:
        """Sends encoded frames; see `Container`.

        Cancellation: takes effect once they are sent, for a frame in part would be the end of all.
        """
        with self._watched(), trio.CancelScope(shield=True, deadline=trio.current_time() + SEND_GRACE) as scope:
            owed, self._owed = self._owed, b""
            await self._container.send(owed + data)
        if scope.cancelled_caught:
            self.usable = False
            raise LauncherGoneError("the container does not take what it is sent")

    async def receive(self) -> Sequence[frames.Event]:
        """The next events; see `Container`."""
        with self._watched():
            return await self._container.receive()

    @contextmanager
    def _watched(self) -> Generator[None]:
        try:
            yield
        except ExecutorError:
            self.usable = False
            raise

    async def apply_resources(self, resources: Resources) -> None:
        """See `Container`."""
        await self._container.apply_resources(resources)

    async def expedite(self) -> None:
        """See `Container`."""
        await self._container.expedite()

"""What a session needs of an executor: a hardened container with one byte stream of launcher frames.

Narrow on purpose: a container of Docker's, a pod and a plain process carry the same stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from trio_exec.launcher.frames import Event
from trio_exec.limits import Limits, Resources


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What to open.

    Attributes:
        session_id: whose it is; goes into a label.
        language: name of the language, whose image it runs.
        limits: what everything inside it may use, together.
        resources: what each stage may use, in their order. It begins with the first stage's where they can be changed
            later, and with the last one's otherwise.
        terminal: whether the program will run on a terminal.
        may_use_prestart: whether a command that was started ahead, before there were files, may be used.
        lifetime: seconds after which it may be taken for a leftover, and ends by itself.
    """

    session_id: str
    language: str
    limits: Limits
    resources: Sequence[Resources]
    lifetime: int
    terminal: bool = False
    may_use_prestart: bool = False


class Container(Protocol):
    """A running container whose launcher is ready.

    Attributes:
        warm: whether it was there before anybody asked for it; for a pool to say.
    """

    warm: bool

    @property
    def gone(self) -> bool:
        """Whether `receive` has found its launcher gone, maybe without having raised that yet: reasons take time."""
        ...

    async def send(self, data: bytes) -> None:
        """Sends encoded frames.

        Raises:
            ExecutorError: the container is gone.
        """
        ...

    async def receive(self) -> Sequence[Event]:
        """The next events, at least one.

        Raises:
            OutOfMemoryError: the container is gone, since the kernel ended it for want of memory.
            ExecutorError: the container is gone, or what it sent makes no sense.
        """
        ...

    async def apply_resources(self, resources: Resources) -> None:
        """Puts in force what a stage may use. Does nothing where that is so, or where the executor can't do it.

        What this container has had until now were another stage's, or those of a pool.

        Raises:
            MemoryInUseError: the stage before has left more behind, as files, than the limit allows.
            ExecutorError: the engine could not do it.
        """
        ...

    async def expedite(self) -> None:
        """Gives what is in it all the CPU that it needs to end; best effort, raises nothing of the engine's."""
        ...


class Opener(Protocol):
    """Where containers come from, as far as a session is concerned."""

    def open_container(self, spec: ContainerSpec) -> AbstractAsyncContextManager[Container]:
        """A container for as long as the context lasts.

        However the context is left, and wherever entering it fails or is cancelled, the container is gone
        afterwards, or on its way (where that takes no more of what others need), or counts as `lingering` until the
        engine lets it be removed.

        Raises:
            ExecutorUnavailableError: the engine can't be reached.
            ExecutorError: the engine could not make the container; says why.
        """
        ...


class Executor(Opener, Protocol):
    """Makes containers."""

    async def wait_ready(self) -> None:
        """Returns once containers can be opened, for the first time; maybe never. What comes later, `check` tells."""
        ...

    @property
    def warm_at_once(self) -> int:
        """How many containers may be warmed at once without slowing sessions down; known once `wait_ready` returns."""
        ...

    @property
    def warm(self) -> Mapping[str, int]:
        """How many containers are there already, unused, by language."""
        ...

    @property
    def can_update_limits(self) -> bool:
        """Whether `Container.apply_resources` can do anything; if not, the last stage's hold from the start."""
        ...

    @property
    def missing(self) -> Mapping[str, str]:
        """The languages that can't be run now although others can, with the reason, for users."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """The languages' versions, as x.y.z, where it knows what its containers have."""
        ...

    @property
    def not_ready_reason(self) -> str | None:
        """What keeps containers from being opened, as far as is known, for users; None when nothing does."""
        ...

    async def check(self) -> None:
        """Returns when `not_ready_reason` is up to date: at once, unless something has just given cause to doubt it."""
        ...

    @property
    def lingering(self) -> int:
        """How many containers are there although their contexts were left: what cleanup could not remove in time."""
        ...

    async def wait_lingering(self, known: int) -> None:
        """Returns when `lingering` is another number than `known`."""
        ...

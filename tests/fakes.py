"""An executor without an engine: for what only time and cancellation can show, on a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.launcher.frames import Event
from trio_exec.limits import Limits


class FakeContainer:
    """A launcher that the test plays: it reads what was sent, and says what it likes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.limits: Limits | None = None
        self.expedited = False
        self.sent_something = trio.Event()
        self._send, self._receive = trio.open_memory_channel[Sequence[Event]](100)

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(data)
        self.sent_something.set()
        self.sent_something = trio.Event()

    async def receive(self) -> Sequence[Event]:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise ExecutorError("the container ended") from None

    async def apply_run_limits(self, limits: Limits) -> None:
        await trio.lowlevel.checkpoint()
        self.limits = limits

    async def expedite(self) -> None:
        await trio.lowlevel.checkpoint()
        self.expedited = True

    def say(self, *events: Event) -> None:
        self._send.send_nowait(events)

    def die(self) -> None:
        self._send.close()

    def kinds(self) -> str:
        """The types of the frames that were sent, a letter each."""
        return "".join(chr(data[0]) for data in self.sent)


class FakeExecutor:
    """Opens fake containers, in steps that take as long as the test says."""

    def __init__(self, opening: float = 0, removal: float = 0.1) -> None:
        self.opening = opening
        self.removal = removal
        self.asked_at: list[float] = []
        self.containers: list[FakeContainer] = []
        self.open_count = 0
        self.failure: Exception | None = None
        self.refused_languages: set[str] = set()
        self.can_update_limits = True
        self.obstacle: str | None = None
        self.lingering = 0
        self._lingering_changed = trio.Event()

    @property
    def warm(self) -> Mapping[str, int]:
        return {}

    async def check(self) -> None:
        await trio.lowlevel.checkpoint()

    def linger(self, count: int) -> None:
        self.lingering = count
        self._lingering_changed.set()
        self._lingering_changed = trio.Event()

    async def wait_lingering(self, known: int) -> None:
        while self.lingering == known:
            await self._lingering_changed.wait()

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        self.asked_at.append(trio.current_time())
        self.open_count += 1
        try:
            await trio.sleep(self.opening)
            if self.failure is not None:
                raise self.failure
            if spec.language in self.refused_languages:
                raise ExecutorError(f"no {spec.language}")
            container = FakeContainer()
            self.containers.append(container)
            yield container
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.removal)  # A removal takes its time, whoever cancels.
                self.open_count -= 1

"""An executor without an engine: for what only time and cancellation can show, on a clock that jumps.

It is as strict as the real ones: opening and removing take their time, what was closed or has died can't be used, one
stage runs at a time, and limits that can't be changed are not. What can be had for real is tested with
`trio_exec.executor.process` instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import trio

from trio_exec.errors import ExecutorError, LauncherGoneError
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.launcher.frames import Event, Failure, StageEnd
from trio_exec.limits import Resources
from trio_exec.phases import Phase, Phases

EVENTS_MAX = 100


def move_on(phases: Phases, to: Phase) -> None:
    """Takes a server through the phases up to this one."""
    for phase in Phase:
        if not phases.reached(phase):
            phases.move(phase)
        if phase is to:
            return


class FakeContainer:
    """A launcher that the test plays: it reads what was sent, and says what it likes.

    Args:
        resources: what it may use at first.
        can_update_limits: whether that can be changed.
    """

    def __init__(self, resources: Resources, *, can_update_limits: bool) -> None:
        self.warm = False
        self.gone = False
        self.reason_takes = 0.0
        """Seconds until `receive` tells that it has gone."""
        self.sent: list[bytes] = []
        self.resources = resources
        self.expedited = False
        self.sent_something = trio.Event()
        self._can_update_limits = can_update_limits
        self._stage_runs = False
        self._gone = False
        self._send, self._receive = trio.open_memory_channel[Sequence[Event]](EVENTS_MAX)

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self._gone:
            raise LauncherGoneError("the container is gone: its input was closed")
        if data[:1] == b"s":
            assert not self._stage_runs, "a stage is running already"
            self._stage_runs = True
        self.sent.append(data)
        self.sent_something.set()
        self.sent_something = trio.Event()

    async def receive(self) -> Sequence[Event]:
        try:
            return await self._receive.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError) as error:
            ended = error
        self.gone = True
        await trio.sleep(self.reason_takes)
        raise LauncherGoneError("the container ended") from ended

    async def apply_resources(self, resources: Resources) -> None:
        await trio.lowlevel.checkpoint()
        if self._gone:
            raise ExecutorError("there is no such container")
        if self._can_update_limits:
            self.resources = resources

    async def expedite(self) -> None:
        await trio.lowlevel.checkpoint()
        self.expedited = True

    def say(self, *events: Event) -> None:
        """Has the launcher send something, as one that is there would."""
        if any(isinstance(event, StageEnd | Failure) for event in events):
            self._stage_runs = False
        self._send.send_nowait(events)

    def die(self) -> None:
        """What it has said before can still be read."""
        self._gone = True
        self._send.close()

    def close(self) -> None:
        """What it has said is lost."""
        self._gone = True
        self._receive.close()

    def kinds(self) -> str:
        """The types of the frames that were sent, a letter each."""
        return "".join(chr(data[0]) for data in self.sent)


class FakeExecutor:
    """Opens fake containers, in steps that take as long as the test says."""

    def __init__(self, opening: float = 0.1, removal: float = 0.1) -> None:
        self.opening = opening
        self.removal = removal
        self.asked_at: list[float] = []
        self.containers: list[FakeContainer] = []
        self.open_count = 0
        self.failure: Exception | None = None
        self.refused_languages: set[str] = set()
        self.can_update_limits = True
        self.warm_at_once = 1
        self.ready = trio.Event()
        self.ready.set()
        self.not_ready_reason: str | None = None
        self.missing: dict[str, str] = {}
        self.lingering = 0
        self._lingering_changed = trio.Event()

    @property
    def versions(self) -> Mapping[str, str]:
        return {}

    @property
    def warm(self) -> Mapping[str, int]:
        return {}

    async def wait_ready(self) -> None:
        await self.ready.wait()

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
        first = spec.resources[0 if self.can_update_limits else -1]
        container = FakeContainer(first, can_update_limits=self.can_update_limits)
        try:
            await trio.sleep(self.opening)
            if self.failure is not None:
                raise self.failure
            if spec.language in self.refused_languages:
                raise ExecutorError(f"no {spec.language}")
            self.containers.append(container)
            yield container
        finally:
            container.close()
            with trio.CancelScope(shield=True):
                await trio.sleep(self.removal)  # A removal takes its time, whoever cancels.
                self.open_count -= 1

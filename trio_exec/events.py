"""What happens, for whoever watches the server: an event for everything that an operator or a metric wants to know.

Those who do something say so by a call of `Emit`, and know nothing of who listens; those who listen subscribe to
`Events`, and know nothing of who does it. Events are values and hold no secrets: of a session's id, no more than logs
may show is to be shown. All of it happens in Trio's thread, at once, so a subscriber must not wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from trio_exec.model import Kind, Reason, Requester, StageName, Status
from trio_exec.phases import Phase

LOGGER = logging.getLogger("trio_exec.events")


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What is so of a session all its life.

    Attributes:
        session_id: whole, and so a capability; `trio_exec.ids.short_id` is for logs.
        requester: who asked for it.
        language: its language's name.
        terminal: whether it has a terminal.
        kind: what it is to whoever asked for it.
    """

    session_id: str
    requester: Requester
    language: str
    terminal: bool
    kind: Kind = Kind.SESSION


@dataclass(frozen=True, slots=True)
class StageTime:
    """From when until when a stage's command ran, in seconds from its session's creation."""

    stage: StageName
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long what took, in seconds; None for what did not happen.

    Attributes:
        queued: from its creation to its slot.
        opening: from the slot until its first command ran.
        first_output: from its creation to the first byte of output.
        lasted: from its creation to its final state.
        stages: when its commands ran, of those that are over; of a batch, those of all its cases.
    """

    queued: float | None = None
    opening: float | None = None
    first_output: float | None = None
    lasted: float | None = None
    stages: tuple[StageTime, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What programs took.

    Attributes:
        wall_time: seconds that they ran.
        cpu_time: seconds, of all their processes.
        peak_memory: the most bytes that one of them had at once.
        input_bytes: what was taken for them from clients.
        output_bytes: what was taken from them.
    """

    wall_time: float = 0.0
    cpu_time: float = 0.0
    peak_memory: int = 0
    input_bytes: int = 0
    output_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        """What these and others took together."""
        return Usage(
            self.wall_time + other.wall_time,
            self.cpu_time + other.cpu_time,
            max(self.peak_memory, other.peak_memory),
            self.input_bytes + other.input_bytes,
            self.output_bytes + other.output_bytes,
        )


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A session was taken, and waits for a slot or has one."""

    session: SessionFacts


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """A session was asked for and not taken; `code` is the error's.

    The language may be none of ours, and is empty where that was not even looked at.
    """

    requester: Requester
    kind: Kind
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request, or a message over a WebSocket, was answered with an error.

    Attributes:
        requester: who made it.
        method: the HTTP method; `WS` for what came over a WebSocket.
        path: the route's path, with the names of parameters in the place of their values; empty if there is none.
        code: the error's.
        status: the HTTP status; over a WebSocket, the one that fits.
    """

    requester: Requester
    method: str
    path: str
    code: str
    status: int


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session's first command runs; `warm` says whether its container was there already."""

    session: SessionFacts
    warm: bool
    times: SessionTimes


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session has its final state.

    Attributes:
        session: which.
        status: the final one, with its outcome.
        warm: whether its container was there already; None if it had none.
        times: how long what took.
        input_bytes: what was taken from its clients for its program.
        output_bytes: what was taken from its program.
    """

    session: SessionFacts
    status: Status
    warm: bool | None
    times: SessionTimes
    input_bytes: int
    output_bytes: int

    @property
    def usage(self) -> Usage:
        """What its stages took together, as far as they told."""
        stages = () if self.status.outcome is None else self.status.outcome.stages
        figures = [stage.figures for stage in stages if stage.figures is not None]
        return Usage(
            sum(it.wall_time for it in figures),
            sum(it.cpu_time for it in figures),
            max((it.peak_memory for it in figures), default=0),
            self.input_bytes,
            self.output_bytes,
        )


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """A batch is over.

    Attributes:
        session: what is so of it all its life, as of a session.
        reason: why it was cut short; None if it was not.
        passed: cases that passed.
        failed: cases that did not.
        skipped: cases that were not run to their end.
        warm: whether its first container was there already; None if it had none.
        times: how long what took.
        usage: what its compile stage and its cases took together.
    """

    session: SessionFacts
    reason: Reason | None
    passed: int
    failed: int
    skipped: int
    warm: bool | None
    times: SessionTimes
    usage: Usage


@dataclass(frozen=True, slots=True)
class ClientAttached:
    """A client follows a session."""

    session: SessionFacts


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """A client follows it no more."""

    session: SessionFacts


@dataclass(frozen=True, slots=True)
class ContainerWarmed:
    """The pool has one more container, after so many seconds of work."""

    language: str
    terminal: bool
    seconds: float


class Unused(StrEnum):
    """Why a warm container was removed though nobody had used it."""

    TOO_MANY = "too_many"
    OLD = "old"
    DEAD = "dead"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class ContainerUnused:
    """The pool has one less, though nobody had used it."""

    language: str
    terminal: bool
    why: Unused


@dataclass(frozen=True, slots=True)
class ContainerBorrowed:
    """A session has taken a container out of the pool, where it had been for so many seconds."""

    language: str
    terminal: bool
    age: float


class Miss(StrEnum):
    """Why a session got no container of the pool."""

    NOT_KEPT = "not_kept"
    """The pool has no place for its language."""
    EMPTY = "empty"
    """None was there just then."""
    UNSUITABLE = "unsuitable"
    """What was there could not be made to fit its limits, or what it asks for."""


@dataclass(frozen=True, slots=True)
class PoolMissed:
    """A container had to be opened for a session, since the pool had none for it."""

    language: str
    terminal: bool
    why: Miss


@dataclass(frozen=True, slots=True)
class WarmingFailed:
    """A container for the pool could not be made; the message says why."""

    language: str
    terminal: bool
    message: str


@dataclass(frozen=True, slots=True)
class ContainerLingers:
    """A container could not be removed in time. It takes a slot until it is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class LeftoverRemoved:
    """A container that nobody owned was removed."""

    name: str


@dataclass(frozen=True, slots=True)
class APICalled:
    """The API that makes containers was called.

    Attributes:
        call: what was asked for, a word.
        seconds: how long the answer took, waiting for a thread not included.
        error: the error's code, or None.
    """

    call: str
    seconds: float
    error: str | None


@dataclass(frozen=True, slots=True)
class ImagesReady:
    """Every language has its image; checking and building took so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """The executor can make containers (None) or can't, for a reason."""

    reason: str | None


@dataclass(frozen=True, slots=True)
class PhaseReached:
    """The server is on its way to its end."""

    phase: Phase


Event = (
    SessionCreated
    | SessionRefused
    | RequestRefused
    | SessionStarted
    | SessionEnded
    | BatchEnded
    | ClientAttached
    | ClientLeft
    | ContainerWarmed
    | ContainerUnused
    | ContainerBorrowed
    | PoolMissed
    | WarmingFailed
    | ContainerLingers
    | LeftoverRemoved
    | APICalled
    | ImagesReady
    | ReadinessChanged
    | PhaseReached
)

Emit = Callable[[Event], None]
"""Says that something has happened. Never raises, and returns at once."""


def ignore(event: Event) -> None:
    """For whoever has nobody to tell."""
    del event


class Events:
    """Hands events on to all who subscribed, in that order."""

    def __init__(self) -> None:
        self._subscribers: list[Emit] = []

    @contextmanager
    def subscribed(self, subscriber: Emit) -> Generator[None]:
        """For as long as a subscriber is to be told. One that fails is logged, and keeps nobody else from it."""
        self._subscribers.append(subscriber)
        try:
            yield
        finally:
            self._subscribers.remove(subscriber)

    def emit(self, event: Event) -> None:
        """Tells everybody; see `Emit`."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:
                LOGGER.exception("%s could not be told of %s", subscriber, type(event).__name__)

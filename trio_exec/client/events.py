"""What happens in a session, as values. Those of kinds that are not known here are left out: a server may be newer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

from trio_exec.client.fields import (
    Object,
    decoded,
    flag_of,
    integer_of,
    needed_integer,
    needed_text,
    number_of,
    objects_of,
    strings_of,
    text_of,
)

T = TypeVar("T", str, bytes)
"""What output is given as: text, or the very bytes."""
Stream = Literal["stdout", "stderr"]

FINAL = frozenset({"finished", "terminated"})


@dataclass(frozen=True, slots=True)
class Output(Generic[T]):
    """What the program, or its compiler, wrote to one of its streams.

    Attributes:
        stream: which; in a terminal there is only `stdout`.
        data: the text or bytes. Pieces have no meaning: one write may come as several, and several as one.
        seq: the position behind it in the session's log; 0 in results.
    """

    stream: Stream
    data: T
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """How a stage, or the last one, went. What is not known is None; times in seconds, memory in bytes."""

    stage: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    wall_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    hit: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OmittedFile:
    """A file that was asked for by `collect` and is not among the results, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A collected file's name and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session's state; a final one is the last event.

    Attributes:
        state: `waiting`, `compiling`, `running`, `finished` (by itself) or `terminated` (by the server).
        stage: the stage that was reached: `compile`, `run` or None.
        position: in the queue, from 1, while `waiting` in it.
        reason: why the server ended it, such as `execution_timeout`.
        message: the same in a sentence; of a program that failed by itself, which limit it ran into.
        exit_code, signal, wall_time, cpu_time, peak_memory: of the last stage.
        hit: limits that it ran into, such as `pids`, whatever came of that.
        output_truncated: whether output beyond a limit was dropped.
        stages: the same figures for each stage that was begun.
        files, files_omitted: what `collect` has found.
        seq: the position behind it in the session's log.
    """

    state: str
    stage: str | None = None
    position: int | None = None
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    wall_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    hit: Sequence[str] = ()
    output_truncated: bool = False
    stages: Sequence[Stage] = field(default_factory=tuple[Stage])
    files: Sequence[FileInfo] = field(default_factory=tuple[FileInfo])
    files_omitted: Sequence[OmittedFile] = field(default_factory=tuple[OmittedFile])
    seq: int = 0

    @property
    def final(self) -> bool:
        """Whether the session is over."""
        return self.state in FINAL

    @property
    def ending(self) -> str:
        """How it ended, in a word or two: `exit 0`, `SIGSEGV`, `memory_limit`."""
        return ending_of(self.reason, self.signal, self.exit_code)


@dataclass(frozen=True, slots=True)
class InputWait:
    """Whether the program waits for its input. Told only where that can be known."""

    waiting: bool


@dataclass(frozen=True, slots=True)
class Idle:
    """Without input and output, the server ends the session in so many seconds; None: there was some after all."""

    ends_in: float | None


@dataclass(frozen=True, slots=True)
class Activity:
    """Whether the program sleeps: nothing of it has run for a second, and it does not wait for its input."""

    sleeping: bool


@dataclass(frozen=True, slots=True)
class Watchers:
    """So many watch the session by its `watch_id`."""

    count: int


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """The server could not use what was sent, such as a signal before the program ran. The session goes on."""

    error: str
    code: str
    field: str | None = None


Event = Output[T] | StateChanged | InputWait | Activity | Idle | Watchers | MessageRefused
Present = InputWait | Activity | Idle | Watchers
"""How things stand: of these only the last one of a kind matters."""


def ending_of(reason: str | None, signal: str | None, exit_code: int | None) -> str:
    """How something ended, in a word or two."""
    return reason or signal or ("unknown" if exit_code is None else f"exit {exit_code}")


def stage_of(data: Object) -> Stage:
    """The figures of a stage."""
    return Stage(
        stage=text_of(data, "stage"),
        exit_code=integer_of(data, "exitCode"),
        signal=text_of(data, "signal"),
        wall_time=number_of(data, "wallTime"),
        cpu_time=number_of(data, "cpuTime"),
        peak_memory=integer_of(data, "peakMemory"),
        hit=strings_of(data, "hit"),
    )


def omitted_of(data: Object) -> tuple[OmittedFile, ...]:
    """The files that were left out."""
    return tuple(
        OmittedFile(needed_text(it, "name"), text_of(it, "reason") or "") for it in objects_of(data, "filesOmitted")
    )


def state_of(data: Object) -> StateChanged:
    """A state, from a message or from `GET /session/{id}`.

    Raises:
        ProtocolError: it is none.
    """
    return StateChanged(
        state=needed_text(data, "state"),
        stage=text_of(data, "stage"),
        position=integer_of(data, "position"),
        reason=text_of(data, "reason"),
        message=text_of(data, "message"),
        exit_code=integer_of(data, "exitCode"),
        signal=text_of(data, "signal"),
        wall_time=number_of(data, "wallTime"),
        cpu_time=number_of(data, "cpuTime"),
        peak_memory=integer_of(data, "peakMemory"),
        hit=strings_of(data, "hit"),
        output_truncated=flag_of(data, "outputTruncated"),
        stages=tuple(map(stage_of, objects_of(data, "stages"))),
        files=tuple(FileInfo(needed_text(it, "name"), integer_of(it, "size") or 0) for it in objects_of(data, "files")),
        files_omitted=omitted_of(data),
        seq=integer_of(data, "seq") or 0,
    )


def output_data(data: Object, *, text: bool) -> Any:
    """An output's data: text as it is, or the bytes of base64."""
    value = needed_text(data, "data")
    if text:
        return value
    return decoded(value) if data.get("encoding") == "base64" else value.encode()


def event_of(data: Object, *, text: bool) -> Event[Any] | None:
    """The event of a message; None for one of a kind that is not known.

    Raises:
        ProtocolError: it is of a known kind, but can't be read.
    """
    match data.get("type"):
        case "stdout" | "stderr" as stream:
            seq = needed_integer(data, "seq")
            return Output(cast("Stream", stream), output_data(data, text=text), seq)
        case "state":
            needed_integer(data, "seq")
            return state_of(data)
        case "error":
            return MessageRefused(needed_text(data, "error"), text_of(data, "code") or "", text_of(data, "field"))
        case _:
            return _present_of(data)


def _present_of(data: Object) -> Present | None:
    match data.get("type"):
        case "input_wait":
            return InputWait(flag_of(data, "waiting"))
        case "activity":
            return Activity(flag_of(data, "sleeping"))
        case "idle":
            return Idle(number_of(data, "endsIn"))
        case "watchers":
            return Watchers(needed_integer(data, "count"))
        case _:
            return None

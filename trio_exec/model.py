"""The domain's words: what is asked for, what happens, and how it ended. No I/O, and no wire.

Each wire format is an adapter: it makes a `Job` of a request, and messages of what the output log holds. So files,
input and output are bytes here; what text is made of them is the wire's affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NewType


class State(StrEnum):
    """Where a session is; `trio_exec.session.lifecycle` says which may follow which."""

    WAITING = "waiting"
    COMPILING = "compiling"
    RUNNING = "running"
    FINISHED = "finished"
    TERMINATED = "terminated"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self in {State.FINISHED, State.TERMINATED}


class StageName(StrEnum):
    """What is done with a program."""

    COMPILE = "compile"
    RUN = "run"


class Kind(StrEnum):
    """What a session is to whoever asked for it."""

    SESSION = "session"
    """A program to talk to."""
    RUN = "run"
    """One request, and one answer."""
    BATCH = "batch"
    """One program, and many runs of it."""
    FORMAT = "format"
    """A program to be formatted, and not to be run."""


Owner = NewType("Owner", str)
"""Whose a session is: the name of a key, or the address of a client. Only compared and counted."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one owner may take; None where nothing but the server's own bounds counts.

    Attributes:
        max_sessions: slots at once.
        max_queued: sessions that wait for one.
        starts_per_minute: sessions that are started, on average; so many at once after a minute without any.
        max_retained_bytes: what the server holds for the owner's sessions, those that are over included.
    """

    max_sessions: int | None = None
    max_queued: int | None = None
    starts_per_minute: float | None = None
    max_retained_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for something, and what they may.

    Attributes:
        owner: whose quota counts.
        address: the client's, as trusted proxies tell it; empty if it has none.
        request_id: which request of theirs it is, in logs; empty if it has none.
        trace_parent: of which span their request is a part, as a trusted proxy says it (W3C's `traceparent`); empty
            if it is none.
        quota: what the owner may take.
        limits: what the owner's sessions may use where that is less than the server's limits, by the names of
            `trio_exec.limits.Limits`.
        languages: those that the owner may use; None for all.
        may_wait: whether a session may wait for a slot; else it is refused when none is free.
    """

    owner: Owner
    address: str = ""
    request_id: str = ""
    trace_parent: str = ""
    quota: Quota = Quota()
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    languages: frozenset[str] | None = None
    may_wait: bool = True


class Reason(StrEnum):
    """Why a session was ended; a program that ends by itself needs none."""

    IDLE_TIMEOUT = "idle_timeout"
    EXECUTION_TIMEOUT = "execution_timeout"
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"
    CPU_TIME_LIMIT = "cpu_time_limit"
    STOPPED = "stopped"
    DETACHED = "detached"
    QUEUE_TIMEOUT = "queue_timeout"
    REVOKED = "revoked"
    SHUTDOWN = "shutdown"
    EXECUTOR_FAILED = "engine_error"


class Hit(StrEnum):
    """A limit that a program ran into, whatever it made of that."""

    MEMORY = "memory"
    """The kernel killed a process for want of memory."""
    PIDS = "pids"
    """It was refused a process or a thread."""
    WORKSPACE = "workspace"
    """As it ended, there was no room in the workspace."""
    INODES = "inodes"
    """As it ended, the workspace had as many files as it may."""
    SHARED_MEMORY = "shared_memory"
    """As it ended, there was no room in /dev/shm."""


class Stream(IntEnum):
    """Where output came from."""

    STDOUT = 0
    STDERR = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What a client asks for.

    Attributes:
        language: a name or an alias.
        code: the main file's content, or None when it is the first of `files`.
        files: further content by path.
        args: arguments of the program.
        env: variables of the program.
        stdin: input that is there from the start.
        ends_input: whether end of input follows it.
        terminal: rows and columns, or None for pipes.
        merge: whether the program's standard error goes where its standard output does.
        limits: lower limits, by the names of `trio_exec.limits.Limits`.
        collect: patterns of the files to keep of what the program leaves behind.
    """

    language: str
    code: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    stdin: bytes = b""
    ends_input: bool = False
    terminal: tuple[int, int] | None = None
    merge: bool = False
    limits: Mapping[str, float] = field(default_factory=dict[str, float])
    collect: Sequence[str] = ()


class Isolation(StrEnum):
    """What keeps the cases of a batch apart."""

    PROCESS = "process"
    """One container for all, one after the other: fresh processes, in a workspace that is put back."""
    CONTAINER = "container"
    """A fresh container each."""


class Comparison(StrEnum):
    """When output is as expected."""

    EXACT = "exact"
    TRIMMED = "trimmed"
    """White space at the ends of lines, and behind the last one, makes no difference."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a batch; see `Job`.

    Attributes:
        args: arguments.
        env: variables.
        stdin: all of its input.
        limits: lower limits.
        collect: patterns of the files to keep.
        expected: what it should write to its standard output, or None where that does not matter.
    """

    args: Sequence[str]
    env: Mapping[str, str]
    stdin: bytes
    limits: Mapping[str, float]
    collect: Sequence[str]
    expected: bytes | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A program that is compiled once and run many times.

    Attributes:
        job: the program; the rest of it is what its cases have in common.
        cases: at least one.
        isolation: what keeps them apart.
        comparison: how their output is compared with what is expected.
        stop_on_failure: whether those behind one that fails are left out.
        parallel: how many may run at once, with containers of their own.
    """

    job: Job
    cases: Sequence[Case]
    isolation: Isolation
    comparison: Comparison
    stop_on_failure: bool
    parallel: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a stage came to.

    Attributes:
        exit_code: None when a signal ended it.
        signal: the signal's number, or None.
        wall_time: seconds, from the start of its command to its end.
        cpu_time: seconds, of all its processes.
        peak_memory: the most bytes that it had at once: all its processes, and its files in memory.
        hits: limits that it ran into.
    """

    exit_code: int | None
    signal: int | None
    wall_time: float
    cpu_time: float
    peak_memory: int
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage went.

    Attributes:
        stage: which.
        figures: None when it did not tell its end: its container was gone, or did not answer.
        start: the position in the output log at which its output begins.
        stop: that at which it ends.
    """

    stage: StageName
    figures: Figures | None
    start: int
    stop: int


class Omission(StrEnum):
    """Why a file that was asked for was not kept."""

    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    NOT_REGULAR = "not_regular"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that was kept: its path below the workspace, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class OmittedFile:
    """A file that was asked for and not kept; the name is a pattern where it stands for all that matched."""

    name: str
    reason: Omission


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended.

    Attributes:
        stages: those that were begun, in order.
        reason: why the session was ended; None when its program ended by itself.
        message: the same, for people; of a program that failed by itself, which limit it ran into, if it did.
        output_truncated: whether output beyond a limit was dropped.
        files: what was kept of what the program left behind; None when nothing was asked for.
        files_omitted: what was asked for, and not kept.
    """

    stages: tuple[StageResult, ...]
    reason: Reason | None
    message: str | None
    output_truncated: bool
    files: tuple[FileInfo, ...] | None = None
    files_omitted: tuple[OmittedFile, ...] = ()

    @property
    def figures(self) -> Figures | None:
        """Of the stage that was reached."""
        return self.stages[-1].figures if self.stages else None


@dataclass(frozen=True, slots=True)
class Status:
    """One state of a session, with what is known by then.

    Attributes:
        state: the state.
        stage: the stage that was reached.
        position: in the queue, from 1.
        outcome: of final states, which all have one.
    """

    state: State
    stage: StageName | None = None
    position: int | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a session could start now.

    Attributes:
        reason: why not, for people; None when one could.
        running: sessions that run.
        queued: sessions that wait.
        free: sessions that could start at once, beside these.
        room: sessions that could be taken, those that would wait included.
        warm: containers that are there already, unused, by language.
        missing: the languages that can't be run now although others can, with the reason.
    """

    reason: str | None
    running: int
    queued: int
    free: int
    room: int
    warm: Mapping[str, int]
    missing: Mapping[str, str]

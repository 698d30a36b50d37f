"""Why a session ended: what a stage's last frame says, and the sentence for people."""

from __future__ import annotations

import signal

from trio_exec.launcher.frames import Hits, StageEnd
from trio_exec.limits import MIB, Limits
from trio_exec.model import Figures, Hit, Reason, StageName, Stream
from trio_exec.session.output import Overrun

_HITS = {
    Hits.PIDS: Hit.PIDS,
    Hits.WORKSPACE: Hit.WORKSPACE,
    Hits.INODES: Hit.INODES,
    Hits.SHARED_MEMORY: Hit.SHARED_MEMORY,
}


def cause_of(end: StageEnd) -> Reason | None:
    """The limit that ended a stage from inside its container; None when it ended by itself."""
    if end.used_up_cpu_time:
        return Reason.CPU_TIME_LIMIT
    # The kernel's killing is why the program failed; one that lost a child and coped has not failed.
    if end.oom_kills > 0 and (end.signal == signal.SIGKILL or end.exit_code not in {0, None}):
        return Reason.MEMORY_LIMIT
    return None


def explain(reason: Reason, limits: Limits, stage: StageName | None) -> str:
    """A sentence for people: why the session was ended. For output, `explain_overrun` has it."""
    stage = stage or StageName.RUN
    compiling = stage is StageName.COMPILE
    sentences: dict[Reason, str] = {
        Reason.IDLE_TIMEOUT: f"there was no input and no output for {limits.idle_timeout:g} seconds",
        Reason.EXECUTION_TIMEOUT: f"{'compiling' if compiling else 'the program'} took longer than "
        f"{limits.wall_time(stage):g} seconds",
        Reason.CPU_TIME_LIMIT: f"the program used more than {limits.cpu_time or 0:g} seconds of CPU time",
        Reason.MEMORY_LIMIT: f"{'the compiler' if compiling else 'the program'} used more than "
        f"{limits.resources(stage).memory_bytes // MIB} MiB of memory",
        Reason.STOPPED: "a client asked for it",
        Reason.DETACHED: "every client left, and none came back in time",
        Reason.QUEUE_TIMEOUT: "no slot became free in time; try again later",
        Reason.REVOKED: "the API key that it was started with was revoked",
        Reason.SHUTDOWN: "the server is going away",
        Reason.EXECUTOR_FAILED: "what runs the programs failed",
    }
    return sentences[reason]


def explain_hits(figures: Figures | None, limits: Limits) -> str | None:
    """Which limits a program ran into, and what to do about it; None if it ran into none, or ended well all the same.

    That memory ran out needs no word here: a program that fails for it has a reason for its end.
    """
    if figures is None or figures.exit_code == 0:
        return None
    sentences: dict[Hit, str] = {
        Hit.PIDS: f"the limit of {limits.pids} processes and threads was reached, and more were refused; "
        "start fewer, or have the server's `pids` raised",
        Hit.WORKSPACE: f"the workspace was full, with {limits.workspace_bytes // MIB} MiB; write less, or have the "
        "server's `workspace_bytes` raised",
        Hit.INODES: "the workspace had as many files as it may have; make fewer, or have the server's "
        "`workspace_bytes` raised",
        Hit.SHARED_MEMORY: "shared memory was full; share less memory, or have the server's `memory_bytes` raised",
    }
    return "; ".join(sentences[hit] for hit in figures.hits if hit in sentences) or None


def explain_overrun(overrun: Overrun) -> str:
    """The same, for output beyond a limit."""
    of = {None: "", Stream.STDOUT: " to its standard output", Stream.STDERR: " to its standard error"}
    return f"the program wrote more than {overrun.limit} bytes{of[overrun.stream]}"


def figures_of(end: StageEnd) -> Figures:
    """What a stage came to, as the launcher tells it."""
    return Figures(
        exit_code=end.exit_code,
        signal=end.signal,
        wall_time=end.wall_time,
        cpu_time=end.user_time + end.system_time,
        peak_memory=end.peak_memory,
        hits=((Hit.MEMORY,) if end.oom_kills > 0 else ()) + tuple(hit for bit, hit in _HITS.items() if bit in end.hits),
    )

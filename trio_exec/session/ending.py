"""Why a session ended: what the figures of its last stage say, and the sentence for people."""

from __future__ import annotations

import signal

from trio_exec.launcher.frames import StageEnd
from trio_exec.limits import MIB, Limits
from trio_exec.model import Figures, Reason, StageName


def ran_out_of_memory(figures: StageEnd) -> bool:
    """Whether the kernel's killing is why the program failed. One that lost a child and coped has not failed."""
    return figures.oom_kills > 0 and (figures.signal == signal.SIGKILL or figures.exit_code not in {0, None})


def explain(reason: Reason, limits: Limits, stage: StageName | None) -> str:
    """A sentence for people: why the session was ended."""
    compiling = stage is StageName.COMPILE
    seconds = limits.compile_timeout if compiling else limits.execution_timeout
    sentences: dict[Reason, str] = {
        Reason.IDLE_TIMEOUT: f"there was no input and no output for {limits.idle_timeout:g} seconds",
        Reason.EXECUTION_TIMEOUT: f"{'compiling' if compiling else 'the program'} took longer than {seconds:g} seconds",
        Reason.OUTPUT_LIMIT: f"the program wrote more than {limits.output_bytes} bytes",
        Reason.MEMORY_LIMIT: f"{'the compiler' if compiling else 'the program'} used more than "
        f"{(limits.compile_memory_bytes if compiling else limits.memory_bytes) // MIB} MiB of memory",
        Reason.STOPPED: "a client asked for it",
        Reason.DETACHED: "every client left, and none came back in time",
        Reason.QUEUE_TIMEOUT: "no slot became free in time; try again later",
        Reason.SHUTDOWN: "the server is going away",
        Reason.EXECUTOR_FAILED: "the Docker engine failed",
    }
    return sentences[reason]


def figures_of(end: StageEnd) -> Figures:
    """What a stage came to, as the launcher tells it."""
    return Figures(
        exit_code=end.exit_code,
        signal=end.signal,
        wall_time=end.wall_time,
        cpu_time=end.user_time + end.system_time,
        peak_memory=end.peak_memory,
    )

"""Why a session ended: what the figures of its last stage say, and the sentence for people."""

from __future__ import annotations

import signal

from trio_exec.launcher.frames import StageEnd
from trio_exec.limits import MIB, Limits
from trio_exec.messages import Reason, StageName


def ran_out_of_memory(figures: StageEnd) -> bool:
    """Whether the kernel's killing is why the program failed. One that lost a child and coped has not failed."""
    return figures.oom_kills > 0 and (figures.signal == signal.SIGKILL or figures.exit_code not in {0, None})


def explain(reason: Reason, limits: Limits, stage: StageName | None) -> str:
    """A sentence for people: why the session was ended."""
    compiling = stage == "compile"
    seconds = limits.compile_timeout if compiling else limits.execution_timeout
    sentences: dict[Reason, str] = {
        "idle_timeout": f"there was no input and no output for {limits.idle_timeout:g} seconds",
        "execution_timeout": f"{'compiling' if compiling else 'the program'} took longer than {seconds:g} seconds",
        "output_limit": f"the program wrote more than {limits.output_bytes} bytes",
        "memory_limit": f"{'the compiler' if compiling else 'the program'} used more than "
        f"{(limits.compile_memory_bytes if compiling else limits.memory_bytes) // MIB} MiB of memory",
        "stopped": "a client asked for it",
        "detached": "every client left, and none came back in time",
        "queue_timeout": "no slot became free in time; try again later",
        "shutdown": "the server is going away",
        "engine_error": "the Docker engine failed",
    }
    return sentences[reason]

"""What one session may use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from trio_exec.model import StageName

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resources:
    """What may differ from stage to stage, and so changes while a container runs.

    Attributes:
        memory_bytes: as in `Limits`.
        cpus: as in `Limits`.
    """

    memory_bytes: int
    cpus: float


@dataclass(frozen=True, slots=True)
class Limits:
    """A session's limits; sizes in bytes, times in seconds.

    Attributes:
        memory_bytes: all processes together, swap included, the workspace's content too.
        cpus: CPU seconds per second.
        pids: processes and threads, the launcher's one included.
        workspace_bytes: size of the working directory, the only place that can be written to.
        output_bytes: standard output and standard error together.
        stdout_bytes: standard output alone; None for no limit of its own.
        stderr_bytes: standard error alone, likewise.
        idle_timeout: without input and output, while the program runs.
        execution_timeout: wall time of the run stage.
        cpu_time: CPU time of the run stage, of all its processes together; None for no limit beside `cpus`.
        compile_timeout: wall time of the compile stage.
        compile_memory_bytes: memory while the compile stage runs: the compiler, on whatever input.
        compile_cpus: CPU seconds per second while the compile stage runs.
        collected_files: how many files are kept of what a program leaves behind.
        collected_bytes: what they may hold together.
    """

    memory_bytes: int
    cpus: float
    pids: int
    workspace_bytes: int
    output_bytes: int
    stdout_bytes: int | None
    stderr_bytes: int | None
    idle_timeout: float
    execution_timeout: float
    cpu_time: float | None
    compile_timeout: float
    compile_memory_bytes: int
    compile_cpus: float
    collected_files: int
    collected_bytes: int

    def wall_time(self, stage: StageName) -> float:
        """Seconds that a stage may take."""
        return self.compile_timeout if stage is StageName.COMPILE else self.execution_timeout

    def resources(self, stage: StageName) -> Resources:
        """What a stage may use."""
        if stage is StageName.COMPILE:
            return Resources(self.compile_memory_bytes, self.compile_cpus)
        return Resources(self.memory_bytes, self.cpus)

    def processors(self, stage: StageName) -> int:
        """How many processors a runtime should reckon with in a stage.

        Runtimes size their pools of threads by it. By the limit on CPUs alone most would see one, and do one thing
        after the other where people are used to several; by the machine's, their pools might not fit into `pids`.
        """
        return max(1, math.ceil(self.resources(stage).cpus), min(_USUAL_PROCESSORS, self.pids // _PIDS_PER_PROCESSOR))

    def allows_reuse_of(self, container: Limits, *, can_update_limits: bool) -> bool:
        """Whether a session with these limits can use a running container that was made with others.

        Args:
            container: what the container was made with.
            can_update_limits: whether its memory and CPUs can be changed.
        """
        free = _SESSIONS_OWN | _ADJUSTABLE if can_update_limits else _SESSIONS_OWN
        return all(getattr(self, it.name) == getattr(container, it.name) for it in fields(self) if it.name not in free)


def lowered(limits: Limits, wanted: Mapping[str, float]) -> Limits:
    """Limits, where they are above what is wanted set to that."""
    lower = {name: value for name, value in wanted.items() if (most := getattr(limits, name)) is None or value < most}
    return replace(limits, **lower)


_USUAL_PROCESSORS = 4
_PIDS_PER_PROCESSOR = 8
"""Room for a thread of each of several pools, and for the runtime's own."""

_SESSIONS_OWN = frozenset(
    {
        *("output_bytes", "stdout_bytes", "stderr_bytes"),
        *("idle_timeout", "execution_timeout", "compile_timeout", "cpu_time"),
        *("collected_files", "collected_bytes"),
    }
)
"""Limits that the session itself watches over: a container is not made with them. Any other one has to match."""
_ADJUSTABLE = frozenset({"memory_bytes", "cpus"})

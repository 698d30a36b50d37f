"""What one session may use."""

from __future__ import annotations

from dataclasses import dataclass, fields

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """A session's limits; sizes in bytes, times in seconds.

    Attributes:
        memory_bytes: all processes together, swap included, the workspace's content too.
        cpus: CPU seconds per second.
        pids: processes and threads, the launcher's one included.
        workspace_bytes: size of the working directory, the only place that can be written to.
        output_bytes: standard output and standard error together.
        idle_timeout: without input and output, while the program runs.
        execution_timeout: wall time of the run stage.
        compile_timeout: wall time of the compile stage.
        compile_memory_bytes: memory while the compile stage runs: the compiler, on whatever input.
        compile_cpus: CPU seconds per second while the compile stage runs.
    """

    memory_bytes: int
    cpus: float
    pids: int
    workspace_bytes: int
    output_bytes: int
    idle_timeout: float
    execution_timeout: float
    compile_timeout: float
    compile_memory_bytes: int
    compile_cpus: float

    def fit(self, container: Limits, *, can_update_limits: bool) -> bool:
        """Whether a session with these limits can use a running container that was made with others.

        Args:
            container: what the container was made with.
            can_update_limits: whether its memory and CPUs can be changed.
        """
        free = _SESSIONS_OWN | _ADJUSTABLE if can_update_limits else _SESSIONS_OWN
        return all(getattr(self, it.name) == getattr(container, it.name) for it in fields(self) if it.name not in free)


_SESSIONS_OWN = frozenset({"output_bytes", "idle_timeout", "execution_timeout", "compile_timeout"})
"""Limits that the session itself watches over: a container is not made with them. Any other one has to match."""
_ADJUSTABLE = frozenset({"memory_bytes", "cpus"})

"""What a session may use."""

from __future__ import annotations

from pydantic import Field

from trio_exec.limits import MIB, Limits
from trio_exec.settings.fields import Group, Seconds


class LimitSettings(Group):
    """What a session may use."""

    heading = "Limits: what one session may use"

    idle_timeout: Seconds = Field(default=30, description="seconds without input or output until a session is ended")
    execution_timeout: Seconds = Field(default=120, description="seconds that a program may run")
    compile_timeout: Seconds = Field(default=30, description="seconds that the compile stage may take")
    cpu_time: Seconds | None = Field(
        default=None, description="CPU seconds that a program's processes may use together; default: no such limit"
    )
    max_batch_runs: int = Field(default=256, ge=1, le=1000, description="cases that a batch may have")
    batch_timeout: Seconds = Field(default=600, description="wall time of all cases of a batch together, in seconds")
    max_output_bytes: int = Field(default=MIB, ge=1, le=256 * MIB, description="bytes of output per session")
    memory_bytes: int = Field(default=200 * MIB, ge=16 * MIB, description="memory per session; there is no swap on top")
    compile_memory_bytes: int = Field(
        default=512 * MIB,
        ge=16 * MIB,
        description="memory while a program is compiled, if that is more than it may have itself",
    )
    compile_cpus: float = Field(
        default=2, ge=0.01, le=1024, allow_inf_nan=False, description="CPUs while a program is compiled, likewise"
    )
    cpus: float = Field(default=0.5, ge=0.01, le=1024, allow_inf_nan=False, description="CPUs per session")
    pids: int = Field(default=32, ge=2, le=32768, description="processes and threads per session")
    workspace_bytes: int = Field(default=32 * MIB, ge=65536, description="size of a session's writable directory")
    max_collected_files: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="files that are kept of what a program leaves behind, where it is asked for",
    )
    max_collected_bytes: int = Field(
        default=8 * MIB, ge=0, le=256 * MIB, description="bytes that these files may hold together"
    )

    @property
    def limits(self) -> Limits:
        """What a session may use when it does not ask for less."""
        return Limits(
            memory_bytes=self.memory_bytes,
            cpus=self.cpus,
            pids=self.pids,
            workspace_bytes=self.workspace_bytes,
            output_bytes=self.max_output_bytes,
            stdout_bytes=None,
            stderr_bytes=None,
            idle_timeout=self.idle_timeout,
            execution_timeout=self.execution_timeout,
            cpu_time=self.cpu_time,
            compile_timeout=self.compile_timeout,
            compile_memory_bytes=max(self.compile_memory_bytes, self.memory_bytes),
            compile_cpus=max(self.compile_cpus, self.cpus),
            collected_files=self.max_collected_files,
            collected_bytes=self.max_collected_bytes,
        )

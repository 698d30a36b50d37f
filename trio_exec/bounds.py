"""What a limit of a session can be, wherever one is given: in a request, or for a key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trio_exec.limits import MIB

MAX_CPU_TIME = 4_000_000
"""Seconds; what the launcher counts in has 32 bits of milliseconds."""

MemoryBytes = Annotated[int, Field(ge=16 * MIB)]
Cpus = Annotated[float, Field(ge=0.01, allow_inf_nan=False)]
Pids = Annotated[int, Field(ge=2)]
WorkspaceBytes = Annotated[int, Field(ge=65536)]
OutputBytes = Annotated[int, Field(ge=1)]
Timeout = Annotated[float, Field(gt=0, allow_inf_nan=False)]
CpuTime = Annotated[float, Field(ge=0.001, le=MAX_CPU_TIME, allow_inf_nan=False)]

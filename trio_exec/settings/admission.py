"""How many sessions there are, and for how long."""

from __future__ import annotations

from pydantic import Field

from trio_exec.defaults import default_compiles
from trio_exec.limits import MIB
from trio_exec.settings.fields import Group, Seconds


class AdmissionSettings(Group):
    """How many sessions there are, and for how long."""

    heading = "Admission: how many sessions there are, and for how long"

    max_sessions: int = Field(default=10, ge=1, le=10000, description="sessions that run at once")
    max_compiles: int = Field(
        default_factory=default_compiles,
        ge=1,
        le=10000,
        description="sessions that compile at once; each takes what its compile stage may use beyond its own limits",
    )
    max_queue: int = Field(default=100, ge=0, le=100000, description="sessions that may wait for a slot")
    queue_timeout: Seconds = Field(default=120, description="seconds that a session waits for a slot")
    detach_grace: Seconds = Field(default=60, description="seconds that a session goes on without any client")
    leave_grace: Seconds = Field(
        default=5,
        description="the same where the last one left by choice, as a tab that is closed; a reload is back by then",
    )
    max_watchers: int = Field(
        default=100, ge=0, le=10000, description="clients at once that watch one session by its link to do so"
    )
    retention: Seconds = Field(default=60, description="seconds that an ended session stays readable")
    drain_delay: float = Field(
        default=0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds after SIGTERM in which only /readyz fails, so that load balancers turn to other servers",
    )
    drain_timeout: Seconds = Field(default=150, description="seconds that running sessions then get")
    max_retained_bytes: int = Field(
        default=128 * MIB,
        ge=8 * MIB,
        description="bytes that the server holds for all clients together: requests, input and output",
    )

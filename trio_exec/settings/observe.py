"""What operators see."""

from __future__ import annotations

from pydantic import Field

from trio_exec.settings.fields import Group


class ObserveSettings(Group):
    """What operators see."""

    heading = "Observation: what operators see"

    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="port for /metrics alone; 0 takes a free one; default: /metrics is a path beside the others",
    )
    metrics_host: str = Field(default="127.0.0.1", description="address to listen on at metrics_port")
    metrics_owners: bool = Field(
        default=False, description="whether metrics name those whose sessions there are, a hundred at most"
    )

"""What operators see."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from trio_exec.settings.fields import Group


class LogFormat(StrEnum):
    """For whom the log is."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """From where on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ObserveSettings(Group):
    """What operators see."""

    heading = "Observation: what operators see"

    log_format: LogFormat = Field(default=LogFormat.CONSOLE, description="console for people, json for machines")
    log_level: LogLevel = Field(default=LogLevel.INFO, description="debug, info, warning or error")
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="port for /metrics alone; 0 takes a free one; default: /metrics is a path beside the others",
    )
    metrics_host: str = Field(default="127.0.0.1", description="address to listen on at metrics_port")
    otel: bool = Field(
        default=False,
        description="whether sessions are traced by OpenTelemetry, whose own variables (OTEL_...) say where to; needs "
        "the extra `otel`",
    )
    metrics_owners: bool = Field(
        default=False, description="whether metrics name those whose sessions there are, a hundred at most"
    )

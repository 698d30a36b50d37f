"""What requests, answers and messages are made of.

pydantic validates and serialises them: it names the field that is wrong and why, parses JSON itself (lone
surrogates are refused there), and its core is fast enough for one message per chunk of output. Fields are
`camelCase` on the wire. docs/api.md explains them to users.
"""

from __future__ import annotations

import base64
import signal as signals
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from trio_exec.errors import FormatFailedError, QuotaExceededError, TrioExecError
from trio_exec.model import Figures, Status

EncodingName = Literal["utf-8", "base64"]
"""How bytes are given as a string: as the text that they are, or as base64."""

OmissionName = Literal["too_large", "too_many", "not_regular", "unreadable", "timeout", "overloaded"]
HitName = Literal["memory", "pids", "workspace", "inodes", "shared_memory"]
StateName = Literal["waiting", "compiling", "running", "finished", "terminated"]
StageName = Literal["compile", "run"]
ReasonName = Literal[
    "idle_timeout",
    "execution_timeout",
    "output_limit",
    "memory_limit",
    "cpu_time_limit",
    "stopped",
    "detached",
    "queue_timeout",
    "revoked",
    "shutdown",
    "engine_error",
]


class Wire(BaseModel):
    """What goes over the wire, either way."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,  # The words below fields become part of the API's descriptions.
    )

    def to_json(self) -> str:
        """As it goes over the wire; absent fields are left out."""
        return self.model_dump_json(exclude_none=True)


class FigureFields(Wire):
    """What a stage came to; absent when it did not tell."""

    exit_code: int | None = None
    signal: str | None = None
    wall_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    hit: list[HitName] | None = None
    """Limits that it ran into, if any."""

    @staticmethod
    def figures_of(figures: Figures | None) -> dict[str, Any]:
        """Figures by their fields' names."""
        if figures is None:
            return {}
        return {
            "exit_code": figures.exit_code,
            "signal": None if figures.signal is None else signal_name(figures.signal),
            "wall_time": figures.wall_time,
            "cpu_time": figures.cpu_time,
            "peak_memory": figures.peak_memory,
            "hit": [hit.value for hit in figures.hits] or None,
        }


class FileInfo(Wire):
    """A file that the program left behind."""

    name: str
    size: int


class FileContent(FileInfo):
    """The same with its content, in base64."""

    data: str

    @classmethod
    def of(cls, name: str, content: bytes) -> FileContent:
        """The form of a file."""
        return cls(name=name, size=len(content), data=base64.b64encode(content).decode())


class OmittedFile(Wire):
    """A file that was asked for and not kept, and why."""

    name: str
    reason: OmissionName


class StageInfo(FigureFields):
    """How one stage went."""

    stage: StageName


class StateFields(FigureFields):
    """What a state carries; which fields depend on the state, see docs/api.md. Figures are of the last stage."""

    state: StateName
    stage: StageName | None = None
    position: int | None = None
    reason: ReasonName | None = None
    message: str | None = None
    output_truncated: bool | None = None
    stages: list[StageInfo] | None = None
    files: list[FileInfo] | None = None
    files_omitted: list[OmittedFile] | None = None

    @classmethod
    def fields_of(cls, status: Status) -> dict[str, Any]:
        """A state's fields by their names."""
        fields = {"state": status.state.value, "stage": status.stage, "position": status.position}
        outcome = status.outcome
        if outcome is None:
            return fields
        stages = [StageInfo(stage=it.stage.value, **cls.figures_of(it.figures)) for it in outcome.stages]
        return {
            **fields,
            **cls.figures_of(outcome.figures),
            "reason": outcome.reason,
            "message": outcome.message,
            "output_truncated": outcome.output_truncated,
            "stages": stages,
            "files": None if outcome.files is None else [FileInfo(name=it.name, size=it.size) for it in outcome.files],
            "files_omitted": [OmittedFile(name=it.name, reason=it.reason.value) for it in outcome.files_omitted]
            or None,
        }


class ErrorBody(Wire):
    """Every error over REST, and with a `type` over WebSocket."""

    error: str
    code: str
    field: str | None = None
    quota: str | None = None
    """Which of your quotas is used up, with the code `quota_exceeded`."""
    file: str | None = None
    """With the code `cannot_format`, where the formatter has stopped to understand, as far as it tells."""
    line: int | None = None
    column: int | None = None

    @classmethod
    def of(cls, error: TrioExecError) -> ErrorBody:
        """The form of one of our errors; a limit is told by its name on the wire."""
        field, message = error.field, error.message
        if field is not None:
            head, separator, name = field.rpartition("limits.")
            if separator:
                field = f"{head}{separator}{to_camel(name)}"
                message = message.replace(error.field or "", field, 1)
        quota = error.quota if isinstance(error, QuotaExceededError) else None
        body = cls(error=message, code=error.code, field=field, quota=quota)
        if isinstance(error, FormatFailedError):
            return body.model_copy(update={"file": error.file, "line": error.line, "column": error.column})
        return body


def signal_name(number: int) -> str:
    """A signal's name; real-time signals count from SIGRTMIN, as the C library does."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signals.SIGRTMIN}"

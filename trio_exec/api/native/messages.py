"""The wire: requests, answers and WebSocket messages, defined once for server, clients and tests.

pydantic validates and serialises them: it names the field that is wrong and why, parses JSON itself (lone
surrogates are refused there), and its core is fast enough for one message per chunk of output. Fields are
`camelCase` on the wire. docs/api.md explains them to users.
"""

from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from trio_exec.errors import TrioExecError
from trio_exec.model import Figures, Job, Readiness, Status

if TYPE_CHECKING:
    from trio_exec.session.session import Session

MAX_FILES = 64
MAX_PATH = 512
MAX_ARGUMENTS = 256
MAX_VARIABLES = 64
MAX_STRINGS_BYTES = 16384
"""Arguments, and likewise environment variables, together: they must fit one of the launcher's frames."""
MAX_TERMINAL = 1000
MAX_CPU_TIME = 4_000_000
"""Seconds; what the launcher counts in has 32 bits of milliseconds."""

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
    "shutdown",
    "engine_error",
]


class _Wire(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        strict=True,
        frozen=True,
    )

    def to_json(self) -> str:
        """As it goes over the wire; absent fields are left out."""
        return self.model_dump_json(exclude_none=True)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("can't hold a NUL character")
    return value


def _path(value: str) -> str:
    parts = value.split("/")
    if len(value.encode()) > MAX_PATH or any(len(part.encode()) > 255 for part in parts):  # noqa: PLR2004 - NAME_MAX
        raise ValueError(f"file name {value[:40]!r}… is too long; {MAX_PATH} bytes at most, 255 for each part")
    if any(part in {"", ".", ".."} for part in parts) or not value.isprintable():
        raise ValueError(
            f"file name {value[:80]!r} is not a relative path of printable characters, such as 'main.py' or 'lib/a.py'"
        )
    return value


Text = Annotated[str, AfterValidator(_no_nul)]
FilePath = Annotated[str, AfterValidator(_path)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
TerminalSize = Annotated[int, Field(ge=1, le=MAX_TERMINAL)]


class RequestedLimits(_Wire):
    """Limits that a request may lower; whether they are lower is for the engine to say."""

    memory_bytes: Annotated[int, Field(ge=16 * 1024 * 1024)] | None = None
    cpus: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] | None = None
    pids: Annotated[int, Field(ge=2)] | None = None
    workspace_bytes: Annotated[int, Field(ge=65536)] | None = None
    output_bytes: Annotated[int, Field(ge=1)] | None = None
    stdout_bytes: Annotated[int, Field(ge=1)] | None = None
    stderr_bytes: Annotated[int, Field(ge=1)] | None = None
    idle_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    execution_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    compile_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    cpu_time: Annotated[float, Field(ge=0.001, le=MAX_CPU_TIME, allow_inf_nan=False)] | None = None


class SessionRequest(_Wire):
    """The body of `POST /session`."""

    language: str
    code: str | None = None
    files: Annotated[dict[FilePath, str], Field(max_length=MAX_FILES)] = {}
    args: Annotated[list[Text], Field(max_length=MAX_ARGUMENTS)] = []
    stdin: str | None = None
    interactive: bool | None = None
    tty: bool = False
    rows: TerminalSize = 24
    cols: TerminalSize = 80
    env: Annotated[dict[VariableName, Text], Field(max_length=MAX_VARIABLES)] = {}
    limits: RequestedLimits = RequestedLimits()

    @model_validator(mode="after")
    def _consistent(self) -> SessionRequest:
        if self.code is None and not self.files:
            raise ValueError("code: give the program as `code`, or as `files`")
        for name in self.files:
            folder = name
            while "/" in folder:
                folder = folder.rpartition("/")[0]
                if folder in self.files:
                    raise ValueError(f"files: {folder[:80]!r} can't be both a file and the folder of {name[:80]!r}")
        for field, texts in [("args", self.args), ("env", [*self.env, *self.env.values()])]:
            if sum(len(text.encode()) + 2 for text in texts) > MAX_STRINGS_BYTES:
                raise ValueError(f"{field}: too long; {MAX_STRINGS_BYTES} bytes at most, all together")
        return self

    def job(self) -> Job:
        """What it asks for."""
        # End of input follows `stdin` by itself.
        ends_input = self.stdin is not None if self.interactive is None else not self.interactive
        return Job(
            language=self.language,
            code=None if self.code is None else self.code.encode(),
            files={name: text.encode() for name, text in self.files.items()},
            args=self.args,
            env=self.env,
            stdin=(self.stdin or "").encode(),
            ends_input=ends_input,
            terminal=(self.rows, self.cols) if self.tty else None,
            limits=self.limits.model_dump(exclude_none=True, by_alias=False),
        )


class SessionCreated(_Wire):
    """The answer to `POST /session`."""

    session_id: str
    websocket: str


class FigureFields(_Wire):
    """What a stage came to; absent when it did not tell."""

    exit_code: int | None = None
    signal: str | None = None
    wall_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None

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
        }


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
        }


class SessionInfo(StateFields):
    """The answer to `GET /session/{id}`."""

    session_id: str
    language: str
    tty: bool
    created_at: float
    clients: int
    seq: int

    @classmethod
    def of(cls, session: Session) -> SessionInfo:
        """The form of a session."""
        return cls(
            **cls.fields_of(session.status),
            session_id=session.id,
            language=session.plan.language.name,
            tty=session.plan.terminal is not None,
            created_at=session.created_at,
            clients=session.clients,
            seq=session.log.end,
        )


class ExampleInfo(_Wire):
    """An example program."""

    name: str
    title: str
    code: str
    tty: bool


class LanguageInfo(_Wire):
    """One language in `GET /languages`."""

    name: str
    title: str
    aliases: list[str]
    version: str
    source_file: str
    compiled: bool
    examples: list[ExampleInfo]


class LimitsInfo(_Wire):
    """The server's limits in `GET /languages`."""

    memory_bytes: int
    cpus: float
    pids: int
    workspace_bytes: int
    output_bytes: int
    stdout_bytes: int | None
    stderr_bytes: int | None
    idle_timeout: float
    execution_timeout: float
    compile_timeout: float
    cpu_time: float | None


class LanguagesInfo(_Wire):
    """The answer to `GET /languages`."""

    languages: list[LanguageInfo]
    limits: LimitsInfo


class ReadinessInfo(_Wire):
    """The answer to `GET /readyz`."""

    ready: bool
    running: int
    queued: int
    free: int
    room: int
    warm: dict[str, int]
    missing: dict[str, str] | None = None
    reason: str | None = None

    @classmethod
    def of(cls, readiness: Readiness) -> ReadinessInfo:
        """The form of what the engine says."""
        return cls(
            ready=readiness.reason is None,
            running=readiness.running,
            queued=readiness.queued,
            free=readiness.free,
            room=readiness.room,
            warm=dict(readiness.warm),
            missing=dict(readiness.missing) or None,
            reason=readiness.reason,
        )


class ErrorBody(_Wire):
    """Every error over REST, and with a `type` over WebSocket."""

    error: str
    code: str
    field: str | None = None

    @classmethod
    def of(cls, error: TrioExecError) -> ErrorBody:
        """The form of one of our errors; a limit is told by its name on the wire."""
        field, message = error.field, error.message
        if field is not None:
            wanted = RequestedLimits.model_fields.get(field.removeprefix("limits."))
            if wanted is not None and field.startswith("limits."):
                field = f"limits.{wanted.alias}"
                message = message.replace(error.field or "", field, 1)
        return cls(error=message, code=error.code, field=field)


class StdoutMessage(_Wire):
    """Standard output, or the terminal's output."""

    type: Literal["stdout"] = "stdout"
    data: str
    seq: int


class StderrMessage(_Wire):
    """Standard error."""

    type: Literal["stderr"] = "stderr"
    data: str
    seq: int


class StateMessage(StateFields):
    """A change of the session's state."""

    type: Literal["state"] = "state"
    seq: int

    @classmethod
    def of(cls, status: Status, seq: int) -> StateMessage:
        """The form of a state; `seq` is the position behind it."""
        return cls(**cls.fields_of(status), seq=seq)


class InputWaitMessage(_Wire):
    """Whether the program is blocked in a read of its input."""

    type: Literal["input_wait"] = "input_wait"
    waiting: bool


class InputAckMessage(_Wire):
    """The answer to input that says where it belongs: so many bytes of this client's were taken, and more have room."""

    type: Literal["input_ack"] = "input_ack"
    at: int
    room: int
    error: str | None = None
    code: str | None = None


class ErrorMessage(ErrorBody):
    """The client's last message could not be used."""

    type: Literal["error"] = "error"


class InputMessage(_Wire):
    """Text for standard input; `at` is how many bytes of this client's input come before it, if it says so."""

    type: Literal["input"] = "input"
    data: str
    at: Annotated[int, Field(ge=0)] | None = None


class EofMessage(_Wire):
    """End of input."""

    type: Literal["eof"] = "eof"


def _signal_name(value: str) -> str:
    if value not in signals.Signals.__members__:
        raise ValueError(f"there is no signal {value[:40]!r}; names are as in SIGINT, SIGTERM, SIGKILL")
    return value


class SignalMessage(_Wire):
    """A signal for the program."""

    type: Literal["signal"] = "signal"
    signal: Annotated[str, AfterValidator(_signal_name)]

    @property
    def number(self) -> int:
        """The signal's number."""
        return signals.Signals[self.signal].value


class ResizeMessage(_Wire):
    """A new terminal size."""

    type: Literal["resize"] = "resize"
    rows: TerminalSize
    cols: TerminalSize


class StopMessage(_Wire):
    """End the session."""

    type: Literal["stop"] = "stop"


ServerMessage = StdoutMessage | StderrMessage | StateMessage | InputWaitMessage | InputAckMessage | ErrorMessage
ClientMessage = InputMessage | EofMessage | SignalMessage | ResizeMessage | StopMessage


def signal_name(number: int) -> str:
    """A signal's name; real-time signals count from SIGRTMIN, as the C library does."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signals.SIGRTMIN}"

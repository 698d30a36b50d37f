"""The wire: requests, answers and WebSocket messages, defined once for server, clients and tests.

pydantic validates and serialises them: it names the field that is wrong and why, parses JSON itself (lone
surrogates are refused there), and its core is fast enough for one message per chunk of output. Fields are
`camelCase` on the wire. docs/api.md explains them to users.
"""

from __future__ import annotations

import signal as signals
from typing import Annotated, Literal

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

MAX_FILES = 64
MAX_PATH = 512
MAX_ARGUMENTS = 256
MAX_VARIABLES = 64
MAX_STRINGS_BYTES = 16384
"""Arguments, and likewise environment variables, together: they must fit one of the launcher's frames."""
MAX_TERMINAL = 1000

StateName = Literal["waiting", "compiling", "running", "finished", "terminated"]
StageName = Literal["compile", "run"]
Reason = Literal[
    "idle_timeout",
    "execution_timeout",
    "output_limit",
    "memory_limit",
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
    idle_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    execution_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    compile_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


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

    @property
    def ends_input(self) -> bool:
        """Whether end of input follows `stdin` by itself."""
        return self.stdin is not None if self.interactive is None else not self.interactive


class SessionCreated(_Wire):
    """The answer to `POST /session`."""

    session_id: str
    websocket: str


class StateFields(_Wire):
    """What a state carries; which fields depend on the state, see docs/api.md."""

    state: StateName
    stage: StageName | None = None
    position: int | None = None
    reason: Reason | None = None
    message: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    wall_time: float | None = None
    cpu_time: float | None = None
    peak_memory: int | None = None
    output_truncated: bool | None = None


class SessionInfo(StateFields):
    """The answer to `GET /session/{id}`."""

    session_id: str
    language: str
    tty: bool
    created_at: float
    clients: int
    seq: int


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
    idle_timeout: float
    execution_timeout: float
    compile_timeout: float


class LanguagesInfo(_Wire):
    """The answer to `GET /languages`."""

    languages: list[LanguageInfo]
    limits: LimitsInfo


class Readiness(_Wire):
    """The answer to `GET /readyz`."""

    ready: bool
    running: int
    queued: int
    warm: dict[str, int]
    reason: str | None = None


class ErrorBody(_Wire):
    """Every error over REST, and with a `type` over WebSocket."""

    error: str
    code: str
    field: str | None = None

    @classmethod
    def of(cls, error: TrioExecError) -> ErrorBody:
        """The form of one of our errors."""
        return cls(error=error.message, code=error.code, field=error.field)


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


class InputWaitMessage(_Wire):
    """Whether the program is blocked in a read of its input."""

    type: Literal["input_wait"] = "input_wait"
    waiting: bool


class ErrorMessage(ErrorBody):
    """The client's last message could not be used."""

    type: Literal["error"] = "error"


class InputMessage(_Wire):
    """Text for standard input."""

    type: Literal["input"] = "input"
    data: str


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


ServerMessage = StdoutMessage | StderrMessage | StateMessage | InputWaitMessage | ErrorMessage
ClientMessage = InputMessage | EofMessage | SignalMessage | ResizeMessage | StopMessage


def signal_name(number: int) -> str:
    """A signal's name; real-time signals count from SIGRTMIN, as the C library does."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signals.SIGRTMIN}"

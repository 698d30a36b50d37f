"""Requests: what programs there are to run, and how."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, model_validator

from trio_exec.api.native.parts import EncodingName, Wire
from trio_exec.bounds import Cpus, CpuTime, MemoryBytes, OutputBytes, Pids, Timeout, WorkspaceBytes
from trio_exec.launcher.patterns import PATTERNS_MAX, check_pattern
from trio_exec.model import Batch, Case, Comparison, Isolation, Job

MAX_FILES = 64
MAX_PATH = 512
MAX_ARGUMENTS = 256
MAX_VARIABLES = 64
MAX_STRINGS_BYTES = 16384
"""Arguments, and likewise environment variables, together: they must fit one of the launcher's frames."""
MAX_CASES = 1000
"""Of a batch, whatever the server's setting allows."""
MAX_TERMINAL = 1000
_PART_MAX = 255
"""NAME_MAX: bytes of a file's name, without its folders."""


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("can't hold a NUL character")
    return value


def _path(value: str) -> str:
    parts = value.split("/")
    if len(value.encode()) > MAX_PATH or any(len(part.encode()) > _PART_MAX for part in parts):
        raise ValueError(f"file name {value[:40]!r}… is too long; {MAX_PATH} bytes at most, {_PART_MAX} for each part")
    if any(part in {"", ".", ".."} for part in parts) or not value.isprintable():
        raise ValueError(
            f"file name {value[:80]!r} is not a relative path of printable characters, such as 'main.py' or 'lib/a.py'"
        )
    return value


def _pattern(value: str) -> str:
    try:
        check_pattern(value)
    except ValueError as error:
        raise ValueError(f"the pattern {value[:80]!r} {error}") from error
    return value


def decode(data: str, encoding: EncodingName | None) -> bytes:
    """The bytes that a client means.

    Raises:
        ValueError: this is not base64; says so for people.
    """
    if encoding != "base64":
        return data.encode()
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(
            "this is not base64; use its standard alphabet, with padding and without line breaks"
        ) from error


class EncodedContent(Wire):
    """Bytes that are not text."""

    data: str
    encoding: EncodingName


def _content(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        data, encoding = fields.get("data"), fields.get("encoding")
        if set(fields) == {"data", "encoding"} and isinstance(data, str) and encoding in {"utf-8", "base64"}:
            return decode(data, "base64" if encoding == "base64" else None)
    raise ValueError('send a string, or {"data": "…", "encoding": "base64"} for bytes that are not UTF-8')


Text = Annotated[str, AfterValidator(_no_nul)]
FilePath = Annotated[str, AfterValidator(_path)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Content = Annotated[bytes, PlainValidator(_content, json_schema_input_type=str | EncodedContent)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
TerminalSize = Annotated[int, Field(ge=1, le=MAX_TERMINAL)]
Arguments = Annotated[list[Text], Field(max_length=MAX_ARGUMENTS)]
Variables = Annotated[dict[VariableName, Text], Field(max_length=MAX_VARIABLES)]
Patterns = Annotated[list[Pattern], Field(max_length=PATTERNS_MAX)]


class RequestedLimits(Wire):
    """Limits that a request may lower; whether they are lower is for the engine to say."""

    memory_bytes: MemoryBytes | None = None
    """All processes together, and the workspace's content."""
    cpus: Cpus | None = None
    """CPU seconds per second."""
    pids: Pids | None = None
    """Processes and threads."""
    workspace_bytes: WorkspaceBytes | None = None
    """Size of the workspace."""
    output_bytes: OutputBytes | None = None
    """Standard output and standard error together."""
    stdout_bytes: OutputBytes | None = None
    """Standard output alone."""
    stderr_bytes: OutputBytes | None = None
    """Standard error alone."""
    idle_timeout: Timeout | None = None
    """Seconds without input and output."""
    execution_timeout: Timeout | None = None
    """Seconds that the program may take."""
    compile_timeout: Timeout | None = None
    """Seconds that the compiler may take."""
    cpu_time: CpuTime | None = None
    """CPU seconds of all the program's processes together."""

    def given(self) -> dict[str, float]:
        """Those that are given, by the domain's names."""
        return self.model_dump(exclude_none=True, by_alias=False)


def _check_strings(args: Iterable[str], env: Mapping[str, str]) -> None:
    for field, texts in [("args", args), ("env", [*env, *env.values()])]:
        if sum(len(text.encode()) + 2 for text in texts) > MAX_STRINGS_BYTES:
            raise ValueError(f"{field}: too long; {MAX_STRINGS_BYTES} bytes at most, all together")


class _Source(Wire):
    """A program's files."""

    language: str
    """The language's name, or an alias of it."""
    code: Content | None = None
    """The main source file; this or `files` is required."""
    files: Annotated[dict[FilePath, Content], Field(max_length=MAX_FILES)] = Field(default_factory=dict[str, bytes])
    """Further files by their paths. Without `code`, the first one is the main file."""

    @model_validator(mode="after")
    def _has_files(self) -> _Source:
        if self.code is None and not self.files:
            raise ValueError("code: give the program as `code`, or as `files`")
        for name in self.files:
            folder = name
            while "/" in folder:
                folder = folder.rpartition("/")[0]
                if folder in self.files:
                    raise ValueError(f"files: {folder[:80]!r} can't be both a file and the folder of {name[:80]!r}")
        return self


class FormatRequest(_Source):
    """The body of `POST /format`."""

    @model_validator(mode="after")
    def _is_text(self) -> FormatRequest:
        for field, content in [("code", self.code or b""), *(("files", it) for it in self.files.values())]:
            try:
                content.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{field}: this is not UTF-8, and only text can be formatted") from None
        return self

    def job(self) -> Job:
        """What it asks for."""
        return Job(language=self.language, code=self.code, files=self.files)


class _Program(_Source):
    """A program, and what goes with it however it is run."""

    args: Arguments = Field(default_factory=list[str])
    """Command line arguments of the program."""
    stdin: Content | None = None
    """Standard input that is there from the start."""
    env: Variables = Field(default_factory=dict[str, str])
    """Additional environment variables of the program; the compiler does not see them."""
    limits: RequestedLimits = RequestedLimits()
    """Limits, where they are to be lower than the server's."""
    collect: Patterns = Field(default_factory=list[str])
    """Patterns of the files to keep of what the program leaves in its workspace."""
    merge: bool = False
    """Whether standard error goes where standard output does, so that all of it is one stream."""

    @model_validator(mode="after")
    def _consistent(self) -> _Program:
        _check_strings(self.args, self.env)
        return self

    def _job(self, *, ends_input: bool, terminal: tuple[int, int] | None = None) -> Job:
        return Job(
            language=self.language,
            code=self.code,
            files=self.files,
            args=self.args,
            env=self.env,
            stdin=self.stdin or b"",
            ends_input=ends_input,
            terminal=terminal,
            merge=self.merge,
            limits=self.limits.given(),
            collect=self.collect,
        )


class SessionRequest(_Program):
    """The body of `POST /session`, and the first message at `/ws/run`."""

    interactive: bool | None = None
    """Whether more input may follow `stdin`. Default: true without `stdin`, false with it."""
    tty: bool = False
    """Whether the program runs in a terminal."""
    rows: TerminalSize = 24
    """The terminal's height in lines, at first."""
    cols: TerminalSize = 80
    """The terminal's width in columns, at first."""

    def job(self) -> Job:
        """What it asks for."""
        # End of input follows `stdin` by itself.
        ends_input = self.stdin is not None if self.interactive is None else not self.interactive
        return self._job(ends_input=ends_input, terminal=(self.rows, self.cols) if self.tty else None)


class RunRequest(_Program):
    """The body of `POST /run`."""

    encoding: EncodingName = "utf-8"
    """How output is given."""
    stream: bool = False
    """Whether to answer line by line, as things happen."""

    def job(self) -> Job:
        """What it asks for."""
        return self._job(ends_input=True)


class CaseRequest(Wire):
    """One case of a batch. What it gives takes the place of the request's; variables and limits are added to those."""

    args: Arguments | None = None
    stdin: Content | None = None
    env: Variables = Field(default_factory=dict[str, str])
    limits: RequestedLimits = RequestedLimits()
    collect: Patterns | None = None
    expected: Content | None = None
    """What the program should write to its standard output."""

    @model_validator(mode="after")
    def _consistent(self) -> CaseRequest:
        _check_strings(self.args or [], self.env)
        return self


class BatchRequest(RunRequest):
    """The body of `POST /run` with `runs`."""

    runs: Annotated[list[CaseRequest], Field(min_length=1, max_length=MAX_CASES)]
    """The cases."""
    isolation: Literal["process", "container"] = "process"
    """What keeps the cases apart: fresh processes in one container, or fresh containers."""
    compare: Literal["exact", "trimmed"] = "exact"
    """Whether white space at the ends of lines, and empty lines at the end, make a difference."""
    stop_on_failure: bool = False
    """Whether to leave out the cases behind the first that does not pass."""
    parallel: Annotated[int, Field(ge=1, le=MAX_CASES)] = 1
    """With containers of their own, how many cases may run at once."""

    @model_validator(mode="after")
    def _isolated(self) -> BatchRequest:
        if self.parallel > 1 and self.isolation != "container":
            raise ValueError(
                'parallel: cases that run at once never share a container; ask for "isolation": "container"'
            )
        return self

    def batch(self) -> Batch:
        """What it asks for."""
        job = self.job()
        return Batch(
            job=job,
            cases=[
                Case(
                    args=job.args if case.args is None else case.args,
                    stdin=job.stdin if case.stdin is None else case.stdin,
                    env={**job.env, **case.env},
                    limits={**job.limits, **case.limits.given()},
                    collect=job.collect if case.collect is None else case.collect,
                    expected=case.expected,
                )
                for case in self.runs
            ],
            isolation=Isolation(self.isolation),
            comparison=Comparison(self.compare),
            stop_on_failure=self.stop_on_failure,
            parallel=self.parallel,
        )

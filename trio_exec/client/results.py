"""What came of programs that have run to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, cast

from trio_exec.client.errors import ProgramFailedError
from trio_exec.client.events import (
    OmittedFile,
    Output,
    Stage,
    StateChanged,
    Stream,
    T,
    ending_of,
    omitted_of,
    stage_of,
)
from trio_exec.client.fields import (
    Object,
    decoded,
    flag_of,
    integer_of,
    needed_integer,
    needed_text,
    objects_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Formatted:
    """A program as its language's formatter would have it.

    Attributes:
        code: the main file, where it was given as such.
        files: the source files among those that were given, by their paths.
    """

    code: str | None
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """A file that the program left and that `collect` asked for."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """How a program went, and what it wrote.

    Attributes:
        state: `finished` when it ended by itself, whatever its exit code; `terminated` when the server ended it.
        stage: the last stage: `compile` when the program did not compile, else `run`.
        reason, message: why the server ended it, as a stable name and as a sentence.
        exit_code, signal: of the last stage; a program that was killed has a signal and no exit code.
        wall_time, cpu_time, peak_memory: of the last stage, in seconds and bytes.
        hit: limits that it ran into, such as `pids`, whatever came of that.
        output_truncated: whether output beyond a limit was dropped.
        stdout, stderr: of all stages.
        output: the same in the order in which it was written.
        stages: the figures of each stage.
        stage_output: standard output and standard error of each stage, by its name, where the server has told.
        files, files_omitted: what `collect` has found.
        session_id: of its session.
    """

    language: str
    state: str
    stage: str | None
    reason: str | None
    message: str | None
    exit_code: int | None
    signal: str | None
    wall_time: float | None
    cpu_time: float | None
    peak_memory: int | None
    output_truncated: bool
    stdout: T
    stderr: T
    output: Sequence[Output[T]] = ()
    stages: Sequence[Stage] = ()
    stage_output: dict[str, tuple[T, T]] = field(default_factory=dict[str, tuple[T, T]])
    files: Sequence[File] = ()
    files_omitted: Sequence[OmittedFile] = ()
    session_id: str = ""
    hit: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with exit code 0."""
        return self.state == "finished" and self.exit_code == 0

    @property
    def ending(self) -> str:
        """How it ended, in a word or two: `exit 0`, `SIGSEGV`, `memory_limit`."""
        return ending_of(self.reason, self.signal, self.exit_code)

    def file(self, name: str) -> bytes:
        """A collected file's content.

        Raises:
            KeyError: there is none of that name.
        """
        for it in self.files:
            if it.name == name:
                return it.data
        raise KeyError(name)

    def check(self) -> Result[T]:
        """The same result, if it is a good one.

        Raises:
            ProgramFailedError: it is not `ok`; the message has the last words of standard error.
        """
        if self.ok:
            return self
        words: str | bytes = self.stderr
        shown = words.decode(errors="replace") if isinstance(words, bytes) else words
        stage = "" if self.stage in {None, "run"} else f" ({self.stage})"
        raise ProgramFailedError(f"the program ended with {self.ending}{stage}\n{shown[-2000:]}".rstrip())


@dataclass(frozen=True, slots=True)
class Case(Generic[T]):
    """One case of a batch.

    Attributes:
        index: its place among the runs that were asked for, from 0.
        passed: whether it ended by itself with exit code 0, and its output matches what was expected, if anything was.
        matches: whether standard output is what was expected; None where nothing was.
        result: how it went.
    """

    index: int
    passed: bool
    matches: bool | None
    result: Result[T]


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What came of one program that ran several times.

    Attributes:
        state: `finished`, or `terminated` when the server cut it short.
        reason, message: why it did.
        compile: how the compile stage went, of languages that have one.
        cases: those that ran, in the order in which they ended; none when the program did not compile.
        passed, failed, skipped: how many did what.
    """

    language: str
    state: str
    reason: str | None
    message: str | None
    compile: Result[T] | None
    cases: Sequence[Case[T]]
    passed: int
    failed: int
    skipped: int

    @property
    def ok(self) -> bool:
        """Whether every case passed."""
        return self.state == "finished" and self.failed == 0 and self.skipped == 0


def result_of(data: Object, *, text: bool, language: str = "") -> Result[Any]:
    """The result in an answer of `POST /run`; bytes were asked for as base64.

    Raises:
        ProtocolError: it is none.
    """

    def shown(of: Object, name: str) -> Any:
        value = text_of(of, name) or ""
        return value if text else decoded(value)

    figures = stage_of(data)
    stages = objects_of(data, "stages")
    return Result(
        language=text_of(data, "language") or language,
        state=needed_text(data, "state"),
        stage=figures.stage,
        reason=text_of(data, "reason"),
        message=text_of(data, "message"),
        exit_code=figures.exit_code,
        signal=figures.signal,
        wall_time=figures.wall_time,
        cpu_time=figures.cpu_time,
        peak_memory=figures.peak_memory,
        output_truncated=flag_of(data, "outputTruncated"),
        stdout=shown(data, "stdout"),
        stderr=shown(data, "stderr"),
        output=tuple(
            Output(
                cast("Stream", needed_text(it, "stream")),
                shown(it, "data"),
            )
            for it in objects_of(data, "output")
        ),
        stages=tuple(map(stage_of, stages)),
        stage_output={needed_text(it, "stage"): (shown(it, "stdout"), shown(it, "stderr")) for it in stages},
        files=files_of(data),
        files_omitted=omitted_of(data),
        session_id=text_of(data, "sessionId") or "",
        hit=figures.hit,
    )


def files_of(data: Object) -> tuple[File, ...]:
    """The files in an answer."""
    return tuple(File(needed_text(it, "name"), decoded(needed_text(it, "data"))) for it in objects_of(data, "files"))


def case_of(data: Object, *, text: bool, language: str) -> Case[Any]:
    """A case in an answer.

    Raises:
        ProtocolError: it is none.
    """
    matches = data.get("matches")
    return Case(
        index=needed_integer(data, "index"),
        passed=flag_of(data, "passed"),
        matches=matches if isinstance(matches, bool) else None,
        result=result_of({"stage": "run", **data}, text=text, language=language),
    )


def compile_of(data: Object, *, text: bool, language: str) -> Result[Any]:
    """The compile stage of a batch.

    Raises:
        ProtocolError: it is none.
    """
    return result_of({"stage": "compile", **data}, text=text, language=language)


def batch_of(data: Object, compiled: Result[Any] | None, cases: Sequence[Case[Any]], *, language: str) -> Batch[Any]:
    """A batch of its last words, and of what came before.

    Raises:
        ProtocolError: it is none.
    """
    return Batch(
        language=text_of(data, "language") or language,
        state=needed_text(data, "state"),
        reason=text_of(data, "reason"),
        message=text_of(data, "message"),
        compile=compiled,
        cases=tuple(cases),
        passed=integer_of(data, "passed") or 0,
        failed=integer_of(data, "failed") or 0,
        skipped=integer_of(data, "skipped") or 0,
    )


def result_of_session(
    final: StateChanged, output: Sequence[Output[T]], empty: T, *, language: str, session_id: str, files: Sequence[File]
) -> Result[T]:
    """The result of a session whose events were read to the end."""
    return Result(
        language=language,
        state=final.state,
        stage=final.stage,
        reason=final.reason,
        message=final.message,
        exit_code=final.exit_code,
        signal=final.signal,
        wall_time=final.wall_time,
        cpu_time=final.cpu_time,
        peak_memory=final.peak_memory,
        output_truncated=final.output_truncated,
        stdout=empty.join(it.data for it in output if it.stream == "stdout"),
        stderr=empty.join(it.data for it in output if it.stream == "stderr"),
        output=tuple(output),
        stages=final.stages,
        files=tuple(files),
        files_omitted=final.files_omitted,
        session_id=session_id,
        hit=final.hit,
    )

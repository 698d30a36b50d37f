"""Answers to `POST /run`, whole and line by line."""

from __future__ import annotations

from typing import Literal

from trio_exec.api.native.messages import SessionMessage, StateMessage, StderrMessage, StdoutMessage
from trio_exec.api.native.parts import (
    FigureFields,
    FileContent,
    OmittedFile,
    ReasonName,
    StageInfo,
    StageName,
    Wire,
)

FinalName = Literal["finished", "terminated"]


class OutputPiece(Wire):
    """What a program wrote at once, or nearly so."""

    stream: Literal["stdout", "stderr"]
    data: str


class StageAnswer(StageInfo):
    """How one stage went, and what it wrote."""

    stdout: str
    stderr: str


class OutcomeFields(FigureFields):
    """How a session ended, and all that came of it."""

    state: FinalName
    reason: ReasonName | None = None
    message: str | None = None
    output_truncated: bool
    stdout: str
    stderr: str
    output: list[OutputPiece]
    files: list[FileContent] | None = None
    files_omitted: list[OmittedFile] | None = None


class RunAnswer(OutcomeFields):
    """The answer to `POST /run`. Figures are of the last stage, and outputs of all."""

    session_id: str
    language: str
    stage: StageName | None = None
    stages: list[StageAnswer]
    encoding: Literal["base64"] | None = None


class CompileAnswer(OutcomeFields):
    """How the compile stage of a batch went."""


class CaseAnswer(OutcomeFields):
    """How one case of a batch went."""

    index: int
    matches: bool | None = None
    passed: bool


class BatchCounts(Wire):
    """How a batch went in all."""

    state: FinalName
    reason: ReasonName | None = None
    message: str | None = None
    passed: int
    failed: int
    skipped: int


class BatchAnswer(BatchCounts):
    """The answer to `POST /run` with `runs`; cases are in the order in which they ended."""

    language: str
    compile: CompileAnswer | None = None
    cases: list[CaseAnswer]
    encoding: Literal["base64"] | None = None


class FileMessage(FileContent):
    """A file that the program left behind, as a line of its own."""

    type: Literal["file"] = "file"


class CompileMessage(CompileAnswer):
    """The compile stage of a batch is over."""

    type: Literal["compile"] = "compile"


class CaseMessage(CaseAnswer):
    """A case of a batch is over."""

    type: Literal["case"] = "case"


class BatchMessage(BatchCounts):
    """The batch is over: the last line."""

    type: Literal["batch"] = "batch"


LINES = (
    SessionMessage,
    StateMessage,
    StdoutMessage,
    StderrMessage,
    FileMessage,
    CompileMessage,
    CaseMessage,
    BatchMessage,
)
"""What the lines of an answer may be."""

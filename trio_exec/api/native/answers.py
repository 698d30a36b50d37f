"""Answers over REST, but for those to `POST /run` (see `outcomes`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from trio_exec.api.native.parts import FileContent, OmittedFile, StateFields, Wire
from trio_exec.model import Readiness

if TYPE_CHECKING:
    from trio_exec.session.session import Session


class SessionCreated(Wire):
    """The answer to `POST /session`."""

    session_id: str
    websocket: str
    watch_id: str
    """In the place of `sessionId`, for those who are to look and do nothing else."""


class SessionInfo(StateFields):
    """The answer to `GET /session/{id}`."""

    session_id: str | None = None
    """Absent where it was asked for by `watchId`."""
    watch_id: str
    language: str
    tty: bool
    created_at: float
    clients: int
    watchers: int
    seq: int

    @classmethod
    def of(cls, session: Session, *, may_drive: bool) -> SessionInfo:
        """The form of a session; with its id only for those who may drive it."""
        return cls(
            **cls.fields_of(session.status),
            session_id=session.id if may_drive else None,
            watch_id=session.watch_id,
            language=session.plan.language.name,
            tty=session.plan.terminal is not None,
            created_at=session.created_at,
            clients=session.clients,
            watchers=session.watchers,
            seq=session.log.end,
        )


class FilesAnswer(Wire):
    """The answer to `GET /session/{id}/files`."""

    files: list[FileContent]
    files_omitted: list[OmittedFile] | None = None

    @classmethod
    def of(cls, session: Session) -> FilesAnswer:
        """The files of a session that is over.

        Raises:
            SessionStateError: it is not.
        """
        files = [FileContent.of(name, content) for name, content in session.files.items()]
        omitted = StateFields.fields_of(session.status).get("files_omitted")
        return cls(files=files, files_omitted=omitted)


class FormatAnswer(Wire):
    """The answer to `POST /format`: what was given, formatted; of `files`, the source files."""

    code: str | None = None
    files: dict[str, str] | None = None


class HealthInfo(Wire):
    """The answer to `GET /healthz`."""

    healthy: Literal[True] = True


class ExampleInfo(Wire):
    """An example program."""

    name: str
    title: str
    code: str
    note: str | None = None
    tty: bool


class ErrorsInfo(Wire):
    """How a language's tools name places in the program: regular expressions, with groups as JavaScript writes them."""

    places: list[str]
    messages: list[str]
    innermost: Literal["above", "below"]


class LanguageInfo(Wire):
    """One language in `GET /languages`."""

    name: str
    title: str
    aliases: list[str]
    version: str
    source_file: str
    extensions: list[str]
    compiled: bool
    formats: bool
    errors: ErrorsInfo
    examples: list[ExampleInfo]


class LimitsInfo(Wire):
    """The server's limits in `GET /languages`."""

    memory_bytes: int
    cpus: float
    pids: int
    workspace_bytes: int
    output_bytes: int
    stdout_bytes: int | None = None
    stderr_bytes: int | None = None
    idle_timeout: float
    execution_timeout: float
    compile_timeout: float
    cpu_time: float | None = None
    collected_files: int
    collected_bytes: int


class LanguagesInfo(Wire):
    """The answer to `GET /languages`."""

    languages: list[LanguageInfo]
    limits: LimitsInfo


class ReadinessInfo(Wire):
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

"""Our own wire: its paths, and what is behind each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property

from quart import Response, request, websocket
from quart.wrappers.base import BaseRequestWebsocket

from trio_exec.api.auth import Authentication, subprotocol
from trio_exec.api.bodies import MediaTypeError, read_body
from trio_exec.api.compression import compressed
from trio_exec.api.native import queries
from trio_exec.api.native.answers import (
    ErrorsInfo,
    ExampleInfo,
    FilesAnswer,
    FormatAnswer,
    HealthInfo,
    LanguageInfo,
    LanguagesInfo,
    LimitsInfo,
    ReadinessInfo,
    SessionCreated,
    SessionInfo,
)
from trio_exec.api.native.formatting import formatted
from trio_exec.api.native.messages import CLIENT_MESSAGES, SERVER_MESSAGES, kind_of
from trio_exec.api.native.opening import OPENING_CLOSE_CODES, Opening
from trio_exec.api.native.outcomes import LINES, BatchAnswer, RunAnswer
from trio_exec.api.native.parsing import (
    InvalidJSONError,
    parse_format_request,
    parse_run_request,
    parse_session_request,
)
from trio_exec.api.native.parts import EncodingName, Wire
from trio_exec.api.native.queries import AFTER, CLIENT, ENCODING, KEEP, ROOM, SESSION_ID
from trio_exec.api.native.requests import BatchRequest, FormatRequest, RunRequest, SessionRequest
from trio_exec.api.native.run import BatchPieces, RunPieces, StreamedBody, following, following_batch
from trio_exec.api.native.websocket import CLOSE_CODES, Attachment, Refused, not_told
from trio_exec.api.routes import JSON, NDJSON, Answer, Audience, Message, Route, Socket
from trio_exec.engine.engine import Engine
from trio_exec.errors import (
    DrainingError,
    ExecutorError,
    ExecutorUnavailableError,
    ForbiddenError,
    FormatFailedError,
    LanguageUnavailableError,
    OverloadedError,
    QueueFullError,
    QuotaExceededError,
    RequestError,
    SessionNotFoundError,
    SessionStateError,
    TooManyWatchersError,
    UnknownLanguageError,
    ViewOnlyError,
)
from trio_exec.languages import Language
from trio_exec.model import Job, Kind, Reason, Requester
from trio_exec.phases import Phases
from trio_exec.session.formatting import formatted_files
from trio_exec.session.session import Session

_SOCKET = "/ws/session/"
_RUN_GRACE = 5
"""Seconds that a one-shot run goes on before its answer is begun, or after its client has left."""
_STARTING = (
    InvalidJSONError,
    RequestError,
    UnknownLanguageError,
    MediaTypeError,
    ForbiddenError,
    QuotaExceededError,
    QueueFullError,
    DrainingError,
    ExecutorUnavailableError,
    LanguageUnavailableError,
    OverloadedError,
)
"""What may keep a session from being started."""


class UpgradeRequiredError(RequestError):
    """A WebSocket's path, asked for as a page."""

    code = "upgrade_required"
    status = 426


class Rest:
    """What is behind the paths.

    Args:
        engine: whose sessions they show.
        auth: tells who asks.
        phases: at the last one, clients are sent away.
        refused: is told of each error that a WebSocket's client is sent.
    """

    def __init__(self, engine: Engine, auth: Authentication, phases: Phases, refused: Refused = not_told) -> None:
        self._engine = engine
        self._auth = auth
        self._phases = phases
        self._refused = refused

    @cached_property
    def routes(self) -> Sequence[Route]:
        """What there is."""
        found = (SessionNotFoundError,)
        return [
            Route(
                "POST",
                "/run",
                "run",
                "Run a program, or many cases of it with `runs`, and answer with all that came of it",
                self._run,
                [
                    Answer(
                        200,
                        "How the program fared, whatever that was. Line by line where that is asked for, with files "
                        "and cases as they come, and what is over at the end.",
                        {JSON: [RunAnswer, BatchAnswer], NDJSON: LINES},
                    )
                ],
                request=[RunRequest, BatchRequest],
                errors=_STARTING,
                audience=Audience.OWNERS,
            ),
            Route(
                "POST",
                "/session",
                "createSession",
                "Start a program to talk to",
                self._create_session,
                [Answer(201, "The session was started, or waits for a slot.", {JSON: [SessionCreated]})],
                request=[SessionRequest],
                errors=_STARTING,
                audience=Audience.OWNERS,
            ),
            Route(
                "POST",
                "/format",
                "format",
                "Format a program, which is not run",
                self._format,
                [Answer(200, "The program, formatted.", {JSON: [FormatAnswer]})],
                request=[FormatRequest],
                errors=(*_STARTING, FormatFailedError, ExecutorError),
                audience=Audience.OWNERS,
            ),
            Route(
                "GET",
                "/session/{sessionId}",
                "showSession",
                "Tell how a session stands",
                self._show_session,
                [Answer(200, "How it stands.", {JSON: [SessionInfo]})],
                parameters=[SESSION_ID],
                errors=found,
            ),
            Route(
                "DELETE",
                "/session/{sessionId}",
                "endSession",
                "End a session",
                self._end_session,
                [Answer(202, "It is being ended, or has ended already.", {JSON: [SessionInfo]})],
                parameters=[SESSION_ID],
                errors=(*found, ViewOnlyError),
            ),
            Route(
                "GET",
                "/session/{sessionId}/files",
                "showFiles",
                "Tell what a session's program has left, of what `collect` asked for",
                self._show_files,
                [Answer(200, "The files.", {JSON: [FilesAnswer]})],
                parameters=[SESSION_ID],
                errors=(*found, SessionStateError),
            ),
            Route(
                "GET",
                "/languages",
                "listLanguages",
                "List the languages, and the server's limits",
                self._list_languages,
                [Answer(200, "What there is, of what you may use.", {JSON: [LanguagesInfo]})],
                audience=Audience.OWNERS,
            ),
            Route(
                "GET",
                "/healthz",
                "health",
                "Tell whether the process serves",
                self._health,
                [Answer(200, "It does.", {JSON: [HealthInfo]})],
                any_host=True,
            ),
            Route(
                "GET",
                "/readyz",
                "readiness",
                "Tell whether sessions are taken",
                self._readiness,
                [
                    Answer(200, "They are.", {JSON: [ReadinessInfo]}),
                    Answer(503, "They are not, for a `reason`.", {JSON: [ReadinessInfo]}),
                ],
                parameters=[ROOM],
                errors=(RequestError,),
                any_host=True,
            ),
            *(
                Route(
                    "GET",
                    socket.path,
                    f"{socket.name}WithoutUpgrade",
                    "The path of a WebSocket",
                    self._need_upgrade,
                    [],
                    parameters=[it for it in socket.parameters if it.in_path],
                    errors=(UpgradeRequiredError, *socket.errors),  # An upgrade is a GET, and so is what refuses it.
                )
                for socket in self.sockets
            ),
        ]

    @cached_property
    def sockets(self) -> Sequence[Socket]:
        """What WebSockets there are."""
        receives = [Message(model, kind_of(model)) for model in CLIENT_MESSAGES]
        sends = [Message(model, kind_of(model)) for model in SERVER_MESSAGES]
        return [
            Socket(
                "/ws/run",
                "startSession",
                "Start a session by the first message, and talk to its program",
                self._start,
                receives=[Message(SessionRequest, "request"), *receives],
                sends=sends,
                parameters=[CLIENT, ENCODING, KEEP],
                errors=(RequestError,),
                closes=OPENING_CLOSE_CODES,
                audience=Audience.OWNERS,
            ),
            Socket(
                f"{_SOCKET}{{sessionId}}",
                "attach",
                "Follow a session, and talk to its program",
                self._attach,
                receives=receives,
                sends=sends,
                parameters=[SESSION_ID, AFTER, CLIENT, ENCODING],
                errors=(SessionNotFoundError, TooManyWatchersError, RequestError),
                closes=CLOSE_CODES,
            ),
        ]

    async def _create_session(self) -> Response:
        requester = self._requester(request)
        self._engine.check_quota(requester, Kind.SESSION)
        session = self._engine.create_session(parse_session_request(await read_body()).job(), requester)
        answer = SessionCreated(session_id=session.id, websocket=_path_of(session, request), watch_id=session.watch_id)
        return _json(answer, 201)

    async def _run(self) -> Response:
        requester = self._requester(request)
        self._engine.check_quota(requester, Kind.RUN)
        wanted = parse_run_request(await read_body())
        lines = wanted.stream or any(kind == NDJSON and quality > 0 for kind, quality in request.accept_mimetypes)
        held = self._engine.client()
        if isinstance(wanted, BatchRequest):
            batch = self._engine.create_batch(wanted.batch(), requester)
            pieces = BatchPieces(batch, wanted.encoding, lines=lines)
            body = StreamedBody(pieces, held, following_batch(batch, pieces))
        else:
            session = self._engine.create_session(wanted.job(), requester, Kind.RUN, detach_grace=_RUN_GRACE)
            answer = RunPieces(session, _path_of(session, request), wanted.encoding, lines=lines)
            body = StreamedBody(answer, held, following(session))
        response = Response(body, content_type=NDJSON if lines else JSON)
        response.headers["X-Accel-Buffering"] = "no"  # Proxies like nginx would wait for more before they pass it on.
        return response

    async def _format(self) -> Response:
        requester = self._requester(request)
        self._engine.check_quota(requester, Kind.FORMAT)
        wanted = parse_format_request(await read_body())
        job = wanted.job()
        session = self._engine.create_format(job, requester)
        names = formatted_files(job, session.plan.language)
        with self._engine.client(), following(session):
            return _json(await formatted(session, names, code=job.code is not None))

    async def _show_files(self, session_id: str) -> Response:
        return _json(FilesAnswer.of(self._engine.view(session_id).session))

    async def _show_session(self, session_id: str) -> Response:
        return self._described(session_id)

    async def _end_session(self, session_id: str) -> Response:
        self._engine.session(session_id).end(Reason.STOPPED)
        return self._described(session_id, 202)

    def _described(self, session_id: str, status: int = 200) -> Response:
        view = self._engine.view(session_id)
        return _json(SessionInfo.of(view.session, may_drive=view.may_drive), status)

    async def _list_languages(self) -> Response:
        requester = self._requester(request)
        info = LanguagesInfo(
            languages=[_describe(it, self._engine.version(it)) for it in self._engine.languages_of(requester)],
            limits=LimitsInfo.model_validate(self._engine.limits_of(requester), from_attributes=True),
        )
        return compressed(info.to_json().encode(), JSON)

    async def _health(self) -> Response:
        return _json(HealthInfo())

    async def _readiness(self) -> Response:
        wanted = queries.room(request.args.get("room"))
        readiness = await self._engine.readiness()
        if readiness.reason is None and readiness.room < wanted:
            readiness = replace(readiness, reason=f"the server is full: it can take {readiness.room} more sessions")
        info = ReadinessInfo.of(readiness)
        response = _json(info, 200 if info.ready else 503)
        if not info.ready:
            response.headers["Retry-After"] = "5"
        return response

    async def _need_upgrade(self, session_id: str = "") -> Response:
        del session_id
        raise UpgradeRequiredError(
            "this is the path of a WebSocket; a client that asked for one has a proxy in front that drops the headers "
            "Upgrade and Connection"
        )

    async def _attach(self, session_id: str) -> None:
        view = self._engine.view(session_id)
        session = view.session
        position = queries.after(websocket.args.get("after"), session.log.end)
        name, encoding = _client()
        with ExitStack() as there:
            if not view.may_drive:
                there.enter_context(session.watched())  # Before the answer, which may have to be that it is too many.
            await _accept()
            there.enter_context(self._engine.client())
            attachment = Attachment(
                websocket, session, position, name, encoding, may_drive=view.may_drive, refused=self._refused
            )
            await attachment.serve(self._phases)

    def _create_over_websocket(self, job: Job) -> Session:
        # Asked anew for each session of a connection that is kept: a key may have been revoked.
        return self._engine.create_session(job, replace(self._requester(websocket), may_wait=True))

    async def _start(self) -> None:
        requester = self._requester(websocket)
        if not requester.may_wait:  # Once this is a WebSocket, it can't go elsewhere.
            self._engine.check_quota(requester, Kind.SESSION)
        name, encoding = _client()
        keep = queries.flag("keep", websocket.args.get("keep"))
        await _accept()
        opening = Opening(
            websocket,
            create=self._create_over_websocket,
            path_of=lambda session: _path_of(session, websocket),
            attach=lambda session: Attachment(websocket, session, 0, name, encoding, refused=self._refused),
            refused=self._refused,
            client=self._engine.client,
            phases=self._phases,
            keep=keep,
        )
        await opening.serve()

    def _requester(self, asked: BaseRequestWebsocket) -> Requester:
        return self._auth.identify(asked.headers, asked.remote_addr or "").requester


def _json(answer: Wire, status: int = 200) -> Response:
    return Response(answer.to_json(), status, content_type=JSON)


def _client() -> tuple[str | None, EncodingName]:
    """How a WebSocket's client calls itself, and how it wants output."""
    arguments = websocket.args
    return queries.client_name(arguments.get("client")), queries.encoding(arguments.get("encoding"))


async def _accept() -> None:
    await websocket.accept(subprotocol=subprotocol(websocket.headers))  # pyright: ignore[reportUnknownMemberType] - its dict has no parameters


def _path_of(session: Session, asked: BaseRequestWebsocket) -> str:
    """Where a session's WebSocket is, seen from its client."""
    return f"{asked.root_path}{_SOCKET}{session.id}"


def _as_javascript(pattern: str) -> str:
    """A regular expression as its users read it: most of them are pages and editors."""
    return pattern.replace("(?P<", "(?<")


def _describe(language: Language, version: str) -> LanguageInfo:
    return LanguageInfo(
        name=language.name,
        title=language.title,
        aliases=language.aliases,
        version=version,
        source_file=language.source_file,
        extensions=language.all_extensions,
        compiled=language.compile is not None,
        formats=language.format is not None,
        errors=ErrorsInfo(
            places=[_as_javascript(pattern) for pattern in language.errors.places],
            messages=[_as_javascript(pattern) for pattern in language.errors.messages],
            innermost=language.errors.innermost,
        ),
        examples=[
            ExampleInfo(name=it.name, title=it.title, code=it.code, note=it.note, tty=it.tty)
            for it in language.examples
        ],
    )

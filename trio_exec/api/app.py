"""The HTTP surface: routes, the one form of errors, and the headers that go with every answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from quart import Response, has_request_context, request, websocket
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadHost, HTTPException, MethodNotAllowed, NotFound
from werkzeug.http import parse_options_header
from werkzeug.routing import MapAdapter, WebsocketMismatch

from trio_exec.api.access import Access
from trio_exec.api.arrivals import Arrivals, HeldRequest, HeldWebsocket, HTTPConnection, WebSocketConnection
from trio_exec.api.native.answers import (
    ExampleInfo,
    FilesAnswer,
    LanguageInfo,
    LanguagesInfo,
    LimitsInfo,
    ReadinessInfo,
    SessionCreated,
    SessionInfo,
)
from trio_exec.api.native.parsing import parse_run_request, parse_session_request
from trio_exec.api.native.parts import EncodingName, ErrorBody
from trio_exec.api.native.requests import BatchRequest
from trio_exec.api.native.run import BatchPieces, RunPieces, StreamedBody, following, following_batch
from trio_exec.api.native.websocket import Attachment, Opening
from trio_exec.api.page import add_page
from trio_exec.engine.engine import Engine
from trio_exec.errors import RequestError, TrioExecError
from trio_exec.languages import Language
from trio_exec.model import Owner, Reason
from trio_exec.phases import Phases
from trio_exec.session.session import Session
from trio_exec.settings import ServerSettings

LOGGER = logging.getLogger("trio_exec.server")

SUBPROTOCOL = "trio-exec"
"""What clients may offer when they open a WebSocket. None need be."""

_JSON = "application/json"
_HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
}
_HTTP_HINTS = {
    404: "there is nothing at this path; docs/api.md lists what there is",
    405: "this path does not take that method; see the Allow header",
    408: "the request's body did not arrive in time; send it again",
}


_FOR_BALANCERS = {"health", "readiness"}
_NDJSON = "application/x-ndjson"
_RUN_GRACE = 5
"""Seconds that a one-shot run goes on before its answer is begun, or after its client has left."""
_UTF_8 = {"utf-8", "utf8", "us-ascii"}
_SOCKET = "/ws/session/"
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MediaTypeError(RequestError):
    """Not declared as JSON. A page on another origin can't send that type unasked: this is a lock, too."""

    code = "unsupported_media_type"
    status = 415


class ContentCodingError(MediaTypeError):
    """A compressed body. What it would take is not known before it is too late."""


class UpgradeRequiredError(RequestError):
    """A WebSocket's path, asked for as a page."""

    code = "upgrade_required"
    status = 426


class Application(QuartTrio):
    """Quart, with bounds on what clients can make it hold.

    Args:
        arrivals: counts what has arrived from clients.
    """

    asgi_http_class = HTTPConnection
    asgi_websocket_class = WebSocketConnection
    request_class = HeldRequest
    websocket_class = HeldWebsocket

    def __init__(self, arrivals: Arrivals) -> None:
        # No static folder of Quart's own: the page's headers are ours to set.
        super().__init__("trio_exec", static_folder=None)
        self.arrivals = arrivals

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """What finds the route of a request, also of one whose Host is none; `Access` tells its client of that."""
        try:
            return super().create_url_adapter(request)
        except BadHost:
            assert request is not None  # noqa: S101 - a Host that is none comes from one
            return self.url_map.bind("localhost", default_method=request.method, path_info=request.path)


def create_app(engine: Engine, settings: ServerSettings, phases: Phases, static: Path, arrivals: Arrivals) -> QuartTrio:
    """The ASGI application.

    Args:
        engine: whose sessions it shows.
        settings: the server's own ones.
        phases: at the last one, clients are sent away.
        static: directory with the built page.
        arrivals: counts what has arrived from clients.
    """
    app = Application(arrivals)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.config["RESPONSE_TIMEOUT"] = None  # It would cut a slow download short without any sign of it.
    routes = _Routes(engine, settings, phases)
    app.before_request(routes.check_access)
    app.before_websocket(routes.check_websocket_access)
    app.after_request(routes.add_headers)
    app.register_error_handler(TrioExecError, routes.our_error)
    app.register_error_handler(HTTPException, routes.http_error)
    app.register_error_handler(Exception, routes.unexpected_error)
    app.add_url_rule("/session", view_func=routes.create_session, methods=["POST"])
    app.add_url_rule("/run", view_func=routes.run, methods=["POST"])
    app.add_url_rule("/session/<session_id>/files", view_func=routes.show_files, methods=["GET"])
    app.add_url_rule("/session/<session_id>", view_func=routes.show_session, methods=["GET"])
    app.add_url_rule("/session/<session_id>", "end_session", view_func=routes.end_session, methods=["DELETE"])
    app.add_url_rule("/languages", view_func=routes.list_languages, methods=["GET"])
    app.add_url_rule("/healthz", "health", routes.health, methods=["GET"])
    app.add_url_rule("/readyz", "readiness", routes.readiness, methods=["GET"])
    app.add_websocket("/ws/run", view_func=routes.start)
    app.add_url_rule("/ws/run", "need_upgrade_to_run", view_func=routes.need_upgrade, methods=["GET"])
    app.add_websocket(f"{_SOCKET}<session_id>", view_func=routes.attach)
    app.add_url_rule(f"{_SOCKET}<session_id>", view_func=routes.need_upgrade, methods=["GET"])
    add_page(app, static, routes.http_error)
    return app


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type=_JSON)


def _error(body: ErrorBody, status: int, retry_after: int | None = None) -> Response:
    response = _json(body.to_json(), status)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


class _Routes:
    def __init__(self, engine: Engine, settings: ServerSettings, phases: Phases) -> None:
        self._engine = engine
        self._settings = settings
        self._phases = phases
        self._access = Access(settings)

    async def check_access(self) -> Response | None:
        self._access.check(request.headers, any_host=request.endpoint in _FOR_BALANCERS)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response("", 204)
        return None

    async def check_websocket_access(self) -> None:
        self._access.check(websocket.headers)

    async def add_headers(self, response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"  # A page's address may hold a shared program.
        headers.add("Vary", "Origin")
        if (origin := self._access.foreign_origin(request.headers)) is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            headers["Access-Control-Allow-Headers"] = request.headers.get(
                "Access-Control-Request-Headers", "Content-Type"
            )
            if self._access.lets_in_by_name(origin):
                headers["Access-Control-Allow-Credentials"] = "true"  # For a proxy in front that asks for them.
            headers["Access-Control-Expose-Headers"] = "Retry-After"
            headers["Access-Control-Max-Age"] = "3600"
        return response

    async def our_error(self, error: TrioExecError) -> Response:
        if error.status == 500:  # noqa: PLR2004 - internal server error
            LOGGER.error("%s", error, exc_info=error)
        response = _error(ErrorBody.of(error), error.status, error.retry_after)
        if isinstance(error, ContentCodingError):
            response.headers["Accept-Encoding"] = "identity"
        elif isinstance(error, UpgradeRequiredError):
            response.headers["Upgrade"] = "websocket"
            response.headers["Connection"] = "Upgrade"
        return response

    async def http_error(self, error: HTTPException) -> Response:
        status = error.code or 500
        if isinstance(error, WebsocketMismatch | MethodNotAllowed) and not has_request_context():
            error, status = NotFound(), 404  # It was a WebSocket that was asked for, and there is none.
        hint = _HTTP_HINTS.get(status, error.description or error.name)
        if status == 413:  # noqa: PLR2004 - content too large
            limit = self._settings.max_request_bytes
            hint = f"the request's body is too large: this server takes {limit} bytes at most"
        response = _error(ErrorBody(error=hint, code=_HTTP_CODES.get(status, "http_error")), status)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    async def unexpected_error(self, error: Exception) -> Response:
        LOGGER.error("a request failed", exc_info=error)
        body = ErrorBody(error="internal error; see the server's log", code="internal_error")
        return _error(body, 500)

    async def create_session(self) -> Response:
        session = self._engine.create_session(parse_session_request(await _body()).job(), _owner(request))
        answer = SessionCreated(session_id=session.id, websocket=_path_of(session, request))
        return _json(answer.to_json(), 201)

    async def run(self) -> Response:
        wanted = parse_run_request(await _body())
        lines = wanted.stream or any(kind == _NDJSON and quality > 0 for kind, quality in request.accept_mimetypes)
        held = self._engine.client()
        if isinstance(wanted, BatchRequest):
            batch = self._engine.create_batch(wanted.batch(), _owner(request))
            pieces = BatchPieces(batch, wanted.encoding, lines=lines)
            body = StreamedBody(pieces, held, following_batch(batch, pieces))
        else:
            session = self._engine.create_session(wanted.job(), _owner(request), detach_grace=_RUN_GRACE)
            answer = RunPieces(session, _path_of(session, request), wanted.encoding, lines=lines)
            body = StreamedBody(answer, held, following(session))
        response = Response(body, content_type=_NDJSON if lines else _JSON)
        response.headers["X-Accel-Buffering"] = "no"  # Proxies like nginx would wait for more before they pass it on.
        return response

    async def show_files(self, session_id: str) -> Response:
        return _json(FilesAnswer.of(self._engine.session(session_id)).to_json())

    async def show_session(self, session_id: str) -> Response:
        return self._describe(session_id)

    async def end_session(self, session_id: str) -> Response:
        self._engine.session(session_id).end(Reason.STOPPED)
        return self._describe(session_id, 202)

    def _describe(self, session_id: str, status: int = 200) -> Response:
        return _json(SessionInfo.of(self._engine.session(session_id)).to_json(), status)

    async def list_languages(self) -> Response:
        limits = self._engine.settings.limits
        info = LanguagesInfo(
            languages=[_describe(it, self._engine.version(it)) for it in self._engine.languages.values()],
            limits=LimitsInfo.model_validate(limits, from_attributes=True),
        )
        return _json(info.to_json())

    async def health(self) -> Response:
        return _json('{"healthy":true}')

    async def readiness(self) -> Response:
        wanted = _room(request.args.get("room"))
        readiness = await self._engine.readiness()
        if readiness.reason is None and readiness.room < wanted:
            readiness = replace(readiness, reason=f"the server is full: it can take {readiness.room} more sessions")
        info = ReadinessInfo.of(readiness)
        response = _json(info.to_json(), 200 if info.ready else 503)
        if not info.ready:
            response.headers["Retry-After"] = "5"
        return response

    async def need_upgrade(self, session_id: str = "") -> Response:
        del session_id
        raise UpgradeRequiredError(
            "this is the path of a WebSocket; a client that asked for one has a proxy in front that drops the headers "
            "Upgrade and Connection"
        )

    async def attach(self, session_id: str) -> None:
        session = self._engine.session(session_id)
        position = _position(websocket.args.get("after"), session.log.end)
        name, encoding = _client_name(websocket.args.get("client")), _encoding(websocket.args.get("encoding"))
        await _accept()
        with self._engine.client():
            await Attachment(websocket, session, position, name, encoding).serve(self._phases)

    async def start(self) -> None:
        name, encoding = _client_name(websocket.args.get("client")), _encoding(websocket.args.get("encoding"))
        await _accept()
        opening = Opening(websocket, lambda job: self._engine.create_session(job, _owner(websocket)))
        session = await opening.receive(lambda session: _path_of(session, websocket))
        if session is not None:
            with self._engine.client():
                await Attachment(websocket, session, 0, name, encoding).serve(self._phases)


async def _body() -> bytes:
    """A request's body, which is JSON."""
    _check_content(request.headers)
    return await request.get_data(cache=False, as_text=False, parse_form_data=False)


async def _accept() -> None:
    await websocket.accept(subprotocol=_subprotocol(websocket.requested_subprotocols))  # pyright: ignore[reportUnknownMemberType] - its dict has no parameters


def _path_of(session: Session, asked: BaseRequestWebsocket) -> str:
    """Where a session's WebSocket is, seen from its client."""
    return f"{asked.root_path}{_SOCKET}{session.id}"


def _check_content(headers: Headers) -> None:
    """Lets a body pass that is declared as what we read.

    Raises:
        MediaTypeError: it is something else.
    """
    media_type, parameters = parse_options_header(headers.get("Content-Type"))
    if media_type != _JSON:
        raise MediaTypeError(
            f"content-type: send the request as JSON, with the header `content-type: {_JSON}`", field="content-type"
        )
    if parameters.get("charset", "utf-8").lower() not in _UTF_8:
        raise MediaTypeError("content-type: JSON is taken as UTF-8 only", field="content-type")
    if headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise ContentCodingError(
            "content-encoding: bodies are taken as they are, not compressed", field="content-encoding"
        )


def _owner(asked: BaseRequestWebsocket) -> Owner:
    """Who makes a request: as long as there are no keys, the client's address, as trusted proxies tell it."""
    return Owner(asked.remote_addr or "unknown")


def _encoding(wanted: str | None) -> EncodingName:
    match wanted:
        case None | "utf-8":
            return "utf-8"
        case "base64":
            return "base64"
        case _:
            raise RequestError(f"encoding: {wanted[:40]!r} is none; there are utf-8 and base64", field="encoding")


def _subprotocol(offered: Sequence[str]) -> str | None:
    """The one to answer: clients that offer some give up where none is chosen, and ours is the same in all of them."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else next(iter(offered), None)


def _room(wanted: str | None) -> int:
    """How many sessions a balancer wants there to be room for."""
    if wanted is None:
        return 0
    if not wanted.isascii() or not wanted.isdecimal() or len(wanted) > 6:  # noqa: PLR2004 - no server takes that many
        raise RequestError(f"room: {wanted[:40]!r} is no number of sessions; write /readyz?room=1", field="room")
    return int(wanted)


def _position(after: str | None, end: int) -> int:
    if after is None:
        return 0
    if not after.isascii() or not after.isdecimal() or len(after) > 15 or int(after) > end:  # noqa: PLR2004 - no log is that long
        raise RequestError(
            f"after: {after[:40]!r} is no position in this session; use a `seq` that it has sent, up to {end}",
            field="after",
        )
    return int(after)


def _client_name(name: str | None) -> str | None:
    if name is not None and not _CLIENT_NAME.fullmatch(name):
        raise RequestError(
            f"client: {name[:40]!r} can't be a client's name; take 1 to 64 letters, digits, `-` and `_`", field="client"
        )
    return name


def _describe(language: Language, version: str) -> LanguageInfo:
    return LanguageInfo(
        name=language.name,
        title=language.title,
        aliases=language.aliases,
        version=version,
        source_file=language.source_file,
        compiled=language.compile is not None,
        examples=[
            ExampleInfo(name=example.name, title=example.title, code=example.code, tty=example.tty)
            for example in language.examples
        ],
    )

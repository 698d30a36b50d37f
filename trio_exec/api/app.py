"""The HTTP surface: routes, the one form of errors, and the headers that go with every answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic.alias_generators import to_snake
from quart import Response, has_request_context, request, websocket
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import BadHost, HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter, WebsocketMismatch

from trio_exec.api.access import Access
from trio_exec.api.arrivals import Arrivals, HeldRequest, HeldWebsocket, HTTPConnection, WebSocketConnection
from trio_exec.api.auth import Authentication, check_operator
from trio_exec.api.bodies import ContentCodingError
from trio_exec.api.descriptions import Descriptions
from trio_exec.api.metrics import add_metrics, metrics_route
from trio_exec.api.native.parts import ErrorBody
from trio_exec.api.native.rest import Rest, UpgradeRequiredError
from trio_exec.api.page import add_page
from trio_exec.api.refusals import Refusals
from trio_exec.api.routes import JSON, Audience, Route, Socket
from trio_exec.engine.engine import Engine
from trio_exec.errors import TrioExecError, UnauthorizedError
from trio_exec.events import Emit, ignore
from trio_exec.observe.metrics import Metrics
from trio_exec.phases import Phases
from trio_exec.settings import ServerSettings

LOGGER = logging.getLogger("trio_exec.server")

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


def create_app(
    engine: Engine,
    settings: ServerSettings,
    auth: Authentication,
    phases: Phases,
    *,
    static: Path,
    arrivals: Arrivals,
    metrics: Metrics | None = None,
    emit: Emit = ignore,
) -> QuartTrio:
    """The ASGI application.

    Args:
        engine: whose sessions it shows.
        settings: the server's own ones.
        auth: tells who asks.
        phases: at the last one, clients are sent away.
        static: directory with the built page.
        arrivals: counts what has arrived from clients.
        metrics: what to show at `/metrics`; None for no such path.
        emit: reports what is refused.
    """
    app = Application(arrivals)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    app.config["RESPONSE_TIMEOUT"] = None  # It would cut a slow download short without any sign of it.
    refusals = Refusals(auth, emit)
    wire = Rest(engine, auth, phases, refusals.tell_error)
    routes = [*wire.routes, *([] if metrics is None else [metrics_route(metrics)])]
    surface = _Surface(settings, auth, routes, wire.sockets)
    refusals.know(routes, wire.sockets)
    errors = _Errors(settings, refusals)
    app.before_request(surface.check_access)
    app.before_websocket(surface.check_websocket_access)
    app.after_request(surface.add_headers)
    app.register_error_handler(TrioExecError, errors.our_error)
    app.register_error_handler(HTTPException, errors.http_error)
    app.register_error_handler(Exception, errors.unexpected_error)
    for route in routes:
        app.add_url_rule(_rule(route.path), route.name, route.handler, methods=[route.method])
    for socket in wire.sockets:
        app.add_websocket(_rule(socket.path), socket.name, socket.handler)
    Descriptions(routes, wire.sockets).add_to(app)
    add_page(app, static, errors.http_error, settings.embed_origins)
    return app


def create_metrics_app(metrics: Metrics, settings: ServerSettings, arrivals: Arrivals) -> QuartTrio:
    """An application that has nothing but `/metrics`, under whatever name it is asked for.

    Args:
        metrics: what to show.
        settings: the server's own ones.
        arrivals: counts what has arrived from clients.
    """
    app = Application(arrivals)
    errors = _Errors(settings, None)
    app.register_error_handler(HTTPException, errors.http_error)
    app.register_error_handler(Exception, errors.unexpected_error)
    add_metrics(app, metrics)
    return app


def _error(body: ErrorBody, status: int, retry_after: int | None = None) -> Response:
    response = Response(body.to_json(), status, content_type=JSON)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _rule(path: str) -> str:
    """A path as Quart has it, with parameters by the names that handlers give them."""
    return re.sub(r"\{(\w+)\}", lambda match: f"<{to_snake(match[1])}>", path)


class _Surface:
    """What holds for all paths.

    Args:
        settings: the server's own ones.
        auth: tells who asks.
        routes: what there is.
        sockets: likewise.
    """

    def __init__(
        self, settings: ServerSettings, auth: Authentication, routes: Sequence[Route], sockets: Sequence[Socket]
    ) -> None:
        self._access = Access(settings)
        self._auth = auth
        self._any_host = {route.name for route in routes if route.any_host}
        self._audiences = {it.name: it.audience for it in (*routes, *sockets)}

    async def check_access(self) -> Response | None:
        self._access.check(request.headers, any_host=request.endpoint in self._any_host)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return Response("", 204)
        self._check_audience(request)
        return None

    async def check_websocket_access(self) -> None:
        self._access.check(websocket.headers)
        self._check_audience(websocket)

    def _check_audience(self, asked: BaseRequestWebsocket) -> None:
        """Before anything of a request is read."""
        audience = self._audiences.get(asked.endpoint or "", Audience.ANYBODY)
        if audience is not Audience.ANYBODY:
            identity = self._auth.identify(asked.headers, asked.remote_addr or "")
            if audience is Audience.OPERATORS:
                check_operator(identity)

    async def add_headers(self, response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"  # A page's address may hold a shared program.
        headers["X-Request-ID"] = request.headers.get("X-Request-ID", "")
        headers.add("Vary", "Origin")
        if (origin := self._access.foreign_origin(request.headers)) is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            headers["Access-Control-Allow-Headers"] = request.headers.get(
                "Access-Control-Request-Headers", "Content-Type"
            )
            if self._access.lets_in_by_name(origin):
                headers["Access-Control-Allow-Credentials"] = "true"  # For a proxy in front that asks for them.
            headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-ID"
            headers["Access-Control-Max-Age"] = "3600"
        return response


class _Errors:
    """Every error in its one form.

    Args:
        settings: the server's own ones.
        refusals: are told of it; None where nobody needs to know.
    """

    def __init__(self, settings: ServerSettings, refusals: Refusals | None) -> None:
        self._settings = settings
        self._refusals = refusals

    async def our_error(self, error: TrioExecError) -> Response:
        self._tell(error.code, error.status, error)
        response = _error(ErrorBody.of(error), error.status, error.retry_after)
        if isinstance(error, ContentCodingError):
            response.headers["Accept-Encoding"] = "identity"
        elif isinstance(error, UnauthorizedError):
            response.headers["WWW-Authenticate"] = "Bearer"
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
        code = _HTTP_CODES.get(status, "http_error")
        self._tell(code, status, error)
        response = _error(ErrorBody(error=hint, code=code), status)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    async def unexpected_error(self, error: Exception) -> Response:
        self._tell("internal_error", 500, error)
        body = ErrorBody(error="internal error; see the server's log", code="internal_error")
        return _error(body, 500)

    def _tell(self, code: str, status: int, error: Exception) -> None:
        if self._refusals is not None:
            self._refusals.tell(code, status)
        if status == 500:  # noqa: PLR2004 - internal server error
            line = "a request failed" if self._refusals is None else self._refusals.line("a request failed")
            LOGGER.error(line, exc_info=error)

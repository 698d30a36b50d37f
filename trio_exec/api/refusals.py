"""Says of each request that is answered with an error who made it and why, for the log and for metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quart import has_request_context, request, websocket
from quart.wrappers.base import BaseRequestWebsocket

from trio_exec.api.auth import Authentication
from trio_exec.api.routes import Route, Socket
from trio_exec.errors import TrioExecError
from trio_exec.events import Emit, RequestRefused
from trio_exec.logs import Line
from trio_exec.model import Owner, Requester
from trio_exec.observe.logs import request_fields

WEBSOCKET = "WS"
"""In the place of a method."""


class Refusals:
    """Of one application.

    Args:
        auth: tells who asks.
        emit: reports them.
    """

    def __init__(self, auth: Authentication, emit: Emit) -> None:
        self._auth = auth
        self._emit = emit
        self._paths: Mapping[str | None, str] = {}

    def know(self, routes: Iterable[Route], sockets: Iterable[Socket]) -> None:
        """Says which paths there are. Whatever else a client asks for is not repeated: paths have ids in them."""
        self._paths = {it.name: it.path for it in (*routes, *sockets)}

    def tell(self, code: str, status: int) -> None:
        """Reports that the present request, or what came over the present WebSocket, is refused."""
        requester, method, path = self._present()
        self._emit(RequestRefused(requester, method, path, code, status))

    def tell_error(self, error: TrioExecError) -> None:
        """The same, of an error of ours."""
        self.tell(error.code, error.status)

    def line(self, message: str) -> Line:
        """A line for the log, with what is known of the present request."""
        return Line(message, **request_fields(*self._present()))

    def _present(self) -> tuple[Requester, str, str]:
        """Who asks, by which method, and for which path."""
        asked, method = (request, request.method) if has_request_context() else (websocket, WEBSOCKET)
        return self._requester(asked), method, self._paths.get(asked.endpoint, "")

    def _requester(self, asked: BaseRequestWebsocket) -> Requester:
        address = asked.remote_addr or ""
        try:
            return self._auth.identify(asked.headers, address).requester
        except TrioExecError:  # That may be why it is refused.
            return Requester(Owner(""), address, asked.headers.get("X-Request-ID", ""))

"""What reverse proxies in front of the server change: the path below which it is shown, and who asked for what.

Hypercorn's own ProxyFixMiddleware believes a number of hops, whoever the peer is, so anybody who reaches the server
past the proxy could forge the client's address and the host. Here the peer's address decides: from a trusted proxy,
`X-Forwarded-Host`, `-Proto` and `-For` take the place of what the connection says; from anybody else they count for
nothing. Either way nobody behind this sees them. The header in which a proxy names its user is a trusted one's or
nobody's, and so is `traceparent`, by which a proxy's trace goes on here. `X-Request-ID`, by which a request is known in
logs, is a trusted proxy's as well, and else made here: behind this, every request has one.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
    Scope,
    WebsocketScope,
)

from trio_exec.addresses import Networks
from trio_exec.settings import APISettings

LOGGER = logging.getLogger("trio_exec.server")

_HOST, _PROTO, _FOR = b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for"
_REQUEST_ID = b"x-request-id"
_TRACE_PARENT = b"traceparent"
UNKNOWN_PROXY = "X-Unknown-Proxy"
"""Behind this, a request has it that seems to come through a proxy that is not trusted, and no other has."""
_FORWARDED = {UNKNOWN_PROXY.lower().encode(), _HOST, _PROTO, _FOR, _REQUEST_ID}
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""What may stand in a log; those of common proxies are hexadecimal digits, or UUIDs."""
_REQUEST_ID_BYTES = 8
_SECURE = {"http": "https", "ws": "wss"}
_Headers = Iterable[tuple[bytes, bytes]]


class BehindProxies:
    """ASGI middleware, by the settings `trusted_proxies`, `auth_header` and `root_path`.

    Args:
        app: the application; it finds everything in its usual place in the scope.
        settings: the server's own ones.
    """

    def __init__(self, app: ASGIFramework, settings: APISettings) -> None:
        self._app = app
        self._trusted = Networks(settings.trusted_proxies)
        self._user = settings.auth_header.lower().encode()
        self._root = settings.root_path
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Handles one request, one WebSocket, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._root and scope["type"] == "http" and scope["path"] == self._root:
            # The page's own addresses are relative: without the slash they would miss the path.
            await _redirect(send, f"{self._root}/")
            return
        await self._app(self._rewritten(scope), receive, send)

    def _rewritten(self, original: HTTPScope | WebsocketScope) -> HTTPScope | WebsocketScope:
        scope = original.copy()
        trusted = scope["client"] is not None and scope["client"][0] in self._trusted
        hidden = _FORWARDED if trusted else {*_FORWARDED, _TRACE_PARENT, self._user}
        unknown = not trusted and bool(_values(scope["headers"], _FOR))
        if unknown and scope["client"] is not None:
            self._warn(scope["client"][0])
        scope["headers"] = [item for item in scope["headers"] if item[0].lower() not in hidden]
        if unknown:
            scope["headers"] = [*scope["headers"], (UNKNOWN_PROXY.lower().encode(), b"1")]
        if self._root:
            # A proxy may pass the path on or take it off.
            whole = scope["path"].startswith(f"{self._root}/")
            scope["path"] = scope["path"] if whole else self._root + scope["path"]
            scope["root_path"] = self._root
        if trusted:
            self._believe(scope, original["headers"])
        request_id = _request_id(original["headers"]) if trusted else None
        request_id = request_id or secrets.token_hex(_REQUEST_ID_BYTES)
        scope["headers"] = [*scope["headers"], (_REQUEST_ID, request_id.encode())]
        return scope

    def _warn(self, peer: str) -> None:
        """Says once that there seems to be a proxy that the settings don't know."""
        if not self._has_warned:
            self._has_warned = True
            LOGGER.warning(
                "requests come from %s with X-Forwarded-For, and it is none of trusted_proxies; if it is your proxy, "
                "name it there, or all of its clients count as one",
                peer,
            )

    def _believe(self, scope: HTTPScope | WebsocketScope, headers: _Headers) -> None:
        # Of several values the last one was written by the proxy that we trust; the others came to it from further out.
        if hosts := _values(headers, _HOST):
            rest = [item for item in scope["headers"] if item[0].lower() != b"host"]
            scope["headers"] = [*rest, (b"host", hosts[-1].encode("latin1"))]
        if _values(headers, _PROTO)[-1:] == ["https"]:
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        for address in reversed(_values(headers, _FOR)):
            scope["client"] = (address, 0)
            if address not in self._trusted:
                break


def _request_id(headers: _Headers) -> str | None:
    """The name that a proxy has given a request, if it can stand in a log."""
    given = [value.decode("latin1") for name, value in headers if name.lower() == _REQUEST_ID]
    return given[-1] if given and _REQUEST_ID_FORM.fullmatch(given[-1]) else None


def _values(headers: _Headers, wanted: bytes) -> list[str]:
    lines = [value.decode("latin1") for name, value in headers if name.lower() == wanted]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


async def _redirect(send: ASGISendCallable, location: str) -> None:
    headers = [(b"location", location.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})

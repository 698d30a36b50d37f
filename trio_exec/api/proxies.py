"""What reverse proxies in front of the server change: the path below which it is shown, and who asked for what.

Hypercorn's own ProxyFixMiddleware believes a number of hops, whoever the peer is, so anybody who reaches the server
past the proxy could forge the client's address and the host. Here the peer's address decides: from a trusted proxy,
`X-Forwarded-Host`, `-Proto` and `-For` take the place of what the connection says; from anybody else they count for
nothing. Either way nobody behind this sees them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
    Scope,
    WebsocketScope,
)

from trio_exec.settings import ServerSettings

_HOST, _PROTO, _FOR = b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for"
_SECURE = {"http": "https", "ws": "wss"}
_Headers = Iterable[tuple[bytes, bytes]]


class BehindProxies:
    """ASGI middleware, by the settings `trusted_proxies` and `root_path`.

    Args:
        app: the application; it finds everything in its usual place in the scope.
        settings: the server's own ones.
    """

    def __init__(self, app: ASGIFramework, settings: ServerSettings) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(network) for network in settings.trusted_proxies]
        self._root = settings.root_path

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
        scope["headers"] = [item for item in scope["headers"] if item[0].lower() not in {_HOST, _PROTO, _FOR}]
        if self._root:
            # A proxy may pass the path on or take it off.
            whole = scope["path"].startswith(f"{self._root}/")
            scope["path"] = scope["path"] if whole else self._root + scope["path"]
            scope["root_path"] = self._root
        if scope["client"] is not None and self._trusts(scope["client"][0]):
            self._believe(scope, original["headers"])
        return scope

    def _believe(self, scope: HTTPScope | WebsocketScope, headers: _Headers) -> None:
        # Of several values the last one was written by the proxy that we trust; the others came to it from further out.
        if hosts := _values(headers, _HOST):
            rest = [item for item in scope["headers"] if item[0].lower() != b"host"]
            scope["headers"] = [*rest, (b"host", hosts[-1].encode("latin1"))]
        if _values(headers, _PROTO)[-1:] == ["https"]:
            scope["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        for address in reversed(_values(headers, _FOR)):
            scope["client"] = (address, 0)
            if not self._trusts(address):
                break

    def _trusts(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._trusted)


def _values(headers: _Headers, wanted: bytes) -> list[str]:
    lines = [value.decode("latin1") for name, value in headers if name.lower() == wanted]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


async def _redirect(send: ASGISendCallable, location: str) -> None:
    headers = [(b"location", location.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})

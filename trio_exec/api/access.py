"""Who may talk to the server from a browser: `Host` and `Origin` are checked on every request.

A page on another origin must not be able to drive a server on somebody's own machine. Its requests carry an
`Origin` that is not ours; and a name that was rebound to a loopback address shows in `Host`.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from trio_exec.errors import RequestError, TrioExecError
from trio_exec.settings import ServerSettings

_ANY = "*"
_SHOWN = 200
"""Characters of what a client has sent that an error repeats."""


class HostError(RequestError):
    """Addressed by a name that is not the server's."""

    code = "invalid_host"


class OriginError(TrioExecError):
    """A page that may not use the API."""

    code = "origin_not_allowed"
    status = 403


class Access:
    """Checks requests by the settings `host`, `allowed_hosts` and `allowed_origins`."""

    def __init__(self, settings: ServerSettings) -> None:
        self._hosts = {settings.host.lower(), *(host.lower() for host in settings.allowed_hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in settings.allowed_origins}

    def check(self, headers: Headers) -> None:
        """Lets a request pass.

        Raises:
            HostError: it is addressed to another server.
            OriginError: it comes from a page that may not use the API.
        """
        host = headers.get("Host", "").lower()
        if not self._knows_host(host):
            raise HostError(
                f"Host: {host[:_SHOWN]!r} is not a name of this server; "
                "operators add names with TRIO_EXEC_ALLOWED_HOSTS"
            )
        origin = headers.get("Origin")
        if origin is not None and self.foreign_origin(headers) is None and not _same(origin, host):
            raise OriginError(
                f"Origin: pages from {origin[:_SHOWN]!r} may not use this server; "
                "operators allow it with TRIO_EXEC_ALLOWED_ORIGINS"
            )

    def foreign_origin(self, headers: Headers) -> str | None:
        """The request's origin, if it is another one that is allowed: what CORS headers must name."""
        origin = headers.get("Origin")
        if origin is not None and (_ANY in self._origins or origin.lower() in self._origins):
            return origin
        return None

    def _knows_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return _ANY in self._hosts or name in self._hosts or name == "localhost" or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin.lower()).netloc == host != ""
    except ValueError:
        return False  # An address that is none, such as "http://[".

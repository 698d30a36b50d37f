"""Who may talk to the server from a browser: `Host` and `Origin` are checked on every request.

A page on another origin must not be able to drive a server on somebody's own machine. Its requests carry an
`Origin` that is not ours; and a name that was rebound to a loopback address shows in `Host`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from trio_exec.addresses import is_loopback
from trio_exec.errors import RequestError, TrioExecError
from trio_exec.settings import ServerSettings

_ANY = "*"
_SHOWN = 100
"""Characters of what a client has sent that an error repeats."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


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
        self._any_host = _ANY in settings.allowed_hosts
        self._hosts = {settings.host.lower(), *(host.lower() for host in settings.allowed_hosts)}
        self._origins = {origin.lower() for origin in settings.allowed_origins}

    def check(self, headers: Headers, *, any_host: bool = False) -> None:
        """Lets a request pass.

        Args:
            headers: the request's.
            any_host: whether it may be addressed to whatever name: for what is no secret, and asked for by load
                balancers, which know an address at best.

        Raises:
            HostError: it is addressed to another server.
            OriginError: it comes from a page that may not use the API.
        """
        host = headers.get("Host", "").lower()
        if not any_host and not self._knows_host(host):
            raise HostError(
                f"Host: {host[:_SHOWN]!r} is not a name of this server; "
                "operators add names with TRIO_EXEC_ALLOWED_HOSTS"
            )
        origin = headers.get("Origin")
        if origin is not None and self.foreign_origin(headers) is None and not _same(origin, host):
            raise OriginError(
                f"Origin: the page is from {origin[:_SHOWN]!r}, but the request came for {host[:_SHOWN]!r}, so it may "
                "not use this server; if both are meant to be one, let the proxy pass the Host on with its port, "
                "else add the origin to TRIO_EXEC_ALLOWED_ORIGINS"
            )

    def lets_in_by_name(self, origin: str) -> bool:
        """Whether the operator has named an origin, so that its pages may send cookies and passwords along."""
        return origin.lower() in self._origins and origin != "null"  # Which every sandboxed page has.

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
        return self._any_host or name in self._hosts or is_loopback(name)


def _same(origin: str, host: str) -> bool:
    """Whether a page is the server's own. A port that its scheme implies may be left out, in either of the two."""
    try:
        page, server = urlsplit(origin.lower()), urlsplit(f"//{host}")
        implied = _DEFAULT_PORTS.get(page.scheme)
        names = (page.hostname, server.hostname)
        ports = (page.port or implied, server.port or implied)
    except ValueError:
        return False  # An address that is none, such as "http://[".
    return implied is not None and bool(names[0]) and names[0] == names[1] and ports[0] == ports[1]

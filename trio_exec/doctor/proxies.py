"""A running server as its clients see it: what the proxies in front of it pass on, cut, hold back or change."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import trio

from trio_exec.client.server import check_url
from trio_exec.doctor.findings import Finding, broken, ok, skipped, warning
from trio_exec.settings import Settings

TIMEOUT = 30
PAUSE = 2
"""Seconds for which the program that shows whether answers are streamed says nothing."""
HELD_BACK = PAUSE / 2
"""Seconds before the end by which its first line must have come at least."""
PROGRAM = f"import time\nprint('first', flush=True)\ntime.sleep({PAUSE})\nprint('last')\n"
NO_SESSION = "doctor-asks-for-a-session-that-there-is-not"
NO_LANGUAGE = "doctor-asks-for-a-language-that-there-is-not"
KEY_VARIABLE = "TRIO_EXEC_API_KEY"
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
_EXAMPLES = "docs/deploy.md and the files in deploy/ have it for nginx, HAProxy and Caddy."
_OK, _UNAUTHORIZED, _TOO_LARGE, _UPGRADE_REQUIRED = 200, 401, 413, 426


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: Any

    @property
    def code(self) -> str | None:
        """The server's own name of an error; None for what a proxy says."""
        return str(self.content["code"]) if "code" in self.content else None

    @property
    def message(self) -> str:
        """In words."""
        return str(self.content.get("message") or f"status {self.status}")


async def look_through(url: str, settings: Settings, *, tell: Callable[[str], None]) -> list[Finding]:
    """Looks at a server through whatever is in front of it.

    Args:
        url: as clients have it, with the path below which a proxy shows the server, if it does.
        settings: of the server, if this is its machine.
        tell: is called with what comes next, in a few words.

    Cancellation: at any moment.
    """
    tell(f"asking {url}…")
    key = os.environ.get(KEY_VARIABLE)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        parsed = check_url(url.rstrip("/"))
    except ValueError as error:
        return [broken("proxy.reachable", str(error))]
    secure = ssl.create_default_context() if parsed.scheme == "https" else False
    async with httpx2.AsyncClient(headers=headers, timeout=TIMEOUT, verify=secure, trust_env=False) as http:
        look = _Look(http, parsed, settings, tell)
        try:
            return await look.all()
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            return [*look.findings, broken("proxy.reachable", f"{url} can't be reached, or hangs up: {reason}")]


class _Look:
    def __init__(
        self, http: httpx2.AsyncClient, url: httpx2.URL, settings: Settings, tell: Callable[[str], None]
    ) -> None:
        self._http = http
        self._url = str(url)
        self._origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        self._secure = url.scheme == "https"
        self._settings = settings
        self._tell = tell
        self.findings: list[Finding] = []

    async def all(self) -> list[Finding]:
        health = await self._ask("GET", "/healthz")
        if health.status != _OK or not health.content:
            words = f"what answers at {self._url}/healthz is not this server: {health.message}"
            self.findings.append(
                broken(
                    "proxy.reachable", words, "See that the proxy passes on all paths, to the server's host and port."
                )
            )
            return self.findings
        self.findings.append(ok("proxy.reachable", f"the server answers at {self._url}"))
        self.findings += await self._ready()
        named = await self._host()
        self.findings.append(named)
        if named.level != "ok":
            return self.findings
        self.findings += [await self._websocket(), await self._body()]
        self.findings += await self._streaming()
        self.findings += [
            skipped(
                "proxy.idle",
                "whether idle WebSockets are kept was not waited for: the server pings each 20 seconds, and a proxy "
                "must allow for more than that without anything from its clients",
            ),
            self._addresses(),
        ]
        return self.findings

    async def _ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> _Answer:
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        answer = await self._http.request(method, f"{self._url}{path}", content=body, headers=sent)
        return _Answer(answer.status_code, _object(answer.content))

    async def _ready(self) -> list[Finding]:
        answer = await self._ask("GET", "/readyz")
        if "ready" not in answer.content:
            return [broken("proxy.ready", f"/readyz is not answered by the server: {answer.message}")]
        if not answer.content["ready"]:
            return [broken("proxy.ready", str(answer.content.get("reason")))]
        missing = cast("Mapping[str, str]", answer.content.get("missing") or {})
        return [
            ok("proxy.ready", "the server takes sessions"),
            *[warning(f"proxy.ready.{name}", f"{name} can't be run now: {why}") for name, why in missing.items()],
        ]

    async def _host(self) -> Finding:
        """As a page of the server's own would ask."""
        answer = await self._ask("GET", "/languages", headers={"Origin": self._origin})
        host = httpx2.URL(self._origin).host
        if answer.status == _OK and answer.content:
            return ok("proxy.host", f"requests for {self._origin} are let in, also from its own pages")
        if answer.status == _UNAUTHORIZED:
            return skipped("proxy.host", f"a key is wanted: {answer.message}", f"Set {KEY_VARIABLE}.")
        if answer.code == "invalid_host":
            return broken(
                "proxy.host", answer.message, f"Add the name to the server's settings: TRIO_EXEC_ALLOWED_HOSTS={host}"
            )
        if answer.code == "origin_not_allowed":
            return broken(
                "proxy.host",
                answer.message,
                f"Have the proxy pass the Host on (nginx: proxy_set_header Host $http_host;). {_EXAMPLES}",
            )
        return broken("proxy.host", f"/languages can't be had: {answer.message}")

    async def _websocket(self) -> Finding:
        answer = await self._ask("GET", f"/ws/session/{NO_SESSION}", headers=_UPGRADE)
        if answer.code == "session_not_found":
            return ok("proxy.websocket", "WebSockets are passed on")
        if answer.status == _UPGRADE_REQUIRED:
            return broken(
                "proxy.websocket",
                "the proxy does not pass WebSockets on: what arrives is a plain request",
                "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "
                f'"upgrade"; {_EXAMPLES}',
            )
        return broken("proxy.websocket", f"a WebSocket is refused on its way: {answer.message}")

    async def _body(self) -> Finding:
        """A request of the greatest size that is taken, for a language that there is not."""
        size = self._settings.max_request_bytes
        empty = json.dumps({"language": NO_LANGUAGE, "code": ""})
        body = json.dumps({"language": NO_LANGUAGE, "code": "#" * (size - len(empty))}).encode()
        answer = await self._ask("POST", "/run", body=body)
        if answer.code == "unknown_language":
            return ok("proxy.body", f"requests of {size} bytes (max_request_bytes) arrive")
        if answer.code == "request_too_large":
            return warning(
                "proxy.body", f"the server takes less than max_request_bytes = {size} says here: {answer.message}"
            )
        if answer.status == _TOO_LARGE:
            return broken(
                "proxy.body",
                f"the proxy refuses requests of {size} bytes, which the server would take (max_request_bytes)",
                f"Let the proxy pass more on (nginx: client_max_body_size {-(-size // 1048576) + 1}m;). {_EXAMPLES}",
            )
        return broken("proxy.body", f"a request of {size} bytes is lost on its way: {answer.message}")

    async def _streaming(self) -> list[Finding]:
        self._tell("trying whether answers are streamed…")
        body = json.dumps({"language": "python", "code": PROGRAM, "stream": True})
        first: float | None = None
        begun = ended = False
        headers = {"Content-Type": "application/json", "Accept": "application/x-ndjson"}
        async with self._http.stream("POST", f"{self._url}/run", content=body, headers=headers) as answer:
            if answer.status_code != _OK:
                refusal = _Answer(answer.status_code, _object(await answer.aread()))
                return [skipped("proxy.streaming", f"no program could be run: {refusal.message}")]
            async for line in answer.aiter_lines():
                message = _object(line.encode())
                begun |= message.get("type") == "stdout"
                ended |= message.get("state") == "finished"
                if begun and first is None:
                    first = trio.current_time()
        if first is None or not ended:
            return [broken("proxy.streaming", "the answer of POST /run was cut on its way, or its program failed")]
        if trio.current_time() - first < HELD_BACK:
            return [
                broken(
                    "proxy.streaming",
                    "the proxy holds answers back: output came only when its program was over",
                    f"Turn buffering off, and compression with it (nginx: proxy_buffering off; gzip off;). {_EXAMPLES}",
                )
            ]
        return [ok("proxy.streaming", "output comes as programs write it")]

    def _addresses(self) -> Finding:
        if self._secure and not self._settings.trusted_proxies:
            return warning(
                "proxy.addresses",
                "there is a proxy, since the server itself speaks no TLS, but trusted_proxies is empty here: all "
                "clients count as one, in connections and, without keys, in quotas",
                "Name the proxy's address, as the server sees it, in TRIO_EXEC_TRUSTED_PROXIES, and have the proxy set "
                f"X-Forwarded-For. {_EXAMPLES}",
            )
        return skipped(
            "proxy.addresses",
            "which address the server takes for a client's can't be seen from here; its log has it, in the line "
            "that it writes of each session's end",
        )


def _object(content: bytes) -> Any:
    """What JSON there is; an empty object for what is none, such as a proxy's own page."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return cast("Any", value) if isinstance(value, dict) else {}

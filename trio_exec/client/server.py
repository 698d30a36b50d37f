"""One server, as its clients reach it: requests over HTTP, and WebSockets."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx2

from trio_exec.client.errors import (
    ConnectError,
    ConnectionLostError,
    FormatError,
    ProtocolError,
    ServerError,
    server_error,
)
from trio_exec.client.fields import Object, integer_of, number_of, parse_object, text_of
from trio_exec.client.websocket import Address, RefusedError, WebSocket, open_websocket

DEFAULT_URL = "http://127.0.0.1:8080"
KEEP_ALIVE = 2
"""Seconds that an idle connection is kept: less than any server does, so that none hangs up just as it is used."""
MAX_CONNECTIONS = 100
ERROR = 400


def check_url(url: str) -> httpx2.URL:
    """The parts of a server's URL.

    Raises:
        ValueError: it is none.
    """
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ValueError(f"{url!r} is no server's URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError(f"{url!r} is no server's URL; write it as in {DEFAULT_URL}")
    return parsed


@asynccontextmanager
async def open_server(
    url: str,
    api_key: str | None,
    timeout: float,  # noqa: ASYNC109 - of each request
    tls: ssl.SSLContext | None,
) -> AsyncGenerator[Server]:
    """A server, with a pool of connections to it. Nothing is sent before the first request.

    Args:
        url: `http://` or `https://`, and the path below which a proxy shows the server, if it does.
        api_key: is sent as a bearer token.
        timeout: seconds to connect, and to wait for answers that need no program to run.
        tls: certificates to trust; by default the system's, or those that `SSL_CERT_FILE` names.

    Raises:
        ValueError: the URL is none.
    """
    parsed = check_url(url)
    secure = parsed.scheme == "https"
    context = (tls or ssl.create_default_context()) if secure else None
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    address = Address(
        host=parsed.host,
        port=parsed.port or (443 if secure else 80),
        authority=parsed.netloc.decode("ascii"),
        tls=context,
    )
    # The environment's proxies are left alone: the WebSockets could not use them, and half of a way is none.
    async with httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(timeout, pool=None),
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_ALIVE),
        verify=context or False,
        trust_env=False,
    ) as http:
        yield Server(str(parsed).rstrip("/"), http, address, headers, timeout)


class Server:
    """Requests to a server.

    Args:
        url: its URL, without a slash at the end.
        http: with what to send them.
        address: where its WebSockets are.
        headers: of every request.
        timeout: seconds to wait for an answer.
    """

    def __init__(
        self, url: str, http: httpx2.AsyncClient, address: Address, headers: Mapping[str, str], timeout: float
    ) -> None:
        self.url = url
        self._http = http
        self._address = address
        self._path = httpx2.URL(url).path.rstrip("/")
        self._headers = headers
        self._timeout = timeout

    async def request(
        self, method: str, path: str, body: object = None, *, read_timeout: float | None = None, refusals: bool = True
    ) -> Object:
        """What the server answers.

        Args:
            method: the method.
            path: the path, with its query.
            body: what to send as JSON.
            read_timeout: seconds to wait for the next bytes of the answer, if not those of every request.
            refusals: whether an error is raised; else its body is returned like any other.

        Raises:
            ConnectError: the server can't be reached, or hung up before it answered.
            ConnectionLostError: the connection broke in the midst of the answer.
            ServerError: it refuses.
            ProtocolError: the answer is none of a trio-exec server.
        """
        async with self.stream(method, path, body, read_timeout=read_timeout, refusals=refusals) as response:
            return parse_object(await response.aread())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        read_timeout: float | None = None,
        refusals: bool = True,
    ) -> AsyncGenerator[httpx2.Response]:
        """An answer whose body is read by the caller. Leaving before its end closes the connection.

        Raises:
            As `request` does, also out of the body of the context.
        """
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Accept": "application/json", **({} if body is None else {"Content-Type": "application/json"})}
        timeout = httpx2.Timeout(self._timeout, read=read_timeout or self._timeout, pool=None)
        begun = False
        try:
            async with self._http.stream(
                method, f"{self.url}{path}", content=content, headers=sent, timeout=timeout
            ) as response:
                if response.status_code >= ERROR and refusals:
                    raise _refusal(response.status_code, response.headers, await response.aread())
                begun = True
                yield response
        except httpx2.HTTPError as error:
            if begun:
                raise ConnectionLostError(
                    f"the connection broke in the midst of the answer: {_reason(error)}"
                ) from error
            if isinstance(error, httpx2.TimeoutException):
                raise ConnectError(f"{self.url} did not answer within {self._timeout:g} s") from error
            raise ConnectError(f"{self.url} can't be reached: {_reason(error)}") from error

    async def websocket(self, target: str) -> WebSocket:
        """Opens a WebSocket.

        Raises:
            BrokenError: the server can't be reached, or hangs up.
            ServerError: it refuses.
        """
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        try:
            return await open_websocket(self._address, f"{self._path}{target}", headers, self._timeout)
        except RefusedError as error:
            raise _refusal(error.status, error.headers, error.body) from None


def _reason(error: httpx2.HTTPError) -> str:
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None and str(below):
        cause = below
    return str(cause) or type(error).__name__


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    after = headers.get("retry-after", "")
    retry_after = float(after) if after.isdecimal() else None
    data: Object = {}
    with suppress(ProtocolError):
        data = parse_object(body)
    message = text_of(data, "error") or f"the answer was HTTP {status}, and not from a trio-exec server"
    error = server_error(
        message,
        text_of(data, "code") or "http_error",
        status=status,
        field=text_of(data, "field"),
        quota=text_of(data, "quota"),
        retry_after=retry_after,
    )
    if isinstance(error, FormatError):
        error.file, error.line, error.column = (
            text_of(data, "file"),
            integer_of(data, "line"),
            integer_of(data, "column"),
        )
    return error


def refusal_of(data: Object) -> ServerError:
    """The exception for an `error` message with which a WebSocket begins."""
    return server_error(
        text_of(data, "error") or "the server refused the request",
        text_of(data, "code") or "http_error",
        field=text_of(data, "field"),
        quota=text_of(data, "quota"),
        retry_after=number_of(data, "retryAfter"),
    )

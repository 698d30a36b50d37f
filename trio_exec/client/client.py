"""A client of one server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Unpack, overload
from urllib.parse import quote

from trio_exec.client.batches import Batching, BatchStream, batch_fields, whole_batch
from trio_exec.client.events import StateChanged, state_of
from trio_exec.client.fields import flag_of, needed_text, object_of, text_of
from trio_exec.client.link import Link
from trio_exec.client.offers import Languages, Readiness, languages_of, readiness_of
from trio_exec.client.requests import Content, Interactive, Program, Run, program
from trio_exec.client.results import Batch, Formatted, Result, result_of
from trio_exec.client.server import DEFAULT_URL, Server, open_server
from trio_exec.client.session import Session, followed

ANSWER_TIMEOUT = 60
"""Seconds without a byte of an answer to `POST /run`, in which a server that lives says something every five."""


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL,
    *,
    api_key: str | None = None,
    timeout: float = 30,  # noqa: ASYNC109 - of each request
    reconnect_timeout: float = 60,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Client]:
    """A client of the server at a URL. Nothing is sent before the first request.

    Args:
        url: `http://` or `https://`, and the path below which a proxy shows the server, if it does.
        api_key: is sent as a bearer token.
        timeout: seconds to connect, and to wait for answers that need no program to run.
        reconnect_timeout: seconds for which a session's broken connection is tried to be made again.
        tls: certificates to trust; by default the system's, or those that `SSL_CERT_FILE` names.

    Raises:
        ValueError: the URL is none.
    """
    async with open_server(url, api_key, timeout, tls) as server:
        yield Client(server, reconnect_timeout)


class Client:
    """What `connect` gives. Any number of tasks may use it at once.

    Every method that sends a request raises:

    - `ConnectError`: the server can't be reached, or hung up before it answered.
    - `ServerError`: it refuses; there are subclasses for what callers treat differently.
    """

    def __init__(self, server: Server, reconnect_timeout: float) -> None:
        self._server = server
        self._reconnect_timeout = reconnect_timeout

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._server.url

    @overload
    async def run(
        self, language: str, code: Content | None = None, *, text: Literal[True] = True, **options: Unpack[Program]
    ) -> Result[str]: ...
    @overload
    async def run(
        self, language: str, code: Content | None = None, *, text: Literal[False], **options: Unpack[Program]
    ) -> Result[bytes]: ...
    async def run(
        self, language: str, code: Content | None = None, *, text: bool = True, **options: Unpack[Program]
    ) -> Result[Any]:
        """Runs a program to its end. A program that fails is a result, not an exception; see `Result.check`.

        Args:
            language: a name or an alias.
            code: the main file.
            text: whether output is wanted as text; else it is bytes.
            options: see `Program`.

        Cancellation: the program is ended.
        """
        body = _request(language, code, options, text=text)
        return result_of(await self._server.request("POST", "/run", body, read_timeout=ANSWER_TIMEOUT), text=text)

    @overload
    async def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[True] = True,
        **options: Unpack[Batching],
    ) -> Batch[str]: ...
    @overload
    async def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[False],
        **options: Unpack[Batching],
    ) -> Batch[bytes]: ...
    async def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: bool = True,
        **options: Unpack[Batching],
    ) -> Batch[Any]:
        """Compiles a program once, if that is needed, and runs it for every case.

        Args:
            language: a name or an alias.
            code: the main file.
            runs: the cases, see `Run`.
            text: whether output is wanted as text; else it is bytes.
            options: see `Batching`.

        Cancellation: the batch is ended.
        """
        body = {**_request(language, code, options, text=text), **batch_fields(list(runs), options)}
        answer = await self._server.request("POST", "/run", body, read_timeout=ANSWER_TIMEOUT)
        return whole_batch(answer, text=text, language=language)

    @overload
    def stream_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[True] = True,
        **options: Unpack[Batching],
    ) -> AbstractAsyncContextManager[BatchStream[str]]: ...
    @overload
    def stream_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[False],
        **options: Unpack[Batching],
    ) -> AbstractAsyncContextManager[BatchStream[bytes]]: ...
    def stream_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: bool = True,
        **options: Unpack[Batching],
    ) -> AbstractAsyncContextManager[BatchStream[Any]]:
        """The same, case by case as they end. Leaving the context ends the batch.

        Args:
            As `run_batch`.
        """
        body = {**_request(language, code, options, text=text), **batch_fields(list(runs), options)}
        return self._batch_stream(language, body, text=text)

    @asynccontextmanager
    async def _batch_stream(
        self, language: str, body: dict[str, object], *, text: bool
    ) -> AsyncGenerator[BatchStream[Any]]:
        async with self._server.stream(
            "POST", "/run", {**body, "stream": True}, read_timeout=ANSWER_TIMEOUT
        ) as response:
            yield BatchStream(response.aiter_lines(), text=text, language=language)

    @overload
    def session(
        self, language: str, code: Content | None = None, *, text: Literal[True] = True, **options: Unpack[Interactive]
    ) -> AbstractAsyncContextManager[Session[str]]: ...
    @overload
    def session(
        self, language: str, code: Content | None = None, *, text: Literal[False], **options: Unpack[Interactive]
    ) -> AbstractAsyncContextManager[Session[bytes]]: ...
    def session(
        self, language: str, code: Content | None = None, *, text: bool = True, **options: Unpack[Interactive]
    ) -> AbstractAsyncContextManager[Session[Any]]:
        """A program to talk with. Leaving the context ends it, if it still runs; see `Session.detach`.

        Args:
            language: a name or an alias.
            code: the main file.
            text: whether output is wanted as text; else it is bytes.
            options: see `Interactive`.

        Raises:
            ConnectError, ServerError: as for every request.
        """
        return self._session(language, code, options, text=text)

    @asynccontextmanager
    async def _session(
        self, language: str, code: Content | None, options: Interactive, *, text: bool
    ) -> AsyncGenerator[Session[Any]]:
        body = program(language, code, options)
        for name in ("interactive", "tty", "rows", "cols"):
            if options.get(name) is not None:
                body[name] = options.get(name)
        link = self._link(text=text)
        await link.begin(body)
        tty = options.get("tty", False)
        session = Session[Any](self._server, link, text=text, tty=tty, language=language, owned=True)
        async with followed(session, link):
            yield session

    @overload
    def attach(
        self, session_id: str, *, after: int = 0, text: Literal[True] = True
    ) -> AbstractAsyncContextManager[Session[str]]: ...
    @overload
    def attach(
        self, session_id: str, *, after: int = 0, text: Literal[False]
    ) -> AbstractAsyncContextManager[Session[bytes]]: ...
    def attach(
        self, session_id: str, *, after: int = 0, text: bool = True
    ) -> AbstractAsyncContextManager[Session[Any]]:
        """Joins a session that is there. It goes on when the context is left.

        Args:
            session_id: the session's; or its `watch_id`, to see everything and do nothing.
            after: the `seq` of the last event that is known already; by default all are replayed.
            text: whether output is wanted as text; else it is bytes.

        Raises:
            SessionNotFoundError: there is no such session.
            ConnectError, ServerError: as for every request.
        """
        return self._attached(session_id, after, text=text)

    @asynccontextmanager
    async def _attached(self, session_id: str, after: int, *, text: bool) -> AsyncGenerator[Session[Any]]:
        known = await self._server.request("GET", _path(session_id))
        link = self._link(text=text, after=after)
        link.watch_id = text_of(known, "watchId")
        view_only = link.watch_id is not None and text_of(known, "sessionId") is None
        await link.attach(session_id)
        language = text_of(known, "language") or ""
        tty = flag_of(known, "tty")
        session = Session[Any](
            self._server, link, text=text, tty=tty, language=language, owned=False, view_only=view_only
        )
        async with followed(session, link):
            yield session

    def _link(self, *, text: bool, after: int = 0) -> Link:
        return Link(self._server, text=text, patience=self._reconnect_timeout, after=after)

    async def state(self, session_id: str) -> StateChanged:
        """A session's present state.

        Raises:
            SessionNotFoundError: there is no such session.
            ConnectError, ServerError: as for every request.
        """
        return state_of(await self._server.request("GET", _path(session_id)))

    async def stop(self, session_id: str) -> None:
        """Ends a session. Harmless when it has ended.

        Raises:
            SessionNotFoundError: there is no such session.
            ConnectError, ServerError: as for every request.
        """
        await self._server.request("DELETE", _path(session_id))

    async def format(
        self, language: str, code: str | None = None, *, files: Mapping[str, str] | None = None
    ) -> Formatted:
        """Formats a program, and does not run it.

        Args:
            language: a name or an alias, of a language that `formats`.
            code: the main file.
            files: further files, by their paths. Without code, the first is the main one.

        Raises:
            FormatError: it can't be understood; says where.
            ConnectError, ServerError: as for every request.
        """
        body = program(language, code, {"files": files})
        answer = await self._server.request("POST", "/format", body, read_timeout=ANSWER_TIMEOUT)
        found = object_of(answer, "files")
        return Formatted(text_of(answer, "code"), {name: needed_text(found, name) for name in found})

    async def languages(self) -> Languages:
        """What the server offers: its languages, and its limits."""
        return languages_of(await self._server.request("GET", "/languages"))

    async def ready(self) -> Readiness:
        """Whether the server takes sessions now, and how many more."""
        return readiness_of(await self._server.request("GET", "/readyz", refusals=False))


def _path(session_id: str) -> str:
    return f"/session/{quote(session_id, safe='')}"


def _request(language: str, code: Content | None, options: Program, *, text: bool) -> dict[str, object]:
    return {**program(language, code, options), **({} if text else {"encoding": "base64"})}

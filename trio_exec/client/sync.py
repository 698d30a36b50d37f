"""The same in plain calls, for scripts and notebooks: Trio runs in a thread of its own.

    with connect() as client:
        print(client.run("python", "print(6 * 7)").stdout)

A notebook whose own event loop runs already is no obstacle. What is interrupted by Ctrl-C is cancelled, as in Trio.
Methods raise what those of the same names in `trio_exec.client` do, and may be called from any thread.
"""

from __future__ import annotations

import atexit
import re
import signal as signals
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any, Generic, Literal, ParamSpec, Self, TypeVar, Unpack, cast, overload

import anyio
from anyio.from_thread import BlockingPortal

from trio_exec.client import batches, client, session
from trio_exec.client.batches import Batching
from trio_exec.client.events import Event, StateChanged, T
from trio_exec.client.expect import WAITING_FOR_INPUT, Match, WaitingForInput
from trio_exec.client.offers import Languages, Readiness
from trio_exec.client.requests import Content, Interactive, Program, Run
from trio_exec.client.results import Batch, Case, File, Formatted, Result
from trio_exec.client.server import DEFAULT_URL

__all__ = ["WAITING_FOR_INPUT", "BatchStream", "Client", "Session", "connect"]

P = ParamSpec("P")
R = TypeVar("R")


class _Trio:
    """A thread in which Trio runs, until it is closed or the interpreter ends."""

    def __init__(self) -> None:
        started = Future[BlockingPortal]()
        self._thread = threading.Thread(target=_host, args=(started,), name="trio-exec client", daemon=True)
        self._thread.start()
        self._portal = started.result()

    def call(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls an async function there, and waits for what comes of it."""
        future = self._portal.start_task_soon(lambda: function(*args, **kwargs))
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit):
            future.cancel()
            raise

    def plain(self, context: AbstractAsyncContextManager[R]) -> AbstractContextManager[R]:
        """An async context as a plain one."""
        return self._portal.wrap_async_context_manager(context)

    def close(self) -> None:
        """Ends what still runs there, and the thread."""
        if self._thread.is_alive():
            self._portal.start_task_soon(self._portal.stop, True)  # noqa: FBT003 - that is its only parameter
            self._thread.join()


def _host(started: Future[BlockingPortal]) -> None:
    async def main() -> None:
        async with BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()

    anyio.run(main, backend="trio")


class Session(Generic[T]):
    """A session; iterating over it gives its events. See `trio_exec.client.Session`."""

    def __init__(self, trio: _Trio, session: session.Session[T]) -> None:
        self._trio = trio
        self._session = session

    @property
    def id(self) -> str:
        """The session's; treat it as a secret."""
        return self._session.id

    @property
    def watch_id(self) -> str | None:
        """Who knows it may watch the session, and do nothing else."""
        return self._session.watch_id

    @property
    def view_only(self) -> bool:
        """Whether it was attached to by that one."""
        return self._session.view_only

    @property
    def state(self) -> StateChanged | None:
        """The last state that was read; None before the first."""
        return self._session.state

    @property
    def waiting(self) -> bool:
        """Whether the program was waiting for input when all that was read had happened."""
        return self._session.waiting

    def __iter__(self) -> Iterator[Event[T]]:
        while (event := self.next_event()) is not None:
            yield event

    def next_event(self) -> Event[T] | None:
        """The next event; None when there are no more."""
        return self._trio.call(self._session.next_event)

    def send(self, data: T) -> None:
        """Sends input."""
        self._trio.call(self._session.send, data)

    def flush(self) -> None:
        """Returns when the server has all that was sent."""
        self._trio.call(self._session.flush)

    def end_input(self) -> None:
        """Ends the program's input; in a terminal it is Ctrl-D."""
        self._trio.call(self._session.end_input)

    def signal(self, number: signals.Signals | int | str) -> None:
        """Sends a signal to the program's process group."""
        self._trio.call(self._session.signal, number)

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size."""
        self._trio.call(self._session.resize, rows, columns)

    def keep_alive(self) -> None:
        """Has the server's idle timeout begin anew."""
        self._trio.call(self._session.keep_alive)

    def stop(self) -> None:
        """Asks the server to end the session."""
        self._trio.call(self._session.stop)

    def detach(self) -> None:
        """Has the session go on when it is left."""
        self._session.detach()

    def expect(self, pattern: T | re.Pattern[T] | WaitingForInput, timeout: float = 30) -> Match[T]:
        """Reads standard output until it has what is expected."""
        return self._trio.call(self._session.expect, pattern, timeout)

    def result(self) -> Result[T]:
        """Reads the session to its end."""
        return self._trio.call(self._session.result)

    def files(self) -> tuple[File, ...]:
        """The files that `collect` asked for, once the session is over."""
        return self._trio.call(self._session.files)


class BatchStream(Generic[T]):
    """The cases of a batch as they end; iterate over it. See `trio_exec.client.BatchStream`."""

    def __init__(self, trio: _Trio, stream: batches.BatchStream[T]) -> None:
        self._trio = trio
        self._stream = stream

    @property
    def compile(self) -> Result[T] | None:
        """How the compile stage went, of languages that have one."""
        return self._stream.compile

    @property
    def batch(self) -> Batch[T] | None:
        """The whole, without its cases, once the iteration has ended."""
        return self._stream.batch

    def __iter__(self) -> Iterator[Case[T]]:
        while True:
            try:
                yield self._trio.call(self._stream.__anext__)
            except StopAsyncIteration:
                return


class Client:
    """A client of one server, as `trio_exec.client.connect` makes it; a context manager, or call `close`.

    Args:
        url: the server's.
        api_key: is sent as a bearer token.
        timeout: seconds to connect, and to wait for answers that need no program to run.
        reconnect_timeout: seconds for which a session's broken connection is tried to be made again.
        tls: certificates to trust.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout: float = 30,
        reconnect_timeout: float = 60,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._trio = _Trio()
        self._opened: set[ExitStack] = set()
        self._stack = ExitStack()
        self._stack.callback(self._trio.close)
        context = client.connect(url, api_key=api_key, timeout=timeout, reconnect_timeout=reconnect_timeout, tls=tls)
        try:
            self._client = self._stack.enter_context(self._trio.plain(context))
        except ValueError:
            self._stack.close()
            raise
        atexit.register(_close, weakref.ref(self))

    def close(self) -> None:
        """Ends what still runs, and the thread. Once is enough."""
        for context in list(self._opened):
            context.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @overload
    def run(
        self, language: str, code: Content | None = None, *, text: Literal[True] = True, **options: Unpack[Program]
    ) -> Result[str]: ...
    @overload
    def run(
        self, language: str, code: Content | None = None, *, text: Literal[False], **options: Unpack[Program]
    ) -> Result[bytes]: ...
    def run(
        self, language: str, code: Content | None = None, *, text: bool = True, **options: Unpack[Program]
    ) -> Result[Any]:
        """Runs a program to its end."""
        run = cast("Callable[..., Awaitable[Result[Any]]]", self._client.run)
        return self._trio.call(run, language, code, text=text, **options)

    @overload
    def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[True] = True,
        **options: Unpack[Batching],
    ) -> Batch[str]: ...
    @overload
    def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: Literal[False],
        **options: Unpack[Batching],
    ) -> Batch[bytes]: ...
    def run_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        text: bool = True,
        **options: Unpack[Batching],
    ) -> Batch[Any]:
        """Compiles a program once, if that is needed, and runs it for every case."""
        run = cast("Callable[..., Awaitable[Batch[Any]]]", self._client.run_batch)
        return self._trio.call(run, language, code, runs=runs, text=text, **options)

    @contextmanager
    def stream_batch(
        self,
        language: str,
        code: Content | None = None,
        *,
        runs: Iterable[Run],
        **options: Unpack[Batching],
    ) -> Generator[BatchStream[str]]:
        """The same, case by case as they end, as text."""
        with self._until_closed(self._client.stream_batch(language, code, runs=runs, **options)) as stream:
            yield BatchStream(self._trio, stream)

    @overload
    def session(
        self, language: str, code: Content | None = None, *, text: Literal[True] = True, **options: Unpack[Interactive]
    ) -> AbstractContextManager[Session[str]]: ...
    @overload
    def session(
        self, language: str, code: Content | None = None, *, text: Literal[False], **options: Unpack[Interactive]
    ) -> AbstractContextManager[Session[bytes]]: ...
    def session(
        self, language: str, code: Content | None = None, *, text: bool = True, **options: Unpack[Interactive]
    ) -> AbstractContextManager[Session[Any]]:
        """A program to talk with. Leaving the context ends it, if it still runs."""
        start = cast("Callable[..., AbstractAsyncContextManager[session.Session[Any]]]", self._client.session)
        return self._talk(start(language, code, text=text, **options))

    @overload
    def attach(
        self, session_id: str, *, after: int = 0, text: Literal[True] = True
    ) -> AbstractContextManager[Session[str]]: ...
    @overload
    def attach(
        self, session_id: str, *, after: int = 0, text: Literal[False]
    ) -> AbstractContextManager[Session[bytes]]: ...
    def attach(self, session_id: str, *, after: int = 0, text: bool = True) -> AbstractContextManager[Session[Any]]:
        """Joins a session that is there. It goes on when the context is left."""
        attach = cast("Callable[..., AbstractAsyncContextManager[session.Session[Any]]]", self._client.attach)
        return self._talk(attach(session_id, after=after, text=text))

    @contextmanager
    def _talk(self, context: AbstractAsyncContextManager[session.Session[Any]]) -> Generator[Session[Any]]:
        with self._until_closed(context) as opened:
            yield Session(self._trio, opened)

    @contextmanager
    def _until_closed(self, context: AbstractAsyncContextManager[R]) -> Generator[R]:
        """A context that ends with the client at the latest, whoever has forgotten it."""
        with ExitStack() as stack:
            opened = stack.enter_context(self._trio.plain(context))
            self._opened.add(stack)
            try:
                yield opened
            finally:
                self._opened.discard(stack)

    def state(self, session_id: str) -> StateChanged:
        """A session's present state."""
        return self._trio.call(self._client.state, session_id)

    def stop(self, session_id: str) -> None:
        """Ends a session. Harmless when it has ended."""
        self._trio.call(self._client.stop, session_id)

    def format(self, language: str, code: str | None = None, *, files: Mapping[str, str] | None = None) -> Formatted:
        """Formats a program, and does not run it."""
        return self._trio.call(self._client.format, language, code, files=files)

    def languages(self) -> Languages:
        """What the server offers: its languages, and its limits."""
        return self._trio.call(self._client.languages)

    def ready(self) -> Readiness:
        """Whether the server takes sessions now, and how many more."""
        return self._trio.call(self._client.ready)


def _close(of: weakref.ref[Client]) -> None:
    """At the interpreter's end, which would else leave a session to be missed."""
    client = of()
    if client is not None:
        client.close()


connect = Client
"""So that it reads as in `trio_exec.client`."""

"""What the tests share: a real server process, and a client that speaks its API."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any

import docker
import trio

from tests.kubernetes import on_kubernetes, pod_names, server_settings
from trio_exec.client import Client as LibraryClient
from trio_exec.client import Event, InputWait, MessageRefused, Output, Session, StateChanged, connect

TESTED_LANGUAGES = os.environ.get("TESTED_LANGUAGES", "").split()
"""Names of languages, where an engine has not all of them; none for all."""
START_TIMEOUT = 60
PATIENCE = 120
"""Seconds after which a test gives a wait up; generous, since machines are shared."""
GENEROUS = {"compile_timeout": 120, "idle_timeout": 120, "execution_timeout": 120}
"""Times of a server whose tests ask what a program does, and not how long it takes: machines are shared."""


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class ServerProcess:
    """A real `trio-exec serve`, on a port of its own.

    Args:
        descriptors: its limit of open files, if that is to be another one than ours.
        settings: the server's settings.
    """

    host = "127.0.0.1"

    def __init__(self, *, descriptors: int | None = None, **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_EXEC_")}
        # Cold unless a test says otherwise: what it sees then does not depend on what ran before.
        engine = server_settings() if on_kubernetes() else {}
        for name, value in {"pool": 0, "languages": ",".join(TESTED_LANGUAGES), **engine, **settings}.items():
            key = name if name.startswith(("DOCKER_", "KUBECONFIG")) else f"TRIO_EXEC_{name.upper()}"
            environment[key] = str(value)
        self.log_path = f"/tmp/trio-exec-test-{os.getpid()}-{time.monotonic_ns()}.log"
        limit = [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*limit, sys.executable, "-m", "trio_exec", "serve", "--port", "0"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        line = self.process.stdout.readline().decode() if ready else ""
        assert "listens on" in line, self.log()
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def log(self) -> str:
        with open(self.log_path) as log:
            return log.read()

    def wait_ready(self) -> ServerProcess:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            answer = self.request("GET", "/readyz")
            # In a cluster, each language is there as soon as a pod of it could be opened.
            if answer.status == 200 and not (on_kubernetes() and answer.json().get("missing")):
                assert self.instance  # Known from now on, also when the log is gone.
                return self
            assert time.monotonic() < deadline, answer.body
            time.sleep(0.05)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        sent = dict(headers or {})
        if data is not None and not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, data, sent)
            with connection.getresponse() as response:  # Or one that breaks off would keep the socket.
                return Answer(response.status, response.headers, response.read())

    def wait_warm(self, counts: dict[str, int]) -> None:
        """Returns when at least so many containers are warm, by language; others don't matter."""
        deadline = time.monotonic() + PATIENCE
        while True:
            warm = self.request("GET", "/readyz").json()["warm"]
            if all(warm.get(language, 0) >= count for language, count in counts.items()):
                return
            assert time.monotonic() < deadline, warm
            time.sleep(0.1)

    @cached_property
    def instance(self) -> str:
        match = re.search(r"instance (\w+) is ready", self.log())
        assert match, self.log()
        return match[1]

    def resident(self) -> int:
        """Bytes of memory that the process has."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def containers(self) -> list[str]:
        """Names of the containers that this server made and that are still there."""
        return [name for name in container_names() if self.instance in name]

    def assert_no_containers(self, within: float = 30) -> None:
        """Returns when no container of this server is left; it may be dead already."""
        deadline = time.monotonic() + within
        while left := self.containers():
            assert time.monotonic() < deadline, f"containers are left: {left}"
            time.sleep(0.05)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = PATIENCE) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not end in time:\n{self.log()}") from None

    def close(self) -> None:
        """Ends the process, at once if need be, and checks that it complained of nothing unexpected."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the server did not end:\n{self.log()}") from None
        if self.process.stdout is not None:
            self.process.stdout.close()
        text = self.log()
        os.unlink(self.log_path)
        assert "Traceback" not in text, text


@dataclass
class Run:
    """What a client saw of a session."""

    session_id: str
    messages: list[Event[str]] = field(default_factory=list)

    def _output(self, stream: str) -> str:
        return "".join(it.data for it in self.messages if isinstance(it, Output) and it.stream == stream)

    @property
    def stdout(self) -> str:
        return self._output("stdout")

    @property
    def stderr(self) -> str:
        return self._output("stderr")

    @property
    def output(self) -> str:
        """Both streams, in the order in which they came."""
        return "".join(it.data for it in self.messages if isinstance(it, Output))

    @property
    def states(self) -> list[StateChanged]:
        return [message for message in self.messages if isinstance(message, StateChanged)]

    @property
    def state_names(self) -> list[str]:
        return [state.state for state in self.states]

    @property
    def errors(self) -> list[MessageRefused]:
        return [message for message in self.messages if isinstance(message, MessageRefused)]

    @property
    def final(self) -> StateChanged:
        final = self.messages[-1]
        assert isinstance(final, StateChanged), self.messages[-3:]
        assert final.final, final
        return final

    @property
    def ending(self) -> str:
        """How it ended, in a word or two: a test that compares it sees a timeout for what it is."""
        return f"{self.final.stage}: {self.final.ending}"

    @property
    def outcome(self) -> tuple[str, str, str]:
        """Standard output, standard error and the ending."""
        return self.stdout, self.stderr, self.ending

    @property
    def over(self) -> bool:
        return bool(self.states) and self.states[-1].final

    @property
    def reason(self) -> str | None:
        return self.final.reason


class Follower:
    """Whoever follows a session, and keeps what was seen of it in `run`."""

    run: Run

    async def next(self) -> Event[str] | None:
        """The next message, also kept in `run`; None when there are no more."""
        raise NotImplementedError

    async def until(self, condition: Callable[[Run], object]) -> None:
        while not condition(self.run):
            assert await self.next() is not None, f"closed before that: {self.run}"

    async def until_state(self, name: str) -> None:
        await self.until(lambda run: name in run.state_names)

    async def until_stdout(self, text: str) -> None:
        await self.until(lambda run: text in run.stdout)

    async def until_waiting(self) -> None:
        await self.until(lambda run: run.messages[-1:] == [InputWait(waiting=True)])

    async def to_end(self) -> Run:
        while await self.next() is not None:
            pass
        return self.run


class Attached(Follower):
    """A client of a session, by the client library."""

    def __init__(self, session: Session[str]) -> None:
        self.session = session
        self.run = Run(session.id)

    async def next(self) -> Event[str] | None:
        event = await self.session.next_event()
        if event is not None:
            self.run.messages.append(event)
        return event

    async def input(self, text: str) -> None:
        await self.session.send(text)

    async def eof(self) -> None:
        await self.session.end_input()

    async def signal(self, name: str) -> None:
        await self.session.signal(name)

    async def resize(self, rows: int, cols: int) -> None:
        await self.session.resize(rows, cols)

    async def stop(self) -> None:
        await self.session.stop()


class Client:
    """Speaks the API of one server; to be used from Trio."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    async def request(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        return await trio.to_thread.run_sync(lambda: self.server.request(method, path, body, **options))

    async def create(self, **body: Any) -> str:
        answer = await self.request("POST", "/session", body)
        assert answer.status == 201, answer.body
        return answer.json()["sessionId"]

    async def info(self, session_id: str) -> Any:
        answer = await self.request("GET", f"/session/{session_id}")
        assert answer.status == 200, answer.body
        return answer.json()

    async def refused_upgrade(self, path: str, headers: str = "") -> tuple[int, Any]:
        """Status and body of the answer to a WebSocket upgrade that the server must refuse."""
        with trio.fail_after(PATIENCE):
            async with await trio.open_tcp_stream(self.server.host, self.server.port) as stream:
                await stream.send_all(self.upgrade_request(path, headers))
                answer = head = body = b""
                while data := await stream.receive_some(65536):
                    answer += data
                    head, _, body = answer.partition(b"\r\n\r\n")
                    if body.endswith(b"}") or b"101 " in head:
                        break
        assert b"101 " not in head, "the upgrade was accepted"
        return int(head.split()[1]), json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])

    def upgrade_request(self, path: str, headers: str = "") -> bytes:
        """A WebSocket upgrade as bytes, for what no client library would do."""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.server.host}:{self.server.port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"{headers}\r\n"
        ).encode()

    async def until_ready(self) -> None:
        """Asks until sessions are taken, also of a server that does not listen yet."""
        with trio.fail_after(PATIENCE):
            while True:
                with contextlib.suppress(OSError):
                    if (await self.request("GET", "/readyz")).status == 200:
                        return
                await trio.sleep(0.2)

    async def until_all_languages(self) -> None:
        """Asks until no language waits for its image any more."""
        with trio.fail_after(10 * PATIENCE):
            while "missing" in (await self.request("GET", "/readyz")).json():  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.2)

    async def until_info(self, session_id: str, state: str) -> Any:
        """Asks until the session is in a state, for tests in which nobody may be attached."""
        with trio.fail_after(PATIENCE):
            while (info := await self.info(session_id))["state"] != state:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.05)
        return info

    async def until_draining(self, within: float = PATIENCE) -> Answer:
        """Asks until the server says that it can't take sessions, and returns what it says."""
        with trio.fail_after(within):
            while (answer := await self.request("GET", "/readyz")).status != 503:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.02)
        return answer

    async def until_told(self, words: str) -> Answer:
        """Asks `/readyz` until the reason why it is not ready has these words, and returns what it says."""
        with trio.fail_after(PATIENCE):
            while words not in ((answer := await self.request("GET", "/readyz")).json()["reason"] or ""):  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
        return answer

    @asynccontextmanager
    async def _attached(
        self, open_session: Callable[[LibraryClient], AbstractAsyncContextManager[Session[str]]]
    ) -> AsyncGenerator[Attached]:
        address = f"http://{self.server.host}:{self.server.port}"
        with trio.fail_after(PATIENCE):
            async with connect(address) as client, open_session(client) as session:
                session.detach()  # Tests look what becomes of sessions without clients.
                yield Attached(session)

    def attach(self, session_id: str, after: int = 0) -> AbstractAsyncContextManager[Attached]:
        return self._attached(lambda client: client.attach(session_id, after=after))

    def session(self, **body: Any) -> AbstractAsyncContextManager[Attached]:
        return self._attached(lambda client: client.session(**body))

    async def run(self, **body: Any) -> Run:
        """Runs a program to its end; input, if any, goes along as `stdin`."""
        body.setdefault("stdin", "")
        async with self.session(**body) as attached:
            return await attached.to_end()


def container_names() -> list[str]:
    """Of all that are there, on the engine that is tested."""
    if on_kubernetes():
        return pod_names()
    client = docker.from_env()
    try:
        listed = client.api.containers(all=True, filters={"label": "trio-exec.instance"})
        return [item["Names"][0].lstrip("/") for item in listed]
    finally:
        client.close()


@contextlib.contextmanager
def running_server(**settings: Any) -> Generator[ServerProcess]:
    server = ServerProcess(**settings)
    try:
        yield server.wait_ready()
    finally:
        server.close()

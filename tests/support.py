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
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from typing import Any

import docker
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream

from trio_exec.api.native.messages import (
    ClientMessage,
    EofMessage,
    ErrorMessage,
    InputMessage,
    InputWaitMessage,
    ServerMessage,
    StateMessage,
    StderrMessage,
    StdoutMessage,
)
from trio_exec.api.native.parsing import parse_server_message

TESTED_LANGUAGES = os.environ.get("TESTED_LANGUAGES", "").split()
"""Names of languages, where an engine has not all of them; none for all."""
START_TIMEOUT = 60
PATIENCE = 120
"""Seconds after which a test gives a wait up; generous, since machines are shared."""
CLOSE_TIMEOUT = 0.5
"""Seconds for a client's farewell: with two messages unread, trio-websocket 0.12 would wait for it for ever."""
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

    def __init__(self, *, descriptors: int | None = None, **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_EXEC_")}
        # Cold unless a test says otherwise: what it sees then does not depend on what ran before.
        for name, value in {"pool": 0, "languages": ",".join(TESTED_LANGUAGES), **settings}.items():
            key = name if name.startswith("DOCKER_") else f"TRIO_EXEC_{name.upper()}"
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
            if answer.status == 200:
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
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
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
    messages: list[ServerMessage] = field(default_factory=list)
    close_reason: CloseReason | None = None

    @property
    def stdout(self) -> str:
        return "".join(message.data for message in self.messages if isinstance(message, StdoutMessage))

    @property
    def stderr(self) -> str:
        return "".join(message.data for message in self.messages if isinstance(message, StderrMessage))

    @property
    def states(self) -> list[StateMessage]:
        return [message for message in self.messages if isinstance(message, StateMessage)]

    @property
    def state_names(self) -> list[str]:
        return [state.state for state in self.states]

    @property
    def errors(self) -> list[ErrorMessage]:
        return [message for message in self.messages if isinstance(message, ErrorMessage)]

    @property
    def final(self) -> StateMessage:
        final = self.messages[-1]
        assert isinstance(final, StateMessage), self.messages[-3:]
        assert final.state in {"finished", "terminated"}, final
        return final

    @property
    def ending(self) -> str:
        """How it ended, in a word or two: a test that compares it sees a timeout for what it is."""
        final = self.final
        how = final.reason or final.signal or f"exit {final.exit_code}"
        return f"{final.stage}: {how}"

    @property
    def outcome(self) -> tuple[str, str, str]:
        """Standard output, standard error and the ending."""
        return self.stdout, self.stderr, self.ending

    @property
    def over(self) -> bool:
        return bool(self.states) and self.states[-1].state in {"finished", "terminated"}

    @property
    def reason(self) -> str | None:
        return self.final.reason


class Attached:
    """A WebSocket client of a session."""

    def __init__(self, socket: WebSocketConnection, run: Run) -> None:
        self._socket = socket
        self.run = run

    async def send(self, message: ClientMessage) -> None:
        await self._socket.send_message(message.to_json())

    async def send_raw(self, message: str | bytes) -> None:
        await self._socket.send_message(message)

    async def input(self, text: str) -> None:
        await self.send(InputMessage(data=text))

    async def eof(self) -> None:
        await self.send(EofMessage())

    async def next(self) -> ServerMessage | None:
        """The next message, also kept in `run`; None when the server has closed."""
        try:
            message = parse_server_message(await self._socket.get_message())
        except ConnectionClosed as closed:
            self.run.close_reason = closed.reason
            return None
        self.run.messages.append(message)
        return message

    async def until(self, condition: Callable[[Run], object]) -> None:
        while not condition(self.run):
            assert await self.next() is not None, f"closed before that: {self.run}"

    async def until_state(self, name: str) -> None:
        await self.until(lambda run: name in run.state_names)

    async def until_stdout(self, text: str) -> None:
        await self.until(lambda run: text in run.stdout)

    async def until_waiting(self) -> None:
        await self.until(lambda run: run.messages[-1:] == [InputWaitMessage(waiting=True)])

    async def to_end(self) -> Run:
        while await self.next() is not None:
            pass
        return self.run

    async def aclose(self) -> None:
        """Says farewell; the client's tasks may be there still, for whoever owns them to cancel."""
        with trio.move_on_after(CLOSE_TIMEOUT):
            await self._socket.aclose()


async def attach_over(
    stream: trio.SocketStream, nursery: trio.Nursery, port: int, session_id: str, query: str = ""
) -> Attached:
    """Attaches to a session over a connection that is there; the nursery gets the client's own tasks."""
    socket = await wrap_client_stream(nursery, stream, f"127.0.0.1:{port}", f"/ws/session/{session_id}{query}")
    return Attached(socket, Run(session_id))


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
            async with await trio.open_tcp_stream("127.0.0.1", self.server.port) as stream:
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
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nConnection: Upgrade\r\n"
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
    async def attach(self, session_id: str, after: int | None = None) -> AsyncGenerator[Attached]:
        query = "" if after is None else f"?after={after}"
        with trio.fail_after(PATIENCE):
            # A stream of our own: trio-websocket 0.12 leaves its own one open when the server closes first.
            stream = await trio.open_tcp_stream("127.0.0.1", self.server.port)
            async with stream, trio.open_nursery() as nursery:
                attached = await attach_over(stream, nursery, self.server.port, session_id, query)
                yield attached
                await attached.aclose()
                nursery.cancel_scope.cancel(reason="the client has left")

    @asynccontextmanager
    async def session(self, **body: Any) -> AsyncGenerator[Attached]:
        async with self.attach(await self.create(**body)) as attached:
            yield attached

    async def run(self, **body: Any) -> Run:
        """Runs a program to its end; input, if any, goes along as `stdin`."""
        body.setdefault("stdin", "")
        async with self.session(**body) as attached:
            return await attached.to_end()


def container_names() -> list[str]:
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

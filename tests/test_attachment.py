"""A client of a session over a WebSocket in memory: what it is sent, and what becomes of what it sends."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.fakes import FakeContainer, FakeExecutor, move_on
from tests.sessions import SOMEBODY, outcome_of
from trio_exec.api.native.websocket import Attachment
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import TooManyWatchersError
from trio_exec.languages import Languages
from trio_exec.launcher import frames
from trio_exec.limits import MIB
from trio_exec.model import Job, Reason, State
from trio_exec.phases import Phase, Phases
from trio_exec.session.notices import WATCHERS_PAUSE
from trio_exec.session.session import Session
from trio_exec.session.stdin import PENDING_MAX, ROOM_AGAIN
from trio_exec.settings import Settings

OK = frames.StageEnd(0, None, 1, 0.5, 0.1, 1_000_000, 0)


class Socket:
    """An accepted WebSocket, whose client the test is."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.leave: Callable[[], None] = lambda: None
        self.takes = trio.Event()
        self.takes.set()
        self.client, self._incoming = trio.open_memory_channel[str | bytes](math.inf)

    async def send(self, data: str) -> None:
        await self.takes.wait()
        assert self.closed_with is None, "sent after the close frame"
        self.sent.append(json.loads(data))

    async def receive(self) -> str | bytes:
        return await self._incoming.receive()

    async def close(self, code: int, reason: str = "") -> None:
        del reason
        await trio.lowlevel.checkpoint()
        assert self.closed_with is None, "closed twice"
        self.closed_with = code

    async def says(self, **message: object) -> None:
        """Has the client send a message, and the server deal with it."""
        self.client.send_nowait(json.dumps(message))
        await wait_all_tasks_blocked()

    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def text(self) -> str:
        return "".join(message["data"] for message in self.sent if message["type"] == "stdout")


class Running:
    """A session whose program runs, and its launcher, which the test plays."""

    def __init__(self, session: Session, container: FakeContainer) -> None:
        self.session = session
        self.container = container
        self.phases = Phases()

    @asynccontextmanager
    async def client(self, position: int = 0, name: str | None = None) -> AsyncGenerator[Socket]:
        """A client that is attached until it has everything, leaves, or is sent away."""
        socket = Socket()
        async with self._served(socket, lambda: Attachment(socket, self.session, position, name).serve(self.phases)):
            yield socket

    @asynccontextmanager
    async def watcher(self) -> AsyncGenerator[Socket]:
        """The same, of one that may do nothing else."""
        socket = Socket()

        async def serve() -> None:
            with self.session.watched():
                await Attachment(socket, self.session, 0, "w", may_drive=False).serve(self.phases)

        async with self._served(socket, serve):
            yield socket

    @asynccontextmanager
    async def _served(self, socket: Socket, serve: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        scope = trio.CancelScope()
        socket.leave = lambda: scope.cancel(reason="the client leaves")

        async def within() -> None:
            with scope:
                await serve()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(within)  # noqa: ASYNC113 - the next line waits for it
            await wait_all_tasks_blocked()
            yield

    async def say(self, *events: frames.Event) -> None:
        self.container.say(*events)
        await wait_all_tasks_blocked()


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    async with running_with(Job("python", b"")) as it:
        yield it


@asynccontextmanager
async def running_with(job: Job) -> AsyncGenerator[Running]:
    executor = FakeExecutor()
    engine = Engine(Settings(), Languages.load(), executor, Budget(64 * MIB), Phases())
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        session = engine.create_session(job, SOMEBODY)
        await trio.sleep(executor.opening)
        await wait_all_tasks_blocked()
        it = Running(session, executor.containers[0])
        await it.say(frames.Started())
        yield it
        await engine.stop()
        nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_client_gets_everything_in_order_and_then_a_normal_end(
    autojump_clock: MockClock, running: Running
) -> None:
    await running.say(frames.Stdout(b"out"), frames.Stderr(b"err"))
    async with running.client() as socket:
        await running.say(frames.Stdout(b" more"), OK)

    assert [(message["type"], message.get("state") or message.get("data")) for message in socket.sent] == [
        ("state", "waiting"),
        ("state", "running"),
        ("stdout", "out"),
        ("stderr", "err"),
        ("stdout", " more"),
        ("state", "finished"),
    ]
    assert socket.closed_with == 1000


async def test_a_client_goes_on_from_where_it_was(autojump_clock: MockClock, running: Running) -> None:
    await running.say(frames.Stdout("é漢".encode()), frames.Stderr(b"err"), OK)
    async with running.client() as first:
        pass
    for seen in first.sent:
        async with running.client(seen["seq"]) as second:
            pass
        assert second.sent == first.sent[first.sent.index(seen) + 1 :]


async def test_who_comes_after_the_end_is_sent_all_of_it(autojump_clock: MockClock, running: Running) -> None:
    await running.say(frames.Stdout(b"out"), OK)
    async with running.client() as socket:
        pass

    assert socket.types() == ["state", "state", "stdout", "state"]
    assert socket.closed_with == 1000


async def test_who_is_slow_gets_the_same_in_larger_pieces(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as socket:
        socket.takes = trio.Event()
        for _ in range(100):
            await running.say(frames.Stdout(b"x"))
        await running.say(OK)
        assert running.session.ended, "a slow client holds up no program"
        socket.takes.set()

    assert socket.text() == "x" * 100
    assert socket.types().count("stdout") == 2  # The one that it was being sent, and the others.


async def test_waiting_is_told_and_taken_back_to_who_has_read_everything(
    autojump_clock: MockClock, running: Running
) -> None:
    async with running.client() as socket:
        await running.say(frames.Stdout(b"? "), frames.Waiting(waiting=True))
        await running.say(frames.Waiting(waiting=False))
        await running.say(frames.Waiting(waiting=True))
        await running.say(OK)

    assert [message.get("waiting", message["type"]) for message in socket.sent[2:]] == [
        "stdout",
        True,
        False,
        True,
        "state",
    ]


async def test_sleeping_is_told_and_taken_back(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as socket:
        await running.say(frames.Waiting(waiting=False, sleeping=True))
        async with running.client() as late:
            assert late.sent[-1] == {"type": "activity", "sleeping": True}
            await running.say(frames.Waiting(waiting=True))
            told = [it for it in socket.sent if it["type"] in {"activity", "input_wait"}]
            await running.say(OK)

    assert [it.get("sleeping", it.get("waiting")) for it in told] == [True, True, False]
    assert [it["type"] for it in told] == ["activity", "input_wait", "activity"]


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        ({"type": "input", "data": "é\n"}, frames.encode_stdin("é\n".encode())),
        ({"type": "eof"}, frames.encode_eof()),
        ({"type": "signal", "signal": "SIGINT"}, frames.encode_signal(2)),
        ({"type": "stop"}, frames.encode_kill()),
    ],
)
async def test_what_a_client_sends_reaches_the_launcher(
    autojump_clock: MockClock, running: Running, message: dict[str, object], frame: bytes
) -> None:
    async with running.client() as socket:
        await socket.says(**message)
        assert running.container.sent[-1] == frame
        await running.say(OK)

    assert "error" not in socket.types()
    assert outcome_of(running.session).reason == (Reason.STOPPED if message["type"] == "stop" else None)


def idle_messages(socket: Socket) -> list[float | None]:
    return [message["endsIn"] for message in socket.sent if message["type"] == "idle"]


async def test_half_of_the_idle_timeout_is_told_and_taken_back(autojump_clock: MockClock) -> None:
    async with running_with(Job("python", b"", limits={"idle_timeout": 30})) as it, it.client() as socket:
        await trio.sleep(14)
        assert idle_messages(socket) == []
        await trio.sleep(2)
        assert idle_messages(socket) == [pytest.approx(15)]
        async with it.client() as late:
            assert idle_messages(late) == [pytest.approx(14)]
            await it.say(frames.Stdout(b"on"))
            assert idle_messages(socket)[1:] == [None]
            assert idle_messages(late)[1:] == [None]
            await trio.sleep(16)
            assert idle_messages(socket)[2:] == [pytest.approx(15)]
            await socket.says(type="input", data="x")
            assert idle_messages(socket)[3:] == [None]
            await it.say(OK)


async def test_nothing_is_told_of_idleness_that_the_execution_limit_comes_before(autojump_clock: MockClock) -> None:
    job = Job("python", b"", limits={"idle_timeout": 30, "execution_timeout": 25})
    async with running_with(job) as it, it.client() as socket:
        await trio.sleep(24)
        assert idle_messages(socket) == []
        await it.say(OK)


async def test_who_only_says_to_be_there_keeps_the_session_and_says_nothing_to_the_program(
    autojump_clock: MockClock,
) -> None:
    async with running_with(Job("python", b"", limits={"idle_timeout": 30, "execution_timeout": 100})) as it:
        async with it.client() as socket:
            sent = list(it.container.sent)
            for _ in range(3):
                await trio.sleep(29)
                await socket.says(type="alive")
            assert not it.session.ended
            assert it.container.sent == sent
            assert idle_messages(socket) == [pytest.approx(15), None] * 3
            await trio.sleep(14)
            it.container.say(frames.StageEnd(None, 9, 100, 0.5, 0.1, 1_000_000, 0))

        assert outcome_of(it.session).reason is Reason.EXECUTION_TIMEOUT


async def test_what_lingers_or_is_over_is_not_idle(autojump_clock: MockClock) -> None:
    async with running_with(Job("python", b"", limits={"idle_timeout": 30})) as it, it.client() as socket:
        await trio.sleep(16)
        await it.say(frames.Lingers())
        assert idle_messages(socket) == [pytest.approx(15), None]
        await socket.says(type="alive")
        await trio.sleep(40)
        assert idle_messages(socket)[2:] == []
        await it.say(OK)
        await socket.says(type="alive")

    assert "error" not in socket.types()
    assert outcome_of(it.session).reason is None


def counts(socket: Socket) -> list[int]:
    return [message["count"] for message in socket.sent if message["type"] == "watchers"]


async def test_who_watches_sees_everything_and_can_do_nothing(autojump_clock: MockClock, running: Running) -> None:
    await running.say(frames.Stdout(b"? "), frames.Waiting(waiting=True))
    async with running.watcher() as socket:
        sent = list(running.container.sent)
        told = len(socket.sent)
        messages: list[dict[str, object]] = [
            {"type": "input", "data": "x"},
            {"type": "input", "data": "x", "at": 0},
            {"type": "eof"},
            {"type": "signal", "signal": "SIGKILL"},
            {"type": "resize", "rows": 1, "cols": 1},
            {"type": "alive"},
            {"type": "leave"},
            {"type": "stop"},
        ]
        for message in messages:
            await socket.says(**message)
        assert [it.get("code") for it in socket.sent[told:]] == ["view_only"] * len(messages)
        assert running.container.sent == sent
        await running.say(OK)

    assert socket.types()[:4] == ["state", "state", "stdout", "input_wait"]
    assert socket.closed_with == 1000
    assert outcome_of(running.session).reason is None


async def test_watchers_keep_no_session_alive(autojump_clock: MockClock) -> None:
    async with running_with(Job("python", b"")) as running, running.watcher() as socket:
        async with running.client() as client:
            assert (running.session.clients, running.session.watchers) == (1, 1)
            client.leave()
        for _ in range(2):
            await trio.sleep(29)
            await running.say(frames.Stdout(b"x"))
        assert not running.session.ended
        await trio.sleep(3)
        await running.say(frames.StageEnd(None, 9, 1, 0.5, 0.1, 1_000_000, 0))

    assert outcome_of(running.session).reason is Reason.DETACHED
    assert socket.sent[-1]["reason"] == "detached"


LEAVE, ALIVE = {"type": "leave"}, {"type": "alive"}


@pytest.mark.parametrize(
    ("words", "stays", "grace"),
    [
        ([LEAVE], False, 5),
        ([ALIVE, LEAVE], False, 5),
        ([LEAVE, ALIVE], False, 60),  # It has thought better of it, and was cut off then.
        ([], False, 60),
        ([LEAVE], True, 60),  # Who has left last did not say so.
    ],
)
async def test_who_leaves_by_choice_is_not_waited_for_as_long(
    autojump_clock: MockClock, words: list[dict[str, str]], stays: bool, grace: float
) -> None:
    async with running_with(Job("python", b"")) as it, it.client() as leaves, it.client() as other:
        if not stays:
            other.leave()
        for word in words:
            await leaves.says(**word)
        leaves.leave()
        await wait_all_tasks_blocked()
        other.leave()
        await wait_all_tasks_blocked()
        gone = trio.current_time()
        while not it.session.ended:
            await trio.sleep(1)
            await it.say(frames.Stdout(b"x"))
            if it.container.sent[-1] == frames.encode_kill():
                await it.say(frames.StageEnd(None, 9, 1, 0.5, 0.1, 1_000_000, 0))

    assert outcome_of(it.session).reason is Reason.DETACHED
    assert trio.current_time() - gone == pytest.approx(grace, abs=1.5)


async def test_who_comes_back_is_no_one_who_has_left(autojump_clock: MockClock) -> None:
    async with running_with(Job("python", b"")) as it:
        async with it.client() as tab:
            await tab.says(**LEAVE)
            tab.leave()
        await trio.sleep(3)
        async with it.client() as reloaded:
            await trio.sleep(10)
            reloaded.leave()
        for _ in range(2):
            await it.say(frames.Stdout(b"x"))
            await trio.sleep(25)
        assert not it.session.ended
        await it.say(OK)


async def test_all_are_told_how_many_watch_and_many_that_come_at_once_are_told_at_once(
    autojump_clock: MockClock, running: Running
) -> None:
    async with running.client() as client, AsyncExitStack() as watching:
        await trio.sleep(5)
        assert counts(client) == []
        first = await watching.enter_async_context(running.watcher())
        assert (counts(client), counts(first)) == ([1], [1])
        *_, last = [await watching.enter_async_context(running.watcher()) for _ in range(9)]
        assert counts(client) == [1]
        await trio.sleep(WATCHERS_PAUSE)
        await wait_all_tasks_blocked()
        assert (counts(client), counts(first), counts(last)) == ([1, 10], [1, 10], [1, 10])
        await trio.sleep(5)
        assert counts(client) == [1, 10]
        first.leave()
        await wait_all_tasks_blocked()
        assert counts(client) == [1, 10, 9]
        await running.say(OK)


async def test_no_more_watch_than_may(autojump_clock: MockClock, running: Running) -> None:
    with ExitStack() as watching:
        for _ in range(100):
            watching.enter_context(running.session.watched())
        with pytest.raises(TooManyWatchersError, match="no more than 100"), running.session.watched():
            pass
    async with running.watcher() as socket:
        assert running.session.watchers == 1
        socket.leave()


async def test_a_terminal_can_be_resized(autojump_clock: MockClock) -> None:
    async with running_with(Job("python", b"", terminal=(24, 80))) as it, it.client() as socket:
        await socket.says(type="resize", rows=50, cols=120)
        assert it.container.sent[-1] == frames.encode_resize(50, 120)
        await it.say(OK)


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ("{", "invalid_json", None),
        ('{"type": "dance"}', "invalid_message", "type"),
        ('{"type": "input"}', "invalid_message", "data"),
        ('{"type": "signal", "signal": "SIGNO"}', "invalid_message", "signal"),
        ('{"type": "resize", "rows": 1, "cols": 1}', "wrong_state", None),
        (b"\0", "invalid_request", None),
    ],
)
async def test_what_can_not_be_used_is_said_and_the_session_goes_on(
    autojump_clock: MockClock, running: Running, data: str | bytes, code: str, field: str | None
) -> None:
    async with running.client() as socket:
        socket.client.send_nowait(data)
        await wait_all_tasks_blocked()
        await socket.says(type="input", data="on")
        await running.say(OK)

    (error,) = (message for message in socket.sent if message["type"] == "error")
    assert (error["code"], error.get("field")) == (code, field)
    assert running.container.sent[-1] == frames.encode_stdin(b"on")
    assert running.session.status.state is State.FINISHED


async def test_a_server_that_goes_away_says_so_and_ends_no_session(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as socket:
        move_on(running.phases, Phase.FAREWELL)
        await wait_all_tasks_blocked()
        assert socket.closed_with is None
        running.phases.move(Phase.GONE)

    assert socket.closed_with == 1001
    assert not running.session.ended


async def test_a_client_that_drops_ends_no_session(autojump_clock: MockClock, running: Running) -> None:
    socket = Socket()
    with trio.CancelScope() as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Attachment(socket, running.session, 0).serve, running.phases)
            await wait_all_tasks_blocked()
            assert running.session.clients == 1
            connection.cancel(reason="the client is gone")

    assert (running.session.clients, running.session.ended) == (0, False)
    assert socket.closed_with is None


async def test_one_client_that_leaves_is_none_of_anothers_business(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as stays:
        with trio.CancelScope() as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Attachment(Socket(), running.session, 0).serve, running.phases)
                await wait_all_tasks_blocked()
                assert running.session.clients == 2
                connection.cancel(reason="this client is gone")
        await running.say(frames.Stdout(b"on"), OK)

    assert stays.text() == "on"
    assert stays.closed_with == 1000


async def test_who_writes_waits_no_more_and_is_told_to_wait_again(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as socket:
        await running.say(frames.Stdout(b"1? "), frames.Waiting(waiting=True))
        await running.say(frames.Waiting(waiting=False), frames.Stdout(b"2? "), frames.Waiting(waiting=True))
        await running.say(OK)

    assert [message.get("waiting") for message in socket.sent[2:]] == [None, True, None, True, None]


async def test_input_that_says_where_it_belongs_is_acknowledged(autojump_clock: MockClock, running: Running) -> None:
    async with running.client(name="me") as socket:
        await socket.says(type="input", data="é!", at=0)
        await socket.says(type="input", data="é!", at=0)
        await socket.says(type="input", data="?", at=3)
        answers = socket.sent[2:]
        await running.say(OK)

    assert [(it["type"], it["at"]) for it in answers] == [("input_ack", 3), ("input_ack", 3), ("input_ack", 4)]
    assert all(0 < it["room"] <= PENDING_MAX for it in answers)
    assert b"".join(frame[5:] for frame in running.container.sent if frame[:1] == b"i") == "é!?".encode()


async def test_who_has_no_room_is_told_when_there_is_some(autojump_clock: MockClock, running: Running) -> None:
    whole = PENDING_MAX + frames.STDIN_WINDOW
    async with running.client(name="me") as socket:
        at = 0
        while at < whole:
            await socket.says(type="input", data="x" * PENDING_MAX, at=at)
            at = socket.sent[-1]["at"]
        assert socket.sent[-1] == {"type": "input_ack", "at": whole, "room": 0}
        await running.say(frames.Ack(ROOM_AGAIN))
        assert socket.sent[-1] == {"type": "input_ack", "at": whole, "room": ROOM_AGAIN}
        await running.say(OK)


async def test_acknowledged_input_that_is_refused_says_why(autojump_clock: MockClock, running: Running) -> None:
    async with running.client(name="me") as socket:
        await socket.says(type="eof")
        await socket.says(type="input", data="late", at=0)
        answer = socket.sent[-1]
        await running.say(OK)

    assert (answer["type"], answer["at"], answer["code"]) == ("input_ack", 0, "wrong_state")


async def test_who_has_no_name_has_no_place_in_the_input(autojump_clock: MockClock, running: Running) -> None:
    async with running.client() as socket:
        await socket.says(type="input", data="x", at=0)
        answer = socket.sent[-1]
        await running.say(OK)

    assert (answer["type"], answer["code"], answer["field"]) == ("error", "invalid_request", "at")

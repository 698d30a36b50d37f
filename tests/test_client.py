"""The client library, against a real server."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from tests.cutting import CuttingProxy, cutting_proxy
from tests.support import PATIENCE, ServerProcess
from trio_exec.client import (
    WAITING_FOR_INPUT,
    Client,
    ConnectError,
    ConnectionLostError,
    Event,
    ExpectTimeoutError,
    InputClosedError,
    InputWait,
    InvalidRequestError,
    MessageRefused,
    Output,
    ProgramEndedError,
    ProgramFailedError,
    QueueFullError,
    Run,
    SessionNotFoundError,
    StateChanged,
    UnknownLanguageError,
    WrongStateError,
    connect,
)

ASK = "name = input('name? ')\nprint('hello', name)"
CUTS = 20


@asynccontextmanager
async def client_behind_proxy(
    server: ServerProcess, patience: float = PATIENCE
) -> AsyncGenerator[tuple[CuttingProxy, Client]]:
    async with (
        cutting_proxy(server.port) as proxy,
        connect(f"http://127.0.0.1:{proxy.port}", reconnect_timeout=patience) as client,
    ):
        yield proxy, client


async def end_of(client: Client, session_id: str) -> str:
    """How a session has ended, once it has."""
    with trio.fail_after(PATIENCE):
        while not (state := await client.state(session_id)).final:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.02)
    return state.ending


def output(events: list[Event[str]]) -> str:
    return "".join(event.data for event in events if isinstance(event, Output))


async def test_a_conversation(server: ServerProcess) -> None:
    async with connect(server.url) as client, client.session("python", ASK) as session:
        assert (await session.expect("name? ")).before == ""
        await session.expect(WAITING_FOR_INPUT)
        assert session.waiting
        await session.send("Ada\n")
        found = await session.expect(re.compile(r"hello (\w+)"))
        assert (found.matched, found.groups) == ("hello Ada", ("Ada",))
        result = await session.result()

    assert (result.stdout, result.exit_code, result.ok, result.ending) == ("\n", 0, True, "exit 0")
    assert [stage.stage for stage in result.stages] == ["run"]


async def test_events_come_in_order_and_end_with_the_final_state(server: ServerProcess) -> None:
    code = "import sys\nprint('out', flush=True)\nprint('err', file=sys.stderr, flush=True)\nsys.exit(3)"
    async with connect(server.url) as client, client.session("python", code, stdin="") as session:
        events = [event async for event in session]
        assert session.over
        assert await session.next_event() is None

    states = [event for event in events if isinstance(event, StateChanged)]
    assert [it.state for it in states] == ["waiting", "running", "finished"]
    assert events[-1] is states[-1]
    assert states[-1].exit_code == 3
    for stream, text in [("stdout", "out\n"), ("stderr", "err\n")]:
        assert "".join(it.data for it in events if isinstance(it, Output) and it.stream == stream) == text


async def test_what_was_expected_in_vain_is_still_there(server: ServerProcess) -> None:
    async with connect(server.url) as client, client.session("python", ASK) as session:
        with pytest.raises(ExpectTimeoutError, match="'nam!' did not come") as caught:
            await session.expect("nam!", timeout=1)
        assert caught.value.seen == "name? "
        with trio.move_on_after(0.5):
            await session.expect("never")
        await session.expect("name? ")
        await session.send("Ada\n")
        with pytest.raises(ProgramEndedError, match=r"hello Ada.*the program ended \(exit 0\)"):
            await session.expect("goodbye")
        assert (await session.result()).stdout == "hello Ada\n"


async def test_bytes_are_bytes(server: ServerProcess) -> None:
    code = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    text = "aé漢😀\0\n"
    async with connect(server.url) as client, client.session("python", code) as session:
        for character in text:
            await session.send(character)
        await session.end_input()
        with pytest.raises(InputClosedError, match="has ended"):
            await session.send("more")
        result = await session.result()

    assert result.stdout == text.encode()[::-1].decode(errors="replace")


async def test_a_terminals_input_ends_behind_a_part_of_a_line_too(server: ServerProcess) -> None:
    code = "import sys\nprint(repr(sys.stdin.read()))\nprint(repr(sys.stdin.read()))\nprint(repr(sys.stdin.read()))"
    async with connect(server.url) as client, client.session("python", code, tty=True) as session:
        await session.send("one\r")
        await session.send("part")
        await session.end_input()
        await session.send("two\n")
        await session.end_input()
        await session.end_input()
        result = await session.result()

    # Between them is what the terminal echoes.
    assert re.findall("'.*'", result.stdout) == [r"'one\npart'", r"'two\n'", "''"]


async def test_much_input_waits_for_the_program_and_arrives_whole(start_server: Callable[..., ServerProcess]) -> None:
    code = "import sys, time, hashlib\ntime.sleep(1)\nprint(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    data = "".join(f"line {number}\n" for number in range(500_000))
    server = start_server()
    async with connect(server.url) as client, client.session("python", code) as session:
        await session.send(data)
        await session.end_input()
        result = await session.result()

    assert result.stdout == hashlib.sha256(data.encode()).hexdigest() + "\n"
    assert server.resident() < 200 * 2**20


async def test_input_that_nobody_can_read_is_refused_with_why(server: ServerProcess) -> None:
    async with connect(server.url) as client, client.session("python", "input()") as session:
        await session.send("\n")
        result = await session.result()
        with pytest.raises(InputClosedError, match="the session has ended"):
            await session.send("more")

    assert result.ok


async def test_signals_sizes_and_stops(server: ServerProcess) -> None:
    code = """
import os, signal, time
def resized(*_): print(*os.get_terminal_size(), flush=True)
def interrupted(*_): print('interrupted', flush=True)
signal.signal(signal.SIGWINCH, resized)
signal.signal(signal.SIGINT, interrupted)
print('up', flush=True)
while True: time.sleep(1)
"""
    async with connect(server.url) as client, client.session("python", code, tty=True) as session:
        await session.expect("up")
        await session.resize(11, 22)
        await session.expect("22 11")
        await session.signal(signal.SIGINT)
        await session.expect("interrupted")
        await session.signal("SIGINT")
        await session.expect("interrupted")
        await session.stop()
        result = await session.result()

    assert (result.state, result.reason, result.ending) == ("terminated", "stopped", "stopped")


async def test_end_of_input_in_a_terminal_is_ctrl_d(server: ServerProcess) -> None:
    async with (
        connect(server.url) as client,
        client.session("python", "import sys\nfor line in sys.stdin: print(line)\nprint('end')", tty=True) as session,
    ):
        await session.send("one\n")
        await session.expect("one\r\n\r\n")
        await session.end_input()
        assert (await session.result()).stdout.endswith("end\r\n")


async def test_what_cannot_be_used_is_told_and_the_session_goes_on(server: ServerProcess) -> None:
    async with connect(server.url) as client, client.session("python", ASK) as session:
        await session.resize(10, 20)
        while not isinstance(event := await session.next_event(), MessageRefused):
            pass
        assert event.code == "wrong_state"
        await session.send("Ada\n")
        await session.expect("hello Ada")


async def test_leaving_ends_the_program_and_raises_what_the_body_raised(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        session_id = ""
        with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - it is about leaving a context
            async with client.session("python", "input()") as session:
                session_id = session.id
                await session.expect(WAITING_FOR_INPUT)
                raise KeyError("mine")
        assert await end_of(client, session_id) == "stopped"


async def test_leaving_by_cancellation_ends_the_program_too(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        session_id = ""
        with trio.CancelScope() as scope:
            async with client.session("python", "input()") as session:
                session_id = session.id
                await session.expect(WAITING_FOR_INPUT)
                scope.cancel(reason="the test")
                await trio.sleep_forever()
        assert await end_of(client, session_id) == "stopped"


async def test_a_session_can_be_left_and_joined_again(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        async with client.session("python", ASK) as session:
            await session.expect("name? ")
            session.detach()
        async with client.attach(session.id) as again:
            await again.expect("name? ")
            await again.send("Ada\n")
            await again.expect("hello Ada\n")
            seen = [event async for event in again]
        last = seen[-1]
        assert isinstance(last, StateChanged)
        async with client.attach(session.id, after=last.seq - 1) as third:
            assert [event async for event in third] == [last]


async def test_what_was_sent_arrives_although_the_session_is_left_at_once(server: ServerProcess) -> None:
    code = "import sys\nprint(len(sys.stdin.read()))"
    async with connect(server.url) as client:
        async with client.session("python", code) as session:
            await session.send("x" * 200_000)
            await session.end_input()
            session.detach()
        async with client.attach(session.id) as again:
            assert (await again.result()).stdout == "200000\n"


async def test_errors_are_typed(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        with pytest.raises(UnknownLanguageError, match="unknown language 'cobol'") as caught:
            async with client.session("cobol", ""):
                pass
        error = caught.value
        assert (error.code, error.status, error.field) == ("unknown_language", 0, "language")
        with pytest.raises(UnknownLanguageError) as over_http:
            await client.run("cobol", "")
        assert over_http.value.status == 400
        with pytest.raises(InvalidRequestError, match=r"too low|greater") as caught_too:
            async with client.session("python", "", limits={"cpus": 0}):
                pass
        assert caught_too.value.field == "limits.cpus"
        with pytest.raises(SessionNotFoundError):
            async with client.attach("nobody"):
                pass


async def test_what_the_server_offers(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        languages = await client.languages()
        python = languages.find("PY3") or languages.find("python3")
        assert python is not None
        assert (python.name, python.source_file, python.compiled) == ("python", "main.py", False)
        assert languages.limits["pids"] == 32
        assert (await client.ready()).ready


async def test_nobody_there() -> None:
    async with connect("http://127.0.0.1:1") as client:
        with pytest.raises(ConnectError, match=r"http://127.0.0.1:1 can't be reached"):
            await client.languages()
        with pytest.raises(ConnectError, match=r"127.0.0.1:1 can't be reached: .*refused"):
            async with client.session("python", ""):
                pass
    with pytest.raises(ValueError, match="is no server's URL"):
        async with connect("localhost:8080"):
            pass


SEQUENCE = """
import os, time
for number in range(4000):
    os.write(1, b'%d\\n' % number)
    if number % 8 == 0: time.sleep(0.004)
"""


async def test_twenty_cuts_lose_nothing_and_double_nothing(server: ServerProcess) -> None:
    events: list[Event[str]] = []
    cuts = 0
    async with client_behind_proxy(server) as (proxy, client):
        async with client.session("python", SEQUENCE, stdin="") as session:
            async for event in session:
                events.append(event)
                if cuts < CUTS and proxy.connected and output(events).count("\n") > cuts * 150:
                    cuts += 1
                    proxy.cut()
        assert proxy.connections > CUTS

    assert cuts == CUTS
    assert output(events) == "".join(f"{number}\n" for number in range(4000))
    positions = [event.seq for event in events if isinstance(event, Output | StateChanged)]
    assert positions == sorted(set(positions))


ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line)"


async def test_twenty_cuts_lose_no_input_and_double_none(server: ServerProcess) -> None:
    lines = [f"{number} {'x' * (number % 70)}\n" for number in range(3000)]
    async with client_behind_proxy(server) as (proxy, client):
        async with client.session("python", ECHO) as session, trio.open_nursery() as nursery:

            async def write() -> None:
                for number, line in enumerate(lines):
                    await session.send(line)
                    if number % (len(lines) // CUTS) == 7:
                        await proxy.cut_one()
                    elif number in {500, 1500, 2500}:
                        proxy.cut()  # in the midst of what is being sent, or of a handshake
                await session.end_input()

            nursery.start_soon(write)
            result = await session.result()
        assert proxy.connections > CUTS

    assert (result.stdout, result.ending) == ("".join(lines), "exit 0")


async def test_a_connection_that_stays_away_is_given_up(server: ServerProcess) -> None:
    async with (
        client_behind_proxy(server, patience=1) as (proxy, client),
        client.session("python", "input('? ')") as session,
    ):
        await session.expect("? ")
        proxy.refusing = True
        proxy.cut()
        with pytest.raises(ConnectionLostError, match=r"not made again within 1 s"):
            await session.result()
        with pytest.raises(InputClosedError, match="not made again"):
            await session.send("too late")
        assert proxy.connections > 3


async def test_who_does_not_read_holds_up_the_server_and_fills_no_memory(
    start_server: Callable[..., ServerProcess],
) -> None:
    size = 64 * 2**20
    server = start_server(max_output_bytes=size + 1, max_retained_bytes=1024 * 2**20)
    code = f"import os\nfor _ in range({size // 2**16}): os.write(1, b'x' * {2**16})"
    async with client_behind_proxy(server) as (proxy, client), client.session("python", code, stdin="") as session:
        await end_of(client, session.id)
        assert proxy.passed < size // 4, "what is not read stays where it is"
        result = await session.result()

    assert len(result.stdout) == size


async def test_waiting_for_input_is_told_as_events(server: ServerProcess) -> None:
    async with connect(server.url) as client, client.session("python", "input()\ninput('? ')") as session:
        while await session.next_event() != InputWait(waiting=True):
            pass
        await session.send("\n")
        await session.expect("? ")
        await session.expect(WAITING_FOR_INPUT)
        await session.send("\n")
        assert (await session.result()).ok


async def test_a_run_is_one_request(server: ServerProcess) -> None:
    code = "import sys, os, helper\nprint(input(), sys.argv[1], os.environ['X'], helper.y)\n"
    code += "open('out.txt', 'w').write('left')"
    async with connect(server.url) as client:
        result = await client.run(
            "python",
            code,
            stdin="in\n",
            files={"helper.py": b"y = 5"},
            args=["arg"],
            env={"X": "env"},
            limits={"execution_timeout": 20},
            collect=["*.txt"],
        )

    assert (result.stdout, result.stderr, result.ok, result.language) == ("in arg env 5\n", "", True, "python")
    assert result.file("out.txt") == b"left"
    assert result.stage_output == {"run": ("in arg env 5\n", "")}
    assert result.check() is result


async def test_runs_that_fail_are_results(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        result = await client.run("python", "import sys\nprint('why', file=sys.stderr)\nsys.exit(4)", text=False)
        assert (result.stderr, result.ending, result.ok) == (b"why\n", "exit 4", False)
        with pytest.raises(ProgramFailedError, match=r"exit 4\nwhy"):
            result.check()
        broken = await client.run("cpp", "int main() { return x; }")
        assert (broken.stage, broken.ending) == ("compile", "exit 1")
        assert "main.cpp" in broken.stderr


async def test_bytes_in_and_bytes_out(server: ServerProcess) -> None:
    data = bytes(range(256)) * 300
    code = "import os\nwhile data := os.read(0, 4096): os.write(1, data)"
    async with connect(server.url) as client:
        assert (await client.run("python", code, stdin=data, text=False)).stdout == data
        async with client.session("python", code, text=False) as session:
            await session.send(data[:1000])
            assert (await session.expect(data[:300])).matched == data[:300]
            await session.send(data[1000:])
            await session.end_input()
            assert (await session.result()).stdout == data[300:]


async def test_a_batch_whole_and_case_by_case(server: ServerProcess) -> None:
    code = "print(int(input()) ** 2)"
    runs: list[Run] = [{"stdin": "12", "expected": "144\n"}, {"stdin": "3", "expected": "8\n"}, {"stdin": "x"}]
    async with connect(server.url) as client:
        batch = await client.run_batch("python", code, runs=runs)
        assert [(case.passed, case.matches, case.result.ending) for case in batch.cases] == [
            (True, True, "exit 0"),
            (False, False, "exit 0"),
            (False, None, "exit 1"),
        ]
        assert (batch.passed, batch.failed, batch.skipped, batch.ok) == (1, 2, 0, False)
        async with client.stream_batch("python", code, runs=runs, stop_on_failure=True, text=False) as stream:
            cases = [case async for case in stream]
        assert [case.result.stdout for case in cases] == [b"144\n", b"9\n"]
        assert stream.batch is not None
        assert stream.batch.skipped == 1


async def test_a_batch_that_does_not_compile_has_no_cases(server: ServerProcess) -> None:
    async with connect(server.url) as client:
        batch = await client.run_batch("cpp", "int main() { return x; }", runs=[{}, {}])

    assert batch.compile is not None
    assert (batch.compile.stage, batch.compile.ending, batch.skipped) == ("compile", "exit 1", 2)
    assert "main.cpp" in batch.compile.stderr


async def test_files_of_a_session(server: ServerProcess) -> None:
    code = "import os\nos.mkdir('d')\nopen('d/a.bin', 'wb').write(b'\\xff')\ninput()"
    collect = ["**/*.bin", "none"]
    async with connect(server.url) as client, client.session("python", code, collect=collect) as session:
        await session.expect(WAITING_FOR_INPUT)
        with pytest.raises(WrongStateError):
            await session.files()
        await session.send("\n")
        result = await session.result()

    assert [(it.name, it.data) for it in result.files] == [("d/a.bin", b"\xff")]


async def test_a_full_server_says_when_to_try_again(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(max_sessions=1, max_queue=0)
    async with connect(server.url) as client, client.session("python", "input()") as session:
        await session.expect(WAITING_FOR_INPUT)
        with pytest.raises(QueueFullError) as by_socket:
            async with client.session("python", ""):
                pass
        with pytest.raises(QueueFullError) as by_request:
            await client.run("python", "")
        assert by_socket.value.retry_after == by_request.value.retry_after == 5

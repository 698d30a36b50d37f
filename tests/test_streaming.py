"""Clients come late, twice and again; the log gives each of them everything, in order, once."""

from __future__ import annotations

import functools

import pytest
import trio

from tests.raw import raw_session
from tests.support import Client, Run
from trio_exec.client import Output, StateChanged


async def test_a_client_that_comes_after_the_end_sees_everything(client: Client) -> None:
    session_id = await client.create(language="python", code="for i in range(100): print(i)", stdin="")
    await client.until_info(session_id, "finished")
    runs: list[Run] = []
    for _ in range(2):
        async with client.attach(session_id) as attached:
            runs.append(await attached.to_end())

    assert runs[0].stdout == "".join(f"{i}\n" for i in range(100))
    assert runs[0].messages == runs[1].messages


async def test_two_clients_at_once_see_the_same_and_both_can_type(client: Client) -> None:
    code = "for _ in range(4): print('got', input())"
    session_id = await client.create(language="python", code=code)
    runs: list[Run] = []

    async def follow(parity: int) -> None:
        async with client.attach(session_id) as attached:
            for number in range(4):
                if number % 2 == parity:
                    await attached.input(f"{number}\n")
                await attached.until_stdout(f"got {number}\n")
            runs.append(await attached.to_end())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, 0)
        nursery.start_soon(follow, 1)

    assert [run.stdout for run in runs] == ["got 0\ngot 1\ngot 2\ngot 3\n"] * 2
    assert [run.states for run in runs] == [runs[0].states] * 2


async def test_a_client_that_dropped_goes_on_where_it_was(client: Client) -> None:
    code = """
import sys, time
for number in range(60):
    print("é漢🙂", number)
    print("err", number, file=sys.stderr)
    time.sleep(0.01)
"""
    session_id = await client.create(language="python", code=code, stdin="")
    position = 0
    out = err = ""
    connections = 0
    final = None
    while final is None:
        connections += 1
        async with client.attach(session_id, after=position) as attached:
            for _ in range(3):
                message = await attached.next()
                if message is None:
                    break
                if isinstance(message, Output):
                    out += message.data if message.stream == "stdout" else ""
                    err += message.data if message.stream == "stderr" else ""
                if isinstance(message, Output | StateChanged):
                    position = message.seq
                if getattr(message, "state", "") == "finished":
                    final = message
                    break

    assert connections > 3
    assert out == "".join(f"é漢🙂 {number}\n" for number in range(60))
    assert err == "".join(f"err {number}\n" for number in range(60))


async def test_a_slow_client_holds_up_neither_the_program_nor_another_client(client: Client) -> None:
    code = "import sys\nfor _ in range(1000): sys.stdout.write('x' * 999 + '\\n')"
    session_id = await client.create(language="python", code=code, stdin="")
    async with client.attach(session_id) as slow:
        await slow.until_state("waiting")  # And reads no more for now.
        async with client.attach(session_id) as quick:
            run = await quick.to_end()
        assert len(run.stdout) == 1_000_000
        # What piled up meanwhile comes in large pieces.
        messages = (await slow.to_end()).messages
        assert len(messages) < 500
        assert sum(len(message.data) for message in messages if isinstance(message, Output)) == 1_000_000


async def test_order_across_streams_is_kept_where_the_kernel_keeps_it(client: Client) -> None:
    # What is in both pipes at once has no order. So each is written to when nothing is left in the other.
    code = """
import fcntl, sys, termios, time

def write(stream, text):
    stream.write(text)
    stream.flush()
    while any(fcntl.ioctl(stream, termios.FIONREAD, b"1234")):
        time.sleep(0.001)

for number in range(20):
    write(sys.stdout, f"{number}")
    write(sys.stderr, f"{number}")
"""
    run = await client.run(language="python", code=code)
    order = [(it.stream, int(it.data)) for it in run.messages if isinstance(it, Output)]

    assert order == [(kind, number) for number in range(20) for kind in ("stdout", "stderr")]
    assert run.final.exit_code == 0


async def test_input_sent_before_the_program_runs_waits_for_it(client: Client) -> None:
    async with client.session(language="cpp", code=CAT) as session:
        await session.input("early ")
        await session.until_state("compiling")
        await session.input("bird\n")
        await session.eof()
        run = await session.to_end()

    assert run.stdout == "early bird\n"


CAT = "#include <iostream>\nint main() { std::cout << std::cin.rdbuf(); }"


async def test_a_megabyte_of_input_passes_while_signals_overtake_it(client: Client) -> None:
    code = """
import signal, sys, time
signalled = False
def note(*_):
    global signalled
    signalled = True
signal.signal(signal.SIGUSR1, note)
print("ready", flush=True)
while not signalled: time.sleep(0.01)
print("signal", flush=True)
print(len(sys.stdin.read()))
"""
    async with client.session(language="python", code=code) as session:
        await session.until_stdout("ready\n")
        for _ in range(16):
            await session.input("x" * 62_500)
        await session.eof()
        await session.signal("SIGUSR1")
        run = await session.to_end()

    assert run.errors == []
    assert run.stdout == "ready\nsignal\n1000000\n"


async def test_more_input_than_is_kept_is_refused_and_the_session_goes_on(client: Client) -> None:
    async with raw_session(
        client, language="python", code=UNTIL_SIGNALLED + "until_signalled(); print('done')"
    ) as session:
        await session.until_stdout("ready\n")
        for _ in range(4):
            await session.input("x" * 400_000)
        await session.until(lambda run: run.errors)
        await session.signal("SIGUSR1")
        run = await session.to_end()

    assert {error.code for error in run.errors} == {"input_full"}
    assert "1048576 bytes at most" in run.errors[0].error
    assert run.stdout == "ready\ndone\n"


UNTIL_SIGNALLED = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
def until_signalled(): signal.sigwait({signal.SIGUSR1})
print("ready", flush=True)
"""


async def test_end_of_input(client: Client) -> None:
    code = "import signal, sys\nprint(repr(sys.stdin.read()), flush=True)\nsignal.pause()"
    async with raw_session(client, language="python", code=code) as session:
        await session.input("some")
        await session.eof()
        await session.until_stdout("'some'\n")
        await session.input("more")
        await session.until(lambda run: run.errors)
        await session.stop()
        run = await session.to_end()

    assert [(error.code, error.error) for error in run.errors] == [
        ("wrong_state", "the program's input has ended: no more can follow")
    ]
    assert run.stdout == "'some'\n"


async def test_stdin_of_the_request_ends_unless_it_is_interactive(client: Client) -> None:
    code = "import sys\nfor line in sys.stdin: print('got', line, end='')"
    assert (await client.run(language="python", code=code, stdin="a\nb\n")).stdout == "got a\ngot b\n"

    async with client.session(language="python", code=code, stdin="a\n", interactive=True) as session:
        await session.until_stdout("got a\n")
        await session.input("b\n")
        await session.until_stdout("got b\n")
        await session.eof()
        assert (await session.to_end()).final.exit_code == 0


async def test_waiting_for_input_is_told_and_taken_back(client: Client) -> None:
    code = UNTIL_SIGNALLED + "for _ in range(2): input(); until_signalled()"
    async with client.session(language="python", code=code) as session:
        for _ in range(2):
            await session.until_waiting()
            await session.input("\n")
            await session.until(lambda run: getattr(run.messages[-1], "waiting", None) is False)
            await session.signal("SIGUSR1")
        run = await session.to_end()

    assert run.final.exit_code == 0


async def test_signals_reach_the_program(client: Client) -> None:
    async with client.session(language="python", code="print('up', flush=True)\nwhile True: pass") as session:
        await session.until_stdout("up")
        await session.signal("SIGINT")
        run = await session.to_end()

    assert "KeyboardInterrupt" in run.stderr
    assert (run.final.state, run.final.signal) == ("finished", "SIGINT")


async def test_stop_keeps_what_was_written_and_tells_the_figures(client: Client) -> None:
    code = "print('before', flush=True)\nwhile True: pass"
    async with client.session(language="python", code=code) as session:
        await session.until_stdout("before\n")
        await session.stop()
        run = await session.to_end()

    assert run.stdout == "before\n"
    assert run.reason == "stopped"
    assert run.final.cpu_time is not None
    assert run.final.cpu_time > 0


async def test_a_terminal_is_one(client: Client) -> None:
    code = """
import os, sys, signal, time
print(os.isatty(0), os.isatty(1), os.isatty(2), os.get_terminal_size(), os.environ["TERM"])
signal.signal(signal.SIGWINCH, lambda *_: print("now", tuple(os.get_terminal_size())))
try:
    try:
        while True:
            print("line", repr(input("> ")))
    except EOFError:
        print("eof")
    while True:
        time.sleep(0.1)
except KeyboardInterrupt:
    print("interrupted")
print("on stderr", file=sys.stderr)
"""
    async with client.session(language="python", code=code, tty=True, rows=30, cols=100) as session:
        await session.until_stdout("> ")
        assert "os.terminal_size(columns=100, lines=30) xterm-256color\r\n" in session.run.stdout
        await session.until_waiting()
        await session.input("héy\x7f!\n")  # Erasing removes the y, and echo shows it.
        await session.until_stdout("line 'hé!'\r\n> ")
        await session.input("\x04")
        await session.until_stdout("eof\r\n")
        await session.resize(50, 120)
        await session.until_stdout("now (120, 50)\r\n")
        await session.input("\x03")
        run = await session.to_end()

    assert run.stdout.startswith("True True True ")
    assert "interrupted\r\n" in run.stdout
    assert "on stderr\r\n" in run.stdout, "a terminal has one stream"
    assert run.stderr == ""
    assert run.final.exit_code == 0


async def test_end_of_input_on_a_terminal_is_ctrl_d(client: Client) -> None:
    code = "import sys\nprint(repr(sys.stdin.read()), repr(sys.stdin.readline()))"
    async with client.session(language="python", code=code, tty=True) as session:
        await session.until_waiting()
        await session.input("one\n")
        await session.eof()
        await session.input("two\n")
        run = await session.to_end()

    assert run.stdout.endswith("'one\\n' 'two\\n'\r\n")


TWO_READS = {
    "python": "import sys\nprint(repr(sys.stdin.read()))\nprint(repr(sys.stdin.read()))",
    "javascript": """
        const fs = require('fs'), piece = Buffer.alloc(100);
        function read() {
            let text = '';
            for (let length; (length = fs.readSync(0, piece)) > 0;) text += piece.subarray(0, length);
            return "'" + text.replace(/\\n/g, '\\\\n') + "'";
        }
        console.log(read());
        console.log(read());
    """,
}


@pytest.mark.parametrize("language", TWO_READS)
async def test_a_part_of_a_line_on_a_terminal_can_be_the_end(client: Client, language: str) -> None:
    async with raw_session(client, language=language, code=TWO_READS[language], tty=True) as session:
        await session.input("one\rpart")
        await session.eof()
        await session.input("two\rthree")
        await session.eof()
        run = await session.to_end()

    assert run.stdout.replace("\r\n", " ").endswith("'one\\npart' 'two\\nthree' ")
    assert run.ending == "run: exit 0"


async def test_a_line_that_is_too_long_for_a_terminal_ends_too(client: Client) -> None:
    code = "import sys\nprint(len(sys.stdin.read()))"
    run = await client.run(language="python", code=code, tty=True, stdin="x" * 5000)

    assert run.stdout.endswith("4095\r\n")
    assert run.ending == "run: exit 0"


async def test_nothing_at_all_ends_at_once_on_a_terminal(client: Client) -> None:
    run = await client.run(language="cpp", code="#include <cstdio>\nint main() { return getchar() == EOF; }", tty=True)

    assert run.ending == "run: exit 1"


async def test_many_sessions_at_once_do_not_mix(client: Client) -> None:
    async def one(number: int) -> None:
        code = f"name = input('{number}? ')\nprint({number}, name)"
        async with client.session(language="python", code=code) as session:
            await session.until_stdout("? ")
            await session.input(f"n{number}\n")
            run = await session.to_end()
        assert run.stdout == f"{number}? {number} n{number}\n"

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(functools.partial(one, number))

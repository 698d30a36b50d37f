"""The client library in plain calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import PATIENCE, ServerProcess
from trio_exec.client import Output, UnknownLanguageError
from trio_exec.client.sync import WAITING_FOR_INPUT, connect

ASK = "name = input('name? ')\nprint('hello', name)"


def test_plain_calls(server: ServerProcess) -> None:
    with connect(server.url) as client:
        assert client.ready().ready
        assert client.languages().find("python") is not None
        assert client.run("python", "print(6 * 7)").stdout == "42\n"
        assert client.run("python", "print(6 * 7)", text=False).stdout == b"42\n"
        batch = client.run_batch("python", "print(input())", runs=[{"stdin": "a", "expected": "a\n"}])
        assert batch.ok
        with client.stream_batch("python", "print(input())", runs=[{"stdin": "a"}, {"stdin": "b"}]) as stream:
            assert [case.result.stdout for case in stream] == ["a\n", "b\n"]
        assert stream.batch is not None
        with pytest.raises(UnknownLanguageError):
            client.run("cobol", "")


def test_a_conversation_in_plain_calls(server: ServerProcess) -> None:
    with connect(server.url) as client:
        with client.session("python", ASK) as session:
            session.expect("name? ")
            session.expect(WAITING_FOR_INPUT)
            assert session.waiting
            session.detach()
        with client.attach(session.id) as again:
            again.send("Ada\n")
            again.flush()
            assert "".join(it.data for it in again if isinstance(it, Output)) == "name? hello Ada\n"
        with pytest.raises(KeyError, match="mine"), client.session("python", "input()") as last:
            raise KeyError("mine")
        assert client.state(last.id).state in {"waiting", "running", "terminated"}


def test_closing_leaves_no_thread(server: ServerProcess) -> None:
    before = threading.active_count()
    client = connect(server.url)
    with client.session("python", "input()") as session:
        session.expect(WAITING_FOR_INPUT)
    client.close()
    client.close()
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="is no server's URL"):
        connect("nowhere")
    assert threading.active_count() == before


def test_a_loop_that_runs_already_is_no_obstacle(server: ServerProcess) -> None:
    async def notebook() -> str:
        await asyncio.sleep(0)
        with connect(server.url) as client:
            return client.run("python", "print(1)").stdout

    # In a thread of its own: Playwright has a loop that runs in this one, once another test has used it.
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: asyncio.run(notebook())).result() == "1\n"


def test_a_script_that_closes_nothing_still_ends(server: ServerProcess) -> None:
    code = f"""
from trio_exec.client.sync import connect
client = connect({server.url!r})
context = client.session("python", "input()")
session = context.__enter__()
print(session.next_event().state)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("waiting\n", "", 0)


def test_ctrl_c_interrupts_a_call(server: ServerProcess) -> None:
    code = f"""
import signal, threading
from trio_exec.client.sync import connect
signal.signal(signal.SIGINT, signal.default_int_handler)  # Whoever started us in the background may ignore it.
with connect({server.url!r}) as client:
    threading.Timer(2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
    try:
        client.run("python", "import time; time.sleep(60)")
    except KeyboardInterrupt:
        print("interrupted", client.run("python", "print(1)").stdout)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.stdout, done.returncode) == ("interrupted 1\n\n", 0), done.stderr

"""Every limit ends a session with the right reason, and leaves no container."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from tests.support import GENEROUS, PATIENCE, Client, Run, ServerProcess
from trio_exec.client import Idle

FAST = {"idle_timeout": 2.5, "execution_timeout": 6, "compile_timeout": 6, "detach_grace": 1, "retention": 3}


@pytest.fixture
def hurried(start_server: Callable[..., ServerProcess]) -> Client:
    """A client of a server whose timeouts are short."""
    return Client(start_server(**FAST))


async def test_idle(hurried: Client) -> None:
    async with hurried.session(language="python", code="print('x', flush=True); input()") as session:
        run = await session.to_end()

    assert (run.final.state, run.reason, run.stdout) == ("terminated", "idle_timeout", "x\n")
    assert run.final.message == "there was no input and no output for 2.5 seconds"
    hurried.server.assert_no_containers()


async def test_who_is_there_is_warned_and_keeps_a_session_from_being_idle(client: Client) -> None:
    async with client.session(language="python", code="print(input())", limits={"idleTimeout": 6}) as session:
        await session.until(lambda run: any(isinstance(it, Idle) for it in run.messages))
        (warning,) = (it for it in session.run.messages if isinstance(it, Idle))
        assert warning.ends_in is not None
        assert 0 <= warning.ends_in <= 3
        await session.session.keep_alive()
        await session.until(lambda run: run.messages[-1] == Idle(None))
        await session.input("on\n")
        run = await session.to_end()

    assert (run.stdout, run.ending) == ("on\n", "run: exit 0")


async def test_input_and_output_keep_a_session_from_being_idle(hurried: Client) -> None:
    code = "import time\nfor _ in range(6): time.sleep(0.5); print('.', flush=True)"
    async with hurried.session(language="python", code=code) as session:
        run = await session.to_end()

    assert run.final.state == "finished"


async def test_execution(hurried: Client) -> None:
    code = "import time\nwhile True: print('.', flush=True); time.sleep(0.2)"
    run = await hurried.run(language="python", code=code)

    assert (run.final.state, run.reason, run.final.stage) == ("terminated", "execution_timeout", "run")
    assert run.final.wall_time is not None
    assert run.final.wall_time > FAST["execution_timeout"] / 2  # By another clock than the server's, begun later.
    assert run.final.message == "the program took longer than 6 seconds"
    hurried.server.assert_no_containers()


async def test_a_compile_that_takes_too_long(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(compile_timeout=1))
    code = "#include <bits/stdc++.h>\nstd::regex {name}(const char *text) {{ return std::regex(text); }}\n"
    files = {"main.cpp": code.format(name="a") + "int main() {}", "b.cpp": code.format(name="b")}
    run = await client.run(language="cpp", files=files)

    assert (run.final.state, run.reason, run.final.stage) == ("terminated", "execution_timeout", "compile")
    assert run.final.message == "compiling took longer than 1 seconds"
    client.server.assert_no_containers()


BUSY = {
    "alone": "while True: pass",
    "two processes": "import os\nos.fork()\nwhile True: pass",
    "a thread": "import threading\ndef spin():\n  while True: pass\nthreading.Thread(target=spin).start()",
    "children that nobody waits for": """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        end = time.process_time() + 0.1
        while time.process_time() < end: pass
        os._exit(0)
    time.sleep(0.15)
""",
    "in the kernel": "import os\nzeros = open('/dev/zero', 'rb', buffering=0)\nwhile True: zeros.read(1 << 20)",
}


@pytest.mark.parametrize("code", BUSY.values(), ids=BUSY)
async def test_cpu_time(client: Client, code: str) -> None:
    run = await client.run(language="python", code=code, limits={"cpuTime": 0.75})

    assert (run.final.state, run.reason, run.final.signal) == ("terminated", "cpu_time_limit", "SIGKILL")
    assert run.final.message == "the program used more than 0.75 seconds of CPU time"
    assert run.final.cpu_time is not None
    assert 0.75 <= run.final.cpu_time < 1.5


async def test_who_waits_uses_no_cpu_time_and_a_compiler_uses_its_own(client: Client) -> None:
    code = "#include <iostream>\n#include <regex>\n#include <unistd.h>\nint main() { sleep(1); std::cout << 1; }"
    run = await client.run(language="cpp", code=code, limits={"cpuTime": 0.1})

    assert (run.final.state, run.final.exit_code, run.stdout) == ("finished", 0, "1")
    assert run.final.stages is not None
    compiled, ran = run.final.stages
    assert (compiled.stage, compiled.exit_code, ran.stage, ran.exit_code) == ("compile", 0, "run", 0)
    assert compiled.cpu_time is not None
    assert compiled.cpu_time > 0.1, "or this shows nothing"


async def test_the_operators_limit_on_cpu_time_can_be_lowered_only(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(cpu_time=0.5))
    answer = await client.request("GET", "/languages")
    assert answer.json()["limits"]["cpuTime"] == 0.5
    run = await client.run(language="python", code="while True: pass")
    assert run.reason == "cpu_time_limit"

    answer = await client.request("POST", "/session", {"language": "python", "code": "", "limits": {"cpuTime": 1}})
    assert (answer.status, answer.json()["field"]) == (400, "limits.cpuTime")


@pytest.mark.parametrize(("stream", "name"), [("stdout", "standard output"), ("stderr", "standard error")])
async def test_a_stream_can_have_a_limit_of_its_own(client: Client, stream: str, name: str) -> None:
    code = """
import os
os.write(1, b'12345')
os.write(2, b'12345')
os.write(1, b'6')
os.write(2, b'6')
input()
"""
    run = await client.run(language="python", code=code, limits={f"{stream}Bytes": 5}, interactive=True)

    assert (run.reason, getattr(run, stream)) == ("output_limit", "12345")
    assert run.final.message == f"the program wrote more than 5 bytes to its {name}"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output_is_cut_to_the_byte(client: Client, stream: str) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('0123456789' * 100)"
    run = await client.run(language="python", code=code, limits={"outputBytes": 12_345})

    assert getattr(run, stream) == ("0123456789" * 1235)[:12_345]
    assert (run.final.state, run.reason, run.final.output_truncated) == ("terminated", "output_limit", True)
    assert run.final.message == "the program wrote more than 12345 bytes"


async def test_output_of_exactly_the_limit_is_fine(client: Client) -> None:
    run = await client.run(language="python", code="print('x' * 1048575)")

    assert len(run.stdout) == 1_048_576
    assert (run.final.state, run.final.output_truncated) == ("finished", False)


async def test_the_default_output_limit_is_a_mebibyte(client: Client) -> None:
    run = await client.run(language="python", code="import os\nwhile True: os.write(1, b'x' * 65536)")

    assert len(run.stdout) == 1_048_576
    assert run.reason == "output_limit"


MEMORY = {
    "python": "x = []\nwhile True: x.append(b'x' * 1_000_000)",
    "cpp": "#include <cstdlib>\n#include <cstring>\nint main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }",
}


@pytest.mark.parametrize("language", MEMORY)
async def test_memory(client: Client, language: str) -> None:
    run = await client.run(language=language, code=MEMORY[language])

    assert (run.final.state, run.reason, run.final.signal) == ("terminated", "memory_limit", "SIGKILL")
    assert run.final.message == "the program used more than 200 MiB of memory"
    assert run.final.peak_memory is not None
    # Pages of the binary count as resident, though they are shared.
    assert 100 * 2**20 < run.final.peak_memory < 220 * 2**20


async def test_java_runs_out_of_heap_before_it_runs_out_of_memory(client: Client) -> None:
    code = """class Main { public static void main(String[] a) {
        var list = new java.util.ArrayList<byte[]>(); while (true) list.add(new byte[1_000_000]); } }"""
    run = await client.run(language="java", code=code)

    assert "java.lang.OutOfMemoryError: Java heap space" in run.stderr
    assert (run.final.state, run.final.exit_code) == ("finished", 1)


@pytest.mark.parametrize(
    ("code", "exit_code", "signal"),
    [
        ("import sys; sys.exit(137)", 137, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None, "SIGKILL"),
    ],
)
async def test_what_only_looks_like_a_memory_kill_is_none(
    client: Client, code: str, exit_code: int | None, signal: str | None
) -> None:
    run = await client.run(language="python", code=code)

    assert (run.final.state, run.reason) == ("finished", None)
    assert (run.final.exit_code, run.final.signal) == (exit_code, signal)


async def test_a_program_that_loses_a_child_to_memory_and_copes_has_not_failed(client: Client) -> None:
    code = """
import subprocess, sys
child = subprocess.run([sys.executable, "-c", "x = bytearray(400_000_000)"])
print(child.returncode)
"""
    run = await client.run(language="python", code=code)

    assert (run.stdout, run.final.state) == ("-9\n", "finished")


async def test_queue_positions(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_sessions=1, max_queue=2, **GENEROUS))
    async with client.session(language="python", code="input()") as first:
        await first.until_waiting()
        second = await client.create(language="python", code="print('second')", stdin="")
        third = await client.create(language="python", code="print('third')", stdin="")
        refused = await client.request("POST", "/session", {"language": "python", "code": ""})
        assert (refused.status, refused.json()["code"]) == (429, "queue_full")
        assert int(refused.headers["Retry-After"]) > 0
        assert [(await client.info(session))["position"] for session in (second, third)] == [1, 2]
        assert (await client.request("GET", "/readyz")).json() == {
            "ready": True,
            "running": 1,
            "queued": 2,
            "free": 0,
            "room": 0,
            "warm": {},
        }

        async with client.attach(third) as waiting:
            await waiting.until(lambda run: [state.position for state in run.states] == [2])
            await first.input("\n")
            await waiting.until(lambda run: [state.position for state in run.states][:3] == [2, 1, None])
            assert (await waiting.to_end()).stdout == "third\n"
    client.server.assert_no_containers()


async def test_a_queue_that_takes_too_long(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_sessions=1, queue_timeout=1, **GENEROUS))
    async with client.session(language="python", code="input()") as first:
        await first.until_waiting()
        async with client.session(language="python", code="") as second:
            run = await second.to_end()
        await first.input("\n")
    assert (run.state_names, run.reason) == (["waiting", "terminated"], "queue_timeout")
    client.server.assert_no_containers()


async def test_detached_when_nobody_comes(hurried: Client) -> None:
    session_id = await hurried.create(language="python", code="import time\nwhile True: print(1); time.sleep(.1)")
    info = await hurried.until_info(session_id, "terminated")

    assert info["reason"] == "detached"
    hurried.server.assert_no_containers()


async def test_detached_when_everybody_left_and_not_when_somebody_comes_back(
    start_server: Callable[..., ServerProcess],
) -> None:
    client = Client(start_server(detach_grace=2, **GENEROUS))
    code = "import time\nwhile True: print('.', flush=True); time.sleep(0.1)"
    session_id = await client.create(language="python", code=code)
    async with client.attach(session_id) as attached:
        await attached.until_state("running")
    end = trio.current_time() + 3  # In sum they are away for longer than they may, but never at once.
    while trio.current_time() < end:
        await trio.sleep(0.2)
        async with client.attach(session_id) as attached:
            await attached.until_state("running")
    assert (await client.info(session_id))["state"] == "running"

    assert (await client.until_info(session_id, "terminated"))["reason"] == "detached"


async def test_an_ended_session_is_forgotten_after_its_retention(hurried: Client) -> None:
    session_id = (await hurried.run(language="python", code="")).session_id
    assert (await hurried.info(session_id))["state"] == "finished"
    with trio.fail_after(PATIENCE):
        while (answer := await hurried.request("GET", f"/session/{session_id}")).status == 200:  # noqa: ASYNC110 - only asking
            await trio.sleep(0.1)

    assert (answer.status, answer.json()["code"]) == (404, "session_not_found")


async def test_delete_stops_a_session(client: Client) -> None:
    async with client.session(language="python", code="input()") as session:
        await session.until_waiting()
        answer = await client.request("DELETE", f"/session/{session.run.session_id}")
        assert answer.status == 202
        run: Run = await session.to_end()
        assert run.reason == "stopped"
        again = await client.request("DELETE", f"/session/{run.session_id}")
        assert (again.status, again.json()["reason"]) == (202, "stopped")


async def test_a_program_that_ignores_signals_is_ended_all_the_same(hurried: Client) -> None:
    code = """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(5):
    if os.fork() == 0: break
print("up", flush=True)
while True: pass
"""
    async with hurried.session(language="python", code=code) as session:
        await session.until_stdout("up")
        await session.signal("SIGTERM")
        run = await session.to_end()

    assert run.reason == "idle_timeout"
    hurried.server.assert_no_containers()


async def test_a_left_behind_child_does_not_keep_the_session_open(client: Client) -> None:
    code = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    sys.exit()
print("done")
"""
    run = await client.run(language="python", code=code)

    assert (run.stdout, run.final.state, run.final.exit_code) == ("done\n", "finished", 0)


async def test_limits_can_be_lowered_and_hold(client: Client) -> None:
    code = """
import os, time
try:
    while True: os.fork() or time.sleep(9)
except OSError as error: print(error)
"""
    run = await client.run(
        language="python",
        code=code,
        limits={"pids": 8, "memoryBytes": 64 * 2**20, "cpus": 0.2, "executionTimeout": 5, "workspaceBytes": 2**20},
    )

    assert "Resource temporarily unavailable" in run.stdout

"""What the launcher sees to by itself: an engine that forgets profile and limits changes nothing for programs."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trio

from tests.sessions import SPEC
from tests.stages import ENVIRONMENT, restore, run, run_python, save, send_file
from tests.test_isolation import DANGEROUS_CALLS, SOCKETS
from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.hardening import Hardening
from trio_exec.executor.machine import UNKNOWN, Machine
from trio_exec.executor.process.executor import ProcessContainer
from trio_exec.executor.seccomp import DENIED
from trio_exec.launcher import frames
from trio_exec.limits import Limits, Resources

CHARGED = Machine(charges_sockets=True, charges_ipc=True)


@dataclass(frozen=True)
class Forgotten(Hardening):
    """As where the engine is told of neither profile nor limits, nor of `no-new-privileges`."""

    @property
    def security_opt(self) -> tuple[str, ...]:
        return ("seccomp=unconfined",)

    def host_config(self, limits: Limits, resources: Resources, runtime: str | None, uid: int) -> dict[str, Any]:
        return Hardening.host_config(self, limits, resources, runtime, uid) | {"ulimits": []}


CALLS = """
import ctypes, errno, json, os, resource, select, signal, sys
libc = ctypes.CDLL(None, use_errno=True)

def attempt(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode.get(ctypes.get_errno(), "?") if result == -1 else "done"

def answers(questions):
    # Each in a process of its own, which some would end, stop or change for the next.
    for question in questions:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            os.write(writing, attempt(*question).encode())
            os._exit(0)
        os.close(writing)
        said = ""
        if select.select([reading], [], [], 2)[0]:
            said = os.read(reading, 99).decode()
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)[1]
        yield said or f"signal {os.WTERMSIG(ended)}"

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
questions = json.loads(sys.argv[1])
limits = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))
          for name in ("CORE", "MEMLOCK", "MSGQUEUE", "NOFILE")}
print(json.dumps({
    "calls": dict(zip(map(str, questions), answers(questions))),
    "limits": limits,
    "no_new_privs": status["NoNewPrivs"].strip(),
}))
"""
"""Tells how the kernel answers system calls, and what limits there are."""

LEFT_OUT = {15, 56, 57, 58, 60, 231}
"""rt_sigreturn, clone, fork, vfork, exit, exit_group: they have no answer that could be compared."""
MANY = [
    *([number, -1, -1, -1, -1, -1, -1] for number in range(500) if number not in LEFT_OUT),
    *([number, 0, 0, 0, 0, 0, 0] for number in DANGEROUS_CALLS.values()),
    *([56, flag | 17, 0, 0, 0, 0] for flag in (1 << 17, *(1 << bit for bit in range(25, 31)))),
    *([41, *kind] for kind in itertools.product((1, 2, 10, 16, 17, 40), (1, 2, 3, 5, 1 | 1 << 32), (0, 6, 17))),
    *([302, 0, resource, new, old] for resource in (4, 7, 8, 4 | 1 << 32) for new in (0, 1) for old in (0, 1)),
    *([54, -1, level, option, 0, 0] for level in (0, 1, 6, 41, 255) for option in (2, 7, 26, 31, 33, 50)),
    *([29, 0, 4096, flags] for flags in (0o1600, 0o5600)),
    *([135, value] for value in (0, 1, 8, 0xFFFFFFFF)),
    *([number] for number in (435, 1000, 0x40000027, -1)),
]
"""System calls of x86-64, with arguments that none of them does harm with."""


@asynccontextmanager
async def opened(executor: DockerExecutor, hardening: Hardening) -> AsyncGenerator[Container]:
    executor._hardening = hardening
    with trio.fail_after(120):
        async with executor.open_container(replace(SPEC, lifetime=300)) as container:
            yield container


async def seen(container: Container, *, code: str = CALLS) -> Any:
    return json.loads(await run_python(container, code, json.dumps(MANY)))


@pytest.mark.parametrize("machine", [UNKNOWN, CHARGED], ids=["uncharged", "charged"])
async def test_calls_and_limits_are_the_same_where_the_engine_forgets_them(
    executor: DockerExecutor, machine: Machine
) -> None:
    async with opened(executor, Hardening(machine)) as container:
        usual = await seen(container)
        sockets = await run_python(container, SOCKETS)
    async with opened(executor, Forgotten(machine)) as container:
        forgotten = await seen(container)
        assert await run_python(container, SOCKETS) == sockets

    assert forgotten == usual
    open_files = 1024 if machine.charges_sockets else 128
    assert usual["limits"] == {
        "CORE": [1, 1],
        "MEMLOCK": [65536, 65536],
        "MSGQUEUE": [0, 0],
        "NOFILE": [open_files, open_files],
    }
    assert usual["no_new_privs"] == "1"
    for name in DENIED:
        assert usual["calls"][str([DANGEROUS_CALLS[name], *6 * [0]])] == "EPERM", name
    assert len(set(usual["calls"].values())) > 5


HELD = ["python3", "-S", "-B", "first.py", json.dumps(MANY)]


async def test_held_commands_and_cases_of_a_batch_are_no_exception(executor: DockerExecutor) -> None:
    async with opened(executor, Hardening()) as container:
        usual = await seen(container)
    async with opened(executor, Forgotten()) as container:
        await container.send(frames.encode_prestart(HELD[3], HELD, ENVIRONMENT, terminal=None))
        assert await container.receive() == [frames.Prestarted()]
        await send_file(container, HELD[3], CALLS.encode())
        held = await run(container, HELD)
        assert (json.loads(held.stdout), held.stderr, held.end.exit_code) == (usual, b"", 0)
        await save(container)
        for _ in range(2):
            await restore(container)
            assert await seen(container) == usual


async def test_standard_error_keeps_its_place_where_the_engine_has_no_profile(executor: DockerExecutor) -> None:
    code = "import os\nfor _ in range(200): os.write(1, b'o'); os.write(2, b'e')"
    async with opened(executor, Forgotten()) as container:
        await container.send(frames.encode_stage(["python3", "-c", code], ENVIRONMENT, terminal=None, deadline=60))
        order = ""
        while True:
            events = await container.receive()
            for event in events:
                match event:
                    case frames.Stdout(data) | frames.Stderr(data):
                        order += data.decode()
                    case _:
                        pass
            if any(isinstance(event, frames.StageEnd) for event in events):
                break
    assert order == 200 * "oe"


async def test_without_docker_calls_are_filtered_and_limits_set_as_well(container: ProcessContainer) -> None:
    found = await seen(container)

    for name in DENIED:
        assert found["calls"][str([DANGEROUS_CALLS[name], *6 * [0]])] == "EPERM", name
    assert found["calls"]["[435]"] == "ENOSYS"
    assert found["limits"]["CORE"] == [1, 1]
    assert found["limits"]["NOFILE"][1] <= 1024
    assert found["no_new_privs"] == "1"


async def test_a_launcher_that_is_told_what_it_does_not_know_does_not_start(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "charged", ("sockets", "everything"))
    with pytest.raises(ExecutorError):
        async with opened(executor, Hardening(CHARGED)):
            raise AssertionError("it started")

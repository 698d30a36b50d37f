"""Sessions in gVisor, on an engine of the test's own whose other runtime it is."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import trio

from tests.dockerd import Dockerd, private_dockerd
from tests.leftovers import DESCRIBE, PROGRAMS
from tests.programs import JAVA_MAIN
from tests.support import Client, ServerProcess, running_server
from tests.test_doctor import run_doctor
from trio_exec.executor.images import launcher_image
from trio_exec.limits import MIB

ASK = {
    "python": "name = input('name? ')\nprint('hello', name)",
    "javascript": """
        process.stdout.write('name? ');
        require('readline').createInterface({ input: process.stdin }).once('line', (name) => {
          console.log('hello', name);
          process.exit();
        });
        """,
    "java": JAVA_MAIN
    % (
        "Main",
        """
        System.out.print("name? ");
        System.out.println("hello " + new java.util.Scanner(System.in).nextLine());
        """,
    ),
    "cpp": """
        #include <iostream>
        #include <string>
        int main() {
            std::string name;
            std::cout << "name? ";
            std::getline(std::cin, name);
            std::cout << "hello " << name << "\\n";
        }
        """,
}
WARM = dict.fromkeys(ASK, 1)


@pytest.fixture(scope="module")
def dockerd(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Generator[Dockerd]:
    beside_us = Path(sys.executable).parent  # Where script/test unpacks it.
    runsc = shutil.which("runsc", path=f"{beside_us}:{os.environ['PATH']}")
    if runsc is None:
        pytest.skip("needs gVisor's runsc")
    config = tmp_path_factory.mktemp("gvisor") / "daemon.json"
    # As docs/deploy.md says.
    config.write_text(json.dumps({"runtimes": {"runsc": {"path": runsc, "runtimeArgs": ["--network=none"]}}}))
    with private_dockerd([launcher_image().tag, *images.values()], "4g", f"--config-file={config}") as engine:
        skip_where_gvisor_does_not_run(engine, images["python"])
        yield engine


def skip_where_gvisor_does_not_run(dockerd: Dockerd, image: str) -> None:
    """A plain container that does nothing says whether it can run here at all: not on every kernel, nor everywhere."""
    engine = docker.DockerClient(dockerd.host)
    try:
        engine.containers.run(image, "true", entrypoint=[], runtime="runsc", network_disabled=True, remove=True)
    except docker.errors.DockerException as error:
        pytest.skip(f"gVisor does not run on this machine: {error}")
    finally:
        engine.close()


@pytest.fixture(scope="module")
def server(dockerd: Dockerd) -> Generator[ServerProcess]:
    pool = ",".join(f"{language}={size}" for language, size in WARM.items())
    # The sandbox's own threads count as well.
    with running_server(DOCKER_HOST=dockerd.host, runtime="runsc", pids=256, pool=pool) as process:
        yield process
    assert dockerd.left() == []


@pytest.fixture
def client(server: ServerProcess) -> Client:
    server.wait_warm(WARM)
    return Client(server)


def containers(dockerd: Dockerd, session_id: str) -> list[Any]:
    engine = docker.DockerClient(dockerd.host)
    try:
        listed = engine.api.containers(filters={"label": f"trio-exec.session={session_id}"})
        return [engine.api.inspect_container(item["Id"]) for item in listed]
    finally:
        engine.close()


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
@pytest.mark.parametrize("language", ASK)
async def test_every_language_asks_and_is_answered(client: Client, language: str, warm: bool) -> None:
    limits = {} if warm else {"pids": 255}
    async with client.session(language=language, code=ASK[language], limits=limits) as session:
        await session.until_stdout("name? ")
        await session.input("Ada\n")
        run = await session.to_end()

    assert (run.stdout, run.stderr, run.final.exit_code) == ("name? hello Ada\n", "", 0)


async def test_limits_hold_from_the_start_where_the_runtime_cannot_change_them(
    client: Client, dockerd: Dockerd
) -> None:
    assert "can't change the limits of a running container" in client.server.log()
    limits = {"memoryBytes": 96 * MIB, "cpus": 0.25}
    async with client.session(language="cpp", code=ASK["cpp"], limits=limits) as session:
        await session.until_state("compiling")
        [container] = await trio.to_thread.run_sync(containers, dockerd, session.run.session_id)
        await session.until_stdout("name? ")
        await session.input("Ada\n")
        assert (await session.to_end()).final.exit_code == 0

    config = container["HostConfig"]
    assert (config["Runtime"], config["Memory"], config["MemorySwap"]) == ("runsc", 96 * MIB, 96 * MIB)
    assert config["CpuQuota"] / config["CpuPeriod"] == 0.25


async def test_a_program_that_brings_its_sandbox_down_harms_nobody_else(client: Client) -> None:
    async with client.session(language="python", code=ASK["python"]) as other:
        await other.until_stdout("name? ")
        run = await client.run(language="python", code="x = b'x' * 10**9")
        # The engine tells why, though nobody inside is left to.
        assert (run.final.state, run.reason, run.final.wall_time) == ("terminated", "memory_limit", None)
        await other.input("Ada\n")
        assert (await other.to_end()).stdout == "name? hello Ada\n"


AT_THE_LAUNCHER = """
import getpass, os, signal, sys
for descriptor in ("fd/0", "fd/1", "fd/2", "mem"):
    for mode in (os.O_RDONLY, os.O_WRONLY):
        try: os.open(f"/proc/1/{descriptor}", mode); print("opened", descriptor)
        except OSError: pass
for number in range(1, 65):
    if number == signal.SIGCONT: continue  # It is in the program's session, whose members may continue each other.
    try: os.kill(1, number); print("sent", number)
    except OSError: pass
print(os.getuid() in range(50000, 60000), os.getgid() == os.getuid(), os.getgroups())
print(getpass.getuser(), os.path.expanduser("~"), os.stat("main.py").st_uid == os.getuid())
for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd"):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(capabilities)]
    if int(line.split()[1], 16): print(line)
for path in ("/dev/passwd", "/etc/passwd", "/dev/x"):
    try: open(path, "a"); print("wrote", path)
    except OSError: pass
sys.exit(7)
"""


async def test_no_program_reaches_its_launcher(client: Client) -> None:
    run = await client.run(language="python", code=AT_THE_LAUNCHER)

    assert run.stdout == "True True []\nrunner /workspace True\n"
    assert (run.stderr, run.final.state, run.final.exit_code) == ("", "finished", 7)


FILTERED = """
import ctypes, errno, resource
libc = ctypes.CDLL(None, use_errno=True)
for number, arguments in ((272, (0,)), (41, (16, 3, 0)), (101, (0, 0)), (425, (0, 0)), (435, (0, 0)), (5000, ())):
    result = libc.syscall(number, *arguments)
    print(number, errno.errorcode[ctypes.get_errno()] if result == -1 else "done")
print(resource.getrlimit(resource.RLIMIT_CORE))
"""
"""unshare of nothing, a socket of the kernel's own, ptrace, io_uring_setup, clone3, and a call that is not there."""


async def test_system_calls_are_filtered_by_the_launcher_though_not_by_the_engine(client: Client) -> None:
    run = await client.run(language="python", code=FILTERED)
    assert (run.stdout, run.stderr) == (
        "272 EPERM\n41 EPERM\n101 EPERM\n425 EPERM\n435 ENOSYS\n5000 ENOSYS\n(1, 1)\n",
        "",
    )


async def test_time_and_output_are_limited(client: Client) -> None:
    run = await client.run(language="python", code="while True: pass", limits={"executionTimeout": 1})
    assert run.reason == "execution_timeout"
    run = await client.run(language="python", code="while True: print('x' * 99)", limits={"outputBytes": 10_000})
    assert (run.reason, len(run.stdout)) == ("output_limit", 10_000)


async def test_a_terminal_is_the_programs_own(client: Client) -> None:
    code = "import os, sys\nprint(sys.stdin.isatty(), os.get_terminal_size(), input('name? '))"
    async with client.session(language="python", code=code, tty=True, rows=30, cols=100) as session:
        await session.until_stdout("name? ")
        await session.input("Ada\n")
        run = await session.to_end()

    assert run.stdout.replace("\r", "").endswith("True os.terminal_size(columns=100, lines=30) Ada\n"), run.stdout


def room(description: str) -> str:
    (line,) = [line for line in description.splitlines() if line.startswith("[]") and line != "[]"]
    return line


async def test_cases_that_share_a_container_leave_each_other_nothing(client: Client) -> None:
    code = "import sys\nexec(compile(sys.stdin.read(), 'case', 'exec'), {})"
    # This kernel never looks for what lost sockets hold: such a container is given up, and the next case gets another.
    lost = "room that sockets hold"
    programs = {**{name: program for name, program in PROGRAMS.items() if name != lost}, lost: PROGRAMS[lost]}
    stages = [DESCRIBE, *(program for hostile in programs.values() for program in (hostile, DESCRIBE))]
    body = {"language": "python", "code": code, "files": {"kept/data": "data", "main": "main"}}
    cases = [{"stdin": program} for program in stages]
    answer = await trio.to_thread.run_sync(
        lambda: client.server.request("POST", "/run", {**body, "runs": cases}).json()
    )
    assert (answer["state"], answer["skipped"]) == ("finished", 0), answer
    seen = [it["stdout"] for it in answer["cases"][::2]]
    assert [it["stderr"] for it in answer["cases"][::2]] == [""] * len(seen)
    for name, description in zip(programs, seen[1:], strict=True):
        if name != lost:
            assert description == seen[0], name
    assert room(seen[-1]) == room(seen[0])


async def test_temporary_files_have_a_bound_there_too(client: Client) -> None:
    code = """
import os
room = os.statvfs("/tmp")
print(room.f_frsize * room.f_blocks >> 20)
try:
    with open("/tmp/large", "wb") as file:
        for _ in range(40): file.write(bytes(1 << 20)); file.flush()
except OSError as error:
    print(error.strerror)
"""
    run = await client.run(language="python", code=code)
    assert run.stdout == "32\nNo space left on device\n"


async def test_files_are_collected(client: Client) -> None:
    code = "import os\nopen('made', 'wb').write(bytes(300_000))\nos.mkfifo('pipe')\nos.symlink('made', 'link')"
    body = {"language": "python", "code": code, "collect": ["[!m]*", "made"]}
    answer = await trio.to_thread.run_sync(lambda: client.server.request("POST", "/run", body).json())
    assert [(it["name"], it["size"]) for it in answer["files"]] == [("made", 300_000)]
    assert [(it["name"], it["reason"]) for it in answer["filesOmitted"]] == [
        ("link", "not_regular"),
        ("pipe", "not_regular"),
    ]


def test_doctor_finds_that_limits_and_isolation_hold_there_too(dockerd: Dockerd) -> None:
    variables = {"DOCKER_HOST": dockerd.host, "TRIO_EXEC_RUNTIME": "runsc", "TRIO_EXEC_PIDS": "256"}
    code, text = run_doctor("--json", TRIO_EXEC_LANGUAGES="python", **variables)
    found = {it["check"]: it for it in json.loads(text)["findings"]}

    assert [it for it in found.values() if it["level"] == "broken"] == []
    assert code == 0
    assert found["engine.runtime"]["message"] == "containers run by runsc"
    assert found["containers.update"]["level"] == "warning"
    assert {f"limit.{it}" for it in ("memory", "cpu", "pids", "workspace", "files")} <= set(found)

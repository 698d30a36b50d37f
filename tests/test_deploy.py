"""The deployment for real: the image is built, Compose brings it up, programs run through it, and nothing is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import docker
import pytest
import trio

from tests.compose import COMPOSE_TIMEOUT, Deployed, Project, sessions_of
from tests.raw import raw_session
from tests.support import PATIENCE, Client
from trio_exec.executor.images import language_images, launcher_image
from trio_exec.languages import Languages
from trio_exec.settings import Settings
from trio_exec.settings.kubernetes import KubernetesSettings

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parent.parent
LOCAL_AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""Where the administrators of Debian machines put their own certificate authorities."""
BUILD_TIMEOUT = 480
ASK = "name = input('name? ')\nprint('hello', name)"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as somebody would have cloned it, with the authorities that this machine trusts."""
    target = tmp_path_factory.mktemp("context")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    for authority in LOCAL_AUTHORITIES.glob("**/*.crt"):
        shutil.copy(authority, target / "deploy" / "ca")
    return target


@pytest.fixture(scope="module")
def image(context: Path) -> Generator[str]:
    """The server's image, built as `docker compose up --build` builds it."""
    name = f"trio-exec-test/server:{os.getpid()}"
    Project(context, f"trio-exec-build-{os.getpid()}", IMAGE=name, REVISION="tested").run(
        "build", timeout=BUILD_TIMEOUT
    )
    yield name
    client = docker.from_env()
    client.api.remove_image(name, force=True)
    client.close()


@contextmanager
def deployed(context: Path, image: str, *files: str, **variables: str) -> Generator[Project]:
    project = Project(context, f"trio-exec-test-{time.monotonic_ns()}", *files, IMAGE=image, **variables)
    try:
        yield project
    finally:
        project.run("down", "--volumes", "--timeout", "10", check=False)
    assert project.left() == []


def test_the_image_is_slim_labelled_and_not_root(image: str) -> None:
    client = docker.from_env()
    try:
        details = client.api.inspect_image(image)
        base = client.api.inspect_image("debian:trixie-slim")
    finally:
        client.close()
    config = details["Config"]
    assert details["Size"] - base["Size"] < 80 * 1024 * 1024
    assert config["User"] == "trio-exec"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.revision"] == "tested"
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_the_image_has_the_page_and_the_same_languages(image: str) -> None:
    """By the same tags: what one server has built on an engine serves the others."""
    code = (
        "from trio_exec.executor.images import language_images, launcher_image\n"
        "from trio_exec.languages import Languages\n"
        "from trio_exec.server.process import STATIC\n"
        "assert (STATIC / 'index.html').is_file() and list((STATIC / 'assets').iterdir())\n"
        "print(launcher_image().tag, *(image.tag for image in language_images(Languages.load().values()).values()))"
    )
    client = docker.from_env()
    try:
        output = client.containers.run(image, ["-c", code], entrypoint="python", network_disabled=True, remove=True)
    finally:
        client.close()
    expected = [launcher_image().tag, *(image.tag for image in language_images(Languages.load().values()).values())]
    assert output.decode().split() == expected


@pytest.mark.docker  # It needs none, but half a minute.
def test_a_wheel_of_a_fresh_clone_has_the_page(context: Path, tmp_path: Path) -> None:
    assert not (context / "trio_exec" / "static").exists()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(context)]
    subprocess.run(command, check=True, timeout=COMPOSE_TIMEOUT)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert "trio_exec/static/index.html" in names
    assert "trio_exec/static/licences.txt" in names
    assert any(name.startswith("trio_exec/static/assets/") for name in names)
    assert not any(name.startswith(("frontend", "tests", "hatch_build")) for name in names)


def test_compose_passes_every_setting_on() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    passed = {name.lower() for name in re.findall(r"^ +- TRIO_EXEC_(\w+)$", text, re.MULTILINE)}
    # Where it listens is published instead; a directory would have to be mounted; Compose's programs run in Docker.
    assert passed == set(Settings.model_fields) - {"host", "port", "languages_dir", *KubernetesSettings.model_fields}


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("docker-compose.yml", r"stop_grace_period: \$\{STOP_GRACE_PERIOD:-(\d+)s\}"),
        ("deploy/trio-exec.service", r"TimeoutStopSec=(\d+)\n"),
        ("docs/deploy.md", r"\n +--stop-timeout (\d+) "),
    ],
)
def test_every_way_to_start_gives_the_drain_its_time(file: str, pattern: str) -> None:
    match = re.search(pattern, (ROOT / file).read_text())
    assert match
    # Clients get 10 seconds for their last messages, hypercorn 3, the removal of containers some more.
    assert int(match[1]) >= sum(Settings.model_fields[name].default for name in ("drain_delay", "drain_timeout")) + 20


async def test_docker_run_as_documented_gives_the_drain_its_time(image: str, images: dict[str, str]) -> None:
    (block,) = re.findall(r"^\$ (docker run --publish .*?)^```", (ROOT / "docs" / "deploy.md").read_text(), re.M | re.S)
    name = f"trio-exec-run-{os.getpid()}"
    command = block.strip().replace("127.0.0.1:8080:", "127.0.0.1:0:").removesuffix("trio-exec/server")
    command = f"{command} --detach --rm --name {name} --env TRIO_EXEC_POOL=0 {image}"

    async def docker_client(*arguments: str) -> str:
        done = await trio.run_process(["docker", *arguments], capture_stdout=True)
        return done.stdout.decode().strip()

    await trio.run_process(["sh", "-c", command])
    try:
        port = (await docker_client("port", name, "8080")).splitlines()[0].rpartition(":")[2]
        client = Client(Deployed(int(port)))
        await client.until_ready()
        code = "import time; print('on', flush=True); time.sleep(12); print('done')"
        async with client.session(language="python", code=code) as session, trio.open_nursery() as nursery:
            await session.until_stdout("on\n")
            nursery.start_soon(docker_client, "stop", name)
            run = await session.to_end()
        assert (run.stdout, run.ending) == ("on\ndone\n", "run: exit 0")
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 30):
            await trio.run_process(["docker", "rm", "--force", name], check=False, capture_stderr=True)


def test_a_misspelt_setting_is_told_under_compose(context: Path, image: str) -> None:
    (context / "typo.env").write_text("TRIO_EXEC_MAX_SESSION=1\n")
    project = Project(context, f"trio-exec-typo-{os.getpid()}", ENV_FILE="typo.env", IMAGE=image)
    told = project.run("run", "--rm", "--no-deps", "server", "config", check=False)

    assert "TRIO_EXEC_MAX_SESSION: there is no such setting, did you mean TRIO_EXEC_MAX_SESSIONS?" in told
    project.run("down", "--volumes")


def test_what_others_reach_wants_to_know_who_may_use_it(context: Path, image: str) -> None:
    for publish, refuses in [("8080", True), ("0.0.0.0:0", True), ("[::]:0", True), ("127.0.0.1:0", False)]:
        project = Project(context, f"trio-exec-open-{os.getpid()}", IMAGE=image, PUBLISH=publish)
        told = project.run("run", "--rm", "--no-deps", "server", "config", check=False)
        assert ("whoever reaches that could run programs here" in told) is refuses, (publish, told)
        project.run("down", "--volumes")


async def test_keys_are_made_and_revoked_under_compose(context: Path, image: str, images: dict[str, str]) -> None:
    path = "/etc/trio-exec/keys.toml"

    def keys(*arguments: str) -> str:
        return project.run("run", "--rm", "--no-deps", "server", "keys", "--keys-file", path, *arguments)

    with deployed(context, image, TRIO_EXEC_KEYS_FILE=path, TRIO_EXEC_POOL="0") as project:
        told = await trio.to_thread.run_sync(keys, "create", "alice")
        (key,) = re.findall(r"te_[0-9a-f]{8}_[0-9a-f]{40}", told)
        await trio.to_thread.run_sync(project.run, "up", "--detach")
        server = await trio.to_thread.run_sync(project.server)
        body = {"language": "python", "code": "print(6 * 7)"}
        assert server.request("POST", "/run", body).status == 401
        await Client(server).until_ready()
        header = {"X-API-Key": key}
        answer = server.request("POST", "/run", body, headers=header)
        assert (answer.status, answer.json()["stdout"]) == (200, "42\n")

        await trio.to_thread.run_sync(keys, "revoke", "alice")
        with trio.fail_after(PATIENCE):
            while (await Client(server).request("POST", "/run", body, headers=header)).status != 401:  # noqa: ASYNC110 - it tells nobody
                await trio.sleep(0.2)


def test_doctor_runs_under_compose_as_documented(context: Path, image: str, images: dict[str, str]) -> None:
    (command,) = re.findall(r"\$ docker compose (run .* doctor) ", (context / "docs" / "doctor.md").read_text())
    with deployed(context, image, TRIO_EXEC_LANGUAGES="python") as project:
        told = project.run(*command.split(), "--json")
    (line,) = [line for line in told.splitlines() if line.startswith("{")]
    found = {it["check"]: it for it in json.loads(line)["findings"]}
    assert [it for it in found.values() if it["level"] == "broken"] == []
    assert found["limit.memory"]["level"] == "ok"
    assert found["engine.disk"]["level"] == "skipped"  # The engine's folder is not in there.


async def test_compose_up_runs_programs_and_stop_drains(context: Path, image: str, images: dict[str, str]) -> None:
    def up() -> Deployed:
        project.run("up", "--detach")
        return project.server()

    with deployed(context, image, TRIO_EXEC_POOL="python=1") as project:
        server = await trio.to_thread.run_sync(up)
        client = Client(server)
        run = await client.run(language="python", code="import sys; print('up', sys.stdin.read())", stdin="and in")
        assert (run.stdout, run.final.exit_code) == ("up and in\n", 0)
        assert b"<title>" in (await client.request("GET", "/")).body

        status = await trio.to_thread.run_sync(project.inside, "cat", "/proc/1/status")
        facts = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
        assert facts["Uid"].split() == ["10001"] * 4
        assert (facts["CapPrm"], facts["CapEff"], facts["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
        healthy = await trio.to_thread.run_sync(project.inside, *healthcheck(image))
        assert healthy == ""

        log = await trio.to_thread.run_sync(project.run, "logs", "--no-color")
        instance = re.search(r"instance (\w+) is ready", log)
        assert instance, log

        async with client.session(language="python", code=ASK) as session, trio.open_nursery() as nursery:
            await session.until_waiting()
            nursery.start_soon(trio.to_thread.run_sync, project.run, "stop")
            await client.until_draining(within=30)
            refused = await client.request("POST", "/session", {"language": "python", "code": ""})
            assert (refused.status, refused.json()["code"]) == (503, "draining")
            await session.input("Ada\n")
            drained = await session.to_end()
            assert (drained.stdout, drained.reason, drained.final.exit_code) == ("name? hello Ada\n", None, 0)
        state = (await trio.to_thread.run_sync(project.container))["State"]
        assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
        assert await trio.to_thread.run_sync(sessions_of, instance[1]) == []


def healthcheck(image: str) -> list[str]:
    client = docker.from_env()
    try:
        return client.api.inspect_image(image)["Config"]["Healthcheck"]["Test"][1:]
    finally:
        client.close()


async def test_a_crash_is_followed_by_a_restart_and_a_drain_has_an_end(
    context: Path, image: str, images: dict[str, str]
) -> None:
    def up() -> Deployed:
        project.run("up", "--detach")
        return project.server()

    def instances() -> list[str]:
        return re.findall(r"instance (\w+) is ready", project.run("logs", "--no-color"))

    with deployed(context, image, TRIO_EXEC_POOL="0", TRIO_EXEC_DRAIN_TIMEOUT="1") as project:
        client = Client(await trio.to_thread.run_sync(up))
        async with raw_session(client, language="python", code=ASK) as session:
            await session.until_waiting()
            [first] = await trio.to_thread.run_sync(instances)
            assert len(await trio.to_thread.run_sync(sessions_of, first)) == 1
            os.kill((await trio.to_thread.run_sync(project.container))["State"]["Pid"], signal.SIGKILL)
            await session.to_end()
        with trio.fail_after(30):
            while await trio.to_thread.run_sync(sessions_of, first):  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)
            while len(await trio.to_thread.run_sync(instances)) == 1:  # noqa: ASYNC110 - there is only asking
                await trio.sleep(0.1)

        client = Client(await trio.to_thread.run_sync(project.server))  # Docker has chosen another port.
        async with client.session(language="python", code=ASK) as session, trio.open_nursery() as nursery:
            await session.until_waiting()
            nursery.start_soon(trio.to_thread.run_sync, project.run, "stop")
            assert (await session.to_end()).reason == "shutdown"
        assert (await trio.to_thread.run_sync(project.container))["State"]["ExitCode"] == 0
        second = (await trio.to_thread.run_sync(instances))[-1]
        assert second != first
        assert await trio.to_thread.run_sync(sessions_of, second) == []


async def test_a_new_version_beside_the_old_one_takes_over_while_sessions_finish(
    context: Path, image: str, images: dict[str, str]
) -> None:
    def up(project: Project) -> Client:
        project.run("up", "--detach")
        return Client(project.server())

    with (
        deployed(context, image, TRIO_EXEC_POOL="python=1") as blue,
        deployed(context, image, TRIO_EXEC_POOL="python=1") as green,
    ):
        old = await trio.to_thread.run_sync(up, blue)
        async with old.session(language="python", code=ASK) as session, trio.open_nursery() as nursery:
            await session.until_waiting()
            new = await trio.to_thread.run_sync(up, green)
            nursery.start_soon(trio.to_thread.run_sync, blue.run, "stop")
            await old.until_draining(within=30)
            for number in range(5):
                assert (await new.run(language="python", code=f"print({number})")).stdout == f"{number}\n"
            await session.input("Ada\n")
            assert (await session.to_end()).stdout == "name? hello Ada\n"
        assert (await trio.to_thread.run_sync(blue.container))["State"]["ExitCode"] == 0
        assert (await new.run(language="python", code="print('alone')")).stdout == "alone\n"


@pytest.mark.parametrize(("variables", "pids"), [({}, "256"), ({"TRIO_EXEC_PIDS": "99"}, "99")])
def test_gvisor_is_an_override(context: Path, variables: dict[str, str], pids: str) -> None:
    project = Project(context, "trio-exec-config", "docker-compose.yml", "compose.gvisor.yml", **variables)
    lines = project.run("config").split("\n")

    assert "TRIO_EXEC_RUNTIME: runsc" in {line.strip() for line in lines}
    assert re.findall(r"TRIO_EXEC_PIDS: '?(\d+)", "\n".join(lines)) == [pids]


async def test_an_engine_of_its_own_leaves_the_hosts_engine_alone(
    context: Path, image: str, images: dict[str, str]
) -> None:
    engine_image = f"trio-exec-test/engine:{os.getpid()}"
    variables = {"ENGINE_IMAGE": engine_image, "TRIO_EXEC_LANGUAGES": "python", "TRIO_EXEC_POOL": "python=1"}

    def up() -> Deployed:
        project.run("build", "engine", timeout=BUILD_TIMEOUT)
        project.run("up", "--detach", "engine")
        # It has nothing of the host's; building Python's image anew would take minutes.
        inner = inner_engine(project)
        for tag in (launcher_image().tag, images["python"]):
            archive = cast("Any", host.images.get(tag).save(named=tag))  # the stub knows no stream in pieces
            inner.images.load(archive)
        inner.close()
        project.run("up", "--detach")
        return project.server()

    def containers(engine: docker.DockerClient) -> list[str]:
        listed = engine.api.containers(all=True, filters={"label": "trio-exec.instance"})
        return [item["Labels"]["trio-exec.instance"] for item in listed]

    host = docker.from_env(timeout=120)
    try:
        with deployed(context, image, "docker-compose.yml", "compose.dind.yml", **variables) as project:
            client = Client(await trio.to_thread.run_sync(up))
            inner = inner_engine(project)
            try:
                async with client.session(language="python", code=ASK) as session:
                    await session.until_waiting()
                    [instance, *_] = containers(inner)
                    assert instance not in containers(host)
                    await session.input("Ada\n")
                    assert (await session.to_end()).stdout == "name? hello Ada\n"
                # What lies where the host's socket would be is no socket.
                kind = await trio.to_thread.run_sync(project.inside, "stat", "-c", "%F", "/var/run/docker.sock")
                assert kind.strip() == "character special file"
                await trio.to_thread.run_sync(project.run, "stop", "server")
                assert containers(inner) == []
            finally:
                inner.close()
    finally:
        host.api.remove_image(engine_image, force=True)
        host.close()


def inner_engine(project: Project) -> docker.DockerClient:
    """By the socket in its volume, which only root on the same machine can reach."""
    [mount] = [mount for mount in project.container("engine")["Mounts"] if mount["Destination"] == "/run/engine"]
    address = f"unix://{mount['Source']}/docker.sock"
    deadline = time.monotonic() + COMPOSE_TIMEOUT
    while project.container("engine")["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, project.run("logs", "engine")
        time.sleep(0.2)
    return docker.DockerClient(address, timeout=120)

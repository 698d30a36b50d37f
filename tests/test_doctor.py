"""`trio-exec doctor`: what it finds on engines that are well, on such as are not, and in containers without limits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.dockerd import private_dockerd
from tests.played_engine import VERSION, played_engine
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.doctor import examination
from trio_exec.doctor.access import access_findings
from trio_exec.doctor.engine import engine_findings
from trio_exec.doctor.examination import Extent, examine
from trio_exec.doctor.findings import Finding, Level, as_json, as_text, broken, ok, skipped, warning, worst
from trio_exec.doctor.host import host_findings
from trio_exec.doctor.probe import judged
from trio_exec.doctor.trial import Trial
from trio_exec.executor.docker import api, container, executor
from trio_exec.executor.docker.hardening import Hardening
from trio_exec.executor.images import launcher_image
from trio_exec.keys import create_key
from trio_exec.languages import Languages
from trio_exec.limits import MIB, Limits, Resources
from trio_exec.settings import Settings

LIMITS = Settings().limits
HEALTHY: dict[str, Any] = {
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemoryLimit": True,
    "SwapLimit": True,
    "PidsLimit": True,
    "CpuCfsPeriod": True,
    "CpuCfsQuota": True,
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "Runtimes": {"runc": {}, "runsc": {}},
    "DefaultRuntime": "runc",
    "Driver": "overlay2",
    "DockerRootDir": "/nowhere",
    "KernelVersion": "another machine's",
    "MemTotal": 64 << 30,
    "NCPU": 8,
    "SystemTime": "2026-01-01T00:00:00Z",
}
NOW = 1767225600.0


def run_doctor(*arguments: str, **environment: Any) -> tuple[int, str]:
    """Exit code and standard output; what is written to standard error must be nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "trio_exec", "doctor", *arguments],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def levels(findings: list[Finding]) -> dict[str, Level]:
    """By check; each is there once."""
    found = {it.check: it.level for it in findings}
    assert len(found) == len(findings)
    return found


def of(level: Level, findings: list[Finding]) -> set[str]:
    return {it.check for it in findings if it.level is level}


def test_what_matters_most_comes_first_and_is_summed_up() -> None:
    findings = [ok("a.one", "well"), warning("a.two", "so so", "do this"), broken("a.three", "bad"), skipped("b", "no")]
    assert as_text(findings, colour=False).splitlines() == [
        "broken    a.three: bad",
        "warning   a.two: so so",
        "          → do this",
        "skipped   b: no",
        "ok        a.one: well",
        "",
        "1 broken, 1 with a warning, 1 not looked at, 1 well. "
        "Do what is said above first: as it is, this can't be used.",
    ]
    assert "\x1b[1;31mbroken  \x1b[0m  a.three" in as_text(findings, colour=True)
    told = json.loads(as_json(findings))
    assert (told["status"], [it["check"] for it in told["findings"]]) == ("broken", ["a.three", "a.two", "b", "a.one"])
    assert told["findings"][1] == {"check": "a.two", "level": "warning", "message": "so so", "remedy": "do this"}


def test_what_was_not_looked_at_makes_nothing_worse() -> None:
    assert worst([skipped("a", "")]) is Level.OK
    assert worst([skipped("a", ""), warning("b", "")]) is Level.WARNING


def test_commands_are_not_torn() -> None:
    command = f"`sysctl --{'x' * 120}`"
    assert command.split()[1] in as_text([warning("a", "b", f"{'words ' * 15}{command}")], colour=False)


def test_an_engine_that_is_well() -> None:
    found = engine_findings(HEALTHY, ("29.0", "1.52"), Settings())
    assert of(Level.BROKEN, found) | of(Level.WARNING, found) == set()
    found = host_findings(HEALTHY, Settings(max_compiles=2, max_connections=10), NOW)
    assert of(Level.BROKEN, found) | of(Level.WARNING, found) == set()


@pytest.mark.parametrize(
    ("changes", "settings", "check", "level"),
    [
        ({"CgroupVersion": "1"}, {}, "engine.cgroups", Level.WARNING),
        ({"CgroupDriver": "none"}, {}, "engine.cgroups", Level.BROKEN),
        ({"CgroupDriver": "none"}, {}, "engine.limits.pids", Level.BROKEN),
        ({"SwapLimit": False}, {}, "engine.limits.swap", Level.BROKEN),
        ({"SwapLimit": False}, {"missing_limits": ("swap",)}, "engine.limits.swap", Level.WARNING),
        ({"CpuCfsQuota": False}, {}, "engine.limits.cpu", Level.BROKEN),
        ({"MemoryLimit": False, "SwapLimit": False}, {}, "engine.limits.memory", Level.BROKEN),
        ({"SecurityOptions": []}, {}, "engine.security", Level.BROKEN),
        ({}, {"runtime": "kata"}, "engine.runtime", Level.BROKEN),
        ({}, {"runtime": "runsc"}, "engine.runtime", Level.OK),
        ({}, {}, "engine.disk", Level.SKIPPED),
    ],
)
def test_an_engine_that_lacks_something(
    changes: dict[str, Any], settings: dict[str, Any], check: str, level: Level
) -> None:
    found = engine_findings(HEALTHY | changes, ("29.0", "1.52"), Settings(**settings))
    assert levels(found)[check] is level


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("unix:///run/docker.sock", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://[::1]:2375", False),
        ("tcp://engine.example:2375", True),
        ("tcp://192.0.2.1:2375", True),
    ],
)
def test_an_engine_that_anybody_on_the_network_can_drive(
    monkeypatch: pytest.MonkeyPatch, host: str, told: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found = levels(engine_findings(HEALTHY, ("29.0", "1.52"), Settings()))
    assert found.get("engine.address") is (Level.WARNING if told else None)


@pytest.mark.parametrize(
    ("changes", "settings", "check", "level"),
    [
        ({"MemTotal": 2 << 30}, {}, "host.memory", Level.WARNING),
        ({"MemTotal": 128 << 20}, {}, "host.memory", Level.BROKEN),
        ({"NCPU": 2}, {"cpus": 4.0}, "host.cpus", Level.WARNING),
        ({"NCPU": 1}, {}, "host.cpus", Level.WARNING),
        ({"SystemTime": "2026-01-01T00:01:00Z"}, {}, "host.clock", Level.WARNING),
        ({"SystemTime": "2026-01-01T02:00:00+02:00"}, {}, "host.clock", Level.OK),
        ({}, {"max_connections": 1000000}, "host.open_files", Level.WARNING),
        ({}, {}, "host.kernel", Level.SKIPPED),
        ({"KernelVersion": os.uname().release}, {"pids": 32768}, "host.pids", Level.WARNING),
        ({"KernelVersion": os.uname().release}, {"uids": "1-60000"}, "host.users", Level.WARNING),
    ],
)
def test_settings_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], settings: dict[str, Any], check: str, level: Level
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = host_findings(HEALTHY | changes, Settings(**{"max_compiles": 2, **settings}), NOW)
    assert levels(found)[check] is level


PUBLIC = {"host": "0.0.0.0"}
ANYBODY = {"trusted_proxies": ("0.0.0.0/0",)}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"access.auth": Level.OK}),
        (PUBLIC | {"auth": "none"}, {"access.auth": Level.WARNING}),
        ({"auth": "proxy", "trusted_proxies": ("10.0.0.1",)}, {"access.auth": Level.OK}),
        (ANYBODY | {"auth": "proxy"}, {"access.auth": Level.BROKEN}),
        (ANYBODY, {"access.auth": Level.OK, "access.proxies": Level.WARNING}),
        ({"embed_origins": ("https://a.example",)}, {"access.auth": Level.OK, "access.embed": Level.OK}),
        ({"embed_origins": ("*",)}, {"access.auth": Level.OK, "access.embed": Level.WARNING}),
    ],
)
def test_who_may_use_the_server(settings: dict[str, Any], expected: dict[str, Level]) -> None:
    assert levels(access_findings(Settings(**settings), ["python"])) == expected


def test_keys_that_others_can_see_or_make_and_keys_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    settings = Settings(keys_file=file)

    def look() -> dict[str, Level]:
        return levels(access_findings(settings, ["python"]))

    file.write_text("")
    file.chmod(0o600)
    assert look() == {"access.auth": Level.WARNING, "access.keys_file": Level.OK}
    create_key(file, "ada", languages=["python"])
    assert look() == {"access.auth": Level.OK, "access.keys_file": Level.OK}
    file.chmod(0o644)
    create_key(file, "bob", languages=["pyhton"])
    assert look() == {
        "access.auth": Level.OK,
        "access.keys_file": Level.WARNING,
        "access.keys.bob": Level.WARNING,
    }
    file.chmod(0o666)
    assert look()["access.keys_file"] is Level.BROKEN


FACTS: dict[str, dict[str, Any]] = {
    "memory": {"taken": 400 * MIB, "swapped": 0},
    "cpu": {"used": 4.0, "wall": 2.0},
    "pids": {"processes": 48, "refused": None},
    "workspace": {"written": 40 * MIB, "refused": None},
    "network": {"interfaces": ["lo"], "reached": [["1.1.1.1", "ENETUNREACH"]], "resolved": None},
    "privileges": {
        "uids": ["50000"] * 4,
        "groups": [],
        "capabilities": {"CapEff": "0" * 16, "CapBnd": "0" * 16},
        "no_new_privileges": "1",
        "seccomp": "2",
        "calls": {"unshare": "EPERM"},
        "become_root": "EPERM",
    },
    "files": {
        "root_read_only": True,
        "mounts": [],
        "folders": [],
        "devices": [],
        "settings": [],
        "shown": [],
        "sockets": [],
        "make_device": "EPERM",
    },
    "processes": {
        "others": 0,
        "hostname": "trio-exec",
        "kill": "EPERM",
        "memory": "EACCES",
        "root": "EACCES",
        "output": "EACCES",
    },
}


@pytest.mark.parametrize(
    ("attempt", "changes", "check", "level"),
    [
        ("memory", {}, "limit.memory", Level.BROKEN),
        ("memory", {"swapped": MIB}, "limit.swap", Level.BROKEN),
        ("cpu", {}, "limit.cpu", Level.BROKEN),
        ("cpu", {"used": 1.0}, "limit.cpu", Level.OK),
        ("pids", {}, "limit.pids", Level.BROKEN),
        ("pids", {"processes": 30, "refused": "EAGAIN"}, "limit.pids", Level.OK),
        ("workspace", {}, "limit.workspace", Level.BROKEN),
        ("workspace", {"written": 32 * MIB, "files": 9999, "refused": None}, "limit.files", Level.BROKEN),
        ("network", {}, "isolation.network", Level.OK),
        ("network", {"interfaces": ["lo", "eth0"]}, "isolation.network", Level.BROKEN),
        ("network", {"reached": [["169.254.169.254", "EINPROGRESS"]]}, "isolation.network", Level.BROKEN),
        ("network", {"resolved": "192.0.2.1"}, "isolation.network", Level.BROKEN),
        ("privileges", {"capabilities": {"CapBnd": "00000000a80425fb"}}, "isolation.capabilities", Level.BROKEN),
        ("privileges", {"uids": ["0"] * 4}, "isolation.privileges", Level.BROKEN),
        ("privileges", {"groups": ["0"]}, "isolation.privileges", Level.BROKEN),
        ("privileges", {"no_new_privileges": "0"}, "isolation.privileges", Level.BROKEN),
        ("privileges", {"become_root": "done"}, "isolation.privileges", Level.BROKEN),
        ("privileges", {"calls": {"unshare": "done"}}, "isolation.seccomp", Level.BROKEN),
        ("privileges", {"calls": {"ptrace": "ESRCH"}, "seccomp": "0"}, "isolation.seccomp", Level.BROKEN),
        ("privileges", {"calls": {}}, "isolation.seccomp", Level.OK),
        ("privileges", {"calls": {}, "seccomp": "0"}, "isolation.seccomp", Level.BROKEN),
        ("files", {"root_read_only": False}, "isolation.files", Level.BROKEN),
        ("files", {"folders": ["/etc"]}, "isolation.files", Level.BROKEN),
        ("files", {"shown": ["/proc/keys"]}, "isolation.kernel", Level.BROKEN),
        ("files", {"devices": ["/dev/sda"]}, "isolation.devices", Level.BROKEN),
        ("files", {"sockets": ["/run/docker.sock"]}, "isolation.devices", Level.BROKEN),
        ("files", {"make_device": "done"}, "isolation.devices", Level.BROKEN),
        ("processes", {"others": 3}, "isolation.processes", Level.BROKEN),
        ("processes", {"kill": "done"}, "isolation.processes", Level.BROKEN),
        ("processes", {}, "isolation.processes", Level.OK),
    ],
)
def test_what_facts_mean(attempt: str, changes: dict[str, Any], check: str, level: Level) -> None:
    found = judged(attempt, Trial(facts=[FACTS[attempt] | changes]), LIMITS)
    assert levels(found)[check] is level
    assert of(Level.BROKEN, found) <= {check}


def test_memory_that_runs_out_at_the_limit_is_well_however_the_container_ends() -> None:
    facts: list[Mapping[str, Any]] = [{"taken": 192 * MIB, "swapped": 0}]
    for trial in (Trial(facts, out_of_memory=True), Trial(facts, failure="the container is gone"), Trial(facts)):
        assert levels(judged("memory", trial, LIMITS)) == {"limit.memory": Level.OK}
    late = Trial(facts=[{"taken": 260 * MIB, "swapped": 0}], out_of_memory=True)
    assert levels(judged("memory", late, LIMITS)) == {"limit.memory": Level.BROKEN}


@pytest.mark.parametrize(
    ("attempt", "changes", "check", "level"),
    [
        ("cpu", {}, "limit.cpu", Level.SKIPPED),
        ("workspace", {"written": 32 * MIB, "files": 9999, "refused": None}, "limit.files", Level.WARNING),
        ("privileges", {"calls": {"ptrace": "ESRCH"}, "seccomp": "0"}, "isolation.seccomp", Level.OK),
        ("files", {"mounts": ["/sys/fs/cgroup/cpu"]}, "isolation.files", Level.OK),
        ("files", {"folders": ["/tmp"]}, "isolation.files", Level.OK),
        ("files", {"folders": ["/etc"]}, "isolation.files", Level.BROKEN),
        ("files", {"devices": ["/dev/fuse"], "make_device": "done"}, "isolation.devices", Level.OK),
        ("files", {"sockets": ["/run/docker.sock"]}, "isolation.devices", Level.BROKEN),
    ],
)
def test_what_facts_mean_where_containers_have_a_kernel_of_their_own(
    attempt: str, changes: dict[str, Any], check: str, level: Level
) -> None:
    trial = Trial(machine_kernel="6.1.0")
    for fact in ({"kernel": "4.4.0"}, FACTS[attempt] | changes):
        trial.take(fact)
    assert levels(judged(attempt, trial, LIMITS))[check] is level


@pytest.mark.parametrize(
    ("attempt", "fact"), [("memory", {"taken": 40 * MIB, "swapped": 0}), ("pids", {"processes": 3})]
)
def test_a_container_that_ends_long_before_a_limit_is_no_proof(attempt: str, fact: dict[str, Any]) -> None:
    (found,) = judged(attempt, Trial([fact], failure="the engine is gone"), LIMITS)
    assert (found.level, found.message[-18:]) == (Level.BROKEN, "the engine is gone")


def test_an_attempt_that_tells_nothing_is_no_proof() -> None:
    (found,) = judged("memory", Trial(failure="the engine is gone"), LIMITS)
    assert (found.check, found.level) == ("probe.memory", Level.BROKEN)
    assert found.message.endswith("the engine is gone")


@dataclass(frozen=True)
class Weakened(Hardening):
    """As a mistake would have it.

    Attributes:
        arguments: take the place of those for `create_host_config`.
        limits: take the place of those that can be changed while a container runs.
        shown: whether what tells of the machine is left in sight.
        workspace: mount options that take the place of others.
    """

    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: dict[str, int] = field(default_factory=dict[str, int])
    shown: bool = False
    workspace: str = ""

    def workspace_options(self, limits: Limits, uid: int) -> str:
        return f"{Hardening.workspace_options(self, limits, uid)},{self.workspace}"  # The last ones count.

    def changeable(self, resources: Resources) -> dict[str, int]:
        return Hardening.changeable(self, resources) | self.limits

    def host_config(self, limits: Limits, resources: Resources, runtime: str | None, uid: int) -> dict[str, Any]:
        return Hardening.host_config(self, limits, resources, runtime, uid) | self.arguments

    def paths(self) -> dict[str, list[str]]:
        return {"MaskedPaths": [], "ReadonlyPaths": []} if self.shown else Hardening.paths(self)


@pytest.fixture
def weaken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Weakened], None]:
    def apply(weakened: Weakened) -> None:
        for module in (api, container, executor):
            monkeypatch.setattr(module, "HARDENING", weakened)

    return apply


async def examined(language: str = "python", **settings: Any) -> list[Finding]:
    """What is found of a server for one language."""
    chosen = Settings(languages=(language,), **settings)
    with trio.fail_after(PATIENCE):
        return await examine(chosen, Languages.load(only=[language]), Extent(), tell=lambda _: None)


async def test_sessions_on_this_machine_have_all_their_limits(images: dict[str, str]) -> None:
    found = await examined()
    assert of(Level.BROKEN, found) == set()
    assert not any(it.check.startswith("probe") for it in found)
    checks = {it.check for it in found if it.level is Level.OK and it.check.startswith(("limit.", "isolation."))}
    assert checks == {
        *(f"limit.{name}" for name in ("memory", "cpu", "pids", "workspace", "files")),
        *(f"isolation.{it}" for it in ("network", "capabilities", "privileges", "seccomp", "files", "kernel")),
        *("isolation.devices", "isolation.processes"),
    }


async def test_containers_without_limits_are_found_out(
    images: dict[str, str], weaken: Callable[[Weakened], None]
) -> None:
    weaken(
        Weakened(
            arguments={"pids_limit": 4096},
            workspace="size=1g",
            limits={"mem_limit": 1 << 30, "memswap_limit": 1 << 30, "cpu_quota": -1},
        )
    )
    found = await examined(cpus=0.1)
    assert of(Level.BROKEN, found) == {"limit.memory", "limit.cpu", "limit.pids", "limit.workspace"}


async def test_containers_that_are_open_are_found_out(
    images: dict[str, str], weaken: Callable[[Weakened], None]
) -> None:
    weaken(
        Weakened(
            network_disabled=False,
            network_mode="bridge",
            read_only=False,
            shown=True,
            arguments={"security_opt": ["seccomp=unconfined"], "devices": ["/dev/kmsg:/dev/kmsg:r"]},
            workspace="nr_inodes=1000000",
        )
    )
    found = await examined()
    assert of(Level.BROKEN, found) == {
        "limit.files",
        *(f"isolation.{it}" for it in ("network", "files", "kernel", "devices")),
    }
    assert "isolation.seccomp" in of(Level.OK, found), "the launcher sees to that"


@pytest.fixture
def without_python(images: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Has doctor find no image of Python; gives another language."""
    monkeypatch.setattr(examination, "LANGUAGE", "none such")
    others = [name for name in images if name != "python"]
    if not others:
        pytest.skip("needs the image of another language than Python")
    return others[0]


async def test_without_python_a_shell_tries_what_it_can(without_python: str) -> None:
    found = await examined(without_python)
    assert of(Level.BROKEN, found) == set()
    checks = {it.check for it in found if it.level is Level.OK and it.check.startswith(("limit.", "isolation."))}
    assert checks == {
        *(f"limit.{name}" for name in ("memory", "pids", "workspace", "files")),
        *(f"isolation.{it}" for it in ("network", "capabilities", "privileges", "seccomp")),
    }
    (left_out,) = [it for it in found if it.check == "probe"]
    assert (left_out.level, left_out.remedy) == (Level.SKIPPED, "trio-exec build python")


async def test_without_python_a_shell_finds_out_as_well(
    without_python: str, weaken: Callable[[Weakened], None]
) -> None:
    weaken(
        Weakened(
            network_disabled=False,
            network_mode="bridge",
            arguments={"pids_limit": 4096},
            workspace="size=1g,nr_inodes=1000000",
            limits={"mem_limit": 1 << 30, "memswap_limit": 1 << 30},
        )
    )
    found = await examined(without_python)
    assert of(Level.BROKEN, found) == {
        *(f"limit.{name}" for name in ("memory", "pids", "workspace", "files")),
        "isolation.network",
    }


def test_a_machine_that_is_well_as_text_and_for_programs(images: dict[str, str]) -> None:
    code, text = run_doctor("--no-probe", TRIO_EXEC_LANGUAGES="python")
    assert code == 0
    assert "ok        engine.reachable: Docker " in text
    assert "skipped   probe: whether limits and isolation hold was not tried: --no-probe" in text
    assert text.splitlines()[-1].endswith("It can be used.")
    assert "\x1b" not in text

    code, text = run_doctor("--json", TRIO_EXEC_LANGUAGES="python")
    told = json.loads(text)
    assert (code, told["status"] in {"ok", "warning"}) == (0, True)
    assert {"check": "images.python", "level": "ok", "message": "its image is there", "remedy": None} in told[
        "findings"
    ]
    assert "limit.memory" in {it["check"] for it in told["findings"]}


def test_settings_that_can_not_be_used_are_told_apart() -> None:
    code, text = run_doctor(TRIO_EXEC_PIDS=0, TRIO_EXEC_PORT="x")
    assert code == 2
    assert text.count("broken    settings: ") == 2
    assert run_doctor(TRIO_EXEC_HOST="0.0.0.0")[0] == 2  # Nobody has said who may.
    code, text = run_doctor("--json", TRIO_EXEC_POOL="cobol=1")
    assert (code, json.loads(text)["findings"][0]["check"]) == (2, "settings")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"Version": "19.03.8", "ApiVersion": "1.40"}, "the Docker engine is too old: its version is 19.03.8"),
        ({"Components": [{"Name": "Podman Engine"}]}, "this is Podman"),
    ],
)
def test_an_engine_that_can_not_be_used_is_told(version: dict[str, Any], words: str) -> None:
    with played_engine({"/version": VERSION | version}) as host:
        code, text = run_doctor(DOCKER_HOST=host)
    assert code == 1
    assert f"broken    engine.reachable: {words}" in text


@pytest.mark.parametrize("info", [[None], {"NCPU": "many"}, {"SecurityOptions": 1}, b"<h1>It works!</h1>"])
def test_what_is_no_engine_is_told_as_such(info: Any) -> None:
    with played_engine({"/version": VERSION, "/_ping": b"OK", "/info": info}) as host:
        code, text = run_doctor("--json", DOCKER_HOST=host)
    found = {it["check"]: it for it in json.loads(text)["findings"]}
    assert (code, found["engine.reachable"]["level"]) == (1, "broken")
    message = found["engine.reachable"]["message"]
    assert host in message
    assert "tell about itself" in message


def add_language(languages: Path, name: str, dockerfile: str) -> None:
    directory = languages / name
    directory.mkdir()
    (directory / "language.toml").write_text(
        f'name = "{name}"\ntitle = "{name}"\nversion = "1"\nsource_file = "main.py"\n[run]\ncommand = ["true"]\n'
    )
    (directory / "Dockerfile").write_text(dockerfile)


async def told_by_a_server(words: str, **settings: Any) -> str:
    """Why a server is not ready, once these words are in its reason."""
    server = ServerProcess(**settings)
    try:
        return str((await Client(server).until_told(words)).json()["reason"])
    finally:
        server.close()


def told_by_doctor(check: str, *arguments: str, **settings: Any) -> str:
    """What it says of a check that it finds broken."""
    variables = {
        name if name.startswith("DOCKER_") else f"TRIO_EXEC_{name.upper()}": it for name, it in settings.items()
    }
    code, text = run_doctor("--json", *arguments, **variables)
    assert code == 1
    found = {it["check"]: it for it in json.loads(text)["findings"]}
    assert found[check]["level"] == "broken"
    return found[check]["message"]


async def test_doctor_and_server_agree_that_there_is_no_engine(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "languages": "python"}
    reason = await told_by_a_server("can't be reached", **settings)
    assert told_by_doctor("engine.reachable", **settings) == reason


async def test_doctor_and_server_agree_that_an_image_is_missing(images: dict[str, str], tmp_path: Path) -> None:
    # Another image at each run, which takes longer to build than doctor takes to look.
    add_language(tmp_path, "slow", f"FROM {images['python']}\nRUN echo {time.monotonic_ns()}; sleep 20\n")
    variables = {"TRIO_EXEC_LANGUAGES_DIR": tmp_path, "TRIO_EXEC_LANGUAGES": "slow"}
    server = ServerProcess(languages_dir=tmp_path, languages="slow")
    try:
        answer = await Client(server).until_told("its image is being built")
        assert answer.json()["reason"] == "no language can be run yet; slow: its image is being built"
        code, text = await trio.to_thread.run_sync(lambda: run_doctor("--json", **variables))
    finally:
        server.close()
    found = {it["check"]: it for it in json.loads(text)["findings"]}
    assert (code, found["images.slow"]["level"], found["probe"]["level"]) == (0, "warning", "skipped")
    assert found["images.slow"]["message"].startswith("its image is not there; a server builds it")


@pytest.mark.docker
async def test_doctor_and_server_agree_that_a_language_can_not_be_built(tmp_path: Path) -> None:
    add_language(tmp_path, "unbuildable", "FROM scratch\nCOPY nothing /\n")
    settings: dict[str, Any] = {"languages_dir": tmp_path, "languages": "unbuildable"}
    reason = await told_by_a_server("tried again", **settings)
    message = told_by_doctor("images.unbuildable", "--build", **settings)
    assert "COPY failed" in message or "not found" in message
    assert reason.startswith(f"no language can be run yet; unbuildable: {message}; ")

    code, text = run_doctor("--json", TRIO_EXEC_LANGUAGES_DIR=tmp_path, TRIO_EXEC_LANGUAGES="unbuildable")
    found = {it["check"]: it["level"] for it in json.loads(text)["findings"]}
    assert (code, found["images.unbuildable"], found["probe"]) == (0, "warning", "skipped")


@pytest.mark.skipif(not Path("/sys/fs/cgroup/pids").is_dir(), reason="needs cgroup v1, whose controllers can be hidden")
async def test_doctor_and_server_agree_that_limits_are_missing(images: dict[str, str]) -> None:
    tags = [images["python"], launcher_image().tag]
    with private_dockerd(tags, "1g", without=["memory"]) as dockerd:
        settings: dict[str, Any] = {"DOCKER_HOST": dockerd.host, "languages": "python"}
        reason = await told_by_a_server("does not enforce limits", **settings)
        assert reason.startswith(f"{told_by_doctor('containers.open', **settings)}; ")
        assert "memory" in told_by_doctor("engine.limits.memory", **settings)

        # Who does without it has no alarm, and is told what it means.
        code, text = run_doctor(
            "--json", DOCKER_HOST=dockerd.host, TRIO_EXEC_LANGUAGES="python", TRIO_EXEC_MISSING_LIMITS="memory"
        )
        found = {it["check"]: it for it in json.loads(text)["findings"]}
        assert (code, found["limit.memory"]["level"]) == (0, "warning")
        assert re.search("and went on, .* as missing_limits allows", found["limit.memory"]["message"])

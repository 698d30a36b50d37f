"""Containers whose program tries to exceed its limits, and to get out: what is in force, not what was asked for.

Each attempt has a container of its own, which our executor opens exactly as it does a session's; it may not survive it.
What is too much for a quick look is lowered first, as a session may lower it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio

from trio_exec.doctor.calls import ARGUMENTS, FAMILIES, NUMBERS
from trio_exec.doctor.findings import Finding, Level, broken, skipped
from trio_exec.doctor.judging import JUDGES
from trio_exec.doctor.trial import ROOM, Trial
from trio_exec.errors import ExecutorError, OutOfMemoryError
from trio_exec.executor.base import Container, Opener
from trio_exec.executor.docker.hardening import Hardening
from trio_exec.languages import RUNTIMES, Language
from trio_exec.launcher import frames
from trio_exec.launcher.layout import WORKSPACE
from trio_exec.limits import MIB, Limits
from trio_exec.model import Job
from trio_exec.session.files import send_files
from trio_exec.session.plan import Plan, make_plan
from trio_exec.session.tasks import container_spec

PROGRAM = Path(__file__).with_name("attempts.py")
LANGUAGE = "python"
"""Whose images can run it."""
SHELL_PROGRAM = Path(__file__).with_name("attempts.sh")
SHELL_ARGUMENTS = {
    "memory": ("bytes",),
    "pids": ("processes",),
    "workspace": ("bytes", "files"),
    "network": (),
    "privileges": (),
}
"""What other images can try, by a shell; with the names of its numbers."""
TIMEOUT = 60
"""Seconds for one attempt; on a slow machine, taking memory with half a processor takes some."""
CPU_SECONDS = 2.0
MEMORY_MAX, WORKSPACE_MAX, PIDS_MAX = 256 * MIB, 64 * MIB, 512
"""To show that a limit holds takes no more than this."""
CPU_SHARE = 0.75
"""Of the machine's processors: a limit that is no less can't be exceeded."""
METADATA = "169.254.169.254"
"""Where machines in clouds hand out credentials: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html"""
DEVICES = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")]
SOCKETS = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"]
WRITABLE = [WORKSPACE, "/dev/shm", "/dev/mqueue"]  # noqa: S108 - no file of ours
"""Where programs may write: shared memory counts as memory, and queues are limited to none."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What to try, by the names of `attempts.ATTEMPTS`, with its arguments.

    Attributes:
        limits: that are in force meanwhile.
        arguments: of each.
    """

    limits: Limits
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


def plan_attempts(limits: Limits, hardening: Hardening, gateway: str | None) -> Attempts:
    """What to try where sessions have these limits.

    Args:
        limits: those of sessions.
        hardening: of containers.
        gateway: the address of the engine's machine on its default network, if it is known.
    """
    processors = hardening.machine.processors or 1
    lowered = replace(
        limits,
        memory_bytes=min(limits.memory_bytes, MEMORY_MAX),
        workspace_bytes=min(limits.workspace_bytes, WORKSPACE_MAX),
        pids=min(limits.pids, PIDS_MAX),
        cpus=min(limits.cpus, round(processors * CPU_SHARE, 2)),
        execution_timeout=TIMEOUT,
    )
    addresses = [[METADATA, 80], *([[gateway, 22]] if gateway is not None else []), ["1.1.1.1", 53]]
    return Attempts(
        lowered,
        {
            "memory": {"bytes": lowered.memory_bytes + ROOM.memory_bytes},
            "cpu": {"seconds": CPU_SECONDS, "processes": min(math.ceil(lowered.cpus) + 1, max(1, lowered.pids - 2))},
            "pids": {"processes": lowered.pids + ROOM.pids},
            "workspace": {
                "bytes": lowered.workspace_bytes + ROOM.workspace_bytes,
                "files": hardening.workspace_files + ROOM.files,
            },
            "network": {"addresses": addresses, "name": "example.com"},
            "privileges": {"numbers": NUMBERS, "arguments": ARGUMENTS, "families": FAMILIES},
            "files": {
                "masked": hardening.masked_paths,
                "writable": WRITABLE,
                "devices": DEVICES,
                "sockets": SOCKETS,
            },
            "processes": {},
        },
    )


async def probe(
    executor: Opener,
    language: Language,
    attempts: Attempts,
    *,
    kernel: str,
    dispensable: Collection[str],
    tell: Callable[[str], None],
) -> list[Finding]:
    """Makes all attempts, one after the other: they measure.

    Args:
        executor: where containers come from.
        language: Python; or another one, in whose images a shell makes those attempts that it can.
        attempts: what to try.
        kernel: version of the one that the engine's machine has.
        dispensable: names of limits that sessions may do without, by the setting `missing_limits`.
        tell: is called with the name of each attempt before it.

    Cancellation: at any moment; the container is removed first.
    """
    findings: list[Finding] = []
    python = language.directory == RUNTIMES / LANGUAGE
    for name, arguments in attempts.arguments.items():
        if python or name in SHELL_ARGUMENTS:
            tell(name)
            plan = (_plan if python else _shell_plan)(language, attempts.limits, name, arguments)
            findings += judged(name, await _try(executor, plan, Trial(machine_kernel=kernel)), attempts.limits)
    if not python:
        others = [name for name in attempts.arguments if name not in SHELL_ARGUMENTS]
        findings.append(
            skipped(
                "probe",
                f"{', '.join(others)}, addresses and system calls were not tried: that takes the image of {LANGUAGE}, "
                f"and this was that of {language.name}",
                f"trio-exec build {LANGUAGE}",
            )
        )
    return [_dispensed(it) if it.check in {f"limit.{name}" for name in dispensable} else it for it in findings]


def _plan(language: Language, limits: Limits, name: str, arguments: Mapping[str, Any]) -> Plan:
    job = Job(language=language.name, code=PROGRAM.read_bytes(), args=[name, json.dumps(arguments)])
    return make_plan(job, language, limits)


def _shell_plan(language: Language, limits: Limits, name: str, arguments: Mapping[str, Any]) -> Plan:
    """The run stage of a program of this language, but with a shell in its place."""
    plan = make_plan(Job(language=language.name, code=b""), language, limits)
    numbers = [str(arguments[it]) for it in SHELL_ARGUMENTS[name]]
    stage = replace(plan.stages[-1], command=["sh", SHELL_PROGRAM.name, name, *numbers])
    return replace(plan, stages=(stage,), files={SHELL_PROGRAM.name: SHELL_PROGRAM.read_bytes()})


def _dispensed(finding: Finding) -> Finding:
    """What the operator has allowed is worth a word, and no alarm."""
    if finding.level is not Level.BROKEN:
        return finding
    return replace(finding, level=Level.WARNING, message=f"{finding.message}, as missing_limits allows")


def judged(name: str, trial: Trial, limits: Limits) -> list[Finding]:
    """What an attempt shows; what tells nothing shows that it could not be made."""
    if trial.facts:
        return JUDGES[name](trial, limits)
    why = trial.failure or trial.words or "its program told nothing"
    return [broken(f"probe.{name}", f"what holds could not be tried: {why}")]


def left_out(why: str, remedy: str | None = None) -> list[Finding]:
    """What to say where no container is opened."""
    return [skipped("probe", f"whether limits and isolation hold was not tried: {why}", remedy)]


async def _try(executor: Opener, plan: Plan, trial: Trial) -> Trial:
    try:
        with trio.move_on_after(TIMEOUT) as scope:
            async with executor.open_container(container_spec(plan, "")) as container:
                await send_files(container, plan.files)
                stage = plan.stages[-1]
                await container.apply_resources(stage.resources)
                await container.send(
                    frames.encode_stage(stage.command, stage.environment, terminal=None, deadline=TIMEOUT)
                )
                await _follow(container, trial)
        if scope.cancelled_caught:
            trial.failure = f"it took longer than {TIMEOUT} seconds"
            trial.facts.clear()  # How far it came by then shows nothing.
    except OutOfMemoryError:
        trial.out_of_memory = True
    except ExecutorError as error:
        trial.failure = error.message
    return trial


async def _follow(container: Container, trial: Trial) -> None:
    """Takes what an attempt tells, until its end."""
    pending = b""
    while True:
        for event in await container.receive():
            match event:
                case frames.Stdout(data):
                    *lines, pending = (pending + data).split(b"\n")
                    for fact in _objects(lines):
                        trial.take(fact)
                case frames.Stderr(data):
                    trial.words = data.decode(errors="replace").strip().rpartition("\n")[2] or trial.words
                case frames.StageEnd():
                    trial.out_of_memory = event.oom_kills > 0
                    trial.killed = event.signal is not None
                    return
                case frames.Failure(message):
                    trial.failure = message
                    return
                case _:
                    pass


def _objects(lines: Sequence[bytes]) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in lines if line.startswith(b"{")]

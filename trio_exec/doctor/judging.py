"""What an attempt shows: facts that a probe's program has told, and what they mean. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trio_exec.doctor.findings import Finding, broken, ok, skipped
from trio_exec.limits import MIB, Limits

REPORT = "This must not be: don't let anybody use this server, and see docs/security.md for what should hold."
OLD_ENGINE = "The engine did not do what it was told. Use Docker 20.10 or newer with runc, crun or gVisor."


@dataclass(frozen=True, slots=True)
class Room:
    """How far attempts go beyond a limit: far enough that it shows, and no machine suffers."""

    memory_bytes: int = 96 * MIB
    pids: int = 16
    workspace_bytes: int = 8 * MIB
    files: int = 64


ROOM = Room()
_SLACK_CPU = 1.3
"""The kernel gives CPU in slices, so a little more than the limit is the limit."""
_SLACK_MEMORY = 16 * MIB
"""Likewise: it counts in batches, and reclaims before it kills."""
_NO_WAY = {"ENETUNREACH", "EHOSTUNREACH", "EPERM", "EACCES"}
_REFUSED = {"EPERM", "ENOSYS", "EAFNOSUPPORT"}
_SHOWN = 4


@dataclass(slots=True)
class Trial:
    """What came of an attempt.

    Attributes:
        facts: what its program told.
        out_of_memory: whether the kernel killed something in its container for want of memory.
        killed: whether its program was ended by a signal.
        failure: what went wrong with the container.
        words: the last line of what the program wrote to standard error.
    """

    facts: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    out_of_memory: bool = False
    killed: bool = False
    failure: str | None = None
    words: str | None = None

    @property
    def last(self) -> Mapping[str, Any]:
        """The last fact."""
        return self.facts[-1]


def _mebibytes(size: float) -> str:
    return f"{size / MIB:.0f} MiB"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def judge_memory(trial: Trial, limits: Limits) -> list[Finding]:
    """Of memory, and of swap on top of it."""
    taken, swapped = int(trial.last["taken"]), int(trial.last["swapped"])
    limit = limits.memory_bytes
    if swapped > 0:
        return [
            broken(
                "limit.swap",
                f"a program used {_mebibytes(swapped)} of swap beside the memory that it may have, {_mebibytes(limit)}",
                "Boot the engine's machine with swapaccount=1, or turn its swap off: swapoff --all",
            )
        ]
    if not trial.out_of_memory and trial.failure is None and not trial.killed:
        return [
            broken(
                "limit.memory",
                f"a program took {_mebibytes(taken)} and went on, where the limit is {_mebibytes(limit)}",
                "Boot the engine's machine with cgroup_enable=memory, and see that the engine has the memory "
                "controller.",
            )
        ]
    if taken > limit + _SLACK_MEMORY:
        return [broken("limit.memory", f"a program had {_mebibytes(taken)}, where the limit is {_mebibytes(limit)}")]
    return [
        ok("limit.memory", f"ended by the kernel at {_mebibytes(taken)}; the limit is {_mebibytes(limit)}, no swap")
    ]


def judge_cpu(trial: Trial, limits: Limits) -> list[Finding]:
    """Of CPU."""
    share = float(trial.last["used"]) / float(trial.last["wall"])
    if share > limits.cpus * _SLACK_CPU:
        return [
            broken(
                "limit.cpu",
                f"a program used {share:.2f} CPUs, where the limit is {limits.cpus:g}",
                "See that the engine has the cpu controller, and its kernel CONFIG_CFS_BANDWIDTH.",
            )
        ]
    return [ok("limit.cpu", f"several processes together got {share:.2f} CPUs; the limit is {limits.cpus:g}")]


def judge_pids(trial: Trial, limits: Limits) -> list[Finding]:
    """Of processes."""
    started, refused = int(trial.last["processes"]), trial.last.get("refused")
    ended = trial.failure is not None or trial.killed or trial.out_of_memory
    if started > limits.pids or (refused is None and not ended):
        return [
            broken(
                "limit.pids",
                f"a program started {started} processes, where the limit is {limits.pids}",
                "See that the engine has the pids controller.",
            )
        ]
    if refused is None:
        return [ok("limit.pids", f"the container was ended at {started} processes; the limit is {limits.pids}")]
    return [ok("limit.pids", f"a program was refused more than {started} processes; the limit is {limits.pids}")]


def judge_workspace(trial: Trial, limits: Limits) -> list[Finding]:
    """Of bytes and files in the workspace."""
    written = max(int(it["written"]) for it in trial.facts if "written" in it)
    limit = limits.workspace_bytes
    if written > limit:
        return [
            broken(
                "limit.workspace",
                f"a program wrote {_mebibytes(written)} to its workspace, where the limit is {_mebibytes(limit)}",
                OLD_ENGINE,
            )
        ]
    findings = [ok("limit.workspace", f"full at {_mebibytes(written)}; the limit is {_mebibytes(limit)}")]
    made = next((it for it in trial.facts if "files" in it), None)
    if made is None:
        # It counts as memory, and of that there was less.
        return [*findings, skipped("limit.files", "memory ran out before the workspace was full")]
    if made["refused"] is None:
        return [*findings, broken("limit.files", f"a program made {made['files']} files, and could go on", OLD_ENGINE)]
    return [*findings, ok("limit.files", f"a program was refused more than {made['files']} files")]


def judge_network(trial: Trial, limits: Limits) -> list[Finding]:
    """Of ways to other machines."""
    del limits
    others = [name for name in trial.last["interfaces"] if name != "lo"]
    ways = [f"{host} ({result})" for host, result in trial.last["reached"] if result not in _NO_WAY]
    resolved = trial.last["resolved"]
    found = [
        *([f"interfaces {_listed(others)}"] if others else []),
        *([f"ways to {_listed(ways)}"] if ways else []),
        *([f"name resolution ({resolved})"] if resolved else []),
    ]
    if found:
        return [broken("isolation.network", f"programs have a network: {'; '.join(found)}", REPORT)]
    tried = ", ".join(host for host, _ in trial.last["reached"])
    return [ok("isolation.network", f"none but loopback; no way to {tried}, no name resolution")]


def judge_privileges(trial: Trial, limits: Limits) -> list[Finding]:
    """Of users, capabilities and system calls."""
    del limits
    facts = trial.last
    bad = {name: value for name, value in facts["capabilities"].items() if int(value, 16) != 0}
    capabilities = (
        broken("isolation.capabilities", f"programs have capabilities: {bad}", REPORT)
        if bad
        else ok("isolation.capabilities", "none, and none to be had: all sets are empty, the bounding set too")
    )
    ways: list[str] = []
    if "0" in facts["uids"]:
        ways.append("programs run as root")
    if "0" in facts["groups"]:
        ways.append("programs have root's group")
    if facts["no_new_privileges"] == "0":
        ways.append("no-new-privileges is not set, so set-user-id files work")
    if facts["become_root"] == "done":
        ways.append("setuid(0) succeeds")
    users = (
        broken("isolation.privileges", "; ".join(ways), REPORT)
        if ways
        else ok("isolation.privileges", f"user {facts['uids'][0]}, no groups of root's, no-new-privileges")
    )
    return [capabilities, users, _seccomp(facts)]


def _seccomp(facts: Mapping[str, Any]) -> Finding:
    passed = [name for name, result in facts["calls"].items() if result not in _REFUSED]
    # gVisor does not show the filter: it is the kernel that answers.
    if facts["seccomp"] not in {None, "2"} and passed:
        return broken("isolation.seccomp", f"there is no filter of system calls: {_listed(passed)} get through", REPORT)
    if passed:
        return broken("isolation.seccomp", f"system calls get through that should not: {_listed(passed)}", REPORT)
    if not facts["calls"]:
        return skipped("isolation.seccomp", "no system calls are known for this kind of processor")
    return ok("isolation.seccomp", f"{len(facts['calls'])} forbidden calls were refused, all that were tried")


def judge_files(trial: Trial, limits: Limits) -> list[Finding]:
    """Of what can be written to, and of what tells of the machine."""
    del limits
    facts = trial.last
    open_places = [*facts["mounts"], *(it for it in facts["folders"] if it not in facts["mounts"]), *facts["settings"]]
    if not facts["root_read_only"]:
        open_places.insert(0, "/ (not read-only)")
    writing = (
        broken("isolation.files", f"programs can write to {_listed(open_places)}", REPORT)
        if open_places
        else ok("isolation.files", "the root is read-only; only the workspace and shared memory can be written to")
    )
    shown = facts["shown"]
    kernel = (
        broken("isolation.kernel", f"programs see what tells of the machine: {_listed(shown)}", REPORT)
        if shown
        else ok("isolation.kernel", "what /proc and /sys tell of the machine and of others on it is masked")
    )
    odd = [*facts["devices"], *facts["sockets"]]
    if facts["make_device"] == "done":
        odd.append("any, since mknod succeeds")
    devices = (
        broken("isolation.devices", f"programs have devices or sockets of the machine's: {_listed(odd)}", REPORT)
        if odd
        else ok("isolation.devices", "only harmless ones, and no engine's socket")
    )
    return [writing, kernel, devices]


def judge_processes(trial: Trial, limits: Limits) -> list[Finding]:
    """Of other processes."""
    del limits
    facts = trial.last
    ways = [f"its {it}" for it in ("memory", "root", "descriptors") if facts[it] == "done"]
    if facts["kill"] == "done":
        ways.append("signals to it")
    if facts["others"]:
        return [broken("isolation.processes", f"programs see {facts['others']} processes of the machine's", REPORT)]
    if ways:
        return [broken("isolation.processes", f"programs reach the launcher: {', '.join(ways)}", REPORT)]
    return [ok("isolation.processes", "programs see no others, and can't reach the launcher")]


JUDGES: Mapping[str, Callable[[Trial, Limits], list[Finding]]] = {
    "memory": judge_memory,
    "cpu": judge_cpu,
    "pids": judge_pids,
    "workspace": judge_workspace,
    "network": judge_network,
    "privileges": judge_privileges,
    "files": judge_files,
    "processes": judge_processes,
}

"""What an attempt to get out shows: facts that a probe's program has told, and what they mean. No I/O."""

from __future__ import annotations

from trio_exec.doctor.findings import Finding, broken, ok
from trio_exec.doctor.trial import Trial
from trio_exec.limits import Limits

REPORT = "This must not be: don't let anybody use this server, and see docs/security.md for what should hold."
_NO_WAY = {"ENETUNREACH", "EHOSTUNREACH", "EPERM", "EACCES"}
_REFUSED = {"EPERM", "ENOSYS", "EAFNOSUPPORT"}
_SHOWN = 4


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


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
    if not trial.last["reached"]:
        return [ok("isolation.network", "there is no interface but loopback")]
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
    return [capabilities, users, _seccomp(trial)]


def _seccomp(trial: Trial) -> Finding:
    facts = trial.last
    passed = [name for name, result in facts["calls"].items() if result not in _REFUSED]
    if trial.sandboxed:
        words = f"programs have a kernel of their own ({trial.kernel}), which is all that their system calls reach"
        return ok("isolation.seccomp", words)
    if facts["seccomp"] not in {None, "2"} and passed:
        return broken("isolation.seccomp", f"there is no filter of system calls: {_listed(passed)} get through", REPORT)
    if passed:
        return broken("isolation.seccomp", f"system calls get through that should not: {_listed(passed)}", REPORT)
    if not facts["calls"] and facts["seccomp"] == "2":
        return ok("isolation.seccomp", "system calls are filtered; which, was not tried")
    if not facts["calls"]:
        return broken("isolation.seccomp", "there is no filter of system calls", REPORT)
    return ok("isolation.seccomp", f"{len(facts['calls'])} forbidden calls were refused, all that were tried")


def judge_files(trial: Trial, limits: Limits) -> list[Finding]:
    """Of what can be written to, and of what tells of the machine."""
    del limits
    facts = trial.last
    # A kernel of their own has control groups and devices of its own, which lead nowhere.
    mounts: list[str] = [] if trial.sandboxed else facts["mounts"]
    open_places: list[str] = [*mounts, *(it for it in facts["folders"] if it not in mounts), *facts["settings"]]
    if not facts["root_read_only"]:
        open_places.insert(0, "/ (not read-only)")
    writing = _writing(open_places, sandboxed=trial.sandboxed)
    shown = facts["shown"]
    kernel = (
        broken("isolation.kernel", f"programs see what tells of the machine: {_listed(shown)}", REPORT)
        if shown
        else ok("isolation.kernel", "what /proc and /sys tell of the machine and of others on it is masked")
    )
    devices: list[str] = [] if trial.sandboxed else facts["devices"]
    odd: list[str] = [*devices, *facts["sockets"]]
    if facts["make_device"] == "done" and not trial.sandboxed:
        odd.append("any, since mknod succeeds")
    harmless = (
        broken("isolation.devices", f"programs have devices or sockets of the machine's: {_listed(odd)}", REPORT)
        if odd
        else ok("isolation.devices", "only harmless ones, and no engine's socket")
    )
    return [writing, kernel, harmless]


def _writing(places: list[str], *, sandboxed: bool) -> Finding:
    if not places:
        return ok("isolation.files", "the root is read-only; only the workspace and shared memory can be written to")
    if sandboxed and places == ["/tmp"]:  # noqa: S108 - no file of ours
        return ok(
            "isolation.files",
            "the root is read-only; /tmp is a file system of the container's own, as large as the workspace",
        )
    return broken("isolation.files", f"programs can write to {_listed(places)}", REPORT)


def judge_processes(trial: Trial, limits: Limits) -> list[Finding]:
    """Of other processes."""
    del limits
    facts = trial.last
    ways = [f"its {it}" for it in ("memory", "root", "output") if facts[it] == "done"]
    if facts["kill"] == "done":
        ways.append("signals to it")
    if facts["others"]:
        return [broken("isolation.processes", f"programs see {facts['others']} processes of the machine's", REPORT)]
    if ways:
        return [broken("isolation.processes", f"programs reach the launcher: {', '.join(ways)}", REPORT)]
    return [ok("isolation.processes", "programs see no others, and can't reach the launcher")]

"""Whether the settings fit the machine: this process's, and the engine's."""

from __future__ import annotations

import math
import pwd
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trio_exec.doctor.engine import GIB, is_local
from trio_exec.doctor.findings import Finding, broken, ok, skipped, warning
from trio_exec.executor.docker.api import time_of
from trio_exec.limits import MIB
from trio_exec.server.connections import connections_that_fit
from trio_exec.settings import Settings

SUPERVISOR = 13 * MIB
"""Bytes that the engine takes beside each container; docs/deploy.md has the figures."""
WARM = 80 * MIB
"""Bytes that a warm container takes at most, a JVM's."""
SERVER = 512 * MIB
CLOCK_TOLERANCE = 5
"""Seconds by which two clocks may differ without being worth a word."""
_PID_MAX = Path("/proc/sys/kernel/pid_max")
_PTY_MAX = Path("/proc/sys/kernel/pty/max")
_SHARE_OF_PIDS = 2
"""Programs may have one in so many of the machine's process ids."""


def host_findings(info: Mapping[str, Any], settings: Settings, now: float) -> list[Finding]:
    """What doesn't fit.

    Args:
        info: the engine's answer to `docker info`, of just now.
        settings: of the server.
        now: Unix time by this machine's clock, as that answer came.
    """
    findings = [_open_files(settings), _memory(info, settings), _processors(info, settings), _clock(info, now)]
    if not is_local(info):
        return [*findings, skipped("host.kernel", "the engine's machine is another one; its limits can't be seen here")]
    return [*findings, _process_ids(settings), _terminals(settings), _user_ids(settings)]


def _containers(settings: Settings) -> int:
    return settings.max_sessions + sum(settings.pool.values())


def _open_files(settings: Settings) -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections
    fit = connections_that_fit(wanted, _containers(settings), hard)
    if fit >= wanted:
        return ok("host.open_files", f"{hard} open files are enough for max_connections = {wanted}")
    words = f"with {hard} open files, {max(fit, 0)} connections fit instead of max_connections = {wanted}"
    remedy = (
        "Raise the limit of whatever starts the server (LimitNOFILE= for systemd, `ulimits: nofile` in Compose, "
        "`ulimit -n` in a shell), or lower max_connections."
    )
    return warning("host.open_files", words, remedy)


def _memory(info: Mapping[str, Any], settings: Settings) -> Finding:
    total = int(info.get("MemTotal", 0))
    limits = settings.limits
    needed = (
        settings.max_sessions * (limits.memory_bytes + SUPERVISOR)
        + settings.max_compiles * (limits.compile_memory_bytes - limits.memory_bytes)
        + sum(settings.pool.values()) * (SUPERVISOR + WARM)
        + SERVER
    )
    words = (
        f"if all programs took what they may, they and the server would need {needed / GIB:.1f} GiB; the engine's "
        f"machine has {total / GIB:.1f} GiB"
    )
    if limits.memory_bytes > total or limits.compile_memory_bytes > total:
        return broken(
            "host.memory",
            f"one session may take more memory than the machine has: {words}",
            "Lower memory_bytes or compile_memory_bytes.",
        )
    if needed > total:
        return warning("host.memory", words, "Lower max_sessions, memory_bytes, max_compiles or pool, or add memory.")
    return ok("host.memory", words)


def _processors(info: Mapping[str, Any], settings: Settings) -> Finding:
    there = int(info.get("NCPU", 0))
    asked = max(settings.cpus, settings.limits.compile_cpus)
    words = (
        f"{settings.max_sessions} sessions with {settings.cpus:g} CPUs and {settings.max_compiles} compiles with "
        f"{settings.limits.compile_cpus:g} share {there}"
    )
    if settings.cpus > there:
        return warning(
            "host.cpus",
            f"a session may use {settings.cpus:g} CPUs, of {there} in all: one program can slow down all others",
            f"Set cpus to less than {there}.",
        )
    if asked > there:
        return warning(
            "host.cpus",
            f"a compile may use {asked:g} CPUs, of {there}: it can slow everything down for as long as it takes",
            f"Set compile_cpus to {there} or less.",
        )
    return ok("host.cpus", words)


def _clock(info: Mapping[str, Any], now: float) -> Finding:
    try:
        ahead = time_of(info) - now
    except (KeyError, ValueError):
        return skipped("host.clock", "the engine does not tell its time")
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ok("host.clock", "the engine's clock and this one agree")
    return warning(
        "host.clock",
        f"the engine's clock is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} this one: times in "
        "logs won't match",
        "Have both machines keep their clocks by NTP.",
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _process_ids(settings: Settings) -> Finding:
    there = _number(_PID_MAX)
    if there is None:
        return skipped("host.pids", f"{_PID_MAX} can't be read")
    needed = settings.max_sessions * settings.pids
    words = f"{settings.max_sessions} sessions may have {needed} processes and threads; the machine has ids for {there}"
    if needed * _SHARE_OF_PIDS > there:
        return warning(
            "host.pids",
            words,
            f"Lower pids or max_sessions, or give the machine more: sysctl kernel.pid_max={_enough(needed)}",
        )
    return ok("host.pids", words)


def _enough(pids: int) -> int:
    """A power of two, as pid_max mostly is; 2**22 is the most that a kernel takes."""
    return min(1 << 22, 1 << math.ceil(math.log2(pids * _SHARE_OF_PIDS)))


def _terminals(settings: Settings) -> Finding:
    there = _number(_PTY_MAX)
    if there is None:
        return skipped("host.terminals", f"{_PTY_MAX} can't be read")
    needed = _containers(settings)
    words = f"up to {needed} containers may have a terminal; the machine has {there}"
    if needed > there:
        return warning("host.terminals", words, f"sysctl kernel.pty.max={needed * 2}")
    return ok("host.terminals", words)


def _user_ids(settings: Settings) -> Finding:
    ids = settings.uid_range
    taken = sorted(user.pw_name for user in pwd.getpwall() if user.pw_uid in ids)
    if taken:
        return warning(
            "host.users",
            f"{len(taken)} of this machine's users have ids of the range uids = {settings.uids}: {', '.join(taken[:5])}"
            "; programs would share the kernel's limits for each user with them",
            "Set uids to a range that nobody has.",
        )
    return ok("host.users", f"no user of this machine has an id of the range {settings.uids}")

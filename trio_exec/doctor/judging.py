"""What an attempt to exceed a limit shows: facts that a probe's program has told, and what they mean. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trio_exec.doctor.findings import Finding, broken, ok, skipped, warning
from trio_exec.doctor.isolation import judge_files, judge_network, judge_privileges, judge_processes
from trio_exec.doctor.trial import Trial
from trio_exec.limits import MIB, Limits

OLD_ENGINE = "The engine did not do what it was told. Use Docker 20.10 or newer with runc, crun or gVisor."
_SLACK_CPU = 1.3
"""The kernel gives CPU in slices, so a little more than the limit is the limit."""
_SLACK_MEMORY = 16 * MIB
"""Likewise: it counts in batches, and reclaims before it kills."""


def _mebibytes(size: float) -> str:
    return f"{size / MIB:.0f} MiB"


def _ended_early(check: str, why: str) -> Finding:
    return broken(check, f"whether the limit holds could not be seen, as the container ended long before it: {why}")


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
    if taken > limit + _SLACK_MEMORY:
        return [
            broken(
                "limit.memory",
                f"a program took {_mebibytes(taken)}{'' if trial.ended else ' and went on'}, where the limit is "
                f"{_mebibytes(limit)}",
                "Boot the engine's machine with cgroup_enable=memory, and see that the engine has the memory "
                "controller.",
            )
        ]
    if trial.failure is not None and taken < limit // 2:
        return [_ended_early("limit.memory", trial.failure)]
    how = "ended by the kernel" if trial.ended else "refused more"
    return [ok("limit.memory", f"{how} at {_mebibytes(taken)}; the limit is {_mebibytes(limit)}, no swap")]


def judge_cpu(trial: Trial, limits: Limits) -> list[Finding]:
    """Of CPU."""
    if trial.sandboxed:
        words = f"how much CPU programs get is not to be told by a kernel of their own ({trial.kernel})"
        return [skipped("limit.cpu", words)]
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
    if started > limits.pids or (refused is None and not trial.ended):
        return [
            broken(
                "limit.pids",
                f"a program started {started} processes, where the limit is {limits.pids}",
                "See that the engine has the pids controller.",
            )
        ]
    if trial.failure is not None and started < limits.pids // 2:
        return [_ended_early("limit.pids", trial.failure)]
    if refused is None:
        return [ok("limit.pids", f"the container was ended at {started} processes; the limit is {limits.pids}")]
    return [ok("limit.pids", f"a program was refused more than {started} processes; the limit is {limits.pids}")]


def judge_workspace(trial: Trial, limits: Limits) -> list[Finding]:
    """Of bytes and files in the workspace."""
    written = max((int(it["written"]) for it in trial.facts if "written" in it), default=0)
    limit = limits.workspace_bytes
    size = (
        ok("limit.workspace", f"full at {_mebibytes(written)}; the limit is {_mebibytes(limit)}")
        if written <= limit
        else broken(
            "limit.workspace",
            f"a program wrote {_mebibytes(written)} to its workspace, where the limit is {_mebibytes(limit)}",
            OLD_ENGINE,
        )
    )
    return [size, _number_of_files(trial)]


def _number_of_files(trial: Trial) -> Finding:
    told = next((it for it in trial.facts if "files" in it), None)
    if told is None:
        # What is in the workspace counts as memory, and of that there was less.
        return skipped("limit.files", "memory ran out before the workspace was full")
    number = told["files"]
    if told["refused"] is not None:
        return ok("limit.files", f"a program was refused more than {number} files")
    if trial.sandboxed:
        words = f"a program made {number} files, and could go on until its memory is full: its kernel counts none"
        return warning("limit.files", words)
    return broken("limit.files", f"a program made {number} files, and could go on", OLD_ENGINE)


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

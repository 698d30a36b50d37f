"""How every container is locked down: one frozen value, to be reviewed at a glance.

A test asserts it field by field against what the engine says of a running container. Where a number is not from
the settings, a word beside it says why that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docker.types import LogConfig, Ulimit

from trio_exec.executor.machine import UNKNOWN, Machine
from trio_exec.executor.rlimits import rlimits
from trio_exec.executor.seccomp import profile_json
from trio_exec.launcher.layout import TEMPORARY_LINK, WORKSPACE
from trio_exec.limits import Limits, Resources

_MASKED = """
/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/pressure
/proc/sched_debug /proc/schedstat /proc/scsi /proc/sys/kernel/pty /proc/timer_list /proc/timer_stats
/proc/vmstat /sys/devices/virtual/powercap /sys/firmware
"""
"""What tells of the machine and of others on it; engines differ in what they hide by themselves."""


@dataclass(frozen=True, slots=True)
class Hardening:
    """What holds for every container, whatever its limits.

    Attributes:
        machine: what the engine runs on, as far as is known.
    """

    machine: Machine = UNKNOWN
    user: str = "0:0"  # the launcher; it becomes a user without privileges in each program
    read_only: bool = True
    network_disabled: bool = True
    network_mode: str = "none"
    cap_drop: tuple[str, ...] = ("ALL",)
    # The launcher's alone, whose sets are empty by the time that a program runs.
    cap_add: tuple[str, ...] = (
        "KILL",  # to end programs, which are another user
        "SETGID",
        "SETPCAP",  # to empty the bounding set; dropped then
        "SETUID",
    )
    ipc_mode: str = "private"
    cgroup_namespace: str = "private"  # /proc/self/cgroup then tells nothing of the host
    log_driver: str = "none"  # a flood of output must not reach the host's disk
    hostname: str = "trio-exec"
    stop_signal: str = "SIGKILL"  # PID 1 ignores others: an engine that stops would wait for it in vain
    oom_score_adj: int = 500  # short of memory, the host shall take a program before its own services; see identity.c
    cpu_period: int = 100_000  # microseconds; the kernel's default
    workspace_files: int = 4096  # inodes are kernel memory, outside of the size limit
    # Where the memory limit does not count what sockets hold, they are few and small. Loopback works all the same.
    uncharged_sysctls: tuple[tuple[str, str], ...] = (
        ("net.core.somaxconn", "3"),  # connections that nobody has accepted take no descriptor
        ("net.ipv4.tcp_rmem", "4096 4096 4096"),
        ("net.ipv4.tcp_wmem", "4096 4096 4096"),
    )
    readonly_paths: tuple[str, ...] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

    @property
    def security_opt(self) -> tuple[str, ...]:
        """No way back to privileges, and the system calls that there are."""
        return ("no-new-privileges", f"seccomp={profile_json(self.machine)}")

    @property
    def masked_paths(self) -> list[str]:
        """Files and folders of the kernel's that look empty."""
        processors = range(self.machine.processors)
        return [*_MASKED.split(), *(f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in processors)]

    def workspace_options(self, limits: Limits, uid: int) -> str:
        """Mount options of the working directory.

        uid, gid and exec are spelt out: without them the engine mounts it for root and noexec.
        """
        return f"{self._sizes(limits)},mode=0755,uid={uid},gid={uid}"

    def _sizes(self, limits: Limits) -> str:
        return f"rw,exec,nosuid,nodev,size={limits.workspace_bytes},nr_inodes={self.workspace_files}"

    def file_systems(self, limits: Limits, runtime: str | None, uid: int) -> dict[str, str]:
        """What can be written to, by its path.

        Another runtime may put a file system of its own, which nothing bounds, in the place of the images' link from
        /tmp into the workspace: gVisor does, unless it is told of one.
        """
        workspace = self.workspace_options(limits, uid)
        if runtime is None:
            return {WORKSPACE: workspace}
        # It is root's: programs can't lock it against the launcher, which empties it.
        return {WORKSPACE: workspace, TEMPORARY_LINK: f"{self._sizes(limits)},mode=1777"}

    def paths(self) -> dict[str, list[str]]:
        """What `create_host_config` has no arguments for: fields to add to what it returns."""
        return {"MaskedPaths": self.masked_paths, "ReadonlyPaths": list(self.readonly_paths)}

    def host_config(self, limits: Limits, resources: Resources, runtime: str | None, uid: int) -> dict[str, Any]:
        """Keyword arguments for docker-py's `create_host_config`; `paths` has the rest.

        Args:
            limits: the session's.
            resources: those that hold at first.
            runtime: a Docker runtime, or None for the engine's default.
            uid: the program's user.
        """
        arguments: dict[str, Any] = {
            "auto_remove": True,
            "cap_add": [*self.cap_add, *self.machine.extra_capabilities],
            "cap_drop": list(self.cap_drop),
            "cgroupns": self.cgroup_namespace,
            "init": False,  # the launcher is PID 1 and reaps
            "ipc_mode": self.ipc_mode,
            "log_config": LogConfig(type=self.log_driver),
            **self.changeable(resources),
            "network_mode": self.network_mode,
            "oom_score_adj": self.oom_score_adj,
            "pids_limit": limits.pids,
            "privileged": False,
            "read_only": self.read_only,
            "security_opt": list(self.security_opt),
            # /dev/shm counts as memory. It ends no sooner, since a program that maps what there is no room for dies of
            # SIGBUS, which tells nobody why.
            "shm_size": limits.memory_bytes,
            "sysctls": {} if self.machine.charges_sockets else dict(self.uncharged_sysctls),
            "tmpfs": self.file_systems(limits, runtime, uid),
            "ulimits": [Ulimit(name=name, soft=value, hard=value) for name, value in rlimits(self.machine)],
        }
        if runtime is not None:
            arguments["runtime"] = runtime
        return arguments

    def changeable(self, resources: Resources) -> dict[str, int]:
        """What differs between the stages; also keyword arguments for docker-py's `update_container`."""
        return {
            "mem_limit": resources.memory_bytes,
            "memswap_limit": resources.memory_bytes,  # the same: no swap on top
            "cpu_period": self.cpu_period,
            "cpu_quota": round(resources.cpus * self.cpu_period),
        }


HARDENING = Hardening()

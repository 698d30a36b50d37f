"""How every container is locked down: one frozen value, to be reviewed at a glance.

A test asserts it field by field against what the engine says of a running container. Where a number is not from
the settings, a word beside it says why that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from docker.types import LogConfig, Ulimit

from trio_exec.executor.seccomp import profile_json
from trio_exec.limits import MIB, Limits

WORKSPACE = "/workspace"
USER_ID = 65534
"""nobody: owns no file in the images."""

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Hardening:
    """What holds for every container, whatever its limits."""

    user: str = f"{USER_ID}:{USER_ID}"
    read_only: bool = True
    network_disabled: bool = True
    network_mode: str = "none"
    cap_drop: tuple[str, ...] = ("ALL",)
    security_opt: tuple[str, ...] = field(default_factory=lambda: ("no-new-privileges", f"seccomp={profile_json()}"))
    ipc_mode: str = "private"
    cgroup_namespace: str = "private"  # /proc/self/cgroup then tells nothing of the host
    log_driver: str = "none"  # a flood of output must not reach the host's disk
    hostname: str = "trio-exec"
    stop_signal: str = "SIGKILL"  # PID 1 ignores others: an engine that stops would wait for it in vain
    oom_score_adj: int = 500  # short of memory, the host shall take a program before its own services
    shm_bytes: int = 8 * MIB  # POSIX semaphores (Python's multiprocessing) live there; counts as memory
    ulimits: tuple[tuple[str, int], ...] = (
        ("core", 0),
        ("nofile", 1024),  # bounds kernel memory; what a login shell has
        ("msgqueue", 0),  # /dev/mqueue is writable to all: nothing can be put there
        ("memlock", 65536),
    )
    cpu_period: int = 100_000  # microseconds; the kernel's default
    workspace_files: int = 4096  # inodes are kernel memory, outside of the size limit

    def workspace_options(self, limits: Limits) -> str:
        """Mount options of the working directory.

        uid, gid and exec are spelt out: without them the engine mounts it for root and noexec.
        """
        return (
            f"rw,exec,nosuid,nodev,size={limits.workspace_bytes},nr_inodes={self.workspace_files},"
            f"mode=0755,uid={USER_ID},gid={USER_ID}"
        )

    def host_config(self, limits: Limits, runtime: str | None, *, compiles: bool = False) -> dict[str, Any]:
        """Keyword arguments for docker-py's `create_host_config`.

        Args:
            limits: the session's.
            runtime: a Docker runtime, or None for the engine's default.
            compiles: whether the compile stage's limits hold at first.
        """
        ulimits = [*self.ulimits, ("fsize", limits.workspace_bytes)]
        arguments: dict[str, Any] = {
            "auto_remove": True,
            "cap_drop": list(self.cap_drop),
            "cgroupns": self.cgroup_namespace,
            "init": False,  # the launcher is PID 1 and reaps
            "ipc_mode": self.ipc_mode,
            "log_config": LogConfig(type=self.log_driver),
            **self.changeable(limits, compiles=compiles),
            "network_mode": self.network_mode,
            "oom_score_adj": self.oom_score_adj,
            "pids_limit": limits.pids,
            "privileged": False,
            "read_only": self.read_only,
            "security_opt": list(self.security_opt),
            "shm_size": self.shm_bytes,
            "tmpfs": {WORKSPACE: self.workspace_options(limits)},
            "ulimits": [Ulimit(name=name, soft=value, hard=value) for name, value in ulimits],
        }
        if runtime is not None:
            arguments["runtime"] = runtime
        return arguments

    def changeable(self, limits: Limits, *, compiles: bool) -> dict[str, int]:
        """What differs between the stages; also keyword arguments for docker-py's `update_container`."""
        memory = limits.compile_memory_bytes if compiles else limits.memory_bytes
        cpus = limits.compile_cpus if compiles else limits.cpus
        return {
            "mem_limit": memory,
            "memswap_limit": memory,  # the same: no swap on top
            "cpu_period": self.cpu_period,
            "cpu_quota": round(cpus * self.cpu_period),
        }


HARDENING = Hardening()

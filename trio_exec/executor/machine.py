"""What has to be known of the machine that containers run on: their hardening depends on it, and how many to warm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EXTRA_CAPABILITIES = ("SYS_NICE", "SYS_RESOURCE")
"""What the launcher can do without: with the first it runs before its program when processors are short, with the
second it is killed after its program when memory is short, whatever the program does. An engine that is in a
container, or has no root, may lack either."""

CHARGES = ("sockets", "ipc")
"""What a machine may charge containers for, as launchers are told of it."""
LOOK = "look"
"""Tells a launcher to look itself what its machine charges for, where nobody else knows which one it is."""
CHARGES_IPC_SINCE = (5, 15)
"""The version of Linux."""

WARMED_AT_ONCE = 2
"""Containers that are warmed at once, at least."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The defaults are what to assume as long as nothing is known.

    Attributes:
        charges_sockets: whether a container's memory limit counts what the kernel holds for its Internet sockets.
            It does with cgroup v2 only.
        charges_ipc: whether it counts what the kernel holds for System V IPC, beside the shared memory itself. Linux
            does since `CHARGES_IPC_SINCE`.
        processors: how many there are.
        has_cgroups: whether the engine can limit anything; a rootless one may have been given no part of the tree.
        extra_capabilities: those of `EXTRA_CAPABILITIES` that the engine has itself, and so can give.
    """

    charges_sockets: bool = False
    charges_ipc: bool = False
    processors: int = 0
    has_cgroups: bool = True
    extra_capabilities: tuple[str, ...] = ()

    @property
    def warm_at_once(self) -> int:
        """How many containers to warm at once; see `Executor`. Each takes a processor, and sessions need some, too."""
        return max(WARMED_AT_ONCE, self.processors // 2)

    @property
    def charged(self) -> tuple[str, ...]:
        """Those of `CHARGES` that containers are charged for: the last words of a launcher's command."""
        charged = (self.charges_sockets, self.charges_ipc)
        return tuple(word for word, charges in zip(CHARGES, charged, strict=True) if charges)

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Machine:
        """What the engine's answer to `docker info` says."""
        return cls(
            charges_sockets=info.get("CgroupVersion") == "2",
            charges_ipc=_version(info.get("KernelVersion", "")) >= CHARGES_IPC_SINCE,
            processors=int(info.get("NCPU", 0)),
            has_cgroups=info.get("CgroupDriver") != "none",
        )


def _version(kernel: str) -> tuple[int, ...]:
    """Of a kernel, as far as it consists of numbers; () for none."""
    found = re.match(r"(\d+)\.(\d+)", kernel)
    return tuple(int(part) for part in found.groups()) if found else ()


UNKNOWN = Machine()
"""The strictest."""

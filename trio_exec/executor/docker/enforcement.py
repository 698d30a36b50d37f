"""Limits that an engine throws away: it makes the container all the same, and says so in a warning that is soon missed.

A Raspberry Pi boots without the memory controller, containers such as Proxmox's often lack one, and a rootless engine
has what was delegated to it. A container there would have no limit at all.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from trio_exec.errors import LimitsMissingError
from trio_exec.executor.docker.translation import shortened
from trio_exec.settings import LIMIT_NAMES

LOGGER = logging.getLogger("trio_exec.docker")

_FIELDS: Mapping[str, Mapping[str, str]] = {
    "memory": {"mem_limit": "Memory"},
    "swap": {"memswap_limit": "MemorySwap"},
    "pids": {"pids_limit": "PidsLimit"},
    "cpu": {"cpu_period": "CpuPeriod", "cpu_quota": "CpuQuota"},
}
"""By limit: what docker-py calls it where it is asked for, and the engine where it says what is in force."""
_CAPABILITIES: Mapping[str, Sequence[str]] = {
    "memory": ["MemoryLimit"],
    "swap": ["SwapLimit"],
    "pids": ["PidsLimit"],
    "cpu": ["CpuCfsPeriod", "CpuCfsQuota"],
}
"""By limit: what the engine calls it where it says what it can do at all (`docker info`)."""
REMEDIES = {
    "memory": "boot the engine's machine with cgroup_enable=memory",
    "swap": "boot the engine's machine with swapaccount=1, or without swap",
    "pids": "give the engine the pids controller",
    "cpu": "give the engine the cpu controller",
}


def lacking(info: Mapping[str, Any]) -> list[str]:
    """The limits that an engine says it can't enforce.

    Args:
        info: what it tells of itself (`docker info`).
    """
    if info.get("CgroupDriver") == "none":
        return list(LIMIT_NAMES)
    missing = [limit for limit in LIMIT_NAMES if not all(info.get(name, True) for name in _CAPABILITIES[limit])]
    return [limit for limit in missing if limit != "swap" or "memory" not in missing]  # As in `Enforcement.check`.


class Enforcement:
    """Refuses containers without their limits.

    Args:
        dispensable: the limits that sessions may do without; the log then has a warning, once.
    """

    def __init__(self, dispensable: Collection[str] = ()) -> None:
        self._dispensable = frozenset(dispensable)
        self._told: frozenset[str] = frozenset()

    def check(self, asked: Mapping[str, Any], in_force: Mapping[str, Any], warnings: Sequence[str]) -> None:
        """Compares what a container was to have with what it has.

        Args:
            asked: keyword arguments for docker-py's `create_host_config`.
            in_force: the container's HostConfig, as the engine shows it.
            warnings: what the engine said when it made the container.

        Raises:
            LimitsMissingError: a limit is missing that must not be; says what to do.
        """
        missing = {
            limit
            for limit, fields in _FIELDS.items()
            if any(in_force.get(theirs) != asked[ours] for ours, theirs in fields.items())
        }
        if "memory" in missing:
            missing.discard("swap")  # No wonder.
        self.refuse(missing, " ".join(warnings))

    def refuse(self, missing: Iterable[str], words: str) -> None:
        """The same, where it is known already which are missing.

        Args:
            missing: names of limits.
            words: the engine's.

        Raises:
            LimitsMissingError: as above.
        """
        found = frozenset(missing)
        if bad := sorted(found - self._dispensable, key=LIMIT_NAMES.index):
            remedies = "; ".join(REMEDIES[limit] for limit in bad)
            raise LimitsMissingError(
                f"the Docker engine does not enforce limits: {', '.join(bad)} ({shortened(words)}); {remedies}; "
                f"or have programs run without, by the setting missing_limits={','.join(bad)}"
            )
        if found - self._told:
            self._told |= found
            LOGGER.warning(
                "programs run without these limits, as missing_limits allows: %s (%s)", ", ".join(sorted(found)), words
            )

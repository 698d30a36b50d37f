"""What the kernel limits for each process, or each user, of a container. The engine sets it, and the launcher again."""

from __future__ import annotations

from trio_exec.executor.machine import Machine

_FIXED = (
    ("core", 1),  # a handler that the machine pipes core dumps to would ignore 0, and runs as root; no file fits 1
    ("msgqueue", 0),  # /dev/mqueue is writable to all: nothing can be put there
    ("memlock", 65536),
)
_OPEN_FILES = 1024  # for each process; what a login shell has
_UNCHARGED_OPEN_FILES = 128  # where the memory limit does not count what sockets hold, they are few


def rlimits(machine: Machine) -> tuple[tuple[str, int], ...]:
    """The limits, soft and hard, by the names that `ulimits` have in Docker."""
    return (*_FIXED, ("nofile", _OPEN_FILES if machine.charges_sockets else _UNCHARGED_OPEN_FILES))

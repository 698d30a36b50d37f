"""One attempt of a probe's program, and what it told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trio_exec.limits import MIB


@dataclass(frozen=True, slots=True)
class Room:
    """How far attempts go beyond a limit: far enough that it shows, and no machine suffers."""

    memory_bytes: int = 96 * MIB
    pids: int = 16
    workspace_bytes: int = 8 * MIB
    files: int = 64


ROOM = Room()


@dataclass(slots=True)
class Trial:
    """What came of an attempt.

    Attributes:
        facts: what its program told.
        machine_kernel: version of the kernel that the engine's machine has.
        kernel: version of the one that the program saw; None as long as it has told nothing.
        out_of_memory: whether the kernel killed something in its container for want of memory.
        killed: whether its program was ended by a signal.
        failure: what went wrong with the container.
        words: the last line of what the program wrote to standard error.
    """

    facts: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    machine_kernel: str | None = None
    kernel: str | None = None
    out_of_memory: bool = False
    killed: bool = False
    failure: str | None = None
    words: str | None = None

    def take(self, fact: Mapping[str, Any]) -> None:
        """Takes something that the program told."""
        if "kernel" in fact:
            self.kernel = str(fact["kernel"])
        else:
            self.facts.append(fact)

    @property
    def sandboxed(self) -> bool:
        """Whether containers have a kernel of their own, as with gVisor or in virtual machines.

        What gets through to that one is no way out yet, and its figures are its own.
        """
        return self.kernel != self.machine_kernel

    @property
    def ended(self) -> bool:
        """Whether the program, or its container, was ended."""
        return self.out_of_memory or self.killed or self.failure is not None

    @property
    def last(self) -> Mapping[str, Any]:
        """The last fact."""
        return self.facts[-1]

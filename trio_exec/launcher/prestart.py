"""A command that is started before the program exists, with a FIFO in the place of a file that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trio_exec.launcher import frames


@dataclass(frozen=True, slots=True)
class Prestart:
    """A command that can be started before a file that it reads is there; environments without and with a terminal.

    One that is named learns from that file what its last argument is to be.
    """

    file: str
    command: Sequence[str]
    environment: Mapping[str, str]
    terminal_environment: Mapping[str, str]
    runs_on_terminal: bool
    named: bool = False

    def frame(self, terminal: bool) -> bytes:  # noqa: FBT001 - of two kinds, which
        """The frame that starts it."""
        environment = self.terminal_environment if terminal else self.environment
        size = (24, 80) if terminal and self.runs_on_terminal else None
        return frames.encode_prestart(self.file, self.command, environment, terminal=size, named=self.named)

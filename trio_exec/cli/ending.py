"""How a session's end becomes an exit code, and a sentence where the program does not explain it itself."""

from __future__ import annotations

import signal as signals

from trio_exec.client.events import StateChanged

TIMED_OUT = 124
"""As of timeout(1)."""
FAILED = 125
"""The engine's own failure, as docker has it: never the program's."""
SIGNALLED = 128
"""And the signal's number, as shells have it."""
_KILLED = SIGNALLED + signals.SIGKILL
_REASONS = {
    "idle_timeout": TIMED_OUT,
    "execution_timeout": TIMED_OUT,
    "cpu_time_limit": TIMED_OUT,
    "queue_timeout": TIMED_OUT,
    "memory_limit": _KILLED,
    "output_limit": _KILLED,
    "stopped": SIGNALLED + signals.SIGTERM,
    "detached": SIGNALLED + signals.SIGHUP,
}


def exit_code_of(final: StateChanged) -> int:
    """What the command ends with."""
    if final.reason is not None:
        return _REASONS.get(final.reason, FAILED)
    if final.signal is not None:
        return SIGNALLED + _number_of(final.signal)
    return FAILED if final.exit_code is None else final.exit_code


def _number_of(name: str) -> int:
    base, _, offset = name.partition("+")
    number = signals.Signals[base].value if base in signals.Signals.__members__ else 0
    return number + (int(offset) if offset.isdecimal() else 0)


def explanation_of(final: StateChanged) -> str | None:
    """What is worth saying of the end; nothing of a program that ended by itself, unless a limit had to do with it."""
    if final.reason is None:
        return final.message
    return f"{final.reason}: {final.message or 'the server ended the program'}"


def stats_of(final: StateChanged) -> str:
    """The figures of each stage, in a line."""
    parts = [final.ending]
    for stage in final.stages:
        figures: list[str] = []
        if stage.wall_time is not None:
            figures.append(f"{stage.wall_time:.3f} s")
        if stage.cpu_time is not None:
            figures.append(f"{stage.cpu_time:.3f} s of CPU")
        if stage.peak_memory is not None:
            figures.append(f"{stage.peak_memory / 2**20:.1f} MiB")
        parts.append(f"{stage.stage}: {', '.join(figures) or 'not told'}")
    return "; ".join(parts)

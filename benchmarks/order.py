"""How often output comes in another order than it was written: lines to both streams in turns, quiet and under load."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

LINES = 500
RUNS = 10
BUSY = 6
BOTH_STREAMS = f"import os\nfor i in range({LINES}): os.write(1 + i % 2, b'%d\\n' % i)"
"""In Python, with as little as can be between a line and its system call."""


def misordered(text: str) -> float:
    """Lines that come before one that was written earlier, per thousand."""
    numbers = [int(line) for line in text.split()]
    assert sorted(numbers) == list(range(LINES))
    return 1000 * sum(after < before for before, after in itertools.pairwise(numbers)) / LINES


@contextmanager
def load() -> Generator[None]:
    """More work than the machine has processors for."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def misorder(ways: dict[str, Callable[[], str]]) -> dict[str, Any]:
    """Misordered lines per thousand of each way to run such a program, quiet and under load."""

    def measured() -> dict[str, float]:
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(RUNS):
            for way, output in ways.items():
                found[way].append(misordered(output()))
        return {way: statistics.mean(values) for way, values in found.items()}

    quiet = measured()
    with load():
        return {"quiet": quiet, "loaded": measured()}


def order_row(results: dict[str, Any]) -> str:
    """The row of the table."""
    parts = [
        f"{name}: {ways['ours']:.3g}; a plain container {ways['docker']:.3g}, a shell's `2>&1` {ways['shell']:.3g}"
        for name, ways in results.items()
    ]
    return f"| lines to both streams in turns: misordered, per thousand | {'. '.join(parts)} |"

"""How long the event loop's turns take: a Trio instrument, and a histogram made of it.

In a turn, Trio gives each task that is due one step. Whatever becomes due meanwhile, a byte that arrives or a deadline
that passes, waits for the turn's end. So the length of turns is the loop's lag: nothing need be asked in intervals, and
no stall falls between two questions.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from trio.abc import Instrument

BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds."""


class Turns(Instrument, Collector):
    """To be added to the loop that it watches. Costs a microsecond for each turn.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        self._start = clock()

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        del timeout
        self._start = self._clock()

    def before_io_wait(self, timeout: float) -> None:
        """It has ended."""
        del timeout
        seconds = self._clock() - self._start
        self._sum += seconds
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram, for a registry."""
        names = [*map(str, BOUNDS), "+Inf"]
        yield HistogramMetricFamily(
            "trio_exec_loop_turn_seconds",
            "Turns of the event loop: for so long, whatever became due meanwhile had to wait.",
            buckets=list(zip(names, map(float, accumulate(self._counts)), strict=True)),
            sum_value=self._sum,
        )

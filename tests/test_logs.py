"""The log: what clients can cause is bounded, and ids are not told."""

from __future__ import annotations

import logging

from trio_exec.ids import short_id
from trio_exec.logs import LINES, PERIOD, STACK_TRACES, Sparing


class Time:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(clock: Time, name: str, message: str, count: int, *, error: Exception | None = None) -> list[str]:
    """What of so many equal records is written, with a new filter if the clock is at its start."""
    written = [
        logging.LogRecord(name, logging.INFO, "", 0, message, (number,), error and (type(error), error, None))
        for number in range(count)
    ]
    return [record.getMessage() for record in written if FILTERS.setdefault(clock, Sparing(clock)).filter(record)]


FILTERS: dict[Time, Sparing] = {}


def test_lines_that_clients_cause_are_written_so_often_in_a_minute() -> None:
    clock = Time()
    written = lines(clock, "trio_exec.connections", "dropped %d", 1000)
    assert written == [f"dropped {number}" for number in range(LINES)]
    assert lines(clock, "trio_exec.connections", "another %d", 1) == ["another 0"]
    clock.now += PERIOD
    left_out = 1000 - LINES
    assert lines(clock, "trio_exec.connections", "dropped %d", 2) == [
        f"dropped 0 ({left_out} more of this kind were not logged)",
        "dropped 1",
    ]


def test_stack_traces_are_written_seldom_whoever_writes_them() -> None:
    clock = Time()
    assert len(lines(clock, "anything", "it fell %d", 100, error=ValueError("x"))) == STACK_TRACES
    assert len(lines(clock, "anything", "it fell %d", 100, error=KeyError("x"))) == STACK_TRACES


def test_other_lines_are_not_touched() -> None:
    assert len(lines(Time(), "trio_exec.session", "ended %d", 1000)) == 1000


def test_an_id_in_the_log_is_not_enough_to_use_it() -> None:
    assert short_id("kq3vJ8abcdefghijklmnopqr") == "kq3vJ8…"

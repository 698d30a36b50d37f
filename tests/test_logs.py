"""The log: what it says of sessions and refusals, how lines look, and that clients can neither fill nor forge it."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_exec.events import (
    BatchEnded,
    Event,
    LeftoverRemoved,
    RequestRefused,
    SessionEnded,
    SessionFacts,
    SessionRefused,
    SessionTimes,
    Usage,
)
from trio_exec.ids import short_id
from trio_exec.logs import ALL_LINES, LINES, OWNER_LINES, OWNERS_MAX, PERIOD, STACK_TRACES, Line, Sparing, printable
from trio_exec.model import (
    Figures,
    Kind,
    Outcome,
    Owner,
    Reason,
    Requester,
    StageName,
    StageResult,
    State,
    Status,
)
from trio_exec.observe.formatting import make_formatter
from trio_exec.observe.left_out import say_left_out
from trio_exec.observe.logs import log_event
from trio_exec.settings import LogFormat

SOMEBODY = Requester(Owner("class-7b"), "192.0.2.7", "4f1c")
FACTS = SessionFacts("kq3vJ8abcdefghijklmnopqr", SOMEBODY, "cpp", terminal=False, kind=Kind.RUN)
HOSTILE = "a\nb\x1b[31mred\r\u202e\u2028\x00 \x9b"


class Time:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def written(sparing: Sparing, name: str, message: object, count: int = 1, error: Exception | None = None) -> list[str]:
    """What of so many equal records is written."""
    records = [
        logging.LogRecord(name, logging.INFO, "", 0, message, (), error and (type(error), error, None))
        for _ in range(count)
    ]
    return [record.getMessage() for record in records if sparing.filter(record)]


def test_lines_that_clients_cause_are_written_so_often_in_a_minute() -> None:
    clock = Time()
    sparing = Sparing(clock)
    assert len(written(sparing, "trio_exec.connections", "dropped", 1000)) == LINES
    assert written(sparing, "trio_exec.connections", "another") == ["another"]
    clock.now += PERIOD
    left_out = 1000 - LINES
    assert written(sparing, "trio_exec.connections", "dropped", 2) == [
        f"dropped ({left_out} more of this kind were not logged)",
        "dropped",
    ]


def test_stack_traces_are_written_seldom_whoever_writes_them() -> None:
    sparing = Sparing(Time())
    assert len(written(sparing, "anything", "it fell", 100, ValueError("x"))) == STACK_TRACES
    assert len(written(sparing, "anything", "it fell", 100, KeyError("x"))) == STACK_TRACES
    fell = [
        written(
            sparing, "anything", Line("a request failed", owner="somebody", request=str(number)), 1, ValueError("x")
        )
        for number in range(100)
    ]
    assert sum(map(len, fell)) == STACK_TRACES


def test_other_lines_are_not_touched() -> None:
    assert len(written(Sparing(Time()), "trio_exec.session", "ended", 1000)) == 1000


def test_one_owner_takes_no_line_from_another() -> None:
    clock = Time()
    sparing = Sparing(clock)

    def ended(owner: str, count: int) -> list[str]:
        return written(sparing, "trio_exec.sessions", Line("session ended", owner=owner), count)

    assert len(ended("loud", 500)) == OWNER_LINES
    assert ended("quiet", 1) == ["session ended owner=quiet"]
    assert written(sparing, "trio_exec.requests", Line("request refused", owner="loud")) != []
    clock.now += PERIOD
    assert ended("quiet", 1) == ["session ended owner=quiet"]
    assert ended("loud", 2) == [
        f"session ended owner=loud not_logged={500 - OWNER_LINES}",
        "session ended owner=loud",
    ]


def test_many_owners_fill_nothing_either() -> None:
    clock = Time()
    sparing = Sparing(clock)

    def ended(owner: int) -> list[str]:
        return written(sparing, "trio_exec.sessions", Line("session ended", owner=f"owner {owner}"))

    assert sum(len(ended(number)) for number in range(10 * ALL_LINES)) <= ALL_LINES
    assert len(sparing._kinds) <= OWNERS_MAX + 2
    assert len(sparing._owners) == OWNERS_MAX
    # When those have been quiet for long, others are told apart again.
    clock.now += 10 * PERIOD
    sparing.say_left_out(clock.now)
    assert all(len(ended(-1 - number)) == 1 for number in range(OWNERS_MAX))
    assert len(sparing._owners) <= OWNERS_MAX


@contextmanager
def captured(
    sparing: Sparing, log_format: LogFormat = LogFormat.CONSOLE
) -> Generator[tuple[logging.Logger, list[str]]]:
    """A logger, and what is written by it."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger, handler = logging.getLogger("trio_exec.sessions"), Kept()
    handler.addFilter(sparing)
    handler.setFormatter(make_formatter(log_format))
    logger.addHandler(handler)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield logger, lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


async def test_what_was_left_out_is_said_when_the_minute_is_over_though_nothing_more_comes(
    autojump_clock: MockClock,
) -> None:
    sparing = Sparing(autojump_clock.current_time)
    with captured(sparing) as (logger, lines):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_left_out, sparing)
            await trio.sleep(1)
            start = trio.current_time()
            for _ in range(OWNER_LINES + 7):
                logger.info(Line("session ended", owner="loud"))
            logger.info(Line("session ended", owner="quiet"))
            assert len(lines) == OWNER_LINES + 1
            await trio.sleep(PERIOD - 1)
            assert len(lines) == OWNER_LINES + 1
            await trio.sleep(1.5)
            assert [line.partition(": ")[2] for line in lines[OWNER_LINES + 1 :]] == [
                "session ended owner=loud not_logged=6"
            ]
            # And again, in another minute, also from another thread.
            await trio.sleep(PERIOD)
            for _ in range(OWNER_LINES + 1):
                thread = threading.Thread(target=logger.info, args=[Line("session ended", owner="loud")])
                thread.start()
                thread.join()  # Trio's own would let time jump.
            lines.clear()
            await trio.sleep(PERIOD + 1)
            assert [line.partition(": ")[2] for line in lines] == ["session ended owner=loud"]
            assert trio.current_time() - start < 4 * PERIOD

            for _ in range(OWNER_LINES + 3):
                logger.info(Line("session ended", owner="loud"))
            lines.clear()
            nursery.cancel_scope.cancel(reason="the server ends")
    assert [line.partition(": ")[2] for line in lines] == ["session ended owner=loud not_logged=2"]


def test_an_id_in_the_log_is_not_enough_to_use_it() -> None:
    assert short_id("kq3vJ8abcdefghijklmnopqr") == "kq3vJ8…"


def ended(outcome: Outcome, state: State = State.FINISHED, stage: StageName | None = StageName.RUN) -> SessionEnded:
    return SessionEnded(
        FACTS,
        Status(state, stage=stage, outcome=outcome),
        warm=True,
        times=SessionTimes(0.5, 0.25, 1, 2.123456),
        input_bytes=5,
        output_bytes=10,
    )


RAN = Outcome(
    (
        StageResult(StageName.COMPILE, Figures(0, None, 0.75, 0.7, 90_000_000), 0, 0),
        StageResult(StageName.RUN, Figures(3, None, 1, 0.5, 2_000_000), 0, 10),
    ),
    None,
    None,
    output_truncated=False,
)
WHOSE = "kind=run language=cpp owner=class-7b address=192.0.2.7 request=4f1c"
TIMES = "queue_seconds=0.5 start_seconds=0.25 first_output_seconds=1"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ended(RAN),
            f"session ended session=kq3vJ8… {WHOSE} state=finished stage=run exit_code=3 start=warm {TIMES} "
            "wall_seconds=1.75 cpu_seconds=1.2 duration_seconds=2.1235 peak_memory_bytes=90000000 input_bytes=5 "
            "output_bytes=10",
        ),
        (
            SessionEnded(
                FACTS,
                Status(State.TERMINATED, outcome=Outcome((), Reason.QUEUE_TIMEOUT, "…", output_truncated=False)),
                warm=None,
                times=SessionTimes(lasted=120),
                input_bytes=0,
                output_bytes=0,
            ),
            f"session ended session=kq3vJ8… {WHOSE} state=terminated reason=queue_timeout duration_seconds=120 "
            "input_bytes=0 output_bytes=0",
        ),
        (
            BatchEnded(
                FACTS,
                Reason.EXECUTION_TIMEOUT,
                2,
                1,
                3,
                warm=False,
                times=SessionTimes(0.5, 0.25, lasted=7),
                usage=Usage(6, 1.5, 9_000_000, 20, 30),
            ),
            f"batch ended session=kq3vJ8… {WHOSE} reason=execution_timeout passed=2 failed=1 skipped=3 start=cold "
            "queue_seconds=0.5 start_seconds=0.25 wall_seconds=6 cpu_seconds=1.5 duration_seconds=7 "
            "peak_memory_bytes=9000000 input_bytes=20 output_bytes=30",
        ),
        (
            RequestRefused(SOMEBODY, "GET", "/session/{sessionId}", "session_not_found", 404),
            "request refused code=session_not_found status=404 method=GET path=/session/{sessionId} owner=class-7b "
            "address=192.0.2.7 request=4f1c",
        ),
    ],
)
def test_a_line_says_whose_it_was_how_it_ended_and_what_it_took(
    event: Event, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "trio_exec"):
        log_event(event)

    assert [record.getMessage() for record in caplog.records] == [line]


def test_a_refusal_has_one_line_and_what_is_no_end_has_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "trio_exec"):
        log_event(SessionRefused(SOMEBODY, Kind.RUN, "cobol", "unknown_language"))
        log_event(RequestRefused(SOMEBODY, "POST", "/run", "unknown_language", 400))
        log_event(RequestRefused(SOMEBODY, "POST", "/run", "internal_error", 500))  # Logged where it was met.
        log_event(LeftoverRemoved("trio-exec-1"))

    assert len(caplog.records) == 1


def test_nothing_of_a_clients_moves_a_terminal_or_begins_a_line() -> None:
    assert printable(HOSTILE) == r"a\nb\x1b[31mred\r\u202e\u2028\x00 \x9b"
    assert printable("ä" * 300) == "ä" * 200 + "…"
    sparing = Sparing(Time())
    with captured(sparing) as (logger, lines):
        logger.info(Line("session ended", owner=HOSTILE, text='say "hi"', empty="", yes=True))
        logger.warning("something odd: %s", HOSTILE)
        try:
            fall(HOSTILE)
        except ValueError:
            logger.exception("it fell")
    for text in lines:
        first, *rest = text.split("\n")
        assert first[:4].isdigit()
        assert all(it.startswith("    ") for it in rest)
        assert text.replace("\n", "").isprintable()
    assert lines[0].partition(": ")[2] == (
        r'session ended owner="a\\nb\\x1b[31mred\\r\\u202e\\u2028\\x00 \\x9b" text="say \"hi\"" empty="" yes=true'
    )
    assert lines[1].partition(" ")[2].startswith(r"WARNING trio_exec.sessions: something odd: a" + "\n    b\\x1b")
    assert "\n    Traceback (most recent call last):\n" in lines[2]


def fall(why: str) -> None:
    raise ValueError(why)


def parsed(line: str) -> dict[str, Any]:
    assert "\n" not in line
    return json.loads(line)


def test_as_json_every_line_is_an_object_whoever_wrote_it() -> None:
    with captured(Sparing(Time()), LogFormat.JSON) as (logger, lines):
        logger.info(
            Line("session ended", owner=HOSTILE, exit_code=3, cpu_seconds=0.25, name="fields may have any name")
        )
        logger.warning("of another library: %d%% of %s", 7, HOSTILE)
        try:
            fall("x" * 100_000)
        except ValueError:
            logger.error("it fell", exc_info=sys.exc_info())
    first, second, third = map(parsed, lines)

    assert list(first) == ["time", "level", "logger", "event", "owner", "exit_code", "cpu_seconds", "name"]
    assert first["time"].endswith("Z")
    assert first["owner"] == r"a\nb\x1b[31mred\r\u202e\u2028\x00 \x9b"
    assert (first["event"], first["exit_code"], first["cpu_seconds"]) == ("session ended", 3, 0.25)
    assert (second["level"], second["event"][:24]) == ("warning", "of another library: 7% o")
    assert all(it.isprintable() for it in second["event"].split("\n"))
    assert third["exception"].endswith("x…") or third["exception"].endswith("xxx")
    assert len(lines[2]) < 20_000

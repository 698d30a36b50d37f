"""Metrics: what events and readings make of them, in the text that Prometheus reads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from trio.testing import MockClock

from tests.fakes import FakeExecutor
from tests.sessions import LIMITS, RESOURCES, SOMEBODY, SPEC
from trio_exec.events import (
    APICalled,
    BatchEnded,
    ClientAttached,
    ClientLeft,
    ContainerBorrowed,
    ContainerLingers,
    ContainerUnused,
    ContainerWarmed,
    Event,
    ImagesReady,
    LeftoverRemoved,
    Miss,
    PoolMissed,
    SessionCreated,
    SessionEnded,
    SessionFacts,
    SessionRefused,
    SessionStarted,
    SessionTimes,
    Unused,
    Usage,
    WarmingFailed,
)
from trio_exec.executor.pool import Pool
from trio_exec.executor.targets import PoolKey
from trio_exec.model import Figures, Kind, Outcome, Owner, Reason, Requester, StageName, StageResult, State, Status
from trio_exec.observe.metrics import OWNERS_MAX, Metrics
from trio_exec.observe.reading import PoolReading, Reading
from trio_exec.observe.turns import Turns
from trio_exec.phases import Phase, Phases
from trio_exec.server.connections import Connection, Connections

DOCUMENTED = Path(__file__).parent.parent / "docs" / "metrics.md"
LANGUAGES = ("cpp", "python")
FACTS = SessionFacts("kq3vJ8abcdefghijklmnopqr", SOMEBODY, "python", terminal=False)
TIMES = SessionTimes(queued=0.5, opening=0.03, first_output=0.6, lasted=2)
FINISHED = Status(
    State.FINISHED,
    stage=StageName.RUN,
    outcome=Outcome(
        (
            StageResult(StageName.COMPILE, Figures(0, None, 1, 0.75, 90_000_000), 0, 0),
            StageResult(StageName.RUN, Figures(3, None, 1, 0.5, 9_000_000), 0, 10),
        ),
        None,
        None,
        output_truncated=False,
    ),
)
STOPPED = Status(State.TERMINATED, outcome=Outcome((), Reason.STOPPED, None, output_truncated=False))
READING = Reading(
    phase=Phase.LEAVING,
    ready=False,
    languages=LANGUAGES,
    missing=["cpp"],
    running=3,
    running_limit=10,
    queued=2,
    queued_limit=100,
    lingering=1,
    pool=[PoolReading("python", terminal=True, warm=1, warming=2, wanted=4)],
    retained=1000,
    retained_limit=2000,
    connections=7,
    connections_limit=1000,
    connections_refused=[("all", 5), ("address", 6)],
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def samples(metrics: Metrics) -> Samples:
    """What a scrape has, by name and labels."""
    families = list(parse_text((await metrics.exposition()).decode()))
    return {(it.name, frozenset(it.labels.items())): it.value for family in families for it in family.samples}


async def counted(*events: Event, owners: bool = False) -> Samples:
    """What is another value after events than it was before; new ones that are not 0 included."""
    metrics = Metrics(LANGUAGES, owners=owners)
    before = await samples(metrics)
    for event in events:
        metrics.tell(event)
    after = await samples(metrics)
    own = {key: value for key, value in after.items() if key[0].startswith("trio_exec_")}
    return {key: value for key, value in own.items() if value != before.get(key, 0)}


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return (f"trio_exec_{name}", frozenset(labels.items()))


def without_buckets(found: Samples) -> Samples:
    return {key: value for key, value in found.items() if not key[0].endswith("_bucket")}


async def test_a_session_is_counted_from_its_creation_to_its_end() -> None:
    found = await counted(
        SessionCreated(FACTS),
        ClientAttached(FACTS),
        ClientAttached(FACTS),
        SessionStarted(FACTS, warm=True, times=replace(TIMES, first_output=None, lasted=None)),
        SessionEnded(FACTS, FINISHED, warm=True, times=TIMES, input_bytes=5, output_bytes=10),
        ClientLeft(FACTS),
    )

    python, warm = {"language": "python"}, {"language": "python", "start": "warm"}
    assert without_buckets(found) == {
        of("sessions_created_total", kind="session", **python): 1,
        of("sessions_started_total", kind="session", **warm): 1,
        of("sessions_ended_total", kind="session", reason="finished", **python): 1,
        of("session_queue_seconds_count", kind="session"): 1,
        of("session_queue_seconds_sum", kind="session"): 0.5,
        of("session_start_seconds_count", **warm): 1,
        of("session_start_seconds_sum", **warm): 0.03,
        of("session_first_output_seconds_count", **warm): 1,
        of("session_first_output_seconds_sum", **warm): 0.6,
        of("session_duration_seconds_count", **python): 1,
        of("session_duration_seconds_sum", **python): 2,
        of("program_cpu_seconds_total", **python): 1.25,
        of("program_peak_memory_bytes_count", **python): 1,
        of("program_peak_memory_bytes_sum", **python): 90_000_000,
        of("input_bytes_total", **python): 5,
        of("output_bytes_total", **python): 10,
        of("clients"): 1,
    }
    assert of("session_start_seconds_bucket", le="0.02", **warm) not in found
    assert found[of("session_start_seconds_bucket", le="0.035", **warm)] == 1


async def test_a_session_that_never_ran_has_no_times_but_its_whole() -> None:
    facts = replace(FACTS, kind=Kind.RUN, language="cpp")
    ended = SessionEnded(facts, STOPPED, warm=None, times=SessionTimes(lasted=120), input_bytes=0, output_bytes=0)

    assert without_buckets(await counted(ended)) == {
        of("sessions_ended_total", kind="run", reason="stopped", language="cpp"): 1,
        of("session_duration_seconds_count", language="cpp"): 1,
        of("session_duration_seconds_sum", language="cpp"): 120,
    }


async def test_a_batch_counts_its_cases() -> None:
    facts = replace(FACTS, kind=Kind.BATCH)
    usage = Usage(wall_time=3, cpu_time=1.5, peak_memory=9_000_000, input_bytes=5, output_bytes=10)
    found = await counted(
        BatchEnded(facts, Reason.EXECUTION_TIMEOUT, 2, 1, 3, warm=True, times=replace(TIMES, lasted=7), usage=usage)
    )

    assert without_buckets(found) == {
        of("sessions_ended_total", kind="batch", reason="execution_timeout", language="python"): 1,
        of("session_duration_seconds_count", language="python"): 1,
        of("session_duration_seconds_sum", language="python"): 7,
        of("batch_cases_total", language="python", result="passed"): 2,
        of("batch_cases_total", language="python", result="failed"): 1,
        of("batch_cases_total", language="python", result="skipped"): 3,
        of("program_cpu_seconds_total", language="python"): 1.5,
        of("program_peak_memory_bytes_count", language="python"): 1,
        of("program_peak_memory_bytes_sum", language="python"): 9_000_000,
        of("input_bytes_total", language="python"): 5,
        of("output_bytes_total", language="python"): 10,
    }


async def test_what_the_pool_does_is_counted() -> None:
    found = await counted(
        ContainerWarmed("python", terminal=False, seconds=1.2),
        ContainerBorrowed("python", terminal=False, age=45),
        PoolMissed("cpp", terminal=True, why=Miss.EMPTY),
        ContainerUnused("cpp", terminal=False, why=Unused.OLD),
        WarmingFailed("cpp", terminal=False, message="no space left"),
    )

    assert without_buckets(found) == {
        of("pool_warming_seconds_count", language="python"): 1,
        of("pool_warming_seconds_sum", language="python"): 1.2,
        of("pool_hits_total", language="python"): 1,
        of("pool_age_seconds_count", language="python"): 1,
        of("pool_age_seconds_sum", language="python"): 45,
        of("pool_misses_total", language="cpp", why="empty"): 1,
        of("pool_unused_total", language="cpp", why="old"): 1,
        of("pool_warming_failures_total", language="cpp"): 1,
    }


async def test_the_engines_calls_and_what_it_leaves_are_counted() -> None:
    found = await counted(
        APICalled("start", 0.3, None),
        APICalled("start", 0.1, "engine_unavailable"),
        ContainerLingers("trio-exec-1"),
        LeftoverRemoved("trio-exec-2"),
        ImagesReady(33),
    )

    assert without_buckets(found) == {
        of("engine_call_seconds_count", call="start"): 2,
        of("engine_call_seconds_sum", call="start"): pytest.approx(0.4),
        of("engine_errors_total", call="start", code="engine_unavailable"): 1,
        of("containers_lingered_total"): 1,
        of("leftovers_removed_total"): 1,
        of("images_ready_seconds"): 33,
    }


async def test_no_label_grows_with_what_clients_or_engines_say() -> None:
    strange = [SessionRefused(SOMEBODY, Kind.RUN, "brainf***", f"code_{number}") for number in range(500)]
    calls = [APICalled(f"call_{number}", 0.1, f"code_{number}") for number in range(500)]
    unknown = [SessionCreated(replace(FACTS, language=f"language_{number}")) for number in range(500)]
    found = without_buckets(await counted(*strange, *calls, *unknown))

    assert found[of("sessions_refused_total", kind="run", code="other")] == 500
    assert found[of("sessions_created_total", kind="session", language="other")] == 500
    assert len(found) < 200


async def test_owners_are_named_only_if_that_is_wanted_and_a_hundred_at_most() -> None:
    def created(number: int) -> SessionCreated:
        return SessionCreated(replace(FACTS, requester=Requester(Owner(f'team "{number}"\n'))))

    many = [created(number) for number in range(OWNERS_MAX + 50)]
    assert not any("owner" in name for name, _ in await counted(*many))

    found = await counted(
        *many,
        created(7),
        SessionRefused(Requester(Owner('team "7"\n')), Kind.SESSION, "python", "queue_full"),
        SessionEnded(
            replace(FACTS, requester=Requester(Owner('team "7"\n'))),
            FINISHED,
            warm=True,
            times=TIMES,
            input_bytes=0,
            output_bytes=0,
        ),
        owners=True,
    )
    named = {key: value for key, value in found.items() if key[0] == "trio_exec_owner_sessions_total"}
    assert len(named) == OWNERS_MAX + 1
    assert found[of("owner_sessions_total", owner="other")] == 50
    assert found[of("owner_sessions_total", owner='team "7"\n')] == 2
    assert found[of("owner_refusals_total", owner='team "7"\n')] == 1
    assert found[of("owner_cpu_seconds_total", owner='team "7"\n')] == 1.25


async def test_whatever_can_be_known_is_there_from_the_start() -> None:
    found = await samples(Metrics(LANGUAGES))

    for language in LANGUAGES:
        for kind in Kind:
            for reason in ["finished", *Reason]:
                assert found[of("sessions_ended_total", language=language, kind=kind, reason=reason)] == 0
        for start in ("warm", "cold"):
            assert found[of("session_start_seconds_count", language=language, start=start)] == 0
        for why in Miss:
            assert found[of("pool_misses_total", language=language, why=why)] == 0
    assert found[of("sessions_refused_total", kind="batch", code="queue_full")] == 0
    assert found[of("containers_lingered_total")] == 0
    assert not [name for name, _ in found if name.endswith("_created")]
    assert {name for name, _ in found} >= {"process_cpu_seconds_total", "process_open_fds", "process_max_fds"}


async def test_a_reading_is_taken_when_somebody_asks() -> None:
    metrics = Metrics(LANGUAGES)
    now = [READING]
    metrics.read(lambda: now[0])
    found = await samples(metrics)

    assert found[of("ready")] == 0
    assert {
        phase: found[of("phase", phase=phase.value)] for phase in Phase if found[of("phase", phase=phase.value)]
    } == {Phase.LEAVING: 1}
    assert (found[of("language_available", language="cpp")], found[of("language_available", language="python")]) == (
        0,
        1,
    )
    assert (found[of("sessions_running")], found[of("sessions_running_limit")]) == (3, 10)
    assert (found[of("sessions_queued")], found[of("sessions_queued_limit")]) == (2, 100)
    assert found[of("containers_lingering")] == 1
    kind = {"language": "python", "terminal": "true"}
    names = ("pool_containers", "pool_containers_warming", "pool_containers_wanted")
    assert [found[of(name, **kind)] for name in names] == [1, 2, 4]
    assert (found[of("retained_bytes")], found[of("retained_limit_bytes")]) == (1000, 2000)
    assert (found[of("connections")], found[of("connections_limit")]) == (7, 1000)
    assert found[of("connections_refused_total", limit="all")] == 5
    assert found[of("connections_refused_total", limit="address")] == 6
    assert found[of("tasks")] >= 1

    now[0] = replace(READING, ready=True, phase=Phase.SERVING)
    assert (await samples(metrics))[of("ready")] == 1


async def test_both_formats_say_the_same() -> None:
    metrics = Metrics(LANGUAGES, owners=True)
    metrics.read(lambda: READING)
    metrics.tell(SessionCreated(replace(FACTS, requester=Requester(Owner('a"b\\c\n')))))
    text = (await metrics.exposition()).decode()
    other = (await metrics.exposition(as_openmetrics=True)).decode()

    assert other.endswith("# EOF\n")
    assert other.count("# EOF") == 1
    passing = {"process_cpu_seconds", "process_resident_memory_bytes", "process_virtual_memory_bytes"}

    def values(found: str, parse: object) -> Samples:
        return {
            (it.name, frozenset(it.labels.items())): it.value
            for family in parse(found)  # type: ignore[operator] - either parser
            for it in family.samples
            if family.name not in passing
        }

    assert values(text, parse_text) == values(other, parse_openmetrics)


async def test_others_have_their_turn_while_metrics_are_written() -> None:
    metrics, turns = Metrics(LANGUAGES), 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await metrics.exposition()
        nursery.cancel_scope.cancel(reason="it is written")
    assert turns > 20


def test_a_turn_is_as_long_as_it_is() -> None:
    now = 0.0
    turns = Turns(lambda: now)
    for length in (0.0005, 0.0009, 0.3, 7):
        now += 100  # Waiting for I/O is none.
        turns.after_io_wait(0)
        now += length
        turns.before_io_wait(0)
    (family,) = turns.collect()
    values = {it.labels.get("le", it.name.rpartition("_")[2]): it.value for it in family.samples}

    assert values["sum"] == pytest.approx(7.3014)
    assert (values["0.001"], values["0.1"], values["0.5"], values["2.5"], values["+Inf"]) == (2, 2, 3, 3, 4)


async def test_the_loop_is_watched_for_as_long_as_that_is_wanted() -> None:
    metrics = Metrics(LANGUAGES)

    async def turns() -> float:
        return (await samples(metrics))[of("loop_turn_seconds_count")]

    with metrics.watching_loop():
        await trio.lowlevel.checkpoint()
        assert await turns() > 0
    before = await turns()
    await trio.lowlevel.checkpoint()
    assert await turns() == before


async def test_the_pool_tells_hits_and_misses_and_what_it_has(autojump_clock: MockClock) -> None:
    told: list[Event] = []
    pool = Pool(
        FakeExecutor(opening=2),
        sizes={"python": 2},
        prestarts={},
        resources={"python": [RESOURCES]},
        limits=LIMITS,
        lifetime=60,
        phases=Phases(),
        emit=told.append,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        await trio.sleep(1)
        plain, terminal = PoolKey("python", terminal=False), PoolKey("python", terminal=True)
        assert [(it.warm, it.wanted) for it in (pool.stock[plain], pool.stock[terminal])] == [(0, 1), (0, 1)]
        assert sum(it.warming for it in pool.stock.values()) == 1
        await trio.sleep(9)
        assert [(it.warm, it.warming) for it in (pool.stock[plain], pool.stock[terminal])] == [(1, 0), (1, 0)]

        told.clear()
        async with pool.open_container(SPEC):
            async with pool.open_container(SPEC):
                pass
            await trio.sleep(10)
            async with pool.open_container(replace(SPEC, limits=replace(LIMITS, pids=7))):
                pass
        async with pool.open_container(replace(SPEC, language="cpp")):
            pass
        nursery.cancel_scope.cancel(reason="the test is over")
    asked = [event for event in told if isinstance(event, ContainerBorrowed | PoolMissed)]
    assert [type(event) for event in asked] == [ContainerBorrowed, PoolMissed, PoolMissed, PoolMissed]
    (borrowed, *missed) = asked
    assert isinstance(borrowed, ContainerBorrowed)
    assert 5 < borrowed.age < 10
    assert [it.why for it in missed if isinstance(it, PoolMissed)] == [Miss.EMPTY, Miss.UNSUITABLE, Miss.NOT_KEPT]


def test_refused_connections_are_counted_by_what_there_were_too_many_of() -> None:
    connections = Connections(2, 1)
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"):
        connection = Connection(address, lambda: None)
        if connections.add(connection) is None:
            connections.busy(connection)

    assert {str(why): count for why, count in connections.refused.items()} == {"address": 1, "all": 2}


def test_every_event_that_says_something_to_count_is_counted() -> None:
    handled = set(Metrics(LANGUAGES)._handlers)

    assert {it.__name__ for it in set(get_args(Event)) - handled} == {
        "ReadinessChanged",
        "PhaseReached",
    }  # Read instead.


async def test_every_metric_is_documented_and_nothing_else() -> None:
    metrics = Metrics(LANGUAGES, owners=True)
    metrics.read(lambda: READING)
    families = list(parse_text((await metrics.exposition()).decode()))
    there = {(it.name + ("_total" if it.type == "counter" else ""), it.type) for it in families}
    rows = re.findall(r"^\| `([a-z]\w+)` \| (\w+) \|", DOCUMENTED.read_text(), re.MULTILINE)

    assert sorted(rows) == sorted(there)

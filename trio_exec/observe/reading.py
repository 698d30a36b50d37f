"""What is read at the moment in which somebody asks for metrics, rather than told by events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import trio
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from trio_exec.phases import Phase


@dataclass(frozen=True, slots=True)
class PoolReading:
    """What the pool has of one kind: containers that are warm, that become it, and that there should be."""

    language: str
    terminal: bool
    warm: int
    warming: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The server at one moment.

    Attributes:
        phase: how far it is on its way to its end.
        ready: whether containers can be made, and sessions are taken.
        languages: names of all languages.
        missing: names of those that can't be run now.
        running: slots that sessions hold.
        running_limit: slots that there are.
        queued: sessions that wait for a slot.
        queued_limit: sessions that may.
        lingering: containers that should be gone, and are not.
        pool: what it has, by kind.
        retained: bytes that are held for clients.
        retained_limit: bytes that may be.
        connections: of clients.
        connections_limit: how many there may be.
        connections_refused: of what there were too many, and how many were refused for it.
    """

    phase: Phase
    ready: bool
    languages: Collection[str]
    missing: Collection[str]
    running: int
    running_limit: int
    queued: int
    queued_limit: int
    lingering: int
    pool: Sequence[PoolReading]
    retained: int
    retained_limit: int
    connections: int
    connections_limit: int
    connections_refused: Sequence[tuple[str, int]]


class Readings(Collector):
    """Makes gauges of a reading, each time they are asked for; in Trio's thread.

    Args:
        read: takes one.
    """

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The gauges, for a registry."""
        now = self._read()
        yield _gauge("ready", "Whether sessions are taken: 1 or 0.", now.ready)
        phases = {(phase.value,): float(phase is now.phase) for phase in Phase}
        yield _gauges("phase", "The phase that the server is in: 1 for that one.", ["phase"], phases)
        available = {(name,): float(name not in now.missing) for name in now.languages}
        yield _gauges("language_available", "Whether a language can be run: 1 or 0.", ["language"], available)

        yield _gauge("sessions_running", "Slots that are taken.", now.running)
        yield _gauge("sessions_running_limit", "Slots that there are.", now.running_limit)
        yield _gauge("sessions_queued", "Sessions that wait for a slot.", now.queued)
        yield _gauge("sessions_queued_limit", "Sessions that may wait.", now.queued_limit)
        yield _gauge("containers_lingering", "Containers that should be gone, and are not.", now.lingering)

        kind = ["language", "terminal"]
        keys = [(it.language, str(it.terminal).lower()) for it in now.pool]
        for name, text, values in (
            ("pool_containers", "Warm containers that wait for a session.", [it.warm for it in now.pool]),
            ("pool_containers_warming", "Containers that are being made warm.", [it.warming for it in now.pool]),
            ("pool_containers_wanted", "Warm containers that there should be.", [it.wanted for it in now.pool]),
        ):
            yield _gauges(name, text, kind, dict(zip(keys, map(float, values), strict=True)))

        yield _gauge("retained_bytes", "Bytes that the server holds for clients.", now.retained)
        yield _gauge("retained_limit_bytes", "Bytes that it may hold for them.", now.retained_limit)
        yield _gauge("connections", "Connections of clients.", now.connections)
        yield _gauge("connections_limit", "Connections that there may be.", now.connections_limit)
        refused = CounterMetricFamily(
            "trio_exec_connections_refused",
            "Connections that were refused, by whether there were too many in all or from one address.",
            labels=["limit"],
        )
        for limit, count in now.connections_refused:
            refused.add_metric([limit], count)
        yield refused
        yield _gauge("tasks", "Trio's tasks.", trio.lowlevel.current_statistics().tasks_living)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"trio_exec_{name}", text, value=float(value))


def _gauges(name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"trio_exec_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family

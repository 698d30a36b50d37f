"""The metrics of sessions, containers and the engine's calls: their names, labels and buckets.

Names follow Prometheus' conventions: base units, `_total` for what only grows. Every label is of a bounded set, and
every combination that can be known is there from the start, with 0: so a query finds it before anything has happened,
and an increase from nothing is an increase. `docs/metrics.md` says what each means.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from trio_exec.events import Miss, Unused
from trio_exec.model import Kind, Reason

FINISHED = "finished"
"""In the place of a reason: the program has ended by itself."""
OTHER = "other"
"""What is none of a label's known values."""
WARM, COLD = "warm", "cold"

# Warm starts take 5 to 50 ms, cold ones 0.3 to 3 s; the last ones are for a machine that is far too busy.
_START = (0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_FIRST_OUTPUT = (*_START, 60, 120)
_QUEUE = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 300, 600)
_DURATION = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_AGE = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1200, 1800)
_WARMING = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 60, 180)
_CALL = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_MEMORY = tuple(float(2**exponent) for exponent in range(21, 33))


def known(metric: MetricWrapperBase, *values: Iterable[str]) -> None:
    """Has a metric begin with 0 for each combination of its labels' values."""
    for combination in product(*values):
        metric.labels(*combination)


class Families:
    """All of them, in a registry.

    Args:
        registry: where they are found.
        languages: names of those that there are.
        codes: why a session may be refused.
    """

    def __init__(self, registry: CollectorRegistry, languages: Iterable[str], codes: Iterable[str]) -> None:
        names, codes = sorted(languages), sorted({*codes, OTHER})
        starts = (WARM, COLD)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"trio_exec_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Iterable[float], *labels: str) -> Histogram:
            return Histogram(f"trio_exec_{name}", text, labels, registry=registry, buckets=tuple(buckets))

        self.created = counter("sessions_created", "Sessions that were taken.", "language", "kind")
        self.started = counter("sessions_started", "Sessions whose first command has run.", "language", "kind", "start")
        self.ended = counter("sessions_ended", "Sessions that are over, by why.", "language", "kind", "reason")
        self.refused = counter("sessions_refused", "Sessions that were asked for and not taken.", "kind", "code")
        self.requests = counter("requests_refused", "Requests and messages that were answered with an error.", "code")
        self.queue = histogram("session_queue_seconds", "From a session's creation to its slot.", _QUEUE, "kind")
        self.start = histogram(
            "session_start_seconds", "From a session's slot until its first command ran.", _START, "language", "start"
        )
        self.first_output = histogram(
            "session_first_output_seconds",
            "From a session's creation to its first byte of output.",
            _FIRST_OUTPUT,
            "language",
            "start",
        )
        self.duration = histogram(
            "session_duration_seconds", "From a session's creation to its end.", _DURATION, "language"
        )
        self.cpu = counter("program_cpu_seconds", "CPU time of programs, compilers included.", "language")
        self.memory = histogram(
            "program_peak_memory_bytes", "The most memory that a program had at once.", _MEMORY, "language"
        )
        self.input = counter("input_bytes", "Bytes of input that sessions have taken, once they are over.", "language")
        self.output = counter(
            "output_bytes", "Bytes of output that sessions have written, once they are over.", "language"
        )
        self.cases = counter("batch_cases", "Cases of batches, by how they went.", "language", "result")
        self.clients = Gauge("trio_exec_clients", "Clients that follow a session now.", registry=registry)

        self.hits = counter("pool_hits", "Sessions that got a warm container.", "language")
        self.misses = counter("pool_misses", "Sessions that got none, by why.", "language", "why")
        self.age = histogram("pool_age_seconds", "Age of warm containers as a session takes them.", _AGE, "language")
        self.unused = counter("pool_unused", "Warm containers that were removed unused, by why.", "language", "why")
        self.warming = histogram(
            "pool_warming_seconds", "How long it took to make a container warm.", _WARMING, "language"
        )
        self.warming_failures = counter("pool_warming_failures", "Containers that could not be made warm.", "language")

        self.calls = histogram("engine_call_seconds", "The Docker engine's answers, by call.", _CALL, "call")
        self.errors = counter("engine_errors", "Calls of the Docker engine that failed.", "call", "code")
        self.lingered = counter("containers_lingered", "Containers that could not be removed in time.")
        self.leftovers = counter("leftovers_removed", "Containers without an owner that the janitor has removed.")
        self.images = Gauge(
            "trio_exec_images_ready_seconds",
            "How long it took until every language had its image, since the server's start; 0 until then.",
            registry=registry,
        )

        for metric in (self.created,):
            known(metric, names, Kind)
        known(self.started, names, Kind, starts)
        known(self.ended, names, Kind, [FINISHED, *Reason])
        known(self.refused, Kind, codes)
        known(self.requests, codes)
        known(self.queue, Kind)
        for metric in (self.start, self.first_output):
            known(metric, names, starts)
        known(self.cases, names, ["passed", "failed", "skipped"])
        by_language = (self.duration, self.cpu, self.memory, self.input, self.output)
        for metric in (*by_language, self.hits, self.age, self.warming, self.warming_failures):
            known(metric, names)
        known(self.misses, names, Miss)
        known(self.unused, names, Unused)

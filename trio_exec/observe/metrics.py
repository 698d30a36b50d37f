"""Metrics of the server, for Prometheus: a subscriber of events that counts, and what is read when somebody asks.

Nothing here waits or keeps a session: an event takes a few microseconds.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import trio
from prometheus_client import CollectorRegistry, Counter, Info, Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from trio_exec import events
from trio_exec.errors import TrioExecError
from trio_exec.events import Event
from trio_exec.model import Owner, Reason
from trio_exec.observe.families import COLD, FINISHED, OTHER, WARM, Families
from trio_exec.observe.reading import Reading, Readings
from trio_exec.observe.turns import Turns
from trio_exec.version import __version__

TEXT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS_TYPE = openmetrics.CONTENT_TYPE_LATEST
OWNERS_MAX = 100
"""Owners that are told by name; all others are one."""
_CALLS_MAX = 50
_OF_HTTP = ("not_found", "method_not_allowed", "request_timeout", "request_too_large", "http_error")
"""Codes that are those of no error of ours."""
_CREATED = "_created"
_Write = Callable[[Collector], bytes]
_EOF = b"# EOF\n"
"""What ends OpenMetrics."""


class Metrics:
    """All of the server's metrics, in a registry of their own.

    Args:
        languages: names of those that there are.
        owners: whether owners are told by name.
    """

    def __init__(self, languages: Iterable[str], *, owners: bool = False) -> None:
        self.registry = CollectorRegistry()
        self._languages = set(languages)
        self._codes = {*_codes(TrioExecError), *_OF_HTTP}
        self._families = Families(self.registry, self._languages, self._codes)
        self._calls = _Bound(_CALLS_MAX)
        self._turns = Turns()
        self.registry.register(self._turns)
        self._owners = _Owners(self.registry) if owners else None
        ProcessCollector(registry=self.registry)
        build = Info("trio_exec_build", "What this server is.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._handlers: Mapping[type[Event], Callable[..., None]] = {
            events.SessionCreated: self._created,
            events.SessionRefused: self._refused,
            events.RequestRefused: self._request_refused,
            events.SessionStarted: self._started,
            events.SessionEnded: self._ended,
            events.BatchEnded: self._batch_ended,
            events.ClientAttached: self._attached,
            events.ClientLeft: self._left,
            events.ContainerWarmed: self._warmed,
            events.ContainerUnused: self._unused,
            events.ContainerBorrowed: self._borrowed,
            events.PoolMissed: self._missed,
            events.WarmingFailed: self._warming_failed,
            events.ContainerLingers: self._lingers,
            events.LeftoverRemoved: self._leftover,
            events.APICalled: self._called,
            events.ImagesReady: self._images,
        }

    def tell(self, event: Event) -> None:
        """Counts an event, if it is one that counts."""
        if (handler := self._handlers.get(type(event))) is not None:
            handler(event)

    @contextmanager
    def watching_loop(self) -> Generator[None]:
        """For as long as the turns of the running event loop are measured."""
        trio.lowlevel.add_instrument(self._turns)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self._turns)

    def read(self, read: Callable[[], Reading]) -> None:
        """Says where gauges are to be read from; once."""
        self.registry.register(Readings(read))

    async def exposition(self, *, as_openmetrics: bool = False) -> bytes:
        """All metrics as they are now, in Prometheus' text format, or in that of OpenMetrics 1.0.

        Together that takes some ten milliseconds; whatever is due meanwhile has its turn between two metrics.
        """
        write = cast("_Write", openmetrics.generate_latest if as_openmetrics else generate_latest)  # pyright: ignore[reportUnknownMemberType] - one of them has no types
        text: list[bytes] = []
        for family in self.registry.collect():
            text.append(write(_Shown(family)).removesuffix(_EOF))
            await trio.lowlevel.checkpoint()
        return b"".join([*text, _EOF] if as_openmetrics else text)

    def _language(self, name: str) -> str:
        return name if name in self._languages else OTHER

    def _code(self, code: str) -> str:
        return code if code in self._codes else OTHER

    def _created(self, event: events.SessionCreated) -> None:
        session = event.session
        self._families.created.labels(self._language(session.language), session.kind).inc()
        if self._owners is not None:
            self._owners.created(session.requester.owner)

    def _refused(self, event: events.SessionRefused) -> None:
        self._families.refused.labels(event.kind, self._code(event.code)).inc()
        if self._owners is not None:
            self._owners.refused(event.requester.owner)

    def _request_refused(self, event: events.RequestRefused) -> None:
        self._families.requests.labels(self._code(event.code)).inc()

    def _started(self, event: events.SessionStarted) -> None:
        session, start, times = event.session, WARM if event.warm else COLD, event.times
        language = self._language(session.language)
        self._families.started.labels(language, session.kind, start).inc()
        if times.queued is not None:
            self._families.queue.labels(session.kind).observe(times.queued)
        if times.opening is not None:
            self._families.start.labels(language, start).observe(times.opening)

    def _ended(self, event: events.SessionEnded) -> None:
        outcome = event.status.outcome
        self._over(event, None if outcome is None else outcome.reason)
        if (seconds := event.times.first_output) is not None:
            language, start = self._language(event.session.language), WARM if event.warm else COLD
            self._families.first_output.labels(language, start).observe(seconds)

    def _batch_ended(self, event: events.BatchEnded) -> None:
        self._over(event, event.reason)
        language = self._language(event.session.language)
        for result, count in (("passed", event.passed), ("failed", event.failed), ("skipped", event.skipped)):
            self._families.cases.labels(language, result).inc(count)

    def _over(self, event: events.SessionEnded | events.BatchEnded, reason: Reason | None) -> None:
        session, usage, families = event.session, event.usage, self._families
        language = self._language(session.language)
        families.ended.labels(language, session.kind, reason or FINISHED).inc()
        families.duration.labels(language).observe(event.times.lasted or 0)
        families.input.labels(language).inc(usage.input_bytes)
        families.output.labels(language).inc(usage.output_bytes)
        families.cpu.labels(language).inc(usage.cpu_time)
        if usage.peak_memory:
            families.memory.labels(language).observe(usage.peak_memory)
        if self._owners is not None:
            self._owners.used(session.requester.owner, usage.cpu_time)

    def _attached(self, event: events.ClientAttached) -> None:
        del event
        self._families.clients.inc()

    def _left(self, event: events.ClientLeft) -> None:
        del event
        self._families.clients.dec()

    def _warmed(self, event: events.ContainerWarmed) -> None:
        self._families.warming.labels(self._language(event.language)).observe(event.seconds)

    def _unused(self, event: events.ContainerUnused) -> None:
        self._families.unused.labels(self._language(event.language), event.why).inc()

    def _borrowed(self, event: events.ContainerBorrowed) -> None:
        language = self._language(event.language)
        self._families.hits.labels(language).inc()
        self._families.age.labels(language).observe(event.age)

    def _missed(self, event: events.PoolMissed) -> None:
        self._families.misses.labels(self._language(event.language), event.why).inc()

    def _warming_failed(self, event: events.WarmingFailed) -> None:
        self._families.warming_failures.labels(self._language(event.language)).inc()

    def _lingers(self, event: events.ContainerLingers) -> None:
        del event
        self._families.lingered.inc()

    def _leftover(self, event: events.LeftoverRemoved) -> None:
        del event
        self._families.leftovers.inc()

    def _called(self, event: events.APICalled) -> None:
        call = self._calls(event.call)
        self._families.calls.labels(call).observe(event.seconds)
        if event.error is not None:
            self._families.errors.labels(call, self._code(event.error)).inc()

    def _images(self, event: events.ImagesReady) -> None:
        self._families.images.set(event.seconds)


class _Owners:
    """Metrics by owner, of as many as there may be."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._name = _Bound(OWNERS_MAX)
        labels = ["owner"]
        self._sessions = Counter("trio_exec_owner_sessions", "Sessions that were taken.", labels, registry=registry)
        self._refusals = Counter("trio_exec_owner_refusals", "Sessions that were refused.", labels, registry=registry)
        self._cpu = Counter("trio_exec_owner_cpu_seconds", "CPU time of programs.", labels, registry=registry)

    def created(self, owner: Owner) -> None:
        self._sessions.labels(self._name(owner)).inc()

    def refused(self, owner: Owner) -> None:
        self._refusals.labels(self._name(owner)).inc()

    def used(self, owner: Owner, seconds: float) -> None:
        self._cpu.labels(self._name(owner)).inc(seconds)


class _Bound:
    """Keeps a label's values bounded: the first ones that come have their names, and all others are one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value


class _Shown(Collector):
    """One metric, without the times at which its series began: as many series again, and nobody asks for them."""

    def __init__(self, family: Metric) -> None:
        self._family = family
        family.samples = [sample for sample in family.samples if not sample.name.endswith(_CREATED)]

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _codes(error: type[TrioExecError]) -> Iterator[str]:
    """The codes of a kind of errors and of all that are of it."""
    yield error.code
    for special in error.__subclasses__():
        yield from _codes(special)

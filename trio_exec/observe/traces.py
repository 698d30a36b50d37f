"""Traces: a span for each session, with its queue, its opening and its stages below it. Needs the extra `otel`.

A session's spans are made when it is over, of the times that its last event tells: so nothing is kept of sessions that
run, and what a span says is what the log's line says. They are exported in a thread of OpenTelemetry's own, which keeps
a bounded number of them and drops what it can't get rid of.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import trio
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trio_exec.events import BatchEnded, Emit, Event, Events, SessionEnded
from trio_exec.model import Reason
from trio_exec.observe.logs import ended_line
from trio_exec.version import __version__

SHUTDOWN_TIMEOUT = 5
"""Seconds that spans get to be exported when the server ends."""
_PREFIX = "trio_exec."
_NANOSECONDS = 1_000_000_000
_PROPAGATOR = TraceContextTextMapPropagator()


@asynccontextmanager
async def tracing(events: Events) -> AsyncGenerator[None]:
    """Makes traces of events for as long as the context lasts; then it exports what is left, for a while at most.

    Where to, OpenTelemetry's own variables say, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    """
    resource = Resource.create({"service.name": "trio-exec", "service.version": __version__})
    # What the environment says of the service goes before what we say.
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        with events.subscribed(make_subscriber(provider)):
            yield
    finally:
        with trio.move_on_after(SHUTDOWN_TIMEOUT, shield=True):
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def make_subscriber(provider: trace.TracerProvider, clock: Callable[[], int] = time.time_ns) -> Emit:
    """What makes spans of events.

    Args:
        provider: where spans go.
        clock: nanoseconds of Unix time.
    """
    tracer = provider.get_tracer("trio_exec", __version__)

    def tell(event: Event) -> None:
        if isinstance(event, SessionEnded | BatchEnded):
            _trace(tracer, event, clock())

    return tell


def _trace(tracer: Tracer, event: SessionEnded | BatchEnded, now: int) -> None:
    session, times = event.session, event.times
    lasted = times.lasted or 0
    created = now - int(lasted * _NANOSECONDS)

    def at(seconds: float) -> int:
        return created + int(seconds * _NANOSECONDS)

    line = ended_line(event)
    span = tracer.start_span(
        f"{session.kind.value} {session.language}",
        context=_parent(session.requester.trace_parent),
        kind=SpanKind.SERVER,
        attributes={f"{_PREFIX}{name}": value for name, value in line.fields.items()},
        start_time=created,
    )
    if span.is_recording():
        below = trace.set_span_in_context(span)
        queued = lasted if times.queued is None else times.queued
        _child(tracer, below, "queue", at(0), at(queued))
        if times.queued is not None:
            opened = lasted if times.opening is None else min(lasted, queued + times.opening)
            _child(tracer, below, "open", at(queued), at(opened))
        for ran in times.stages:
            _child(tracer, below, ran.stage.value, at(ran.start), at(ran.end))
        _set_status(span, event)
    span.end(end_time=now)


def _parent(trace_parent: str) -> Context:
    """Of which span a session's is a part: of none where that is not said, or makes no sense."""
    return _PROPAGATOR.extract({"traceparent": trace_parent}, context=Context())


def _child(tracer: Tracer, below: Context, name: str, start: int, end: int) -> None:
    tracer.start_span(name, context=below, start_time=start).end(end_time=end)


def _set_status(span: Span, event: SessionEnded | BatchEnded) -> None:
    """Only what is our fault, or the engine's, is an error: a program that fails is none."""
    if isinstance(event, BatchEnded):
        reason = event.reason
    else:
        reason = None if event.status.outcome is None else event.status.outcome.reason
    if reason is Reason.EXECUTOR_FAILED:
        span.set_status(StatusCode.ERROR, reason.value)

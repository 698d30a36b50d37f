"""Traces: what spans a session has, whose they are a part of, and that a collector gets them."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode

from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.events import (
    BatchEnded,
    ClientLeft,
    Event,
    SessionEnded,
    SessionFacts,
    SessionTimes,
    StageTime,
    Usage,
)
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
from trio_exec.observe.traces import make_subscriber

NOW = 1_700_000_000_000_000_000
MS = 1_000_000
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FACTS = SessionFacts(
    "kq3vJ8abcdefghijklmnopqr", Requester(Owner("class-7b"), "192.0.2.7", "4f1c"), "cpp", terminal=False, kind=Kind.RUN
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
TIMES = SessionTimes(
    0.5, 0.25, 1.7, 2.6, (StageTime(StageName.COMPILE, 0.75, 1.5), StageTime(StageName.RUN, 1.55, 2.55))
)


def ended(
    outcome: Outcome = RAN, times: SessionTimes = TIMES, facts: SessionFacts = FACTS, *, warm: bool | None = True
) -> SessionEnded:
    state = State.FINISHED if outcome.reason is None else State.TERMINATED
    return SessionEnded(facts, Status(state, stage=StageName.RUN, outcome=outcome), warm, times, 5, 10)


def traced(event: Event, sampler: Sampler | None = None) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make_subscriber(provider, lambda: NOW)(event)
    return exporter.get_finished_spans()


def times_of(spans: tuple[ReadableSpan, ...], since: int) -> list[tuple[str, int, int]]:
    """Names, beginnings and ends, in milliseconds; the whole first, which ends last."""
    *below, whole = spans
    return [
        (it.name, ((it.start_time or 0) - since) // MS, ((it.end_time or 0) - since) // MS) for it in (whole, *below)
    ]


def test_a_session_is_a_span_with_its_queue_its_opening_and_its_stages_below() -> None:
    spans = traced(ended())
    assert times_of(spans, NOW - 2600 * MS) == [
        ("run cpp", 0, 2600),
        ("queue", 0, 500),
        ("open", 500, 750),
        ("compile", 750, 1500),
        ("run", 1550, 2550),
    ]
    (root,) = [it for it in spans if it.name == "run cpp"]
    assert root.parent is None
    assert root.kind is SpanKind.SERVER
    assert {it.parent and it.parent.span_id for it in spans if it is not root} == {
        root.context and root.context.span_id
    }
    attributes = dict(root.attributes or {})
    assert attributes["trio_exec.session"] == "kq3vJ8…"
    assert (attributes["trio_exec.owner"], attributes["trio_exec.request"]) == ("class-7b", "4f1c")
    assert (attributes["trio_exec.exit_code"], attributes["trio_exec.cpu_seconds"]) == (3, pytest.approx(1.2))
    assert FACTS.session_id not in str([it.to_json() for it in spans])
    assert root.status.status_code is StatusCode.UNSET


def test_only_what_is_our_fault_is_an_error() -> None:
    failed = replace(RAN, reason=Reason.EXECUTOR_FAILED)
    (root,) = [it for it in traced(ended(failed)) if it.name == "run cpp"]
    assert (root.status.status_code, root.status.description) == (StatusCode.ERROR, "engine_error")
    (root,) = [it for it in traced(ended(replace(RAN, reason=Reason.MEMORY_LIMIT))) if it.name == "run cpp"]
    assert root.status.status_code is StatusCode.UNSET


def test_what_did_not_happen_has_no_span() -> None:
    waited = SessionTimes(lasted=2)
    outcome = Outcome((), Reason.QUEUE_TIMEOUT, None, output_truncated=False)
    assert times_of(traced(ended(outcome, waited, warm=None)), NOW - 2000 * MS) == [
        ("run cpp", 0, 2000),
        ("queue", 0, 2000),
    ]
    opening = SessionTimes(queued=0.5, lasted=2)
    assert times_of(traced(ended(outcome, opening)), NOW - 2000 * MS)[1:] == [("queue", 0, 500), ("open", 500, 2000)]
    assert traced(ClientLeft(FACTS)) == ()


def test_a_batch_has_a_span_for_each_case() -> None:
    cases = tuple(StageTime(StageName.RUN, start, start + 0.5) for start in (1.0, 1.5))
    times = SessionTimes(0, 0.5, lasted=2, stages=(StageTime(StageName.COMPILE, 0.5, 1.0), *cases))
    facts = replace(FACTS, kind=Kind.BATCH)
    spans = traced(BatchEnded(facts, None, 1, 1, 0, warm=False, times=times, usage=Usage(2, 1.5)))

    assert [name for name, _, _ in times_of(spans, 0)] == ["batch cpp", "queue", "open", "compile", "run", "run"]
    (root,) = [it for it in spans if it.name == "batch cpp"]
    assert dict(root.attributes or {})["trio_exec.passed"] == 1


@pytest.mark.parametrize("nonsense", ["", "x", "00-0-0-01", PARENT[:-3], f"{PARENT}\n{PARENT}", "00-" + "f" * 5000])
def test_a_session_is_a_part_of_the_trace_that_it_is_asked_for_in(nonsense: str) -> None:
    def roots(parent: str) -> ReadableSpan:
        facts = replace(FACTS, requester=replace(FACTS.requester, trace_parent=parent))
        (root,) = [it for it in traced(ended(facts=facts)) if it.name == "run cpp"]
        return root

    known = roots(PARENT)
    assert known.parent is not None
    assert known.parent.span_id == 0xB7AD6B7169203331
    assert known.parent.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert roots(nonsense).parent is None


def test_what_is_not_sampled_costs_no_spans() -> None:
    assert traced(ended(), ParentBased(ALWAYS_OFF)) == ()


class _Collector(ThreadingHTTPServer):
    """Takes what an exporter sends, as OpenTelemetry's own collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        logging.getLogger("collector").debug(format, *args)


@contextmanager
def collecting() -> Generator[_Collector]:
    with _Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join(PATIENCE)


async def test_a_collector_gets_the_spans_of_a_real_server(
    start_server: Callable[..., ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "code-runner")
        trusting = start_server(languages="python", otel="true", trusted_proxies="127.0.0.1")
        doubting = start_server(languages="python", otel="true")
        body = {"language": "python", "code": "print(1)"}
        for server in (trusting, doubting):
            answer = await Client(server).request("POST", "/run", body, headers={"traceparent": PARENT})
            assert answer.status == 200
            server.terminate()
            assert server.wait() == 0

    resources = [resource for request in collector.received for resource in request.resource_spans]
    assert len(resources) == 2
    for resource in resources:
        told = {it.key: it.value.string_value for it in resource.resource.attributes}
        assert told["service.name"] == "code-runner"
        assert told["service.version"]
    first, second = [
        {span.name: span for scope in resource.scope_spans for span in scope.spans} for resource in resources
    ]
    assert set(first) == set(second) == {"run python", "queue", "open", "run"}
    assert first["run python"].trace_id.hex() == PARENT[3:35]
    assert first["run python"].parent_span_id.hex() == PARENT[36:52]
    assert second["run python"].parent_span_id == b""
    assert second["run python"].trace_id.hex() != PARENT[3:35]
    for spans in (first, second):
        whole = spans["run python"]
        for name in ("queue", "open", "run"):
            assert spans[name].parent_span_id == whole.span_id
            assert whole.start_time_unix_nano <= spans[name].start_time_unix_nano
            assert spans[name].start_time_unix_nano <= spans[name].end_time_unix_nano <= whole.end_time_unix_nano


async def test_a_collector_that_is_not_there_delays_neither_sessions_nor_the_end(
    start_server: Callable[..., ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    server = start_server(languages="python", otel="true")
    client = Client(server)
    for number in range(3):
        assert (await client.run(language="python", code=f"print({number})")).stdout == f"{number}\n"
    server.terminate()
    with trio.fail_after(PATIENCE):
        assert await trio.to_thread.run_sync(server.wait) == 0


def test_the_extra_is_named_where_it_is_missing() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from trio_exec.cli.main import main; sys.argv = ['trio-exec', 'serve', '--port', '0']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"TRIO_EXEC_OTEL": "true", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "trio-exec: otel: traces need OpenTelemetry, which is not installed here: pip install 'trio-exec[server,otel]'",
    )

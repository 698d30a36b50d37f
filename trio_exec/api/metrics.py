"""`GET /metrics`, as a route of the application or as an application of its own, for a listener of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from quart import Response, request
from quart_trio import QuartTrio

from trio_exec.api.routes import Answer, Audience, Route
from trio_exec.observe.metrics import OPENMETRICS_TYPE, TEXT_TYPE, Metrics

PATH = "/metrics"
_OPENMETRICS = "application/openmetrics-text"
_TEXT = {"text/plain", "text/*", "*/*"}


def metrics_route(metrics: Metrics) -> Route:
    """The route, for the table of routes."""
    return Route(
        "GET",
        PATH,
        "showMetrics",
        "Tell the server's metrics, for Prometheus",
        _handler(metrics),
        [
            Answer(
                200,
                "The metrics as they are now, in the format that `Accept` asks for.",
                {"text/plain": [], _OPENMETRICS: []},
            )
        ],
        any_host=True,
        audience=Audience.OPERATORS,
    )


def add_metrics(app: QuartTrio, metrics: Metrics) -> None:
    """Adds the path to an application that has nothing else."""
    app.add_url_rule(PATH, "showMetrics", _handler(metrics), methods=["GET"])


def _handler(metrics: Metrics) -> Callable[[], Awaitable[Response]]:
    async def show() -> Response:
        wanted = _wants_openmetrics()
        content_type = OPENMETRICS_TYPE if wanted else TEXT_TYPE
        return Response(await metrics.exposition(as_openmetrics=wanted), content_type=content_type)

    return show


def _wants_openmetrics() -> bool:
    """Whether the client likes it better than plain text, by `Accept`."""
    for kind, quality in request.accept_mimetypes:  # The best first.
        name = kind.partition(";")[0].strip().lower()
        if quality > 0 and (name == _OPENMETRICS or name in _TEXT):
            return name == _OPENMETRICS
    return False

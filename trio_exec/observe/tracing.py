"""Traces, where they are wanted: what makes them is an extra, and imported only then."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager
from typing import cast

from trio_exec.errors import ConfigurationError
from trio_exec.events import Events


def open_tracing(events: Events) -> AbstractAsyncContextManager[None]:
    """Makes traces of events for as long as the context lasts; see `trio_exec.observe.traces`.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        traces = importlib.import_module("trio_exec.observe.traces")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise ConfigurationError(
            "otel: traces need OpenTelemetry, which is not installed here: pip install 'trio-exec[server,otel]'"
        ) from error
    return cast("AbstractAsyncContextManager[None]", traces.tracing(events))

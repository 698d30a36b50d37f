"""The public API as its users write it. Nothing runs this: pyright reads it, strictly."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

import trio

import trio_exec
from trio_exec import Settings, errors, serve

assert_type(trio_exec.__version__, str)

settings = Settings.load(port=0, languages="python")
assert_type(settings, Settings)
assert_type(Settings(port=8080, pool={"python": 2}, idle_timeout=10), Settings)
assert_type(settings.port, int)
assert_type(settings.idle_timeout, float)
assert_type(settings.allowed_hosts, tuple[str, ...])

service: Callable[[Settings, Callable[[str], None]], Coroutine[Any, Any, None]] = serve


def main() -> None:
    try:
        assert_type(trio.run(serve, settings, print), None)
    except errors.ConfigurationError as error:
        assert_type(error.message, str)
        assert_type(error.code, str)
    except errors.TrioExecError as error:
        assert_type(error.retry_after, int | None)
        assert_type(error.field, str | None)

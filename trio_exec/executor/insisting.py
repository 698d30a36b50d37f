"""Asks an engine for what it refuses until it doesn't: it may come up after us, and an image may take minutes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError

RETRY_FIRST, RETRY_LAST = 5, 300
"""Seconds until what the engine refused is tried again; doubled each time, since each try may cost it."""


async def insist(attempt: Callable[[], Awaitable[None]], tell: Callable[[ExecutorError, int], None]) -> None:
    """Returns when an attempt has succeeded.

    An engine that can't be reached costs nothing to ask, and comes back at any moment: delays begin anew.

    Args:
        attempt: what is tried; its ExecutorErrors are told, and anything else is raised.
        tell: is called with such an error and the seconds until the next attempt.
    """
    delay = RETRY_FIRST
    while True:
        try:
            await attempt()
        except ExecutorError as error:
            if isinstance(error, ExecutorUnavailableError):
                delay = RETRY_FIRST
            tell(error, delay)
        else:
            return
        await trio.sleep(delay)
        delay = min(2 * delay, RETRY_LAST)

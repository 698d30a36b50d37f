"""The tasks of one connection, which end with it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope

from trio_exec.api.arrivals import Holder

LOGGER = logging.getLogger("trio_exec.connections")

_EVENTS_MAX = {"http": 4, "websocket": 0}
"""Events that may wait for the application, which takes pieces of a body at once, but messages when it likes."""


class ConnectionTasks(TaskGroup):
    """The nursery of one connection.

    Hypercorn's own leaves whoever has something for an application that has ended waiting for ever, and lets its own
    cancellation out into the nursery of all connections, which ends then without a word.

    Args:
        held: what the connection holds of what has arrived; whoever opens the connection closes it.
    """

    def __init__(self, held: Holder) -> None:
        super().__init__()
        self.held = held

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> Any:  # Whether the nursery has caught it, which hypercorn's own forgets, and has no type for.
        assert self._nursery_manager is not None  # noqa: S101 - it was entered
        try:
            return await self._nursery_manager.__aexit__(exc_type, exc_value, tb)  # noqa: ASYNC102 - a nursery ends so
        finally:
            self._nursery = self._nursery_manager = None

    def start(self, run: Callable[[], Awaitable[None]]) -> None:
        """Starts a task, which ends with the connection at the latest."""
        assert self._nursery is not None  # noqa: S101 - called between entry and exit
        self._nursery.start_soon(run)

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Starts the application on a request; returns what hands it events, which waits until there is room."""
        del config  # Its bound is the same for both kinds.
        put_end, get_end = trio.open_memory_channel[ASGIReceiveEvent](_EVENTS_MAX[scope["type"]])

        async def run() -> None:
            # Closed before the end is told: whoever has events for it must not wait then.
            with get_end:
                try:
                    await app(scope, get_end.receive, send, trio.to_thread.run_sync, trio.from_thread.run)
                except* Exception:
                    LOGGER.exception("a request failed")
            await send(None)

        async def put(event: ASGIReceiveEvent) -> None:
            try:
                put_end.send_nowait(event)
            except trio.WouldBlock:
                try:
                    await put_end.send(event)
                except trio.BrokenResourceError:
                    return
            except trio.BrokenResourceError:
                return  # It has answered and ended, and wants no more.

        self.start(run)
        return put

    def end_within(self, seconds: float) -> None:
        """Cancels what is not over by then."""
        assert self._nursery is not None  # noqa: S101 - called between entry and exit
        self._nursery.cancel_scope.deadline = trio.current_time() + seconds

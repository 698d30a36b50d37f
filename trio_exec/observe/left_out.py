"""Says what the log has left out when its minute is over, also where nothing more of the kind comes."""

from __future__ import annotations

from contextlib import suppress

import trio

from trio_exec.logs import SPARING, Sparing


async def say_left_out(sparing: Sparing = SPARING) -> None:
    """Does so until cancelled, and then says at once what is left. Sleeps while nothing is left out."""
    token = trio.lowlevel.current_trio_token()
    news = trio.Event()

    def notify() -> None:  # In whatever thread.
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(wake, idempotent=True)

    def wake() -> None:
        news.set()

    before, sparing.notify = sparing.notify, notify
    try:
        while True:
            await news.wait()
            news = trio.Event()
            while (due := sparing.due()) is not None:
                await trio.sleep(max(0.0, due - sparing.clock()))
                sparing.say_left_out(sparing.clock())
    finally:
        sparing.notify = before
        sparing.say_left_out()

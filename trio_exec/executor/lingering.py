"""What an executor has not got rid of in time: counted, so that whoever gives out slots can take it into account."""

from __future__ import annotations

from collections.abc import Hashable

import trio


class Lingering:
    """Things that are there although nobody wants them."""

    def __init__(self) -> None:
        self._things: set[Hashable] = set()
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._things)

    def add(self, thing: Hashable) -> None:
        """Says that one could not be removed in time."""
        self._things.add(thing)
        self._wake()

    def discard(self, thing: Hashable) -> None:
        """Says that one is gone; harmless when it did not linger."""
        if thing in self._things:
            self._things.discard(thing)
            self._wake()

    async def wait_other(self, known: int) -> None:
        """Returns when there is another number of them."""
        while len(self) == known:
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

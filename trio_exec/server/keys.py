"""Keeps the keys that count those that the file has."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import trio

from trio_exec.errors import ConfigurationError
from trio_exec.keys import Keys, load_keys
from trio_exec.model import Owner

LOGGER = logging.getLogger("trio_exec.keys")

PERIOD = 1
"""Seconds between two looks. Files on networks, and secrets that are mounted, tell nobody that they have changed."""


class FollowedKeys:
    """The keys of a file, read anew when that changes.

    Args:
        path: the file; None where no keys are needed.

    Attributes:
        keys: those that count.

    Raises:
        ConfigurationError: the file can't be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = None if path is None else _look(path)
        self._revoked: Callable[[frozenset[Owner]], None] = lambda _: None
        self._limiter = trio.CapacityLimiter(1)
        self.keys = Keys({} if path is None else load_keys(path))

    async def run(self, revoked: Callable[[frozenset[Owner]], None]) -> None:
        """Looks, until cancelled, whether the file has changed. One that can't be used changes nothing but the log.

        Args:
            revoked: is called with the owners of keys that count no more.
        """
        self._revoked = revoked
        while self._path is not None:
            await trio.sleep(PERIOD)
            seen = await trio.to_thread.run_sync(_look, self._path, limiter=self._limiter)
            if seen != self._seen:
                self._seen = seen
                await self.reload()

    async def reload(self) -> None:
        """Reads the file now. If it can't be used, the keys stay as they are, and the log says why."""
        if self._path is None:
            return
        try:
            keys = await trio.to_thread.run_sync(load_keys, self._path, limiter=self._limiter)
        except ConfigurationError as error:
            LOGGER.error("%s; the keys stay as they were", error.message)  # noqa: TRY400 - a sentence for the operator
            return
        gone = self.keys.replace(keys)
        LOGGER.info("%s was read again; keys: %d, revoked: %d", self._path, len(keys), len(gone))
        if gone:
            self._revoked(gone)


def _look(path: Path) -> tuple[int, int, int] | None:
    """What differs when a file does; None if there is none."""
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size

"""Which user ids programs run under: one for each container, and none for two at a time.

The kernel keeps some limits for each user and not for each container (pages in pipes, inotify instances, queued
signals, descriptors in flight). With an id of its own, a program uses up nobody else's.
"""

from __future__ import annotations

import secrets

from trio_exec.errors import ExecutorError


class UserIds:
    """Gives out user ids from a range, at random: servers that share an engine and a range then rarely meet.

    Args:
        ids: the range.
    """

    def __init__(self, ids: range) -> None:
        self._ids = ids
        self._taken: dict[str, int] = {}

    def take(self, name: str) -> int:
        """An id that no container has, for the one with this name.

        Raises:
            ExecutorError: there is none left.
        """
        taken = set(self._taken.values())
        if len(taken) >= len(self._ids):
            raise ExecutorError(
                f"all {len(self._ids)} user ids are in use by containers that are still to be removed; set a larger "
                "range of `uids`"
            )
        while (uid := secrets.choice(self._ids)) in taken:
            pass
        self._taken[name] = uid
        return uid

    def release(self, name: str) -> None:
        """Takes a container's id back: it is gone for certain. Harmless where it had none."""
        self._taken.pop(name, None)

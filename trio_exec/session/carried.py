"""A compiled program that is carried from the container that made it into others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from trio_exec.budget import Account
from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container, ContainerSpec, Opener
from trio_exec.launcher import frames
from trio_exec.limits import Limits
from trio_exec.session.files import Collection, collect_files, send_files

FILES_MAX = 4096
"""As many as a workspace can have."""


@dataclass(frozen=True, slots=True)
class Carried:
    """All that was in a workspace.

    Attributes:
        files: content by path.
        modes: permissions by path.
    """

    files: Mapping[str, bytes]
    modes: Mapping[str, int]

    @classmethod
    async def taken_from(cls, container: Container, account: Account, limits: Limits) -> Carried:
        """What a stage has left in its container.

        Args:
            container: no stage runs in it.
            account: of what is kept of it.
            limits: the container's.

        Raises:
            ExecutorError: it can't be had whole, or the server has no room for it.
        """
        collection = Collection(account)
        request = frames.encode_collect(["**"], FILES_MAX, limits.workspace_bytes, hidden_too=True)
        await collect_files(container, request, collection)
        if collection.omitted:
            first = collection.omitted[0]
            raise ExecutorError(
                f"what was compiled can't be carried into other containers: {first.name[:80]!r} is "
                f"{first.reason.replace('_', ' ')}"
            )
        return cls(collection.files, collection.modes)


class Carrying:
    """Opens containers with that in their workspace; a `trio_exec.executor.base.Opener`.

    Args:
        opener: makes the containers.
        carried: what is to be there.
    """

    def __init__(self, opener: Opener, carried: Carried) -> None:
        self._opener = opener
        self._carried = carried

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        """See `Opener`."""
        async with self._opener.open_container(spec) as container:
            await send_files(container, self._carried.files, self._carried.modes)
            yield container

"""A running pod, by its launcher and what its cluster says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from trio_exec.errors import ExecutorError, LauncherGoneError, LauncherSilentError
from trio_exec.executor.kubernetes.pods import Pod
from trio_exec.executor.kubernetes.state import PodState, why_ended
from trio_exec.launcher import frames
from trio_exec.launcher.connection import LauncherConnection
from trio_exec.limits import Resources

REASON_TIMEOUT = 2
"""Seconds to wait for the cluster's word on why a launcher has gone; its node tells within one, as a rule."""


class PodContainer:
    """It is a `trio_exec.executor.base.Container`.

    Args:
        launcher: the connection to its launcher.
        pod: what is known of it.
        lifetime: seconds that its launcher lives, if nothing else comes.
        doubt: is called when it ends unexpectedly.

    Attributes:
        launcher: the same.
        pod: the same.
        lifetime: the same.
        warm: whether a pool had it ready.
        gone: whether its launcher was found gone.
    """

    def __init__(self, launcher: LauncherConnection, pod: Pod, lifetime: int, doubt: Callable[[], None]) -> None:
        self.launcher = launcher
        self.pod = pod
        self.lifetime = lifetime
        self.warm = False
        self.gone = False
        self._doubt = doubt

    async def send(self, data: bytes) -> None:
        """Sends encoded frames; see `Container`."""
        await self.launcher.send(data)

    async def receive(self) -> Sequence[frames.Event]:
        """The next events; see `Container`."""
        try:
            return await self.launcher.receive()
        except LauncherGoneError as error:
            gone = error
        self.gone = True
        self._doubt()
        raise await self._why(gone) from gone

    async def _why(self, gone: LauncherGoneError) -> ExecutorError:
        """Asks the cluster, which hears of an end a moment later; silence has lasted long enough."""
        if isinstance(gone, LauncherSilentError):
            return why_ended(self.pod.state, gone) if _is_over(self.pod.state) else gone
        with trio.move_on_after(REASON_TIMEOUT):
            await self.pod.wait(_is_over)
        return why_ended(self.pod.state, gone)

    async def apply_resources(self, resources: Resources) -> None:
        """Does nothing: a pod's limits are what they are from the beginning; see `Executor.can_update_limits`."""
        del resources
        await trio.lowlevel.checkpoint()

    async def expedite(self) -> None:
        """Does nothing, for the same reason."""
        await trio.lowlevel.checkpoint()


def _is_over(state: PodState) -> bool:
    return state.ended or state.deleted

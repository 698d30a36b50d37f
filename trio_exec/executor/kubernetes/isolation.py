"""Tries whether a pod can reach anything, before programs of strangers run in one.

Pods always have an interface, and what keeps it from leading anywhere is a NetworkPolicy; but a network plugin that
knows none ignores it, without a word. So two pods are opened, and one tries to connect to the API server, to its node,
to where clouds tell their machines secrets, and to the other.

A plugin that does enforce policies may do so some time after a pod has started. So each pod is asked again before it is
used, which for one that is warm was long before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import trio

from trio_exec.errors import ExecutorError
from trio_exec.executor.kubernetes.container import PodContainer
from trio_exec.executor.kubernetes.errand import run_errand

LOGGER = logging.getLogger("trio_exec.kubernetes")

LAUNCHER = "/launcher"
KUBELET_PORT = 10250
METADATA = "169.254.169.254", 80
"""Where most clouds have it."""
SIBLING_PORT = 18080
TRY_MILLISECONDS = 1500
"""For a connection, where pods are tried."""
HOLD_MILLISECONDS = 200
"""For a connection, before a pod is used: what is near and lets itself be reached answers sooner."""
SECONDS = 8
"""For which a pod that reaches something tries again: plugins take a moment to put policies in force for a new one."""
LISTEN_SECONDS = 40
"""For which the other one listens."""
_SHUT = (
    "there is no NetworkPolicy that denies all, or the cluster's network plugin does not enforce it; see "
    "docs/kubernetes.md, or set kubernetes_unisolated if you trust them"
)


class Isolation:
    """Tries pods.

    Args:
        api: the API server's host and port.
        allowed: whether pods may be used although they reach something.
    """

    def __init__(self, api: tuple[str, int], *, allowed: bool) -> None:
        self._api = api
        self._allowed = allowed
        self._addresses: list[str] = []

    async def check(self, open_pod: Callable[[], AbstractAsyncContextManager[PodContainer]]) -> None:
        """Returns when pods reach nothing, or may.

        Args:
            open_pod: opens another pod each time.

        Raises:
            ExecutorError: they reach something; says what.
        """
        async with open_pod() as pod, open_pod() as sibling:
            targets = {**await self._targets(pod), METADATA: "the cloud's metadata"}
            if sibling.pod.state.ip:
                targets[sibling.pod.state.ip, SIBLING_PORT] = "another pod"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_listen, sibling)
                reached = await _reached(pod, targets, TRY_MILLISECONDS)
                nursery.cancel_scope.cancel(reason="it was tried")
        if not reached:
            return
        sentence = f"programs in pods can reach {', '.join(reached)}"
        if not self._allowed:
            raise ExecutorError(f"{sentence}: {_SHUT}")
        LOGGER.warning("%s; kubernetes_unisolated allows that", sentence)

    async def hold(self, pod: PodContainer) -> None:
        """Returns when this pod reaches nothing: policies may come into force some time after it has started.

        Raises:
            ExecutorError: it does all the same, after `SECONDS`; or it is gone.
        """
        if self._allowed:
            return
        if reached := await _reached(pod, await self._targets(pod), HOLD_MILLISECONDS):
            raise ExecutorError(f"the pod was not used, since programs in it could reach {', '.join(reached)}: {_SHUT}")

    async def _targets(self, pod: PodContainer) -> dict[tuple[str, int], str]:
        """What is there in any cluster, and what it is."""
        host, port = self._api
        if not self._addresses:
            found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
            self._addresses = [str(address[0]) for *_, address in found]
        targets = {(address, port): "the API server" for address in self._addresses}
        targets[pod.pod.state.node_ip, KUBELET_PORT] = "its node"
        return targets


async def _reached(pod: PodContainer, targets: Mapping[tuple[str, int], str], milliseconds: int) -> list[str]:
    """What of these can be reached from a pod, and goes on to be so for `SECONDS`."""
    command = [LAUNCHER, "reach", str(SECONDS), str(milliseconds)]
    for address, port in targets:
        command += [address, str(port)]
    reached: list[str] = []
    for line in (await run_errand(pod, command, 2 * SECONDS)).splitlines():
        address, port, _first, last = line.split()
        if last == "connected":
            reached.append(f"{targets[address, int(port)]} ({address} port {port})")
    return reached


async def _listen(pod: PodContainer) -> None:
    """Until it is cancelled, or the pod's program ends."""
    await run_errand(pod, [LAUNCHER, "listen", str(LISTEN_SECONDS), str(SIBLING_PORT)], LISTEN_SECONDS + 10)

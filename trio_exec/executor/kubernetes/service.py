"""The executor on Kubernetes with all that belongs to it, and the order in which it comes and goes.

open_kubernetes_executor
├─ executor          owns pods, with its watch, its janitor and its health
├─ provider          until a pod of every language could be opened; then it is done
└─ (whoever opened)  uses it
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from trio_exec.events import Emit, ignore
from trio_exec.executor.kubernetes.access import find_access
from trio_exec.executor.kubernetes.api import KubernetesAPI
from trio_exec.executor.kubernetes.executor import KubernetesExecutor
from trio_exec.executor.kubernetes.hardening import PodOptions
from trio_exec.executor.kubernetes.isolation import Isolation
from trio_exec.executor.kubernetes.providing import Provider
from trio_exec.languages import Language
from trio_exec.limits import Limits


def open_kubernetes_executor(
    languages: Collection[Language],
    limits: Limits,
    *,
    namespace: str,
    uids: range,
    options: PodOptions,
    start_timeout: float,
    registry: str = "",
    unisolated: bool = False,
    emit: Emit = ignore,
) -> AbstractAsyncContextManager[KubernetesExecutor]:
    """An executor on the cluster that this process is in, or that the environment names, while the context lasts.

    The context begins at once, also where nothing answers yet: pods are tried meanwhile, as often as it takes. Until
    then the executor's `not_ready_reason` says what is missing. At its end, pods that are left are deleted, in ten
    seconds or little more.

    Args:
        languages: to be tried.
        limits: those of the pods that are tried.
        namespace: where pods go.
        uids: the programs' user ids.
        options: what the operator chose for pods.
        start_timeout: seconds that a pod may take to start.
        registry: what comes before the names of images.
        unisolated: whether pods may be used although they can reach something.
        emit: reports what happens to pods, and the API's calls.

    Raises:
        ConfigurationError: there is no cluster; at the call, and not in the context.

    Cancellation: at any moment. Pods are deleted all the same.
    """
    return _running(
        *make_executor(
            languages,
            limits,
            namespace=namespace,
            uids=uids,
            options=options,
            start_timeout=start_timeout,
            registry=registry,
            unisolated=unisolated,
            emit=emit,
        )
    )


def make_executor(
    languages: Collection[Language],
    limits: Limits,
    *,
    namespace: str,
    uids: range,
    options: PodOptions,
    start_timeout: float,
    registry: str,
    unisolated: bool,
    emit: Emit,
) -> tuple[KubernetesAPI, KubernetesExecutor, Provider]:
    """The parts, none of which runs yet; arguments and errors as of `open_kubernetes_executor`."""
    access = find_access()
    api = KubernetesAPI(access, namespace, emit)
    isolation = Isolation((access.host, access.port), allowed=unisolated)
    executor = KubernetesExecutor(api, uids, options, isolation=isolation, start_timeout=start_timeout, emit=emit)
    return api, executor, Provider(executor, languages, limits, registry=registry, isolation=isolation, emit=emit)


@asynccontextmanager
async def _running(
    api: KubernetesAPI, executor: KubernetesExecutor, provider: Provider
) -> AsyncGenerator[KubernetesExecutor]:
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(executor.run)
            nursery.start_soon(provider.provide)
            yield executor
            nursery.cancel_scope.cancel(reason="nobody opens containers any more")
    finally:
        await api.aclose()

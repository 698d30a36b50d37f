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
from trio_exec.executor.kubernetes.hardening import ClusterOptions
from trio_exec.executor.kubernetes.isolation import Isolation
from trio_exec.executor.kubernetes.providing import Provider
from trio_exec.languages import Language
from trio_exec.limits import Limits


def open_kubernetes_executor(
    languages: Collection[Language], limits: Limits, options: ClusterOptions, emit: Emit = ignore
) -> AbstractAsyncContextManager[KubernetesExecutor]:
    """An executor on the cluster that this process is in, or that the environment names, while the context lasts.

    The context begins at once, also where nothing answers yet: pods are tried meanwhile, as often as it takes. Until
    then the executor's `not_ready_reason` says what is missing. At its end, pods that are left are deleted, in ten
    seconds or little more.

    Args:
        languages: to be tried.
        limits: those of the pods that are tried.
        options: what the operator chose.
        emit: reports what happens to pods, and the API's calls.

    Raises:
        ConfigurationError: there is no cluster; at the call, and not in the context.

    Cancellation: at any moment. Pods are deleted all the same.
    """
    return _running(*make_executor(languages, limits, options, emit))


def make_executor(
    languages: Collection[Language], limits: Limits, options: ClusterOptions, emit: Emit
) -> tuple[KubernetesAPI, KubernetesExecutor, Provider]:
    """The parts, none of which runs yet; arguments and errors as of `open_kubernetes_executor`."""
    access = find_access()
    api = KubernetesAPI(access, options.namespace, emit)
    isolation = Isolation((access.host, access.port), allowed=options.unisolated)
    executor = KubernetesExecutor(
        api, options.uids, options.pods, isolation=isolation, start_timeout=options.start_timeout, emit=emit
    )
    provider = Provider(executor, languages, limits, registry=options.registry, isolation=isolation, emit=emit)
    return api, executor, provider


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

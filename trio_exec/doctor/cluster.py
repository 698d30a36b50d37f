"""What is looked at of a cluster, where programs run in its pods: by the very functions that decide in a server."""

from __future__ import annotations

from collections.abc import Callable

import trio

from trio_exec.doctor.findings import Finding, broken, ok, skipped
from trio_exec.errors import ConfigurationError, ExecutorError
from trio_exec.events import ignore
from trio_exec.executor.kubernetes.executor import KubernetesExecutor
from trio_exec.executor.kubernetes.providing import Provider
from trio_exec.executor.kubernetes.service import make_executor
from trio_exec.languages import Language, Languages
from trio_exec.serving import cluster_options
from trio_exec.settings import Settings

REMEDY = "See docs/kubernetes.md for what the cluster has to bring."


async def cluster_findings(
    settings: Settings, languages: Languages, *, probe: bool, tell: Callable[[str], None]
) -> list[Finding]:
    """Whether the cluster can be used, has the languages' images, and keeps pods in.

    Args:
        settings: of the server.
        languages: that it offers.
        probe: whether to open pods.
        tell: is called with what comes next, in a few words.

    Cancellation: at any moment; pods are deleted first.
    """
    try:
        api, executor, provider = make_executor(languages.values(), settings.limits, cluster_options(settings), ignore)
    except ConfigurationError as error:
        return [broken("cluster.reachable", error.message)]
    tell("asking the cluster…")
    try:
        await api.ping()
    except ExecutorError as error:
        await api.aclose()
        return [broken("cluster.reachable", error.message, REMEDY)]
    findings = [ok("cluster.reachable", f"{api.access.url} answers; pods are for namespace {api.namespace}")]
    try:
        if probe:
            findings += await _open_pods(executor, provider, languages, tell)
        else:
            findings.append(skipped("cluster.isolation", "--no-probe"))
    finally:
        await api.aclose()
    return findings


async def _open_pods(
    executor: KubernetesExecutor, provider: Provider, languages: Languages, tell: Callable[[str], None]
) -> list[Finding]:
    findings: list[Finding] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(executor.run)
        for language in languages.values():
            tell(f"opening a pod of {language.name}…")
            findings.append(await _open_pod(provider, language))
        tell("trying whether pods can reach anything…")
        try:
            await provider.try_isolation()
            findings.append(ok("cluster.isolation", "pods reach neither the API server nor their node, nor each other"))
        except ExecutorError as error:
            findings.append(broken("cluster.isolation", error.message, REMEDY))
        nursery.cancel_scope.cancel(reason="it was looked at")
    return findings


async def _open_pod(provider: Provider, language: Language) -> Finding:
    check = f"cluster.pods.{language.name}"
    start = trio.current_time()
    try:
        await provider.try_language(language)
    except ExecutorError as error:
        return broken(check, error.message, REMEDY)
    return ok(check, f"one could be opened, and run a command, in {trio.current_time() - start:.1f} s")

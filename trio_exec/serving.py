"""What `serve` serves: joins the server to an executor, which know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from trio_exec.events import Emit, Events
from trio_exec.executor.base import Executor
from trio_exec.executor.kubernetes.hardening import ClusterOptions, PodOptions
from trio_exec.languages import Languages
from trio_exec.server.process import run_server
from trio_exec.settings import Settings


async def serve(
    settings: Settings, listening: Callable[[str], None], reload: Callable[[], Settings] | None = None
) -> None:
    """Serves until SIGTERM or SIGINT and for `drain_delay` more, then drains.

    A second signal, or the end of `drain_timeout`, ends what still runs; a third one ends the process at once.

    Args:
        settings: the server's settings.
        listening: is called with the address once requests are taken.
        reload: reads the settings again, at SIGHUP, so that those which can change at run time do. It is called in a
            thread, and may raise ConfigurationError. None to have them stay as they are.

    Raises:
        ConfigurationError: a setting or a language can't be used.
        ExecutorUnavailableError: what the environment says of the Docker engine can't be used. An engine that is not
            there is no such case: it may come; nor is a cluster that is not.
    """
    languages = Languages.load(settings.languages_dir, settings.languages)
    events = Events()
    await run_server(settings, languages, _executor(settings, languages, events.emit), events, listening, reload=reload)


def _executor(settings: Settings, languages: Languages, emit: Emit) -> AbstractAsyncContextManager[Executor]:
    """The one that is set; what the other needs is not even imported."""
    if settings.executor == "kubernetes":
        from trio_exec.executor.kubernetes.service import open_kubernetes_executor  # noqa: PLC0415 - see above

        return open_kubernetes_executor(languages.values(), settings.limits, cluster_options(settings), emit)
    from trio_exec.executor.docker.service import open_docker_executor  # noqa: PLC0415 - see above

    return open_docker_executor(
        languages.values(),
        settings.limits,
        uids=settings.uid_range,
        runtime=settings.runtime,
        missing_limits=settings.missing_limits,
        registry=settings.base_registry,
        emit=emit,
    )


def cluster_options(settings: Settings) -> ClusterOptions:
    """What the settings choose for a cluster, and for all pods there."""
    pods = PodOptions(
        runtime_class=settings.kubernetes_runtime_class,
        user_namespaces=settings.kubernetes_user_namespaces,
        node_selector=settings.node_selector,
        tolerations=settings.tolerations,
        cpu_request=settings.kubernetes_cpu_request,
        memory_request=settings.kubernetes_memory_request_bytes,
    )
    return ClusterOptions(
        namespace=settings.kubernetes_namespace,
        uids=settings.uid_range,
        pods=pods,
        start_timeout=settings.kubernetes_start_timeout,
        registry=settings.kubernetes_registry,
        unisolated=settings.kubernetes_unisolated,
    )

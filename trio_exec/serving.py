"""What `serve` serves: joins the server to the executor on Docker, which know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable

from trio_exec.events import Events
from trio_exec.executor.docker.service import open_docker_executor
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
            there is no such case: it may come.
    """
    languages = Languages.load(settings.languages_dir, settings.languages)
    events = Events()
    executor = open_docker_executor(
        languages.values(),
        settings.limits,
        uids=settings.uid_range,
        runtime=settings.runtime,
        missing_limits=settings.missing_limits,
        registry=settings.base_registry,
        emit=events.emit,
    )
    await run_server(settings, languages, executor, events, listening, reload=reload)

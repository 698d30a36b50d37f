"""The server's process: what is started in which order, and how it ends.

    run
    ├─ signals              what they ask for: leave; hurry; go at once
    ├─ guard                a process that removes our containers should this one be killed
    └─ executor             owns containers
       ├─ preparation       until every language has its image and a container could be opened; then it is done
       ├─ pool              keeps warm containers
       ├─ engine            hosts the sessions
       └─ hypercorn         only attaches clients to them

The root nursery is ours, so that a crash of any part ends the process, visibly, and does not leave a server that
answers but does not work. At the end the order is: `/readyz` says so; no new sessions; running ones finish, or are
ended; clients read to the end; hypercorn stops; the rest is cancelled.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import hypercorn.trio
import trio

from trio_exec.api.app import create_app
from trio_exec.api.arrivals import Arrivals
from trio_exec.api.proxies import BehindProxies
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.errors import ConfigurationError, ExecutorError, ExecutorUnavailableError
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.guarding import run_guard
from trio_exec.executor.docker.images import build_missing
from trio_exec.executor.pool import Pool
from trio_exec.languages import Languages
from trio_exec.limits import Limits
from trio_exec.server import hypercorn_worker
from trio_exec.session.plan import prestarts, resources
from trio_exec.session.tasks import container_lifetime
from trio_exec.settings import Settings

LOGGER = logging.getLogger("trio_exec.server")

STATIC = Path(__file__).parent.parent / "static"
RETRY_FIRST, RETRY_LAST = 5, 300
"""Seconds until what the engine refused at the start is tried again; doubled each time, since each try may cost it."""
WARMED_AT_ONCE = 2
"""Containers that the pool warms at once, at least; more on an engine with many processors."""
FAREWELL_TIMEOUT = 5
"""Seconds that clients get for the final states of sessions that were ended, when there is no other time left."""


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What signals have asked for so far."""

    leave: trio.Event = field(default_factory=trio.Event)
    hurry: trio.Event = field(default_factory=trio.Event)


async def serve(settings: Settings, listening: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT and for `drain_delay` more, then drains.

    A second signal, or the end of `drain_timeout`, ends what still runs; a third one ends the process at once.

    Args:
        settings: the server's settings.
        listening: is called with the address once requests are taken.

    Raises:
        ConfigurationError: a setting or a language can't be used.
    """
    languages = Languages.load(settings.languages_dir, settings.languages)
    api = DockerAPI()
    executor = DockerExecutor(api, settings.uid_range, settings.runtime)
    pool = _make_pool(settings, languages, executor)
    budget = Budget(settings.max_retained_bytes)
    engine = Engine(settings, languages, pool, budget)
    going_away = trio.Event()
    wishes = _Wishes()
    hypercorn_worker.install()
    arrivals = Arrivals(budget)
    config = hypercorn_worker.make_config(settings, arrivals)
    app = BehindProxies(create_app(engine, going_away, STATIC, arrivals), settings)
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as outermost:
            outermost.start_soon(_hear, signals, wishes)
            await outermost.start(run_guard, executor.instance, lambda: executor.clean)
            async with trio.open_nursery() as nursery:
                await nursery.start(executor.run)
                nursery.start_soon(_make_ready, api, languages, executor, settings.limits)
                nursery.start_soon(_fill_pool, pool, executor)
                await nursery.start(engine.run)
                async with trio.open_nursery() as connections:
                    addresses = await connections.start(
                        partial(
                            hypercorn.trio.serve,  # pyright: ignore[reportUnknownMemberType] - its WSGI half is untyped
                            app,
                            config,
                            shutdown_trigger=going_away.wait,
                            mode="asgi",
                        )
                    )
                    listening(addresses[0])
                    await _wind_down(engine, pool, wishes)
                    going_away.set()
                nursery.cancel_scope.cancel(reason="the server has stopped")
            outermost.cancel_scope.cancel(reason="no container is ours any more")
    api.close()


def _make_pool(settings: Settings, languages: Languages, executor: DockerExecutor) -> Pool:
    unknown = sorted(set(settings.pool) - set(languages)) if "pool" in settings.model_fields_set else []
    if unknown:
        raise ConfigurationError(f"pool: unknown: {', '.join(unknown)}; available: {', '.join(languages)}")
    return Pool(
        executor,
        sizes={name: size for name, size in settings.pool.items() if name in languages},
        prestarts={name: prestarts(language, settings.limits) for name, language in languages.items()},
        resources={name: resources(language, settings.limits) for name, language in languages.items()},
        limits=settings.limits,
        lifetime=container_lifetime(settings.limits),
    )


async def _fill_pool(pool: Pool, executor: DockerExecutor) -> None:
    await executor.usable.wait()
    await pool.run(max(WARMED_AT_ONCE, executor.processors // 2))


async def _make_ready(api: DockerAPI, languages: Languages, executor: DockerExecutor, limits: Limits) -> None:
    """Builds missing images and tries a container, for as long as it takes: an engine may come up after us."""
    build = partial(build_missing, api, languages.values(), progress=LOGGER.debug, started=LOGGER.info)
    delay = RETRY_FIRST
    while True:
        try:
            executor.use_images(await trio.to_thread.run_sync(build, abandon_on_cancel=True))
            await executor.try_out(limits)
        except ExecutorUnavailableError as error:
            executor.health.unusable(error.message)
            LOGGER.warning("%s; will try again", error)
            delay = RETRY_FIRST
        except ExecutorError as error:
            executor.health.unusable(f"{error}; it is tried again in {delay} seconds")
            LOGGER.error("%s; will try again", error)  # noqa: TRY400 - the engine's reason says it all
        else:
            # Its containers bear this as the label trio-exec.instance.
            LOGGER.info("instance %s is ready to run %s", executor.instance, ", ".join(languages))
            return
        await trio.sleep(delay)
        delay = min(2 * delay, RETRY_LAST)


async def _hear(signals: AsyncIterator[int], wishes: _Wishes) -> None:
    async for number in signals:
        name = signal.Signals(number).name
        if not wishes.leave.is_set():
            LOGGER.info("%s: draining", name)
            wishes.leave.set()
        elif not wishes.hurry.is_set():
            LOGGER.info("%s again: ending all sessions", name)
            wishes.hurry.set()
        else:
            # Whoever insists so wants no more cleanup; the guard and the launchers see to the containers.
            LOGGER.warning("%s once more: ending at once", name)
            os._exit(128 + number)


async def _wind_down(engine: Engine, pool: Pool, wishes: _Wishes) -> None:
    """Waits until the server is to leave, then until sessions are over and clients have read them, or time is up."""
    await wishes.leave.wait()
    delay, seconds = engine.settings.drain_delay, engine.settings.drain_timeout
    LOGGER.info("sessions get %g seconds%s", seconds, f", from {delay:g} seconds on" if delay else "")
    engine.leave()
    async with trio.open_nursery() as nursery:

        async def hurry() -> None:
            await wishes.hurry.wait()
            nursery.cancel_scope.cancel(reason="a second signal")

        nursery.start_soon(hurry)
        await trio.sleep(delay)
        pool.drain()
        with trio.move_on_after(seconds):
            await engine.drain()
            await engine.serve_clients()
        nursery.cancel_scope.cancel(reason="drained, or out of time")
    await engine.stop()
    with trio.move_on_after(FAREWELL_TIMEOUT):
        await engine.serve_clients()
    LOGGER.info("all sessions are over")

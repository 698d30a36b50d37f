"""The server's process: what is started in which order, and how it ends.

    run_server
    ├─ signals              what they ask for: read the settings again; leave; hurry; go at once
    └─ executor             makes containers, and removes them; whichever it is
       ├─ pool              keeps warm containers
       ├─ reloader          reads the settings again
       ├─ engine            hosts the sessions
       ├─ keys              are those that their file has
       └─ hypercorn         only attaches clients to them

The root nursery is ours, so that a crash of any part ends the process, visibly, and does not leave a server that
answers but does not work. The end goes through the phases of `trio_exec.phases`; `_way_out` is their table. At the last
one hypercorn stops, and then the rest is cancelled.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import hypercorn.trio
import trio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from trio_exec.api.app import create_app, create_metrics_app
from trio_exec.api.arrivals import Arrivals
from trio_exec.api.auth import Authentication
from trio_exec.api.metrics import PATH as METRICS_PATH
from trio_exec.api.proxies import BehindProxies
from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.events import Emit, Events, PhaseReached
from trio_exec.executor.base import Executor
from trio_exec.executor.pool import Pool
from trio_exec.languages import Languages
from trio_exec.model import Reason
from trio_exec.observe.left_out import say_left_out
from trio_exec.observe.logs import log_event
from trio_exec.observe.metrics import Metrics
from trio_exec.observe.tracing import open_tracing
from trio_exec.phases import Phase, Phases
from trio_exec.server import hypercorn_worker
from trio_exec.server.keys import FollowedKeys
from trio_exec.server.observing import reader
from trio_exec.server.reload import Reloader, reloadable
from trio_exec.session.plan import prestarts, resources
from trio_exec.session.tasks import batch_lifetime
from trio_exec.settings import Settings

LOGGER = logging.getLogger("trio_exec.server")

STATIC = Path(__file__).parent.parent / "static"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
FAREWELL_TIMEOUT = 5
"""Seconds that clients get for the final states of sessions that were ended, when there is no other time left."""


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What signals have asked for so far."""

    reload: trio.MemorySendChannel[None] | None = None
    leave: trio.Event = field(default_factory=trio.Event)
    hurry: trio.Event = field(default_factory=trio.Event)


async def run_server(
    settings: Settings,
    languages: Languages,
    executor: AbstractAsyncContextManager[Executor],
    events: Events,
    listening: Callable[[str], None],
    *,
    reload: Callable[[], Settings] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT and for `drain_delay` more, then drains.

    Which executor it is, only the caller knows; so another one is served without a change here. It is passed unopened:
    a signal has to reach the server also while the executor opens and closes.

    Args:
        settings: the server's settings.
        languages: what can be run.
        executor: where containers come from; is opened once all else is known to be right.
        events: of everything, the executor's among them.
        listening: is called with the address once requests are taken.
        reload: reads the settings again, at SIGHUP; see `reload`. None to pass it over.

    Raises:
        ConfigurationError: a setting can't be used.
        ExceptionGroup: a part has crashed.
    """
    settings.check_pool(languages)
    followed = FollowedKeys(settings.keys_file if settings.auth_mode == "keys" else None)
    auth = Authentication(settings, followed.keys)
    phases = Phases()
    send_reload, wanted_reloads = trio.open_memory_channel[None](1)
    wishes = _Wishes(None if reload is None else send_reload)
    budget = Budget(settings.max_retained_bytes)
    arrivals = Arrivals(budget)
    config = hypercorn_worker.make_config(settings, arrivals, settings.max_sessions + sum(settings.pool.values()))
    metrics = Metrics(languages, owners=settings.metrics_owners)
    apart = _make_metrics_listener(settings, metrics, arrivals)
    tracing = open_tracing(events) if settings.otel else nullcontext()
    with (
        hypercorn_worker.installed(),
        trio.open_signal_receiver(*SIGNALS) as signals,
        events.subscribed(log_event),
        events.subscribed(metrics.tell),
        metrics.watching_loop(),
    ):
        async with tracing, trio.open_nursery() as outermost:
            outermost.start_soon(_hear, signals, wishes)
            outermost.start_soon(say_left_out)
            async with executor as opened, trio.open_nursery() as nursery:
                pool = _make_pool(settings, languages, opened, phases, events.emit)
                nursery.start_soon(pool.run)
                if reload is not None:
                    reloader = Reloader(
                        settings, reload, reloadable(pool, config.connections, auth), languages, followed
                    )
                    nursery.start_soon(reloader.run, wanted_reloads)
                engine = Engine(settings, languages, pool, budget, phases, emit=events.emit, replica=settings.replica)
                await nursery.start(engine.run)
                nursery.start_soon(followed.run, partial(engine.end_sessions, reason=Reason.REVOKED))
                metrics.read(reader(engine, pool, phases, budget, config.connections))
                shown = metrics if apart is None else None
                whole = create_app(
                    engine, settings, auth, phases, static=STATIC, arrivals=arrivals, metrics=shown, emit=events.emit
                )
                app = BehindProxies(whole, settings)
                async with trio.open_nursery() as connections:
                    addresses = await connections.start(_serve_connections, app, config, phases)
                    if apart is not None:
                        (address,) = await connections.start(_serve_connections, *apart, phases)
                        LOGGER.info("metrics are at %s%s", address, METRICS_PATH)
                    listening(addresses[0])
                    await _wind_down(phases, engine, wishes, events.emit)
                nursery.cancel_scope.cancel(reason="the server has stopped")
            outermost.cancel_scope.cancel(reason="signals are of no use any more")


def _make_metrics_listener(
    settings: Settings, metrics: Metrics, arrivals: Arrivals
) -> tuple[ASGIFramework, Config] | None:
    """What a listener for metrics alone serves, and how; None when they are shown beside everything else."""
    if settings.metrics_port is None:
        return None
    config = hypercorn_worker.make_metrics_config(settings.metrics_host, settings.metrics_port, settings, arrivals)
    return create_metrics_app(metrics, settings, arrivals), config


def _make_pool(settings: Settings, languages: Languages, executor: Executor, phases: Phases, emit: Emit) -> Pool:
    return Pool(
        executor,
        sizes=settings.pool,
        prestarts={name: prestarts(language, settings.limits) for name, language in languages.items()},
        resources={name: resources(language, settings.limits) for name, language in languages.items()},
        limits=settings.limits,
        lifetime=batch_lifetime(settings.limits, settings.batch_timeout),
        phases=phases,
        emit=emit,
    )


async def _serve_connections(  # noqa: ASYNC128 - hypercorn says that it has started
    app: ASGIFramework,
    config: Config,
    phases: Phases,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Takes connections until the server is gone.

    Raises:
        RuntimeError: hypercorn has stopped before, without an error of its own. A server that lives on and takes no
            connections would be found out by nobody.
    """
    serve = partial(
        hypercorn.trio.serve,  # pyright: ignore[reportUnknownMemberType] - its WSGI half is untyped
        app,
        config,
        shutdown_trigger=partial(phases.wait, Phase.GONE),
        mode="asgi",
    )
    await serve(task_status=task_status)
    if not phases.reached(Phase.GONE):
        raise RuntimeError("hypercorn takes no connections any more, though nobody has told it to stop")


async def _hear(signals: AsyncIterator[int], wishes: _Wishes) -> None:
    async for number in signals:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            # A wish to reload, or a terminal that was closed; no reason to end anybody's session.
            if wishes.reload is None:
                LOGGER.info("SIGHUP: nothing to read again; the server goes on as it is")
                continue
            LOGGER.info("SIGHUP: reading the settings again")
            with contextlib.suppress(trio.WouldBlock):  # One that is still to come will do.
                wishes.reload.send_nowait(None)
        elif not wishes.leave.is_set():
            LOGGER.info("%s: draining", name)
            wishes.leave.set()
        elif not wishes.hurry.is_set():
            LOGGER.info("%s again: ending all sessions", name)
            wishes.hurry.set()
        else:
            # Whoever insists so wants no more cleanup; the guard and the launchers see to the containers.
            LOGGER.warning("%s once more: ending at once", name)
            os._exit(128 + number)


@dataclass(frozen=True, slots=True)
class _Stay:
    """What the server does in a phase on its way out.

    Attributes:
        phase: which one.
        until: what it waits for.
        seconds: for how long it does so, at most.
        can_hurry: whether a second signal cuts the waiting short.
        entry: what it does first; has a deadline of its own.
    """

    phase: Phase
    until: Callable[[], Awaitable[None]]
    seconds: float
    can_hurry: bool = True
    entry: Callable[[], Awaitable[None]] | None = None


def _way_out(engine: Engine) -> tuple[_Stay, ...]:
    """The phases between serving and gone. What each means for the API, the engine and the pool, `Phase` says."""

    async def over_and_read() -> None:
        await engine.wait_sessions()
        await engine.serve_clients()

    settings = engine.settings
    return (
        _Stay(Phase.LEAVING, trio.sleep_forever, settings.drain_delay),
        _Stay(Phase.DRAINING, over_and_read, settings.drain_timeout),
        _Stay(Phase.FAREWELL, engine.serve_clients, FAREWELL_TIMEOUT, can_hurry=False, entry=engine.stop),
    )


async def _wind_down(phases: Phases, engine: Engine, wishes: _Wishes, emit: Emit) -> None:
    """Waits for the first signal, and returns in the last phase."""
    await wishes.leave.wait()
    delay, seconds = engine.settings.drain_delay, engine.settings.drain_timeout
    LOGGER.info("sessions get %g seconds%s", seconds, f", from {delay:g} seconds on" if delay else "")
    for stay in _way_out(engine):
        phases.move(stay.phase)
        emit(PhaseReached(stay.phase))
        if stay.entry is not None:
            await stay.entry()
        async with trio.open_nursery() as nursery:
            if stay.can_hurry:
                nursery.start_soon(_cancel_in_a_hurry, wishes, nursery.cancel_scope)
            with trio.move_on_after(stay.seconds):
                await stay.until()
            nursery.cancel_scope.cancel(reason="the phase is over")
    LOGGER.info("all sessions are over")
    phases.move(Phase.GONE)
    emit(PhaseReached(Phase.GONE))


async def _cancel_in_a_hurry(wishes: _Wishes, scope: trio.CancelScope) -> None:
    await wishes.hurry.wait()
    scope.cancel(reason="a second signal")

"""What operators see of the server's parts: joins these to `observe`, which knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from trio_exec.budget import Budget
from trio_exec.engine.engine import Engine
from trio_exec.executor.pool import Pool
from trio_exec.observe.reading import PoolReading, Reading
from trio_exec.phases import Phase, Phases
from trio_exec.server.connections import Connections


def reader(
    engine: Engine, pool: Pool, phases: Phases, budget: Budget, connections: Connections
) -> Callable[[], Reading]:
    """What takes a reading of these."""
    return partial(_read, engine, pool, phases, budget, connections)


def _read(engine: Engine, pool: Pool, phases: Phases, budget: Budget, connections: Connections) -> Reading:
    settings = engine.settings
    return Reading(
        phase=phases.present,
        ready=pool.not_ready_reason is None and not phases.reached(Phase.LEAVING),
        languages=list(engine.languages),
        missing=list(pool.missing),
        running=engine.running,
        running_limit=settings.max_sessions,
        queued=engine.queued,
        queued_limit=settings.max_queue,
        lingering=pool.lingering,
        pool=[
            PoolReading(kind.language, kind.terminal, stock.warm, stock.warming, stock.wanted)
            for kind, stock in pool.stock.items()
        ],
        retained=budget.held,
        retained_limit=budget.limit,
        connections=len(connections),
        connections_limit=connections.limit,
        connections_refused=[(str(why), count) for why, count in connections.refused.items()],
    )

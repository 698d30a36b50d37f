"""The executor on Docker with all that belongs to it, and the order in which it comes and goes.

open_docker_executor
├─ guard                removes our containers should this process be killed; goes last
└─ (inner)
   ├─ executor          owns containers, with its janitor and its health
   ├─ provider          until every language has its image and a container could be opened; then it is done
   └─ (whoever opened)  uses it
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

import trio

from trio_exec.events import Emit, ignore
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.guarding import run_guard
from trio_exec.executor.docker.providing import Provider
from trio_exec.languages import Language
from trio_exec.limits import Limits


def open_docker_executor(
    languages: Collection[Language],
    limits: Limits,
    *,
    uids: range,
    runtime: str | None = None,
    missing_limits: Collection[str] = (),
    registry: str = "",
    emit: Emit = ignore,
) -> AbstractAsyncContextManager[DockerExecutor]:
    """An executor on the engine that the environment names, for as long as the context lasts.

    The context begins at once, also where there is no engine yet: images are built and a container is tried
    meanwhile, as often as it takes. Until then the executor's `not_ready_reason` says what is missing. At its end,
    containers that are left are removed, in ten seconds or little more; what is not is the guard's.

    Args:
        languages: whose images are built where they are missing.
        limits: those of the container that is tried.
        uids: the programs' user ids.
        runtime: Docker runtime, or None for the engine's default.
        missing_limits: names of limits that containers may do without; see `enforcement`.
        registry: what comes before the names of base images.
        emit: reports what happens to containers, and the engine's calls.

    Raises:
        ExecutorUnavailableError: what the environment says can't be used; at the call, and not in the context.

    Cancellation: at any moment. Containers are removed all the same.
    """
    api = DockerAPI()
    executor = DockerExecutor(api, uids, runtime, missing_limits, emit)
    provider = Provider(api, executor, languages, limits, registry=registry, emit=emit)
    return running(api, executor, provider.provide)


@asynccontextmanager
async def running(
    api: DockerAPI, executor: DockerExecutor, provide: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[DockerExecutor]:
    """Runs an executor for as long as the context lasts, and closes the connection to its engine afterwards.

    Args:
        api: the engine.
        executor: has not run yet.
        provide: makes the executor ready meanwhile; None where whoever opens the context does.

    Cancellation: at any moment; containers are removed all the same.
    """
    # Shielded, so that the guard outlives the owners also where this is cancelled; and ended however it is left.
    guarding = trio.CancelScope(shield=True)
    with closing(api):
        async with trio.open_nursery() as outermost:
            await outermost.start(_run_guard, executor, guarding)
            try:
                async with trio.open_nursery() as nursery:
                    await nursery.start(executor.run)
                    if provide is not None:
                        nursery.start_soon(provide)
                    yield executor
                    nursery.cancel_scope.cancel(reason="nobody opens containers any more")
            finally:
                guarding.cancel(reason="no container is ours any more")


async def _run_guard(
    executor: DockerExecutor, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with scope:
        task_status.started()
        await run_guard(executor.instance, lambda: executor.clean)

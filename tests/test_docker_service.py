"""How the executor on Docker comes and goes, with an engine that is played."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.executor.docker import providing, service
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.service import open_docker_executor
from trio_exec.executor.insisting import RETRY_FIRST
from trio_exec.languages import Language, Languages
from trio_exec.settings import Settings

LANGUAGES = Languages.load(only=["python"]).values()


class Played:
    """Stands in for the engine, the owners and the guard, and keeps what happened, and when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: Collection[ExecutorError] = ()) -> None:
        self.events: list[str] = []
        self.tries: list[float] = []
        self._refusals = list(refusals)
        self._ready = trio.Event()
        monkeypatch.setattr(DockerAPI, "close", lambda _: self.events.append("connection closed"))
        monkeypatch.setattr(DockerExecutor, "run", self._long("owners"))
        monkeypatch.setattr(DockerExecutor, "try_out", self._try_out)
        monkeypatch.setattr(service, "run_guard", self._long("guard"))
        monkeypatch.setattr(providing, "missing_images", lambda *_: [])
        monkeypatch.setattr(providing, "versions", lambda *_: {})

    def _long(self, name: str) -> Callable[..., Any]:
        async def run(*_: object, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            self.events.append(f"{name} came")
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.events.append(f"{name} left")

        return run

    async def _try_out(self, _: object) -> None:
        await trio.lowlevel.checkpoint()
        self.tries.append(trio.current_time())
        if self._refusals:
            raise self._refusals.pop(0)
        self._ready.set()

    async def wait_ready(self) -> None:
        await self._ready.wait()


def opened(languages: Collection[Language] = LANGUAGES) -> Any:
    return open_docker_executor(languages, Settings().limits, uids=range(50000, 50100))


EXPECTED = ["guard came", "owners came", "used", "owners left", "guard left", "connection closed"]


async def test_the_guard_outlives_the_owners_and_the_connection_both(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch)
    async with opened():
        await played.wait_ready()
        played.events.append("used")

    assert played.events == EXPECTED


@pytest.mark.parametrize("how", ["error", "cancelled"])
async def test_the_order_is_the_same_however_the_context_is_left(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    played = Played(monkeypatch)

    async def use() -> None:
        async with opened():
            played.events.append("used")
            if how == "error":
                raise RuntimeError("a crash")
            await trio.sleep_forever()

    if how == "error":
        with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
            await use()
    else:
        with trio.move_on_after(0.1):
            await use()

    assert played.events == EXPECTED


async def test_an_engine_that_refuses_is_tried_ever_more_seldom_and_one_that_is_away_steadily(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    refusals = [ExecutorError("no"), ExecutorError("no"), *3 * [ExecutorUnavailableError("away")], ExecutorError("no")]
    played = Played(monkeypatch, refusals)
    async with opened() as executor:
        # The first try has not been made yet, or has just failed.
        assert executor.not_ready_reason is not None
        await played.wait_ready()

    gaps = [round(later - sooner) for sooner, later in pairwise(played.tries)]
    assert gaps == [RETRY_FIRST * factor for factor in (1, 2, 1, 1, 1, 2)]


def test_an_environment_that_can_not_be_used_is_refused_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "nonsense://")
    with pytest.raises(ExecutorUnavailableError, match="DOCKER_HOST"):
        opened()

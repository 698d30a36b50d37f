"""What the janitor takes for a leftover, by the engine's clock and the labels."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, field

import pytest
import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.executor.docker import janitor
from trio_exec.executor.docker.api import DockerAPI, Listed
from trio_exec.executor.docker.janitor import UNSTARTED_MAX_AGE, Janitor
from trio_exec.executor.docker.labels import HOST_LABEL, INSTANCE_LABEL, LIFETIME_LABEL

ENGINE_NOW = 5_000_000.0
"""Years away from this machine's clock: a server's own time must make no difference."""


@dataclass
class Engine(DockerAPI):
    """An engine with a clock of its own; real ones can't be given one."""

    listed: list[Listed]
    removed: list[str] = field(default_factory=list)

    def list(self, label: str) -> list[Listed]:
        del label
        return [it for it in self.listed if it.name not in self.removed]

    def now(self) -> float:
        return ENGINE_NOW

    def remove(self, name: str) -> bool:
        self.removed.append(name)
        return True


async def swept(*listed: Listed, owned: Set[str] = frozenset()) -> list[str]:
    engine = Engine(list(listed))
    await Janitor(engine, "mine", owned)._sweep()
    return engine.removed


def container(*, age: float, status: str = "running", **labels: str) -> Listed:
    names = {"instance": INSTANCE_LABEL, "host": HOST_LABEL, "lifetime": LIFETIME_LABEL}
    return Listed("it", {names[name]: value for name, value in labels.items()}, ENGINE_NOW - age, status)


@pytest.mark.parametrize(
    ("listed", "is_leftover"),
    [
        (container(age=0, instance="mine"), True),
        (container(age=599, instance="other", lifetime="600"), False),
        (container(age=601, instance="other", lifetime="600"), True),
        (container(age=10**6, instance="other"), False),
        (container(age=UNSTARTED_MAX_AGE - 1, status="created", instance="other", lifetime="600"), False),
        (container(age=UNSTARTED_MAX_AGE + 1, status="created", instance="other", lifetime="600"), True),
        (container(age=-3600, instance="other", lifetime="600"), False),
        (container(age=0, status="created", instance="other", host="0123456789ab", lifetime="600"), False),
    ],
)
async def test_what_nobody_can_want(listed: Listed, is_leftover: bool) -> None:
    assert await swept(listed) == (["it"] if is_leftover else [])
    assert await swept(listed, owned={"it"}) == []


def leftover(name: str) -> Listed:
    return Listed(name, {INSTANCE_LABEL: "other", LIFETIME_LABEL: "0"}, ENGINE_NOW - 1, "exited")


class HangingEngine(Engine):
    """An engine that removes one container only when all others are gone, as long as anybody waits for that."""

    def remove(self, name: str) -> bool:
        if name == "stuck":
            deadline = time.monotonic() + 10
            while len(self.removed) < len(self.listed) - 1:
                assert time.monotonic() < deadline, "the others were held up"
                time.sleep(0.001)
        return super().remove(name)


class RefusingEngine(Engine):
    """An engine that can't be talked to about one container."""

    error: ExecutorError

    def remove(self, name: str) -> bool:
        if name == "stuck":
            raise self.error
        return super().remove(name)


@pytest.mark.parametrize("names", [["stuck", "a", "b", "c", "d", "e"], ["a", "b", "stuck", "c"]])
async def test_one_that_the_engine_hangs_on_holds_up_no_other(names: list[str]) -> None:
    engine = HangingEngine([leftover(name) for name in names])
    await Janitor(engine, "mine", frozenset())._sweep()

    assert engine.removed[-1] == "stuck"
    assert sorted(engine.removed) == sorted(names)


@pytest.mark.parametrize("error", [ExecutorError("not permitted"), ExecutorUnavailableError("timed out")])
async def test_one_that_is_refused_is_told_and_the_others_go(error: ExecutorError) -> None:
    engine = RefusingEngine([leftover(name) for name in ("stuck", "a", "b")])
    engine.error = error
    with pytest.raises(ExecutorError) as caught:
        await Janitor(engine, "mine", frozenset())._sweep()

    assert caught.value is error
    assert sorted(engine.removed) == ["a", "b"]


async def test_what_was_refused_is_tried_again_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(janitor, "RETRY_FIRST", 0)
    engine = RefusingEngine([leftover("stuck")])
    engine.error = ExecutorError("not permitted")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Janitor(engine, "mine", frozenset()).run)  # noqa: ASYNC113 - it has no beginning
            while caplog.text.count("not permitted; will try again") < 2:  # noqa: ASYNC110 - a log has no event
                await trio.sleep(0.001)
            engine.listed.append(leftover("other"))
            while engine.removed != ["other"]:  # noqa: ASYNC110 - it is removed in a thread
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel(reason="the test is over")


async def test_a_server_knows_what_its_predecessor_in_the_same_container_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor.os, "getpid", lambda: 1)
    monkeypatch.setattr(janitor.socket, "gethostname", lambda: "0123456789ab")
    predecessors = container(age=1, status="created", instance="other", host="0123456789ab", lifetime="600")
    neighbours = container(age=1, status="created", instance="other", host="ba9876543210", lifetime="600")
    assert await swept(predecessors) == ["it"]
    assert await swept(neighbours) == []

    monkeypatch.setattr(janitor.socket, "gethostname", lambda: "chosen-by-somebody")  # Others may have it, too.
    named = container(age=1, instance="other", host="chosen-by-somebody", lifetime="600")
    assert await swept(named) == []

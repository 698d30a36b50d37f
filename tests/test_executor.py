"""The executor's promises when the engine lets it down, against a real engine whose calls are held up or refused."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio

from tests.sessions import SPEC
from trio_exec.errors import ExecutorError
from trio_exec.executor.docker.executor import THREADS, DockerExecutor


async def test_a_container_that_stays_lingers_until_it_is_gone(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> bool:
        raise ExecutorError("not now")

    with monkeypatch.context() as patched:
        async with executor.open_container(SPEC):
            patched.setattr(executor._api, "remove", refuse)
            patched.setattr(executor._api, "wait_removed", refuse)
        assert (executor.lingering, executor.clean) == (1, False)

    await executor.wait_lingering(1)
    assert (executor.lingering, executor.clean) == (0, True)


async def test_removals_that_hang_keep_nothing_from_starting(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = threading.Event()
    original = executor._api.wait_removed

    def hang(name: str, timeout: float) -> bool:
        on.wait(60)
        return original(name, timeout)

    monkeypatch.setattr(executor._api, "wait_removed", hang)
    try:
        async with trio.open_nursery() as nursery:

            async def use() -> None:
                async with executor.open_container(SPEC):
                    pass

            for _ in range(THREADS + 2):
                nursery.start_soon(use)
            with trio.fail_after(30):
                while executor._removals.available_tokens:  # noqa: ASYNC110 - a limiter has no event for it
                    await trio.sleep(0.05)
                async with executor.open_container(SPEC):
                    await executor.check()
                    assert executor.not_ready_reason is None
                    on.set()
    finally:
        on.set()


async def test_who_stops_waiting_for_an_engine_that_hangs_need_not_wait(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = threading.Event()
    original = executor._api.create

    def hang(**options: Any) -> Any:
        on.wait(60)
        return original(**options)

    monkeypatch.setattr(executor._api, "create", hang)
    with trio.move_on_after(0.2) as scope:
        monkeypatch.setattr("trio_exec.executor.leases.CLEANUP_TIMEOUT", 0.1)
        async with executor.open_container(SPEC):
            raise AssertionError("it opened")
    assert scope.cancelled_caught
    assert executor.lingering == 1

    on.set()  # The container comes into being after all, and goes again.
    await executor.wait_lingering(1)
    assert executor.clean


async def test_an_engine_that_is_paused_is_told_and_asked_seldom(
    executor: DockerExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = threading.Event()
    pings = 0
    original = executor._api.ping

    def hang() -> None:
        nonlocal pings
        pings += 1
        on.wait(60)
        original()

    await executor.check()
    assert executor.not_ready_reason is None
    monkeypatch.setattr(executor._api, "ping", hang)
    executor.health.doubt()
    await executor.check()
    assert executor.not_ready_reason is not None
    assert "does not answer within 3 seconds" in executor.not_ready_reason
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(executor.check)
    assert pings <= 2
    on.set()
    with trio.fail_after(10):
        while executor.not_ready_reason is not None:  # noqa: ASYNC110 - there is only asking
            await trio.sleep(0.05)

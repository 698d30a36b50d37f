"""Fixtures: servers are real processes, started once where tests can share one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
import trio

from tests.support import GENEROUS, PATIENCE, Client, ServerProcess, running_server
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.images import build_missing
from trio_exec.languages import Languages
from trio_exec.settings import Settings

NEED_AN_ENGINE = {"images", "server", "image", "browser"}
"""Fixtures; what uses one of them, by way of others or not, is marked `docker`. Other tests mark themselves."""


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not NEED_AN_ENGINE.isdisjoint(item.fixturenames):
            item.add_marker("docker")


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The languages' images, by name, built where they are missing."""
    api = DockerAPI()
    tags = build_missing(api, Languages.load().values(), started=print, progress=lambda _: None)
    api.close()
    return tags


@pytest.fixture(scope="session")
def server(images: dict[str, str]) -> Generator[ServerProcess]:
    """A server with default settings, but generous times, for all tests that need no other."""
    with running_server(**GENEROUS) as process:
        yield process
    process.assert_no_containers()


@pytest.fixture
def client(server: ServerProcess) -> Client:
    """A client of the shared server."""
    return Client(server)


@pytest.fixture
def start_server(images: dict[str, str]) -> Generator[Callable[..., ServerProcess]]:
    """Starts servers with settings of the test's own, and ends them after it."""
    with ExitStack() as servers:

        def start(**settings: Any) -> ServerProcess:
            return servers.enter_context(running_server(**settings))

        yield start


@pytest.fixture
async def executor(images: dict[str, str]) -> AsyncGenerator[DockerExecutor]:
    """An executor on the machine's engine, without a server around it; afterwards it must have left nothing."""
    api = DockerAPI()
    executor = DockerExecutor(api, Settings().uid_range)
    executor.use_images(images)
    async with trio.open_nursery() as nursery:
        await nursery.start(executor.run)
        executor.health.usable()
        with trio.fail_after(2 * PATIENCE):
            yield executor
        nursery.cancel_scope.cancel(reason="the test is over")
    assert executor.clean
    api.close()

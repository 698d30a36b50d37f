"""Fixtures: servers are real processes, started once where tests can share one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.kubernetes import on_kubernetes, reason_to_skip
from tests.sessions import SPEC
from tests.support import GENEROUS, PATIENCE, TESTED_LANGUAGES, Client, ServerProcess, running_server
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.images import build_missing
from trio_exec.executor.process import binary
from trio_exec.executor.process.executor import ProcessContainer, open_process_executor
from trio_exec.languages import Languages
from trio_exec.settings import Settings

NEED_AN_ENGINE = {"images", "server", "image", "browser"}
"""Fixtures; what uses one of them, by way of others or not, is marked `docker`. Other tests mark themselves."""


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and not NEED_AN_ENGINE.isdisjoint(item.fixturenames):
            item.add_marker("docker")
    if on_kubernetes():
        for item in items:
            if reason := reason_to_skip(item.nodeid):
                item.add_marker(pytest.mark.skip(reason=reason))
    if "PYTEST_XDIST_WORKER" in os.environ:
        for item in items:
            if shares_within_its_file(item):
                item.add_marker(pytest.mark.xdist_group(item.path.stem))
        # What can't be parted begins first, so that nobody waits for it in the end.
        items.sort(key=lambda item: (is_alone(item), item.get_closest_marker("xdist_group") is None))


def shares_within_its_file(item: pytest.Item) -> bool:
    """Whether a test uses something that is made once for its file, and so should be made by one process."""
    return isinstance(item, pytest.Function) and any(
        definition.scope == "module"
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        for definition in definitions
    )


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


SHARED, GATE = Path(__file__), Path(__file__).with_name("support.py")
"""Files that are there anyway, to be locked."""


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """A turn of one test among several processes of pytest, beside others or alone.

    Who waits to be alone holds the gate, so that nobody else begins, and it is not passed over for ever.
    """
    with open(SHARED) as shared:
        with open(GATE) as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(shared, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turn(alone=is_alone(item)):
        return (yield)


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The languages' images, by name, built where they are missing."""
    api = DockerAPI()
    tags = build_missing(api, Languages.load(only=TESTED_LANGUAGES).values(), started=print, progress=lambda _: None)
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


@pytest.fixture
async def container() -> AsyncGenerator[ProcessContainer]:
    """A container without Docker, with its launcher and no session around it."""
    if missing := binary.missing():
        pytest.skip(missing)
    with trio.fail_after(PATIENCE):
        async with open_process_executor() as executor, executor.open_container(SPEC) as container:
            assert isinstance(container, ProcessContainer)
            yield container

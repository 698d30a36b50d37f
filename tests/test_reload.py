"""Settings that are read again: what changes at once, what needs a restart, and what a file can't do."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from werkzeug.datastructures import Headers

from tests.fakes import FakeExecutor
from tests.sessions import LIMITS, RESOURCES, SPEC
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.api.auth import Authentication
from trio_exec.executor.pool import Pool
from trio_exec.keys import Keys
from trio_exec.phases import Phases
from trio_exec.server.connections import Connection, Connections
from trio_exec.server.keys import FollowedKeys
from trio_exec.server.reload import NEEDS_RESTART, Reloader, reloadable
from trio_exec.settings import Settings

LANGUAGES = ["cpp", "java", "javascript", "python"]


def make_pool(executor: FakeExecutor, **sizes: int) -> Pool:
    return Pool(
        executor,
        sizes=sizes,
        prestarts={},
        resources={name: [RESOURCES] for name in LANGUAGES},
        limits=LIMITS,
        lifetime=60,
        phases=Phases(),
    )


async def test_each_setting_can_change_or_needs_a_restart() -> None:
    await trio.lowlevel.checkpoint()  # A pool is made in Trio alone.
    table = reloadable(make_pool(FakeExecutor()), Connections(10, 10), AUTH)
    assert set(table) | NEEDS_RESTART == set(Settings.model_fields)
    assert set(table).isdisjoint(NEEDS_RESTART)


AUTH = Authentication(Settings(), Keys({}))


async def test_quotas_are_those_of_the_file_from_then_on() -> None:
    auth = Authentication(Settings(), Keys({}))
    table = reloadable(make_pool(FakeExecutor()), Connections(10, 10), auth)
    new = Settings(owner_max_sessions=2, shared_addresses={"192.0.2.1": 3})
    for name in ("owner_max_sessions", "shared_addresses"):
        table[name](Settings(), new)
    await trio.lowlevel.checkpoint()
    sessions = [auth.identify(Headers(), f"192.0.2.{host}").requester.quota.max_sessions for host in (1, 2)]
    assert sessions == [6, 2]


class Reloading:
    """A reloader whose settings come from the test, and which notes what it applies."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        monkeypatch.delenv("TRIO_EXEC_CONFIG", raising=False)
        self.applied: list[tuple[dict[str, int], dict[str, int]]] = []
        self.next = settings
        start = self.load()
        self.reloader = Reloader(start, self.load, {"pool": self.apply}, LANGUAGES, FollowedKeys(None))

    def load(self) -> Settings:
        return Settings.load(**self.next)

    def apply(self, before: Settings, new: Settings) -> None:
        self.applied.append((before.pool, new.pool))

    async def reload(self, **settings: Any) -> None:
        self.next = settings
        await self.reloader.reload()


async def test_what_can_change_does_and_the_rest_is_named_until_it_is_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reloading = Reloading(monkeypatch, pool="python=1", pids=32, cpus=0.5)
    await reloading.reload(pool="python=2", pids=64, cpus=1)
    assert reloading.applied == [({"python": 1}, {"python": 2})]
    assert caplog.messages == ["pool is now {'python': 2}", "needs a restart: cpus, pids"]
    caplog.clear()
    await reloading.reload(pool="python=2", pids=64, cpus=0.5)
    assert caplog.messages == ["needs a restart: pids"]
    caplog.clear()
    await reloading.reload(pool="python=2", pids=32, cpus=0.5)
    assert caplog.messages == [
        "no setting has changed; only those in the file can, and not those of the environment",
    ]
    assert len(reloading.applied) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pool": "python=2", "pids": 0}, "pids (TRIO_EXEC_PIDS): Input should be greater than or equal to 2"),
        ({"pool": "cobol=2"}, "pool: unknown: cobol; available: cpp, java, javascript, python"),
        # There are as many user ids as at the start.
        ({"pool": "python=100", "uids": "50000-59999"}, "50000-50119 has 120 user ids"),
    ],
)
async def test_settings_that_can_not_be_used_leave_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], words: str
) -> None:
    reloading = Reloading(monkeypatch, pool="python=1", uids="50000-50119")
    await reloading.reload(**settings)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("the settings stay as they are: ")
    assert words in record.getMessage()
    assert reloading.applied == []


async def test_connections_are_counted_anew_and_nobody_is_dropped() -> None:
    await trio.lowlevel.checkpoint()
    connections = Connections(10, 10)
    dropped: list[str] = []
    for number in range(4):
        connection = Connection(f"192.0.2.{number}", lambda: dropped.append("one"))
        assert connections.add(connection) is None
        connections.busy(connection)
    table = reloadable(make_pool(FakeExecutor()), connections, AUTH)
    table["max_connections"](Settings(), Settings(max_connections=3, max_connections_per_address=1))
    assert (len(connections), dropped) == (4, [])
    assert connections.add(Connection("192.0.2.9", lambda: None)) == "too many connections; 3 are allowed"


async def test_a_pool_grows_and_shrinks_and_what_is_in_use_stays(autojump_clock: MockClock) -> None:
    executor = FakeExecutor()
    pool = make_pool(executor, python=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - it has no beginning to wait for
        await trio.sleep(20)
        assert pool.warm == {"python": 2}
        async with pool.open_container(SPEC) as used:
            assert used.warm
            pool.resize({"java": 4})
            await trio.sleep(20)
            assert pool.warm == {"java": 4}
            assert {kind.language for kind, it in pool.stock.items() if not it.wanted} == {"python"}
            await used.send(b"")  # It has not been closed.
            assert executor.open_count == 5
        await trio.sleep(20)
        assert (pool.warm, executor.open_count) == ({"java": 4}, 4)
        pool.resize({})
        await trio.sleep(20)
        assert (pool.warm, executor.open_count) == ({}, 0)
        pool.resize({"python": 1, "java": 1})
        await trio.sleep(20)
        assert pool.warm == {"python": 1, "java": 1}
        nursery.cancel_scope.cancel()
    assert executor.open_count == 0


async def test_what_is_being_warmed_for_a_language_that_has_no_place_any_more_is_let_go_of(
    autojump_clock: MockClock,
) -> None:
    executor = FakeExecutor(opening=10)
    pool = make_pool(executor, python=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)  # noqa: ASYNC113 - likewise
        await trio.sleep(5)
        assert executor.open_count == 1
        pool.resize({})
        await trio.sleep(20)
        assert (pool.warm, executor.open_count) == ({}, 0)
        nursery.cancel_scope.cancel()


async def until_logged(server: ServerProcess, words: str, times: int = 1) -> None:
    with trio.fail_after(PATIENCE):
        while server.log().count(words) < times:  # noqa: ASYNC110 - there is only looking
            await trio.sleep(0.02)


async def test_a_running_server_reads_its_file_again(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("pool = { python = 1 }\n")
    # From the environment, as the fixture has it, pool would go before the file; empty counts as not set.
    server = start_server(config=file, languages="python,javascript", pool="")
    client = Client(server)
    await trio.to_thread.run_sync(server.wait_warm, {"python": 1})

    async with client.session(language="python", code="print(input())") as session:
        await session.until_waiting()
        file.write_text("pool = { javascript = 1 }\npids = 64\n")
        server.process.send_signal(signal.SIGHUP)
        await until_logged(server, "pool is now {'javascript': 1}")
        await until_logged(server, "needs a restart: pids")
        await trio.to_thread.run_sync(server.wait_warm, {"javascript": 1})
        assert server.request("GET", "/readyz").json()["warm"] == {"javascript": 1}
        await session.input("still here\n")
        assert (await session.to_end()).stdout == "still here\n"

    file.write_text("pool = { javascript = ")
    server.process.send_signal(signal.SIGHUP)
    await until_logged(server, f"the settings stay as they are: {file}: ")
    file.unlink()
    server.process.send_signal(signal.SIGHUP)
    await until_logged(server, f"there is no file {file}")
    assert server.request("GET", "/readyz").json()["warm"] == {"javascript": 1}

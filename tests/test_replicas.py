"""Several servers behind one nginx: ids lead to their server, full ones pass on, one that goes takes nobody along."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from tests.compose import Deployed
from tests.raw import attach_raw
from tests.support import PATIENCE, Attached, Client, ServerProcess
from tests.test_proxies import ASK, Nginx, start_nginx
from trio_exec.client import SessionNotFoundError, connect

__all__ = ["start_nginx"]
pytestmark = pytest.mark.docker

NAMES = ("a", "b", "c")
VISITORS = 2
SETTINGS: dict[str, Any] = {"pool": "0", "max_sessions": 2, "max_queue": 4, "trusted_proxies": "127.0.0.1"}
HELLO = {"language": "python", "code": "print('hello')"}
WAIT = {"language": "python", "code": "print('up')\ninput()"}


@pytest.fixture
def servers(start_server: Callable[..., ServerProcess]) -> dict[str, ServerProcess]:
    started = {name: start_server(replica=name, **SETTINGS) for name in NAMES}
    return {name: server.wait_ready() for name, server in started.items()}


def ports(servers: dict[str, ServerProcess], *names: str) -> dict[str, int]:
    return {name: servers[name].port for name in names or servers}


def home(session_id: str) -> str:
    return session_id.partition(".")[0]


async def test_an_id_leads_to_its_server(servers: dict[str, ServerProcess], start_nginx: Callable[..., Nginx]) -> None:
    client = Client(Deployed(start_nginx(ports(servers)).port))
    ids = [await client.create(**WAIT) for _ in range(6)]
    assert Counter(home(it) for it in ids) == {"a": 2, "b": 2, "c": 2}

    for session_id in ids:
        assert (await client.request("GET", f"/session/{session_id}")).status == 200
        async with attach_raw(client.server.port, f"/ws/session/{session_id}") as attached:
            await attached.until_stdout("up")
    for session_id in ids:
        assert (await client.request("DELETE", f"/session/{session_id}")).status == 202
        others = [server for name, server in servers.items() if name != home(session_id)]
        refused = others[0].request("GET", f"/session/{session_id}")
        assert (refused.status, refused.json()["code"]) == (404, "session_not_found")
        assert f"its id is of the server '{home(session_id)}'" in refused.json()["error"]

    run = await client.request("POST", "/run", HELLO)
    assert home(run.json()["sessionId"]) in NAMES


async def test_a_full_server_passes_on_and_when_all_are_full_one_lets_wait(
    servers: dict[str, ServerProcess], start_nginx: Callable[..., Nginx]
) -> None:
    full = Client(servers["a"])
    held = [await full.create(**WAIT) for _ in range(2)]
    client = Client(Deployed(start_nginx(ports(servers)).port))
    begun = time.monotonic()
    rest = [await client.create(**WAIT) for _ in range(4)]
    assert time.monotonic() - begun < PATIENCE
    assert Counter(home(it) for it in rest) == {"b": 2, "c": 2}
    # The same over a WebSocket; nothing is free now.
    async with connect(client.server.url) as library, library.session("python", "print('late')") as late:
        assert servers[home(late.id)].request("GET", "/readyz").json()["queued"] == 1
        first = next(it for it in [*held, *rest] if home(it) == home(late.id))
        await client.request("DELETE", f"/session/{first}")
        assert (await late.result()).stdout == "late\n"

    answers = [await client.request("POST", "/session", WAIT) for _ in range(3 * 4 + 2)]  # Two more than may wait.
    assert {answer.status for answer in answers[:-2]} == {201}
    assert (answers[-1].status, answers[-1].json()["code"]) == (429, "queue_full")
    assert answers[-1].headers["Retry-After"]


async def test_a_request_that_does_not_want_to_wait_is_refused_at_once(servers: dict[str, ServerProcess]) -> None:
    client = Client(servers["a"])
    for _ in range(2):
        await client.create(**WAIT)
    answer = await client.request("POST", "/session", WAIT, headers={"X-No-Queue": "1"})
    assert (answer.status, answer.json()["code"]) == (429, "queue_full")
    assert "does not want to wait" in answer.json()["error"]
    status, refusal = await client.refused_upgrade("/ws/run", "X-No-Queue: 1\r\n")
    assert (status, refusal["code"]) == (429, "queue_full")
    assert (await client.request("POST", "/session", WAIT)).status == 201


class Visitors:
    """Run programs through the proxy, one after the other, until they are told to stop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.may_be_cut = False
        self.answers: Counter[tuple[int, str]] = Counter()
        self.cut = 0
        self.done = trio.Event()

    async def run(self) -> None:
        while not self.done.is_set():
            try:
                answer = await self._client.request("POST", "/run", HELLO)
            except http.client.HTTPException:  # Its program ran on the one that was killed, and its answer had begun.
                assert self.may_be_cut
                self.cut += 1
                continue
            body = answer.json()
            self.answers[answer.status, body.get("stdout") or body.get("code")] += 1


async def one_on_each(client: Client) -> dict[str, str]:
    """Ids of a session on each server, by its name."""
    found: dict[str, str] = {}
    while set(found) != set(NAMES):
        session_id = await client.create(language="python", code=ASK)
        found.setdefault(home(session_id), session_id)
        if found[home(session_id)] != session_id:
            await client.request("DELETE", f"/session/{session_id}")
    return found


async def test_one_is_killed_one_drains_and_one_comes_under_load(
    servers: dict[str, ServerProcess], start_server: Callable[..., ServerProcess], start_nginx: Callable[..., Nginx]
) -> None:
    nginx = start_nginx(ports(servers))
    client = Client(Deployed(nginx.port))
    visitors = Visitors(client)
    ids = await one_on_each(client)
    async with (
        connect(client.server.url) as library,
        library.attach(ids["a"]) as on_a,
        library.attach(ids["b"]) as on_b,
        library.attach(ids["c"]) as on_c,
        trio.open_nursery() as nursery,
    ):
        attached = {name: Attached(it) for name, it in zip(NAMES, (on_a, on_b, on_c), strict=True)}
        for it in attached.values():
            await it.until_stdout("name? ")
        for _ in range(VISITORS):
            nursery.start_soon(visitors.run)
        await trio.sleep(2)

        visitors.may_be_cut = True
        servers["a"].process.kill()
        with pytest.raises(SessionNotFoundError), trio.fail_after(PATIENCE):
            await attached["a"].to_end()
        asked = time.monotonic()
        gone = await client.request("GET", f"/session/{ids['a']}")
        told = time.monotonic() - asked
        assert (gone.status, gone.json()["code"]) == (404, "session_not_found")

        servers["b"].terminate()
        await Client(servers["b"]).until_draining()
        late = start_server(replica="d", **SETTINGS).wait_ready()
        await trio.to_thread.run_sync(nginx.reload, {**ports(servers, "b", "c"), "d": late.port})
        await trio.sleep(2)

        for name in ("b", "c"):
            await attached[name].input("Ada\n")
            run = await attached[name].to_end()
            assert (run.stdout, run.ending) == ("name? hello Ada\n", "run: exit 0"), name
        visitors.done.set()
    assert await trio.to_thread.run_sync(servers["b"].wait) == 0
    assert set(visitors.answers) == {(200, "hello\n")}, visitors.answers
    assert visitors.answers.total() > 10
    assert visitors.cut <= VISITORS
    assert told < 5  # A second, but for a machine that is busy.

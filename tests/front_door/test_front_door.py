"""The manifests for real, in both modes: sessions by way of nginx, an update under load, a replica that is lost."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from os.path import relpath
from pathlib import Path

import pytest
import trio

from tests.front_door.deployment import (
    NAMESPACE,
    Deployment,
    described,
    in_background,
    kill_container,
    kubectl,
    wait_until_settled,
)
from tests.manifests import KUBERNETES
from tests.support import PATIENCE, Attached, Client
from trio_exec.client import SessionNotFoundError, connect

OVERLAYS = {"node-mode": ["node-mode"], "pods": ["gvisor", "nonet"]}
"""By mode, which is a folder beside this file."""
REPLICAS = ("0", "1")
SERVER = f"system:serviceaccount:{NAMESPACE}:trio-exec"
ASK = "name = input('name? ')\nprint('hello', name)"
HELLO = {"language": "python", "code": "import time\ntime.sleep(0.3)\nprint('hello')"}
FOR_EVER = "import time\nprint('up', flush=True)\ntime.sleep(100)"
VISITORS = 2

pytestmark = [pytest.mark.docker, pytest.mark.parametrize("deployment", OVERLAYS, indirect=True, scope="module")]


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> str:
    return request.node.callspec.params["deployment"]


@pytest.fixture
def client(deployment: Deployment) -> Client:
    return Client(deployment.door)


def home(session_id: str) -> str:
    return session_id.partition(".")[0]


async def one_on_each(client: Client, code: str = ASK) -> dict[str, str]:
    """Ids of a session on each replica, by its number."""
    found: dict[str, str] = {}
    with trio.fail_after(PATIENCE):
        while set(found) != set(REPLICAS):
            session_id = await client.create(language="python", code=code)
            if found.setdefault(home(session_id), session_id) != session_id:
                await client.request("DELETE", f"/session/{session_id}")
    return found


def may(namespace: str) -> set[tuple[str, str]]:
    """What the servers' account may do there: verbs and resources, without what everybody may ask."""
    lines = kubectl("auth", "can-i", "--list", "--as", SERVER, "--namespace", namespace).splitlines()
    found: set[tuple[str, str]] = set()
    for line in lines[1:]:
        resource, verbs = line.split()[0], line[line.rindex("[") + 1 : line.rindex("]")].split()
        if not resource.startswith(("[", "self")):  # Paths such as /healthz, and questions about oneself.
            found.update((verb, resource) for verb in verbs)
    return found


def test_servers_may_do_no_more_than_their_mode_needs(deployment: Deployment, mode: str) -> None:
    assert may(NAMESPACE) == set()
    assert may("kube-system") == set()
    if mode == "pods":
        verbs = {"create", "get", "list", "watch", "delete", "deletecollection"}
        expected = {(verb, "pods") for verb in verbs} | {("get", "pods/attach"), ("create", "pods/attach")}
        assert may("trio-exec-sandboxes") == expected


def test_the_api_server_accepts_the_overlays(deployment: Deployment, mode: str, tmp_path: Path) -> None:
    """As far as it can tell without starting anything."""
    for overlay in OVERLAYS[mode]:
        names = {"resources": f"overlays/{overlay}", "components": "components/autoscaler"}
        kustomization = {key: [relpath(KUBERNETES / name, tmp_path)] for key, name in names.items()}
        (tmp_path / "kustomization.yaml").write_text(json.dumps(kustomization))
        told = kubectl("apply", "--dry-run=server", "--kustomize", str(tmp_path))
        assert "horizontalpodautoscaler.autoscaling/trio-exec created (server dry run)" in told


async def test_an_id_leads_to_its_replica(client: Client) -> None:
    ids = await one_on_each(client)
    # By one connection that is kept, first to the one and then to the other.
    kept = http.client.HTTPConnection(client.server.host, client.server.port, timeout=PATIENCE)
    for session_id in [*ids.values(), *ids.values()]:
        kept.request("GET", f"/session/{session_id}")
        answer = kept.getresponse()
        assert (answer.status, json.loads(answer.read())["sessionId"]) == (200, session_id)
    kept.close()

    for session_id in ids.values():
        async with client.attach(session_id) as attached:
            await attached.until_stdout("name? ")
            await attached.input("Ada\n")
            run = await attached.to_end()
        assert (run.stdout, run.ending) == ("name? hello Ada\n", "run: exit 0")
    for session_id in (await one_on_each(client)).values():
        assert (await client.request("DELETE", f"/session/{session_id}")).status == 202
    unknown = await client.request("GET", "/session/7.unknown")
    assert (unknown.status, unknown.json()["code"]) == (404, "session_not_found")


async def test_new_sessions_go_to_all_replicas_and_a_full_one_passes_on(client: Client) -> None:
    ids = [await client.create(language="python", code=FOR_EVER) for _ in range(8)]
    for session_id in ids:
        await client.request("DELETE", f"/session/{session_id}")
    assert Counter(map(home, ids)) == {"0": 4, "1": 4}  # Four is the most that one has.
    for _ in range(4):  # By a WebSocket that starts a session, as often as it takes to meet both.
        assert (await client.run(**HELLO)).stdout == "hello\n"


async def test_servers_are_reached_by_way_of_nginx_alone(deployment: Deployment) -> None:
    for pod in described("-n", NAMESPACE, "pods", "--selector", "app.kubernetes.io/component=server")["items"]:
        with pytest.raises((OSError, trio.TooSlowError)), trio.fail_after(3):
            await (await trio.open_tcp_stream(pod["status"]["podIP"], 8080)).aclose()
    for pod in described("-n", NAMESPACE, "pods", "--selector", "app.kubernetes.io/component=front")["items"]:
        with trio.fail_after(PATIENCE):
            await (await trio.open_tcp_stream(pod["status"]["podIP"], 8080)).aclose()


class Visitors:
    """Run programs, one after the other, until they are told to stop."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.answers: Counter[tuple[int, str]] = Counter()
        self.done = trio.Event()

    async def run(self) -> None:
        while not self.done.is_set():
            answer = await self._client.request("POST", "/run", HELLO)
            if answer.status == 200:
                self.answers[answer.status, answer.json()["stdout"]] += 1
            else:
                self.answers[answer.status, answer.body.decode()] += 1


async def test_an_update_under_load_loses_no_session(client: Client) -> None:
    visitors = Visitors(client)
    ids = await one_on_each(client)
    stubborn = await one_on_each(client, FOR_EVER)
    async with (
        connect(client.server.url) as library,
        library.attach(ids["0"]) as on_0,
        library.attach(ids["1"]) as on_1,
        library.attach(stubborn["1"]) as endless,
        trio.open_nursery() as nursery,
    ):
        await client.request("DELETE", f"/session/{stubborn['0']}")
        for _ in range(VISITORS):
            nursery.start_soon(visitors.run)
        for it in ("statefulset/trio-exec", "deployment/trio-exec-front"):
            await in_background("-n", NAMESPACE, "rollout", "restart", it)
        # The last one goes first.
        for name, session in [("1", on_1), ("0", on_0)]:
            leaves = "--for=jsonpath={.metadata.deletionTimestamp}"
            await in_background("-n", NAMESPACE, "wait", leaves, f"pod/trio-exec-{name}", "--timeout=120s")
            await session.send("Ada\n")
            run = await Attached(session).to_end()
            assert (run.stdout, run.ending) == ("name? hello Ada\n", "run: exit 0"), name
        assert (await Attached(endless).to_end()).reason == "shutdown"
        await trio.to_thread.run_sync(wait_until_settled)
        visitors.done.set()
    assert set(visitors.answers) == {(200, "hello\n")}, visitors.answers
    assert visitors.answers.total() > 10


async def test_a_replica_that_is_lost_takes_only_its_own_sessions_along(client: Client) -> None:
    ids = await one_on_each(client)
    async with (
        client.attach(ids["0"]) as stays,
        connect(client.server.url) as library,
        library.attach(ids["1"]) as lost,
    ):
        await stays.until_stdout("name? ")
        await Attached(lost).until_stdout("name? ")
        await trio.to_thread.run_sync(kill_container, "trio-exec-1", "server")
        with pytest.raises(SessionNotFoundError), trio.fail_after(PATIENCE):
            await Attached(lost).to_end()
        gone = await client.request("GET", f"/session/{ids['1']}")
        assert (gone.status, gone.json()["code"]) == (404, "session_not_found")
        run = await client.request("POST", "/run", HELLO)
        assert (run.status, b"hello" in run.body) == (200, True), run.body
        await stays.input("Ada\n")
        assert (await stays.to_end()).stdout == "name? hello Ada\n"
    await trio.to_thread.run_sync(wait_until_settled)

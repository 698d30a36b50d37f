"""The executor on Kubernetes where a real cluster can't be made to fail so: against one that is played."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from tests.played_cluster import (
    EVICTED,
    RUNNING,
    UNSCHEDULABLE,
    PlayedCluster,
    access_to,
    played_cluster,
    refusal,
    terminated,
    waiting,
)
from tests.sessions import SPEC
from trio_exec.errors import ExecutorError, ExecutorUnavailableError, LauncherGoneError, OutOfMemoryError
from trio_exec.executor import leases
from trio_exec.executor.kubernetes import access, container, pods
from trio_exec.executor.kubernetes.access import Token
from trio_exec.executor.kubernetes.api import KubernetesAPI
from trio_exec.executor.kubernetes.container import PodContainer
from trio_exec.executor.kubernetes.errors import QuotaFullError
from trio_exec.executor.kubernetes.executor import KubernetesExecutor
from trio_exec.executor.kubernetes.hardening import PodOptions
from trio_exec.executor.kubernetes.isolation import Isolation

PATIENCE = 30
FOR_A_POOL = replace(SPEC, session_id="")
QUOTA = refusal(
    403, 'pods "x" is forbidden: exceeded quota: sandboxes, requested: pods=1, used: pods=50, limited: pods=50'
)


@pytest.fixture
async def cluster() -> AsyncGenerator[PlayedCluster]:
    async with played_cluster() as it:
        yield it


@asynccontextmanager
async def running(
    cluster: PlayedCluster, *, start_timeout: float = PATIENCE, token: Token | None = None, clean: bool = True
) -> AsyncGenerator[KubernetesExecutor]:
    api = KubernetesAPI(access_to(cluster, token), "sandboxes")
    executor = KubernetesExecutor(
        api,
        range(50000, 50100),
        PodOptions(),
        isolation=Isolation(("192.0.2.3", 443), allowed=True),
        start_timeout=start_timeout,
    )
    executor.use_images({"python": "trio-exec/python:1"})
    try:
        with trio.fail_after(2 * PATIENCE):
            async with trio.open_nursery() as nursery:
                await nursery.start(executor.run)
                yield executor
                nursery.cancel_scope.cancel(reason="the test is over")
        assert executor.clean is clean
    finally:
        await api.aclose()


def only(cluster: PlayedCluster) -> str:
    (name,) = cluster.pods
    return name


async def until_gone(pod: PodContainer) -> ExecutorError:
    try:
        while True:
            await pod.receive()
    except ExecutorError as error:
        return error


async def test_a_pod_comes_and_goes(cluster: PlayedCluster) -> None:
    async with running(cluster) as executor, executor.open_container(SPEC):
        assert cluster.pods[only(cluster)]["metadata"]["labels"]["trio-exec.dev/language"] == "python"
    assert not cluster.pods


async def test_who_leaves_does_not_wait_for_the_api(cluster: PlayedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(cluster) as executor:
        monkeypatch.setattr(leases, "RETRY_FIRST", 0.1)
        cluster.refuse["delete"] = [refusal(500, "etcd is away")] * 2
        async with executor.open_container(SPEC):
            pass
        assert executor.lingering == 0
        assert cluster.pods


async def test_a_session_waits_for_room_in_the_quota(cluster: PlayedCluster) -> None:
    cluster.refuse["post"] = [QUOTA] * 2
    async with running(cluster) as executor, executor.open_container(SPEC):
        assert cluster.calls.count("post") == 3


async def test_a_pool_does_not(cluster: PlayedCluster) -> None:
    cluster.refuse["post"] = [QUOTA] * 2
    async with running(cluster) as executor:
        with pytest.raises(QuotaFullError, match="exceeded quota: sandboxes"):
            async with executor.open_container(FOR_A_POOL):
                pass


async def test_nor_does_a_session_wait_for_ever(cluster: PlayedCluster) -> None:
    cluster.refuse["post"] = [QUOTA] * 100
    async with running(cluster, start_timeout=0.5) as executor:
        with pytest.raises(ExecutorError, match="quota"):
            async with executor.open_container(SPEC):
                pass


async def test_an_api_that_has_too_much_to_do_is_asked_again(cluster: PlayedCluster) -> None:
    cluster.refuse["post"] = [refusal(429, "too many requests")]
    async with running(cluster) as executor, executor.open_container(SPEC):
        assert cluster.calls.count("post") == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (UNSCHEDULABLE, "no node of the cluster had room within .*: 0/2 nodes have room"),
        (waiting("ContainerCreating", ""), "did not start within .* seconds: ContainerCreating"),
        (None, "did not start within"),
    ],
)
async def test_a_pod_that_does_not_start_in_time(cluster: PlayedCluster, status: dict[str, object], words: str) -> None:
    cluster.becomes = status
    async with running(cluster, start_timeout=0.5) as executor:
        with pytest.raises(ExecutorError, match=words):
            async with executor.open_container(SPEC):
                pass


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (waiting("ErrImageNeverPull", "the image is not present"), "can't start: ErrImageNeverPull: the image is not"),
        (waiting("ImagePullBackOff", "no such host"), "can't start: ImagePullBackOff: no such host"),
        (terminated("StartError"), "ended before it was of use: StartError"),
        (EVICTED, "ended before it was of use: Evicted: The node was low"),
    ],
)
async def test_a_pod_that_can_not_start(cluster: PlayedCluster, status: dict[str, object], words: str) -> None:
    cluster.becomes = status
    async with running(cluster) as executor:
        with pytest.raises(ExecutorError, match=words):
            async with executor.open_container(SPEC):
                pass


async def test_who_stops_waiting_leaves_no_pod_that_starts_later(cluster: PlayedCluster) -> None:
    cluster.becomes = UNSCHEDULABLE
    async with running(cluster) as executor:
        async with trio.open_nursery() as nursery:

            async def open_one() -> None:
                async with executor.open_container(SPEC):
                    pass

            nursery.start_soon(open_one)
            await cluster.wait_created()
            nursery.cancel_scope.cancel(reason="the user went away")
        await cluster.wait_gone()


async def test_a_refused_pod_says_why(cluster: PlayedCluster) -> None:
    cluster.refuse["post"] = [refusal(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"')]
    async with running(cluster) as executor:
        with pytest.raises(ExecutorError, match=r'refuses creating a pod: .*violates PodSecurity "restricted:latest"'):
            async with executor.open_container(SPEC):
                pass


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (terminated("OOMKilled"), OutOfMemoryError, "want of memory"),
        (EVICTED, ExecutorError, "the cluster ended the pod: Evicted: The node was low on resource"),
        (
            {"phase": "Failed", "reason": "DeadlineExceeded"},
            ExecutorError,
            "the cluster ended the pod: DeadlineExceeded",
        ),
        (terminated("Completed", "Succeeded"), LauncherGoneError, "ended unexpectedly"),
        (None, ExecutorError, "somebody deleted the pod, or its node went away"),
        (RUNNING, ExecutorError, "the connection to the pod broke"),
    ],
)
async def test_ends_are_honest(
    cluster: PlayedCluster,
    monkeypatch: pytest.MonkeyPatch,
    status: dict[str, object] | None,
    error: type[ExecutorError],
    words: str,
) -> None:
    monkeypatch.setattr(container, "REASON_TIMEOUT", 0.5)
    async with running(cluster) as executor, executor.open_container(SPEC) as pod:
        name = only(cluster)
        cluster.connections[name].cancel()
        cluster.change(name, status)
        failure = await until_gone(pod)
        assert isinstance(failure, error)
        assert words in failure.message


async def test_a_node_that_does_not_know_yet_is_asked_again(cluster: PlayedCluster) -> None:
    cluster.refuse["attach"] = [refusal(500, 'container not found ("sandbox")')] * 2
    async with running(cluster) as executor, executor.open_container(SPEC):
        assert cluster.calls.count("attach") == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(403, 'cannot create resource "pods/attach"'), "refuses attaching to a pod: cannot create resource"),
        (refusal(404, 'pods "x" not found'), "refuses attaching to a pod: pods .x. not found"),
        (refusal(502, "no route to the node"), "fails at attaching to a pod: no route to the node"),
    ],
)
async def test_a_pod_that_can_not_be_attached_to(
    cluster: PlayedCluster, answer: tuple[int, dict[str, object]], words: str
) -> None:
    cluster.refuse["attach"] = [answer]
    async with running(cluster) as executor:
        with pytest.raises(ExecutorError, match=words):
            async with executor.open_container(SPEC):
                pass


async def test_a_watch_goes_on_after_its_end_and_after_all_was_forgotten(
    cluster: PlayedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "RETRY_FIRST", 0.01)
    cluster.becomes = None
    async with running(cluster) as executor, trio.open_nursery() as nursery:
        opened = trio.Event()

        async def open_one() -> None:
            async with executor.open_container(SPEC):
                opened.set()

        nursery.start_soon(open_one)
        await cluster.wait_created()
        cluster.refuse["watch"] = [refusal(410, "too old resource version"), refusal(500, "restarting")]
        cluster.refuse["list"] = [refusal(503, "starting")]
        cluster.end_watches()
        cluster.change(only(cluster), RUNNING)
        cluster._changes.clear()
        await opened.wait()


async def test_a_pod_that_is_not_in_a_new_list_is_gone(cluster: PlayedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "REASON_TIMEOUT", PATIENCE)
    async with running(cluster) as executor, executor.open_container(SPEC) as pod:
        cluster.pods.clear()
        cluster.refuse["watch"] = [refusal(410, "too old resource version")]
        cluster.end_watches()
        for scope in cluster.connections.values():
            scope.cancel()
        assert "somebody deleted the pod" in (await until_gone(pod)).message


async def test_a_token_is_read_again_when_it_is_not_accepted(cluster: PlayedCluster, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    async with running(cluster, token=Token(file)) as executor:
        async with executor.open_container(SPEC):
            pass
        file.write_text("second")
        cluster.tokens = {"second"}
        async with executor.open_container(SPEC):
            pass


async def test_a_token_is_read_again_from_time_to_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    token = Token(file)
    assert await token() == "first"
    file.write_text("second")
    assert await token() == "first"
    monkeypatch.setattr(access, "TOKEN_AGE", -1)
    assert await token() == "second"


async def test_an_api_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "CLEANUP_TIMEOUT", 0.5)
    cluster = PlayedCluster()
    cluster.url = "http://127.0.0.1:9"  # Where nothing listens.
    # Whether there is a pod, nobody knows then.
    async with running(cluster, clean=False) as executor:
        await executor.check()
        assert executor.health.failure is not None
        assert "the Kubernetes API can't be reached" in executor.health.failure
        with pytest.raises(ExecutorUnavailableError, match="the Kubernetes API can't be reached"):
            async with executor.open_container(SPEC):
                pass

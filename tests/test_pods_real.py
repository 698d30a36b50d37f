"""The executor on Kubernetes on a real cluster: what holds for pods, and what becomes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
import trio

from tests.kubernetes import NAMESPACE, kubectl, make_namespace, on_kubernetes, pods, server_settings
from tests.support import GENEROUS, PATIENCE, Client, ServerProcess
from trio_exec.executor.kubernetes.isolation import SECONDS

pytestmark = pytest.mark.skipif(not on_kubernetes(), reason="needs a Kubernetes cluster; see script/cluster")

OPEN = "trio-exec-tests-open"
SMALL = "trio-exec-tests-small"


@pytest.fixture
def python(start_server: Callable[..., ServerProcess]) -> Client:
    return Client(start_server(languages="python", **GENEROUS))


def others(namespace: str) -> Generator[dict[str, str]]:
    """Settings for a namespace that is there for one test."""
    settings = server_settings.__wrapped__(namespace)
    yield settings
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def open_namespace() -> Generator[dict[str, str]]:
    """One where nothing keeps pods from the network."""
    yield from others(OPEN)


@pytest.fixture
def small_namespace() -> Generator[dict[str, str]]:
    """One with room for four pods."""
    generator = others(SMALL)
    settings = next(generator)
    kubectl("patch", "resourcequota", "sandboxes", "-n", SMALL, "-p", json.dumps({"spec": {"hard": {"pods": "4"}}}))
    yield settings
    next(generator, None)


def pod_of_a_session(client: Client) -> Any:
    """The one that is none of those that the server has tried."""
    found = pods(f"trio-exec.dev/instance={client.server.instance}")
    (pod,) = [it for it in found if it["metadata"]["annotations"]["trio-exec.dev/session"]]
    return pod


async def test_the_api_confirms_every_field(python: Client) -> None:
    """What a pod is made with, as the API server has it, with all its defaults."""
    async with python.session(language="python", code="print('up', flush=True); input()") as session:
        await session.until_stdout("up")
        pod = pod_of_a_session(python)
        spec = pod["spec"]
        (container,) = spec["containers"]

        assert spec["restartPolicy"] == "Never"
        assert 0 < spec["activeDeadlineSeconds"] < 3600
        assert spec["terminationGracePeriodSeconds"] == 1
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert (spec["dnsPolicy"], spec["dnsConfig"]) == ("None", {"nameservers": ["127.0.0.1"]})
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & spec.keys()
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert {it["key"]: it["tolerationSeconds"] for it in spec["tolerations"]} == {
            "node.kubernetes.io/not-ready": 5,
            "node.kubernetes.io/unreachable": 5,
        }
        context = container["securityContext"]
        assert context.pop("runAsUser") == context.pop("runAsGroup") >= 50000
        assert context == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == {
            "cpu": "500m",
            "memory": "209715200",
            "ephemeral-storage": "67108864",
        }
        assert container["resources"]["requests"] == {
            "cpu": "50m",
            "memory": "50331648",
            "ephemeral-storage": "1048576",
        }
        assert {it["mountPath"]: it["name"] for it in container["volumeMounts"]} == {
            "/workspace": "workspace",
            "/dev/shm": "shared-memory",
            "/dev/passwd": "names",
            "/dev/group": "names",
        }
        volumes = {it["name"]: it for it in spec["volumes"]}
        assert volumes["workspace"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "33554432"}
        assert volumes["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8388608"}
        assert not {"env", "envFrom", "ports", "livenessProbe", "lifecycle"} & container.keys()
        await session.eof()


WRITES = """
import os, resource, socket
for path in ["/etc/x", "/dev/termination-log", "/root/termination-log", "/run/x", "/dev/x", "/dev/passwd"]:
    try: open(path, "ab").write(b"x"); print("wrote", path)
    except OSError as error: pass
print(sorted(name for name in os.environ if "SERVICE" in name or "KUBERNETES" in name))
print(os.path.exists("/var/run/secrets"), socket.gethostname())
for place, size in (("/workspace/fill", 40), ("/dev/shm/fill", 10)):
    try:
        with open(place, "wb") as file:
            for count in range(size): file.write(bytes(1 << 20)); file.flush()
        print("no end")
    except OSError as error: print(count)
    os.unlink(place)
print(resource.getrlimit(resource.RLIMIT_NPROC))
"""


async def test_there_is_nothing_to_write_to_but_memory_and_nothing_to_find(python: Client) -> None:
    run = await python.run(language="python", code=WRITES)

    assert run.stdout.splitlines() == ["[]", "False trio-exec", "31", "8", "(32, 32)"]


REACH = """
import os, socket, sys
for address in sys.argv[1:]:
    host, _, port = address.rpartition(":")
    try: socket.create_connection((host, int(port)), 2); print("reached", address)
    except OSError: pass
try: socket.getaddrinfo("kubernetes.default.svc", 443); print("resolved")
except OSError: print("no names")
"""


async def test_a_pod_reaches_nothing(python: Client) -> None:
    server = json.loads(kubectl("config", "view", "--minify", "--output", "json"))["clusters"][0]["cluster"]["server"]
    services = json.loads(kubectl("get", "services", "-A", "-o", "json"))["items"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    running = json.loads(kubectl("get", "pods", "-A", "-o", "json"))["items"]
    addresses = [
        server.removeprefix("https://"),
        *(f"{it['spec']['clusterIP']}:{port['port']}" for it in services for port in it["spec"]["ports"]),
        *(f"{address['address']}:10250" for it in nodes for address in it["status"]["addresses"][:1]),
        *(f"{it['status']['podIP']}:53" for it in running if "podIP" in it["status"]),
        "169.254.169.254:80",
    ]
    run = await python.run(language="python", code=REACH, args=addresses)

    assert len(addresses) > 5
    assert (run.stdout, run.final.exit_code) == ("no names\n", 0)


async def test_a_namespace_without_policies_is_found_out(
    start_server: Callable[..., ServerProcess], open_namespace: dict[str, str]
) -> None:
    kubectl("delete", "networkpolicy", "--all", "--namespace", OPEN)
    settings: dict[str, Any] = {"languages": "python", **open_namespace}
    server = ServerProcess(**settings)
    try:
        with trio.fail_after(60):
            reason = ""
            while "programs in pods can reach" not in reason:
                await trio.sleep(0.2)
                reason = server.request("GET", "/readyz").json().get("reason", "")
        assert "can reach the API server" in reason
        assert "another pod" in reason
        assert "its node" in reason
        assert "kubernetes_unisolated" in reason
    finally:
        server.close()
    allowed = start_server(languages="python", kubernetes_unisolated="true", **open_namespace)
    assert (await Client(allowed).run(language="python", code="print('hi')")).stdout == "hi\n"


async def test_a_runtime_class_without_a_network(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(languages="python", kubernetes_runtime_class="nonet", **GENEROUS))
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 80))\nexcept OSError as it: print(it.strerror)"

    assert (await client.run(language="python", code=code)).stdout == "Network is unreachable\n"


async def test_user_namespaces(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(languages="python", kubernetes_user_namespaces="true", **GENEROUS))
    first, second = [
        (await client.run(language="python", code="print(open('/proc/self/uid_map').read())")).stdout.split()
        for _ in range(2)
    ]

    assert first[:1] + first[2:] == ["0", "65536"]
    assert int(first[1]) >= 65536, "root in there is nobody on the node"
    assert len(second) == 3


async def test_a_full_quota_stops_the_pool_and_sessions_wait_for_room(
    start_server: Callable[..., ServerProcess], small_namespace: dict[str, str]
) -> None:
    server = start_server(languages="python", pool="python=6", **{**GENEROUS, **small_namespace})
    server.wait_warm({"python": 4})
    client = Client(server)
    async with trio.open_nursery() as nursery:
        for number in range(8):

            async def run(number: int = number) -> None:
                run = await client.run(language="python", code=f"import time; time.sleep(1); print({number})")
                assert run.stdout == f"{number}\n"

            nursery.start_soon(run)
    server.wait_warm({"python": 4})


async def test_the_kernel_and_the_cluster_end_pods_and_sessions_say_so(python: Client) -> None:
    """An eviction by hand is a deletion."""
    async with python.session(language="python", code="print('up', flush=True); input()") as session:
        await session.until_stdout("up")
        pod = pod_of_a_session(python)
        kubectl("delete", "pod", "--namespace", NAMESPACE, "--wait=false", pod["metadata"]["name"])
        run = await session.to_end()

    assert run.final.reason == "engine_error"
    assert "deleted the pod" in (run.final.message or "")


def test_what_ended_without_its_server_is_removed(start_server: Callable[..., ServerProcess]) -> None:
    """By any server's janitor."""
    first = start_server(languages="python", pool="python=2", **GENEROUS)
    first.wait_warm({"python": 2})
    first.process.kill()
    first.wait()
    start_server(languages="python", **GENEROUS)
    first.assert_no_containers(within=30)
    make_namespace(NAMESPACE)


@pytest.mark.parametrize(
    "verb", ["get secrets", "create pods --subresource=exec", "get nodes", "create deployments", "update pods"]
)
def test_servers_may_do_nothing_else(verb: str) -> None:
    config = server_settings()["KUBECONFIG"]
    words = verb.split()
    with pytest.raises(AssertionError):  # It says no by its exit code.
        kubectl("--kubeconfig", config, "auth", "can-i", *words, "--namespace", NAMESPACE)


def test_the_doctor_looks_at_the_cluster() -> None:
    server = server_settings()
    environment = {**os.environ, "KUBECONFIG": server["KUBECONFIG"], "TRIO_EXEC_LANGUAGES": "python"}
    environment |= {f"TRIO_EXEC_{name}".upper(): value for name, value in server.items() if name.islower()}
    command = [sys.executable, "-m", "trio_exec", "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    found = {it["check"]: it["level"] for it in json.loads(done.stdout)["findings"]}

    assert done.returncode == 0
    assert {name: level for name, level in found.items() if name.startswith("cluster.")} == {
        "cluster.reachable": "ok",
        "cluster.pods.python": "ok",
        "cluster.isolation": "ok",
    }
    assert not any(name.startswith("engine.") for name in found)


def test_a_warm_pod_stays(start_server: Callable[..., ServerProcess]) -> None:
    """Whatever was tried in it before: for longer than any of that may take."""
    server = start_server(languages="python", pool="python=1", **GENEROUS)
    server.wait_warm({"python": 1})
    deadline = time.monotonic() + PATIENCE
    while len(before := server.containers()) > 1:  # Those that were tried are on their way.
        assert time.monotonic() < deadline, before
        time.sleep(0.2)
    time.sleep(2 * SECONDS + 10)

    assert server.containers() == before

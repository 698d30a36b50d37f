"""The manifests for Kubernetes can be rendered, and say the same as the settings, the images and nginx.conf."""

from __future__ import annotations

import json
import re
import tomllib
from os.path import relpath
from pathlib import Path

import pytest
import yaml

from tests.manifests import KUBERNETES, ROOT, Object, base_name, containers, one, pod_of, rendered, settings
from trio_exec.settings import Settings
from trio_exec.version import __version__

PODS = ["base", "overlays/gvisor", "overlays/nonet"]
"""Those in which sessions are pods."""
NODE_MODE = "overlays/node-mode"
ALL = [*PODS, NODE_MODE]
WORKLOADS = [("StatefulSet", "trio-exec"), ("Deployment", "trio-exec-front")]


def objects_of(name: str) -> list[Object]:
    return rendered(KUBERNETES / name)


def namespace_labels(objects: list[Object], name: str) -> dict[str, str]:
    return one(objects, "Namespace", name)["metadata"]["labels"]


@pytest.mark.parametrize("name", ALL)
def test_images_are_those_of_this_version(name: str) -> None:
    named = [it["image"] for kind in WORKLOADS for it in containers(pod_of(one(objects_of(name), *kind)))]
    assert {it.partition(":")[2] for it in named} == {__version__}
    expected = {"trio-exec/server", "trio-exec/front"}
    if name == NODE_MODE:
        expected |= {"trio-exec/engine", "trio-exec/languages"}
    assert {it.partition(":")[0] for it in named} == expected


@pytest.mark.parametrize("name", ALL)
def test_drains_have_their_time(name: str) -> None:
    objects = objects_of(name)
    drain = sum(float(settings(objects)[f"TRIO_EXEC_DRAIN_{it}"]) for it in ("DELAY", "TIMEOUT"))
    for kind in WORKLOADS:
        assert pod_of(one(objects, *kind))["terminationGracePeriodSeconds"] == drain + 30


@pytest.mark.parametrize("name", ALL)
def test_servers_start_with_the_settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What one would refuse to start with is found here."""
    for key, value in settings(objects_of(name)).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("socket.gethostname", lambda: "trio-exec-7")
    loaded = Settings.load()
    assert (loaded.replica, loaded.drain_timeout, loaded.metrics_port) == ("7", 150, 9464)


@pytest.mark.parametrize("name", ALL)
def test_servers_and_nginx_are_locked_down(name: str) -> None:
    objects = objects_of(name)
    for kind in WORKLOADS:
        pod = pod_of(one(objects, *kind))
        assert (
            pod["securityContext"] | {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
            == pod["securityContext"]
        )
        for container in containers(pod):
            if container["name"] == "engine":
                continue
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]
            if container["name"] != "languages":
                assert container["resources"]["limits"]["memory"], container["name"]


@pytest.mark.parametrize("name", ALL)
def test_a_replica_takes_sessions_when_dns_has_forgotten_what_was_there_before(name: str) -> None:
    objects = objects_of(name)
    start = one(objects, "ConfigMap", "trio-exec-front")["data"]["start"]
    (kept,) = re.findall(r"^resolver.* valid=(\d+)s;$", start, re.MULTILINE)
    stale = 30 + int(kept)
    server = one(objects, "StatefulSet", "trio-exec")
    (container,) = pod_of(server)["containers"]
    assert container["readinessProbe"]["initialDelaySeconds"] > stale
    assert server["spec"]["minReadySeconds"] > stale


@pytest.mark.parametrize("name", ALL)
def test_services_lead_to_pods(name: str) -> None:
    objects = objects_of(name)
    labels = {kind: one(objects, *kind)["spec"]["template"]["metadata"]["labels"].items() for kind in WORKLOADS}
    selectors = [
        (it, it["spec"]["selector"].get("matchLabels", it["spec"]["selector"]).items())
        for it in objects
        if it["kind"] in {"Service", "PodDisruptionBudget", "StatefulSet", "Deployment"}
    ]
    assert len(selectors) == 7
    for it, selector in selectors:
        (workload,) = [kind for kind, those in labels.items() if selector <= those]
        assert workload[1] in {base_name(it), "trio-exec", "trio-exec-front"}
    server = one(objects, "StatefulSet", "trio-exec")
    headless = one(objects, "Service", server["spec"]["serviceName"])
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"]  # One that drains is not ready, and has sessions.
    ready = one(objects, "Service", "trio-exec-ready")["spec"]
    assert (ready["clusterIP"], ready.get("publishNotReadyAddresses")) == ("None", None)


@pytest.mark.parametrize("name", PODS)
def test_servers_may_do_what_they_need_where_the_sandboxes_are(name: str) -> None:
    objects = objects_of(name)
    roles = [it for it in objects if it["kind"] in {"Role", "ClusterRole", "ClusterRoleBinding", "RoleBinding"}]
    assert {(it["kind"], it["metadata"]["namespace"]) for it in roles} == {
        ("Role", "trio-exec-sandboxes"),
        ("RoleBinding", "trio-exec-sandboxes"),
    }
    assert one(objects, "Role", "trio-exec")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["create", "get", "list", "watch", "delete", "deletecollection"],
        },
        {"apiGroups": [""], "resources": ["pods/attach"], "verbs": ["get", "create"]},
    ]
    binding = one(objects, "RoleBinding", "trio-exec")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "trio-exec"}
    server = one(objects, "StatefulSet", "trio-exec")
    account = one(objects, "ServiceAccount", pod_of(server)["serviceAccountName"], "trio-exec")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": server["metadata"]["namespace"]}
    ]
    assert pod_of(server)["automountServiceAccountToken"]
    assert not pod_of(one(objects, "Deployment", "trio-exec-front"))["automountServiceAccountToken"]


@pytest.mark.parametrize("name", PODS)
def test_sandboxes_are_restricted_bounded_and_reach_nobody(name: str) -> None:
    objects = objects_of(name)
    assert settings(objects)["TRIO_EXEC_KUBERNETES_NAMESPACE"] == "trio-exec-sandboxes"
    for namespace in ("trio-exec", "trio-exec-sandboxes"):
        assert namespace_labels(objects, namespace)["pod-security.kubernetes.io/enforce"] == "restricted"
    inside = {(it["kind"], base_name(it)): it for it in objects if in_sandboxes(it)}
    assert set(inside) == {
        ("ResourceQuota", "sandboxes"),
        ("LimitRange", "sandboxes"),
        ("NetworkPolicy", "nothing"),
        ("Role", "trio-exec"),
        ("RoleBinding", "trio-exec"),
    }
    assert inside["NetworkPolicy", "nothing"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def in_sandboxes(it: Object) -> bool:
    return it["metadata"].get("namespace") == "trio-exec-sandboxes"


@pytest.mark.parametrize("name", PODS)
def test_the_quota_has_room_for_what_the_settings_allow(name: str) -> None:
    objects = objects_of(name)
    replicas = one(objects, "StatefulSet", "trio-exec")["spec"]["replicas"]
    hard = one(objects, "ResourceQuota", "sandboxes")["spec"]["hard"]
    default = {key: Settings.model_fields[key].default for key in ("max_sessions", "memory_bytes", "cpus")}
    at_once = replicas * (default["max_sessions"] + 10)  # Beyond sessions: a pool, and what is being removed.
    assert at_once <= int(hard["pods"])
    assert at_once * default["cpus"] <= float(hard["limits.cpu"])
    assert at_once * default["memory_bytes"] <= int(hard["limits.memory"].removesuffix("Gi")) << 30
    (most,) = one(objects, "LimitRange", "sandboxes")["spec"]["limits"]
    assert default["memory_bytes"] <= int(most["max"]["memory"].removesuffix("Gi")) << 30
    assert default["cpus"] <= float(most["max"]["cpu"])


@pytest.mark.parametrize(("name", "runtime"), [("gvisor", "runsc"), ("nonet", "nonet")])
def test_overlays_name_the_runtime_class_that_they_make(name: str, runtime: str) -> None:
    objects = objects_of(f"overlays/{name}")
    made = one(objects, "RuntimeClass", name)
    assert settings(objects)["TRIO_EXEC_KUBERNETES_RUNTIME_CLASS"] == made["metadata"]["name"]
    assert made["handler"] == runtime


def test_what_nodes_need_for_no_network_can_be_read() -> None:
    directory = KUBERNETES / "overlays" / "nonet"
    made = tomllib.loads((directory / "containerd.toml").read_text())
    handler = made["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["nonet"]
    assert handler["runtime_type"] == "io.containerd.runc.v2"
    # The tests' cluster has the same, and pods that reach nothing by it.
    network = json.loads((directory / "cni.conflist").read_text())
    tested = ROOT / "script" / "lib" / "cluster" / "config" / "nonet.conflist"
    assert network == json.loads(tested.read_text())


def test_in_node_mode_nobody_may_do_anything_in_the_cluster() -> None:
    objects = objects_of(NODE_MODE)
    assert not {it["kind"] for it in objects} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    for kind in WORKLOADS:
        assert pod_of(one(objects, *kind))["automountServiceAccountToken"] is False
    assert [base_name(it) for it in objects if it["kind"] == "Namespace"] == ["trio-exec"]
    assert namespace_labels(objects, "trio-exec")["pod-security.kubernetes.io/enforce"] == "privileged"
    assert "TRIO_EXEC_EXECUTOR" not in settings(objects)


def test_in_node_mode_each_server_has_a_node_and_an_engine_that_outlives_it() -> None:
    pod = pod_of(one(objects_of(NODE_MODE), "StatefulSet", "trio-exec"))
    assert pod["nodeSelector"] == {"trio-exec/engine": "true"}
    assert pod["tolerations"] == [{"key": "trio-exec/engine", "operator": "Exists", "effect": "NoSchedule"}]
    (rule,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    engine, languages = pod["initContainers"]
    assert (engine["name"], engine["restartPolicy"]) == ("engine", "Always")
    assert "restartPolicy" not in languages
    (server,) = pod["containers"]
    mounted = [
        next(mount["mountPath"] for mount in it["volumeMounts"] if mount["name"] == "engine-socket")
        for it in (engine, languages, server)
    ]
    assert mounted == ["/run/engine"] * 3
    assert {"name": "DOCKER_HOST", "value": "unix:///run/engine/docker.sock"} in server["env"]


def test_the_engine_has_the_same_rights_in_a_pod_as_in_compose() -> None:
    pod = pod_of(one(objects_of(NODE_MODE), "StatefulSet", "trio-exec"))
    composed = yaml.safe_load((ROOT / "compose.dind.yml").read_text())["services"]["engine"]
    context = pod["initContainers"][0]["securityContext"]
    assert context["capabilities"] == {"drop": composed["cap_drop"], "add": composed["cap_add"]}
    assert "privileged" not in context


def directives(text: str) -> list[str]:
    """Of nginx's `server` that is for clients: one each line, without comments."""
    match = re.search(r"^( *)server \{\n +listen 80(?:80)?;\n.*?^\1\}\n", text, re.MULTILINE | re.DOTALL)
    assert match
    lines = (line.partition("# ")[0].strip() for line in match[0].splitlines())
    return [line for line in lines if line]


def test_nginx_has_the_same_rules_as_outside_of_kubernetes() -> None:
    usual = directives((ROOT / "deploy" / "nginx.conf").read_text())
    differs = {
        "listen 80;": "listen 8080;",
        "proxy_set_header X-Forwarded-Proto $scheme;": "proxy_set_header X-Forwarded-Proto $trio_exec_scheme;",
        "proxy_pass http://trio_exec;": "proxy_pass http://$trio_exec_any;",
        "proxy_pass http://trio_exec_$replica;": "proxy_pass http://$trio_exec_home;",
    }
    assert set(differs) <= set(usual)
    here = one(objects_of("base"), "ConfigMap", "trio-exec-front")["data"]["nginx.conf"]
    assert directives(here) == [differs.get(it, it) for it in usual]


@pytest.mark.parametrize("mode", ["base", NODE_MODE])
def test_the_autoscaler_goes_with_either_mode(mode: str, tmp_path: Path) -> None:
    names = {"resources": mode, "components": "components/autoscaler"}
    kustomization = {key: [relpath(KUBERNETES / name, tmp_path)] for key, name in names.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    objects = rendered(tmp_path)
    scaled = one(objects, "HorizontalPodAutoscaler", "trio-exec")["spec"]
    assert "replicas" not in one(objects, scaled["scaleTargetRef"]["kind"], "trio-exec")["spec"]
    (metric,) = scaled["metrics"]
    (rule,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "adapter.yml").read_text())["rules"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def test_the_folder_of_the_docs_can_be_rendered(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    text = "".join(re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    (tmp_path / "kustomization.yaml").write_text(
        text.replace("../trio-exec/deploy", relpath(ROOT / "deploy", tmp_path))
    )
    objects = rendered(tmp_path)
    assert settings(objects)["TRIO_EXEC_KUBERNETES_REGISTRY"] == "registry.example.org/"
    assert settings(objects)["TRIO_EXEC_REPLICA"] == "@ordinal"  # It adds to what is there.
    named = {it["image"] for kind in WORKLOADS for it in containers(pod_of(one(objects, *kind)))}
    assert named == {f"registry.example.org/trio-exec/{it}:{__version__}" for it in ("server", "front")}
    assert one(objects, "HorizontalPodAutoscaler", "trio-exec")
    assert set(re.findall(r"/trio-exec/[a-z]+:([0-9.]+)", page)) == {__version__}

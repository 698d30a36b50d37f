"""Where a cluster is, and how to be let in: what the environment and a kubeconfig file say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from trio_exec.errors import ConfigurationError, ExecutorUnavailableError
from trio_exec.executor.kubernetes.access import Token, find_access, from_kubeconfig, from_service_account
from trio_exec.settings import Settings

URL = "https://192.0.2.1:6443"


def kubeconfig(path: Path, *, user: Any, cluster: Any = None) -> Path:
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": {"server": URL} if cluster is None else cluster}],
        "users": [{"name": "me", "user": user}],
    }
    file = path / "config"
    file.write_text(yaml.safe_dump(content))
    return file


async def test_a_token_in_the_file(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, user={"token": "secret"}))

    assert (access.url, access.host, access.port) == (URL, "192.0.2.1", 6443)
    assert await access.headers() == [("Authorization", "Bearer secret")]


async def test_a_tokens_file_is_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    access = from_kubeconfig(kubeconfig(tmp_path, user={"tokenFile": "token"}))

    assert await access.headers() == [("Authorization", "Bearer secret")]


async def test_a_token_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(ExecutorUnavailableError, match="the service account's token can't be read"):
        await Token(tmp_path / "token")()


def test_json_is_yaml(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, user={"token": "secret"})
    file.write_text(json.dumps(yaml.safe_load(file.read_text())))

    assert from_kubeconfig(file).url == URL


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        (
            {"exec": {"command": "aws"}},
            None,
            "the kubeconfig's user has exec, which can't be used here; give it a token",
        ),
        ({"auth-provider": {"name": "gcp"}}, None, "has auth-provider"),
        ({"username": "a", "password": "b"}, None, "has username"),
        ({"token": "x"}, {}, "has no server"),
        ({"token": "x"}, {"server": "ftp://host"}, "'ftp://host' is no URL of a Kubernetes API"),
        ({"token": "x"}, {"server": URL, "insecure-skip-tls-verify": True}, "name the certificate-authority"),
        ({"token": "x"}, {"server": URL, "certificate-authority": "none.crt"}, "none.crt"),
        ({"token": "x"}, {"server": URL, "certificate-authority-data": "%%%"}, "can't be used"),
    ],
)
def test_what_can_not_be_used_says_why(tmp_path: Path, user: Any, cluster: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as failed:
        from_kubeconfig(kubeconfig(tmp_path, user=user, cluster=cluster))

    assert words in failed.value.message


@pytest.mark.parametrize("content", ["", "a: [", "just text", "current-context: there"])
def test_files_that_are_no_kubeconfig(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="the kubeconfig file"):
        from_kubeconfig(file)


def test_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match=r"this process is in no pod .* set KUBECONFIG"):
        find_access()


def test_a_pod_without_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="automountServiceAccountToken"):
        from_service_account(URL, tmp_path)


def test_tolerations_and_labels_of_nodes() -> None:
    settings = Settings(
        kubernetes_tolerations="sandboxes=true:NoSchedule, spot, gpu:NoExecute",  # pyright: ignore[reportArgumentType] - as a variable has them
        kubernetes_node_selector="pool=sandboxes,disk=ssd",  # pyright: ignore[reportArgumentType] - likewise
    )

    assert settings.tolerations == (
        {"operator": "Equal", "key": "sandboxes", "value": "true", "effect": "NoSchedule"},
        {"operator": "Exists", "key": "spot"},
        {"operator": "Exists", "key": "gpu", "effect": "NoExecute"},
    )
    assert settings.node_selector == {"pool": "sandboxes", "disk": "ssd"}


@pytest.mark.parametrize("value", ["=x", "a:Never", "a=b:c:d"])
def test_a_toleration_of_another_form(value: str) -> None:
    with pytest.raises(ValueError, match=r"is not of the form key\[=value\]\[:effect\]"):
        Settings(kubernetes_tolerations=value)  # pyright: ignore[reportArgumentType] - likewise


def test_a_label_of_another_form() -> None:
    with pytest.raises(ValueError, match="'pool' is not of the form label=value; write pool=sandboxes,disk=ssd"):
        Settings(kubernetes_node_selector="pool")  # pyright: ignore[reportArgumentType] - likewise

"""Whatever is at an engine's address, and whatever docker-py makes of it: one of our errors, with what may help."""

from __future__ import annotations

import gc
import io
import json
import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3.exceptions
from docker.credentials.errors import StoreError
from docker.errors import APIError

from tests.played_engine import VERSION, played_engine
from trio_exec.errors import ExecutorError, ExecutorUnavailableError, TrioExecError
from trio_exec.executor.docker import api as module
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.translation import SHOWN, translated

# docker-py leaves a socket open when it can't connect.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NOBODY = 65534
GROUP = 54321
PODMAN = {
    "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}, {"Name": "Conmon"}, {"Name": "OCI Runtime (crun)"}],
    "Version": "4.3.1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.24",
}
"""What Podman 4.3.1 says, of which we need this."""


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    """What this machine's user has told Docker is not part of a test, and what docker-py leaves is none of the next."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    yield
    gc.collect()


def failure(monkeypatch: pytest.MonkeyPatch, host: str, call: Callable[[DockerAPI], Any] = DockerAPI.ping) -> str:
    """What is said when that address is tried; nothing but our own errors passes."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ExecutorUnavailableError) as failed, closing(DockerAPI()) as api:
        call(api)
    return failed.value.message


@contextmanager
def bound(path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        yield listener


def test_a_socket_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/docker.sock"
    assert failure(monkeypatch, host) == (
        f"the Docker engine can't be reached: there is no socket {host}; "
        "start Docker, or name its socket with DOCKER_HOST"
    )


def test_a_folder_in_the_sockets_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = failure(monkeypatch, f"unix://{tmp_path}")
    assert f"{tmp_path} is no socket; Docker makes a folder where a volume's source is missing" in said


def test_a_socket_at_which_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with bound(tmp_path / "docker.sock"):
        said = failure(monkeypatch, f"unix://{tmp_path}/docker.sock")
    assert f"nothing listens at unix://{tmp_path}/docker.sock; start Docker" in said


def test_a_port_at_which_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert f"nothing listens at tcp://127.0.0.1:{port}" in failure(monkeypatch, f"tcp://127.0.0.1:{port}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_a_socket_that_belongs_to_a_group_that_this_user_is_not_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own are its user's alone
        if any(part.startswith("pytest-of-") for part in folder.parts):
            folder.chmod(0o755)
    path = tmp_path / "docker.sock"
    with bound(path) as listener:
        listener.listen()
        path.chmod(0o660)
        os.chown(path, 0, GROUP)
        os.seteuid(NOBODY)
        try:
            said = failure(monkeypatch, f"unix://{path}")
        finally:
            os.seteuid(0)
    assert f"this user may not use {path}; join its group {GROUP}; a container gets it by `--group-add {GROUP}`" in said


def test_a_host_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    said = failure(monkeypatch, "tcp://docker.invalid:2375")
    assert "there is no host as in tcp://docker.invalid:2375" in said


def test_another_engine_that_the_docker_command_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"currentContext": "colima"}')
    meta = tmp_path / "contexts" / "meta" / "f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16"
    meta.mkdir(parents=True)
    endpoint = {"docker": {"Host": "unix:///home/ada/.colima/docker.sock", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "colima", "Metadata": {}, "Endpoints": endpoint}))
    with (
        pytest.raises(
            ExecutorUnavailableError,
            match=r"context 'colima': DOCKER_HOST=unix:///home/ada/\.colima/docker\.sock",
        ),
        translated("answer a ping"),
    ):
        raise FileNotFoundError(2, "No such file or directory")


def test_an_engine_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = failure(monkeypatch, f"tcp://127.0.0.1:{server.getsockname()[1]}")
    assert "is there, but slow: it did not answer a ping in time" in said


@pytest.mark.parametrize(
    "answers",
    [
        {"*": b"<html>hello</html>"},
        {"*": (404, b"not found")},
        {"*": (500, {"oops": "no message here"})},
        {"*": (400, b"{")},
        {"*": []},
        {"*": {}},
        {"*": 1},
        {"*": None},
        {"/version": {"ApiVersion": None}},
        {"/version": {"ApiVersion": "new"}},
        {"/version": {**VERSION, "Components": [1]}},
        {"/version": VERSION, "*": b"\xff"},
        {"/version": VERSION, "*": [None]},
        {"/version": VERSION, "*": {"Containers": 3}},
    ],
    ids=repr,
)
def test_a_server_that_is_no_engine(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    with played_engine(answers) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        calls: list[Callable[[DockerAPI], Any]] = [
            DockerAPI.machine,
            DockerAPI.now,
            lambda api: api.list("label"),
            lambda api: api.attach("name"),
            lambda api: api.image_tags("repository"),
            lambda api: api.ran_out_of_memory("name"),
            lambda api: list(api.build(context=io.BytesIO(), tag="tag", arguments={})),
        ]
        failed = 0
        for call in calls:
            with closing(DockerAPI()) as api:
                try:
                    call(api)
                except TrioExecError:
                    failed += 1
    assert failed >= len(calls) - 3  # Some answers are as good as an empty one.


@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.ProtocolError("Connection broken"),
        requests.exceptions.ChunkedEncodingError(),
        StoreError("no helper"),
        ConnectionResetError(),
        json.JSONDecodeError("not JSON", "", 0),
        KeyError("Names"),
        RuntimeError("anything at all"),
    ],
    ids=repr,
)
def test_every_foreign_error_is_ours_afterwards(error: Exception) -> None:
    with pytest.raises(ExecutorUnavailableError, match="DOCKER_HOST"), translated("do it"):
        raise error


def test_what_speaks_no_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", host)
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        said = failure(monkeypatch, host)
        thread.join()
    assert host in said
    assert "DOCKER_HOST is right" in said


def test_podman_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with played_engine({"/version": PODMAN}) as host:
        assert failure(monkeypatch, host).startswith("this is Podman, which takes neither")


def test_words_for_clients_are_few() -> None:
    profile = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "names": ["read"] * 5000})
    with pytest.raises(ExecutorError) as refused, translated("create a container"):
        raise APIError("refused", explanation=f"opening seccomp profile failed: open {profile}: file name too long")
    assert "opening seccomp profile failed" in refused.value.message
    assert len(refused.value.message) < SHOWN + 100


@pytest.mark.parametrize(
    "config",
    ['{"credsStore": "nowhere"}', '{"credHelpers": {"x.org": "nowhere"}}', '{"auths": {"x.org": {}}}', "[", "{}"],
)
def test_a_build_needs_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(config)
    with played_engine({"/version": VERSION, "/build": {"stream": "Step 1\nStep 2\n"}}) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with closing(DockerAPI()) as api:
            assert list(api.build(context=io.BytesIO(), tag="tag", arguments={})) == ["Step 1", "Step 2"]


@pytest.mark.parametrize("config", ["[]", "3", '{"auths": 3}', '{"proxies": 3}'])
def test_an_odd_configuration_of_the_docker_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(config)
    with played_engine({"/version": VERSION, "/_ping": b"OK"}) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(ExecutorUnavailableError, match=r"DOCKER_HOST and \S+/config\.json"):
            DockerAPI().ping()

"""A Compose project of a test's own, and servers that somebody else started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import docker

from tests.support import ServerProcess

COMPOSE_TIMEOUT = 120


def compose_command() -> list[str]:
    probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=20)
    if probe.returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "neither `docker compose` nor `docker-compose` is there; see script/test"
    return ["docker-compose"]


class Deployed(ServerProcess):
    """A server that somebody else started: what a client needs to know of it."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self.url = f"http://{host}:{port}"


class Project:
    """A Compose project of one test's own."""

    def __init__(self, context: Path, name: str, *files: str, **variables: str) -> None:
        self.name = name
        self.context = context
        self.variables = variables
        self._command = [*compose_command(), "--project-name", name]
        for file in files:
            self._command += ["--file", file]

    def run(self, *arguments: str, timeout: float = COMPOSE_TIMEOUT, check: bool = True) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIO_EXEC_")}
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self.context,
            env=environment | {"PUBLISH": "127.0.0.1:0", "KEYS_VOLUME": f"{self.name}-keys"} | self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{arguments}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def container(self, service: str = "server") -> Any:
        client = docker.from_env()
        try:
            label = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
            [found] = client.api.containers(all=True, filters={"label": label})
            return client.api.inspect_container(found["Id"])
        finally:
            client.close()

    def inside(self, *command: str, service: str = "server") -> str:
        client = docker.from_env()
        try:
            made = client.api.exec_create(self.container(service)["Id"], list(command))
            return client.api.exec_start(made["Id"]).decode()
        finally:
            client.close()

    def server(self) -> Deployed:
        [binding] = self.container()["NetworkSettings"]["Ports"]["8080/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        server = Deployed(int(binding["HostPort"]))
        deadline = time.monotonic() + COMPOSE_TIMEOUT
        while True:
            try:
                if server.request("GET", "/readyz").status == 200:
                    return server
            except OSError:
                pass  # It does not listen yet.
            assert time.monotonic() < deadline, self.run("logs", check=False)
            time.sleep(0.1)

    def left(self) -> list[str]:
        """Containers, networks and volumes of the project."""
        client = docker.from_env()
        try:
            filters = {"label": f"com.docker.compose.project={self.name}"}
            return [
                *(item["Names"][0] for item in client.api.containers(all=True, filters=filters)),
                *(item["Name"] for item in client.api.networks(filters=filters)),
                *(item["Name"] for item in client.api.volumes(filters=filters)["Volumes"] or []),
            ]
        finally:
            client.close()


def sessions_of(instance: str) -> list[str]:
    """Containers of a server's sessions, and warm ones."""
    client = docker.from_env()
    try:
        listed = client.api.containers(all=True, filters={"label": f"trio-exec.instance={instance}"})
        return [item["Names"][0] for item in listed]
    finally:
        client.close()

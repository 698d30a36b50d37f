"""Docker engines of a test's own, beside the machine's: real ones, to be stopped, filled, or given a runtime."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import docker
import docker.errors
import pytest

START_TIMEOUT = 60
NEWER = Path(sys.executable).parent.parent / "newer-docker"
"""Where script/test unpacks an engine that is newer than most machines' own; see script/lib/docker.sh."""


def newer_docker() -> Path:
    """The folder of its programs."""
    if not (NEWER / "dockerd").exists():
        pytest.skip("needs a newer Docker engine beside the machine's; script/test unpacks it")
    return NEWER


class Dockerd:
    """An engine of our own beside the machine's: other socket, other data, no network.

    Attributes:
        programs: folder of another version's programs, or None for the machine's; what is not there is the machine's.
        environment: variables for it, besides the test's own.

    Args:
        root: folder for all that it has.
        options: further ones of its command line.
        programs: the attribute.
        environment: likewise.
        without: controllers of cgroup v1 that it does not see.
    """

    def __init__(
        self,
        root: Path,
        *options: str,
        programs: Path | None = None,
        environment: Mapping[str, str] | None = None,
        without: Iterable[str] = (),
    ) -> None:
        self.host = f"unix://{root}/docker.sock"
        self.root = root
        self.programs = programs
        self.environment = dict(environment or {})
        self._options = options
        self._hidden = [f"/sys/fs/cgroup/{controller}" for controller in without]
        self._log = root.with_suffix(".log")  # Outside, since the inside can be full.
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        # A killed dockerd takes its containerd along. Where nobody reaps that, it looks alive by its number.
        (self.root / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        path = os.environ["PATH"]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [
                    # In a network of its own: without a bridge it would take the machine's docker0 away.
                    "unshare",
                    "--net",
                    "--mount",
                    *("sh", "-euc", 'for hidden in $HIDDEN; do umount "$hidden"; done; exec "$@"', "sh"),
                    "dockerd",
                    f"--host={self.host}",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--pidfile={self.root}/pid",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip-masq=false",
                    *self._options,
                ],
                env={
                    **os.environ,
                    **self.environment,
                    "HIDDEN": " ".join(self._hidden),
                    "PATH": path if self.programs is None else f"{self.programs}:{path}",
                },
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        # Not by docker-py, which leaves a socket open when it can't connect.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.host.removeprefix("unix://"))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in probe.recv(1000)
            except OSError:
                return False

    def left(self) -> list[str]:
        """Ids of the containers of ours that there are; a build that was killed leaves one that is the engine's own.

        A restarted engine may list one as dead that it has removed, and knows nothing of it when asked: its list was
        written while the removal went on (moby's pull request 51692 tells of it). It is gone with the next restart.
        """
        engine = docker.DockerClient(self.host)
        try:
            left: list[str] = []
            for item in engine.api.containers(all=True, filters={"label": "trio-exec.instance"}):
                with contextlib.suppress(docker.errors.NotFound):
                    left.append(engine.api.inspect_container(item["Id"])["Id"])
            return left
        finally:
            engine.close()

    def wait_left(self, expected: set[str], within: float = 60) -> None:
        """Returns when these containers are left, by their ids."""
        deadline = time.monotonic() + within
        while (left := set(self.left())) != expected:
            assert time.monotonic() < deadline, left
            time.sleep(0.2)

    def end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None

    def close(self) -> None:
        if self._process is None:
            self.start()
        self.end(signal.SIGTERM)


@contextmanager
def private_dockerd(
    images: Iterable[str],
    size: str,
    *options: str,
    programs: Path | None = None,
    environment: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
) -> Generator[Dockerd]:
    """An engine that has these of the machine's images, on a disk of its own, in memory, which can be filled.

    Args:
        images: tags.
        size: the disk's, as mount takes it.
        options: further ones of dockerd's command line.
        programs: see `Dockerd`.
        environment: likewise.
        without: likewise.
    """
    if shutil.which("dockerd") is None:
        pytest.skip("needs dockerd itself, and not only a connection to one")
    # A short path: a socket's name has an end.
    root = Path("/tmp") / f"trio-exec-dockerd-{time.monotonic_ns()}"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", root], check=True)
    engine = Dockerd(root, *options, programs=programs, environment=environment, without=without)
    try:
        source, target = docker.from_env(timeout=300), docker.DockerClient(engine.host, timeout=300)
        for tag in images:
            archive = cast("Any", source.images.get(tag).save(named=tag))  # its stub knows no stream in pieces
            target.images.load(archive)
        source.close()
        target.close()
        yield engine
    finally:
        engine.close()
        for mounted in (root / "data", root):  # dockerd mounts its directory upon itself.
            subprocess.run(["umount", "--lazy", mounted], check=False)
        root.with_suffix(".log").unlink()
        shutil.rmtree(root, ignore_errors=True)

"""The calls to the Docker engine that we need: docker-py's low-level client, typed, its errors translated.

Everything here blocks; `docker.py` calls it from threads. The low-level client is used since the high-level one
inspects each container once more, at some milliseconds a session.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
import urllib3.exceptions
from docker.errors import APIError

from trio_exec.errors import ExecutorError, ExecutorUnavailableError, MemoryInUseError
from trio_exec.executor.docker.client import Client
from trio_exec.executor.docker.hardening import HARDENING
from trio_exec.executor.docker.translation import shortened, translated, unusable_environment
from trio_exec.executor.machine import Machine
from trio_exec.launcher.layout import WORKSPACE

REQUEST_TIMEOUT = 30
"""Seconds that one call may take; an engine under load takes some for a start."""
END_TIMEOUT = 2
"""Seconds that the engine gets to notice that a container has ended."""
REASON_TIMEOUT = 0.5
"""Seconds after a container's end in which the engine may still tell that memory was its reason."""
POOL_SIZE = 64
"""Connections kept open to the engine; more are opened when needed, and dropped afterwards."""
HTTP_NOT_FOUND = 404
HTTP_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Listed:
    """One of the containers that the engine lists."""

    name: str
    labels: Mapping[str, str]
    created: float
    status: str


def time_of(info: Mapping[str, Any]) -> float:
    """Unix time by the clock of an engine that has told so much of itself."""
    return datetime.fromisoformat(info["SystemTime"]).timestamp()


class DockerAPI:
    """A connection to the engine that the environment names (`DOCKER_HOST` and so on).

    Every method may raise ExecutorUnavailableError when the engine can't be reached, and ExecutorError when it refuses.
    """

    def __init__(self) -> None:
        # No call is made before the first real one, so the server can start, and say what is wrong, while the engine
        # is down.
        try:
            self._client = Client(REQUEST_TIMEOUT, POOL_SIZE)
        except Exception as error:
            raise unusable_environment(error) from error

    @contextlib.contextmanager
    def _asking(self, what: str) -> Generator[Any]:
        """For one call: what to make it with.

        docker-py's own annotations are partial and wrong in places; the types that we rely on are in this class.
        """
        try:
            with translated(what):
                self._client.agree()
                yield self._client
        except ExecutorUnavailableError:
            self._client.forget()  # Engines are upgraded under running servers.
            raise

    def ping(self) -> None:
        """Returns when the engine answers."""
        with self._asking("answer a ping") as api:
            api.ping()

    def machine(self) -> Machine:
        """What the engine runs on."""
        with self._asking("tell about its machine") as api:
            return Machine.of(api.info())

    def info(self) -> Mapping[str, Any]:
        """What the engine tells of itself and its machine (`docker info`)."""
        with self._asking("tell about itself") as api:
            return dict(api.info())

    def version(self) -> tuple[str, str]:
        """The engine's version, and that of its API which is spoken with it."""
        with self._asking("tell its version") as api:
            about: Mapping[str, Any] = api.version()
            return str(about.get("Version", "unknown")), str(api.api_version)

    def gateway(self) -> str | None:
        """The address by which containers on the engine's default network reach its machine; None if there is none."""
        with self._asking("tell about its network") as api:
            try:
                network: Mapping[str, Any] = api.inspect_network("bridge")
            except APIError as error:
                if error.status_code == HTTP_NOT_FOUND:
                    return None
                raise
            configurations: Sequence[Mapping[str, str]] = network["IPAM"]["Config"] or ()
            return next((it["Gateway"] for it in configurations if it.get("Gateway")), None)

    def create(
        self,
        *,
        name: str,
        image: str,
        command: list[str],
        labels: dict[str, str],
        host_config: dict[str, Any],
        paths: Mapping[str, Sequence[str]],
    ) -> Sequence[str]:
        """Creates a hardened container whose standard streams can be attached to, once; see `Hardening`.

        Returns:
            The engine's warnings. It creates containers without what it can't give them.
        """
        with self._asking(f"create a container of {image}") as api:
            try:
                made: Mapping[str, Any] = api.create_container(
                    image,
                    command=command,
                    name=name,
                    hostname=HARDENING.hostname,
                    stop_signal=HARDENING.stop_signal,
                    user=HARDENING.user,
                    working_dir=WORKSPACE,
                    labels=labels,
                    stdin_open=True,
                    network_disabled=HARDENING.network_disabled,
                    host_config={**api.create_host_config(**host_config), **paths},
                )
            except APIError as error:
                if error.status_code == HTTP_NOT_FOUND:
                    raise ExecutorError(
                        f"the image {image} is missing on the engine; `trio-exec build` makes it"
                    ) from error
                raise
            return made["Warnings"] or ()

    def host_config(self, name: str) -> Mapping[str, Any]:
        """What is in force for a container, in the engine's words."""
        with self._asking("tell about a container") as api:
            return api.inspect_container(name)["HostConfig"]

    def attach(self, name: str) -> socket.socket:
        """The container's standard streams as a socket of the caller's own; see `multiplex` for its format.

        docker-py hands out the socket file under its response. Nothing of the stream has been read from it yet as
        long as the container was not started, so the bare socket below it can be taken away from docker-py, which
        then has nothing left to close.
        """
        with self._asking("attach to a container") as api:
            wrapped: Any = api.attach_socket(name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            inner = getattr(wrapped, "_sock", wrapped)
            if not isinstance(inner, socket.socket) or hasattr(inner, "context"):
                wrapped.close()
                raise ExecutorError(
                    "the Docker engine must be reached over a Unix socket or plain TCP, not TLS or SSH; "
                    "forward its socket instead"
                )
            return socket.socket(fileno=inner.detach())

    def start(self, name: str) -> None:
        """Starts a container."""
        with self._asking("start a container") as api:
            api.start(name)

    def update(self, name: str, limits: Mapping[str, int]) -> None:
        """Changes a running container's limits; see `Hardening.changeable`.

        Raises:
            MemoryInUseError: it holds more memory than it would be allowed to.
        """
        with self._asking("change a container's limits") as api:
            try:
                api.update_container(name, **limits)
            except APIError as error:
                if "unable to set memory limit" in str(error.explanation):  # runc's words, on finding it in use.
                    raise MemoryInUseError("the container holds more memory than its new limit allows") from error
                raise

    def remove(self, name: str) -> bool:
        """Returns when the container is gone, killing it first if need be; says whether it was there at all."""
        with self._asking(f"remove the container {name}") as api:
            try:
                api.remove_container(name, v=True, force=True)
            except APIError as error:
                if error.status_code == HTTP_CONFLICT:  # It is being removed: by auto-remove, mostly.
                    if not self.wait_removed(name, REQUEST_TIMEOUT):
                        raise ExecutorError(f"the Docker engine does not end removing the container {name}") from error
                elif error.status_code == HTTP_NOT_FOUND:
                    return False
                else:
                    raise
        return True

    def wait_removed(self, name: str, timeout: float) -> bool:
        """Whether the container is gone within so many seconds; it may be gone already."""
        with self._asking("wait for a container's removal") as api:
            try:
                api.wait(name, timeout=timeout, condition="removed")
            except APIError as error:
                if error.status_code != HTTP_NOT_FOUND:
                    raise
            except requests.exceptions.ReadTimeout:
                return False
            except requests.exceptions.ConnectionError as error:
                # So a timeout shows once the engine has begun its answer.
                if not any(isinstance(it, urllib3.exceptions.ReadTimeoutError) for it in error.args):
                    raise
                return False
        return True

    def ran_out_of_memory(self, name: str) -> bool:
        """Whether the kernel has killed something in a container that has just ended, or is about to, for memory."""

        def first_of(seconds: float, *actions: str) -> str | None:
            told: Iterator[Mapping[str, Any]] = api.events(
                since=1,  # The engine keeps the last few.
                until=self.now() + seconds,
                filters={"container": name, "event": list(actions)},
                decode=True,
            )
            return next((event["Action"] for event in told), None)

        with self._asking("tell how a container ended") as api:
            first = first_of(END_TIMEOUT, "oom", "die")
            # On a busy machine, and of a sandboxed kernel, the reason may come after the end.
            return first == "oom" or (first is not None and first_of(REASON_TIMEOUT, "oom") is not None)

    def now(self) -> float:
        """Unix time by the engine's clock; to be compared with `Listed.created`."""
        with self._asking("tell its time") as api:
            return time_of(api.info())

    def list(self, label: str) -> list[Listed]:
        """All containers with a label, whatever their state."""
        with self._asking("list containers") as api:
            found: Sequence[Mapping[str, Any]] = api.containers(all=True, filters={"label": label})
            return [
                Listed(
                    name=item["Names"][0].lstrip("/"),
                    labels=item["Labels"],
                    created=float(item["Created"]),
                    status=item["State"],
                )
                for item in found
                if item["Names"]
            ]

    def image_exists(self, tag: str) -> bool:
        """Whether the engine has an image."""
        with self._asking(f"look for the image {tag}") as api:
            try:
                api.inspect_image(tag)
            except APIError as error:
                if error.status_code == HTTP_NOT_FOUND:
                    return False
                raise
        return True

    def image_tags(self, repository: str) -> list[str]:
        """The tags that the engine has of a repository, each as repository:tag."""
        with self._asking("list images") as api:
            found: Sequence[Mapping[str, Any]] = api.images(name=repository)
            return sorted(tag for item in found for tag in item["RepoTags"] or () if tag.startswith(f"{repository}:"))

    def remove_image(self, tag: str) -> bool:
        """Removes an image; says whether it is gone, and not needed by a container."""
        with self._asking(f"remove the image {tag}") as api:
            try:
                api.remove_image(tag)
            except APIError as error:
                if error.status_code == HTTP_CONFLICT:
                    return False
                if error.status_code != HTTP_NOT_FOUND:
                    raise
        return True

    def build(self, *, context: Any, tag: str, arguments: dict[str, str]) -> Iterator[str]:
        """Builds an image from a tar file of its context, and yields the lines that the engine prints."""
        with self._asking(f"build {tag}") as api:
            events: Iterator[Mapping[str, Any]] = api.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=arguments,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=3600,
            )
            for event in events:
                if "error" in event:
                    raise ExecutorError(f"building {tag} failed: {shortened(str(event['error']))}")
                yield from str(event.get("stream", "")).splitlines()

    def label(self, tag: str, labels: Mapping[str, str]) -> None:
        """Adds labels to an image."""
        lines = [f"FROM {tag}", *(f"LABEL {name}={value}" for name, value in labels.items())]
        with self._asking(f"label {tag}") as api:
            for event in api.build(fileobj=io.BytesIO("\n".join(lines).encode()), tag=tag, rm=True, decode=True):
                if "error" in event:
                    raise ExecutorError(f"labelling {tag} failed: {shortened(str(event['error']))}")

    def labels(self, tag: str) -> Mapping[str, str]:
        """The labels of an image."""
        with self._asking(f"look for the image {tag}") as api:
            return api.inspect_image(tag)["Config"]["Labels"] or {}

    def output_of(self, tag: str, command: Sequence[str]) -> str:
        """What a command prints in a container of an image, which is an image of ours: nobody's program runs in it."""
        with self._asking(f"run {command[0]} in {tag}") as api:
            container: str = api.create_container(
                tag, command=list(command[1:]), entrypoint=[command[0]], network_disabled=True
            )["Id"]
            try:
                api.start(container)
                api.wait(container, timeout=REQUEST_TIMEOUT)
                output: bytes = api.logs(container)
            finally:
                api.remove_container(container, force=True)
        return output.decode(errors="replace")

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

"""What answers as a cluster's API where no real one can be made to answer so: pods that do as the test says."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import partial
from typing import Any

import hypercorn
import hypercorn.trio
import trio
from quart import Response, request, websocket
from quart_trio import QuartTrio

from trio_exec.executor.kubernetes.access import Access, Token
from trio_exec.launcher.frames import PROTOCOL_VERSION

RUNNING = {
    "phase": "Running",
    "containerStatuses": [{"state": {"running": {}}}],
    "hostIP": "192.0.2.1",
    "podIP": "192.0.2.2",
}


def terminated(reason: str, phase: str = "Failed") -> dict[str, Any]:
    return {"phase": phase, "containerStatuses": [{"state": {"terminated": {"reason": reason, "exitCode": 1}}}]}


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}


UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes have room"}
    ],
}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}


def refusal(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "status": "Failure", "code": code, "message": message}


class PlayedCluster:
    """Pods, and what is asked of them.

    Attributes:
        becomes: the status that a pod has as soon as it is created; None for one that waits.
        refuse: answers to calls, by their names, each for one of them; calls that find none are answered well.
        calls: their names, in order.
        pods: their objects by name.
        tokens: that are known.
    """

    def __init__(self) -> None:
        self.becomes: dict[str, Any] | None = RUNNING
        self.refuse: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.calls: list[str] = []
        self.pods: dict[str, dict[str, Any]] = {}
        self.tokens = {"first"}
        self.url = ""
        self.connections: dict[str, trio.CancelScope] = {}
        self._version = 100
        self._changes: list[tuple[int, str, dict[str, Any]]] = []
        self._changed = trio.Event()
        self._restarts = 0

    def change(self, name: str, status: dict[str, Any] | None, kind: str = "MODIFIED") -> None:
        """Gives a pod another status, or with None takes it away."""
        pod = self.pods[name]
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        if status is None:
            kind = "DELETED"
            del self.pods[name]
        else:
            pod["status"] = status
        self._changes.append((self._version, kind, json.loads(json.dumps(pod))))
        self._changed.set()
        self._changed = trio.Event()

    async def wait_created(self) -> None:
        """Returns when there is a pod."""
        while not self.pods:
            await self._changed.wait()

    async def wait_gone(self) -> None:
        """Returns when there is none."""
        while self.pods:
            await self._changed.wait()

    def end_watches(self) -> None:
        """As an API server does that restarts, and has forgotten all versions."""
        self._changes.clear()
        self._restarts += 1
        self._changed.set()
        self._changed = trio.Event()

    def app(self) -> QuartTrio:
        app = QuartTrio("played_cluster")
        pods = "/api/v1/namespaces/<namespace>/pods"

        @app.before_request
        async def check() -> Response | None:
            await trio.lowlevel.checkpoint()
            name = "watch" if request.args.get("watch") else {"GET": "list"}.get(request.method, request.method.lower())
            self.calls.append(name)
            if request.headers.get("Authorization", "Bearer first").removeprefix("Bearer ") not in self.tokens:
                return answer(*refusal(401, "Unauthorized"))
            if self.refuse.get(name):
                return answer(*self.refuse[name].pop(0))
            return None

        def answer(code: int, body: dict[str, Any]) -> Response:
            return Response(json.dumps(body), code, content_type="application/json")

        @app.post(pods)
        async def create(namespace: str) -> Response:
            pod = await request.get_json()
            name = pod["metadata"]["name"]
            pod["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
            self.pods[name] = pod
            self.change(name, {"phase": "Pending"}, "ADDED")
            if self.becomes is not None:
                self.change(name, self.becomes)
            return answer(201, pod)

        @app.delete(f"{pods}/<name>")
        async def delete(namespace: str, name: str) -> Response:
            await trio.lowlevel.checkpoint()
            if name not in self.pods:
                return answer(*refusal(404, f'pods "{name}" not found'))
            if name in self.connections:
                self.connections.pop(name).cancel()
            self.change(name, None)
            return answer(200, {})

        @app.get(pods)
        async def list_or_watch(namespace: str) -> Response:
            await trio.lowlevel.checkpoint()
            if request.args.get("watch"):
                return Response(self._watch(int(request.args["resourceVersion"])), content_type="application/json")
            items = list(self.pods.values())
            body = {"items": items, "metadata": {"resourceVersion": str(self._version)}}
            response = answer(200, body)
            response.headers["Date"] = formatdate(usegmt=True)
            return response

        @app.websocket(f"{pods}/<name>/attach")
        async def attach(namespace: str, name: str) -> Response | None:
            self.calls.append("attach")
            if self.refuse.get("attach"):
                return answer(*self.refuse["attach"].pop(0))
            await websocket.accept(subprotocol="v5.channel.k8s.io")
            with trio.CancelScope() as scope:
                self.connections[name] = scope
                await self._launch()
            return None

        return app

    async def _launch(self) -> None:
        """A launcher that runs whatever it is told to, and prints the last argument; in pieces that pods have, too."""
        for channel in range(4):
            await websocket.send(bytes([channel]))
        data = b""
        while True:
            message = await websocket.receive()
            assert isinstance(message, bytes)
            assert message[0] == 0
            data += message[1:]
            while len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
                kind, length = data[:1], struct.unpack(">I", data[1:5])[0]
                data = data[5 + length :]
                if kind == b"h":
                    await self._say(b"R", bytes([PROTOCOL_VERSION]))
                elif kind == b"n":
                    await self._say(b"N", b"")
                elif kind == b"s":
                    await self._say(b"S", b"")
                    await self._say(b"Z", bytes(struct.calcsize(">BBQQQQI?B")))

    async def _say(self, kind: bytes, payload: bytes) -> None:
        frame = kind + struct.pack(">I", len(payload)) + payload
        await websocket.send(b"\1" + frame[:3])
        await websocket.send(b"\1" + frame[3:])

    async def _watch(self, version: int) -> AsyncGenerator[bytes]:
        if (self._changes and version < self._changes[0][0] - 1) or version > self._version:
            yield _line("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
            return
        restarts = self._restarts
        while restarts == self._restarts:
            changed = self._changed  # Of before: more may come while these are sent.
            for at, kind, pod in list(self._changes):
                if at > version:
                    version = at
                    yield _line(kind, pod)
            await changed.wait()


def _line(kind: str, of: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": of}).encode() + b"\n"


@asynccontextmanager
async def played_cluster() -> AsyncGenerator[PlayedCluster]:
    """On a port of its own, while the context lasts."""
    cluster = PlayedCluster()
    config = hypercorn.Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = config.accesslog = None
    over = trio.Event()
    async with trio.open_nursery() as nursery:
        serve = partial(hypercorn.trio.serve, cluster.app(), config, shutdown_trigger=over.wait)  # type: ignore[arg-type] - Quart is an application, though its types say less
        (address,) = await nursery.start(serve)
        cluster.url = address
        try:
            yield cluster
        finally:
            over.set()
            nursery.cancel_scope.cancel(reason="the test is over")


def access_to(cluster: PlayedCluster, token: Token | None = None) -> Access:
    return Access(cluster.url, None, token)

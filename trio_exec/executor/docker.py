"""The executor on Docker: single-use containers, and a janitor for what could not be removed in time.

Three things see to it that no container stays behind. The context that opened it removes it. The launcher inside
ends when its input does, which happens by itself when this process dies, and the engine then removes the container
(`auto_remove`). And the janitor looks through the engine's list, for what an engine that was down kept from us
and for what a killed server had created but not started.

Blocking docker-py calls run in threads under a limiter of their own. The attached socket is Trio's.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import trio

from trio_exec.errors import EngineError, EngineUnavailableError
from trio_exec.executor import frames
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.executor.engine_api import EngineAPI
from trio_exec.executor.hardening import HARDENING
from trio_exec.executor.machine import EXTRA_CAPABILITIES
from trio_exec.executor.multiplex import STDERR, Demultiplexer
from trio_exec.executor.uids import UserIds
from trio_exec.limits import Limits

LOGGER = logging.getLogger("trio_exec.docker")

INSTANCE_LABEL = "trio-exec.instance"
SESSION_LABEL = "trio-exec.session"
LANGUAGE_LABEL = "trio-exec.language"
USER_LABEL = "trio-exec.uid"
EXPIRY_LABEL = "trio-exec.expires"
"""Unix time after which any server may remove the container: no launcher lives that long."""

THREADS = 16
"""Engine calls at once. The engine itself works on few starts at a time; more would only wait there."""
READ_SIZE = 65536
START_TIMEOUT = 30
"""Seconds from a container's start to its launcher's first frame."""
CLEANUP_TIMEOUT = 10
"""Seconds that a session's end waits for its container's removal; then it is the janitor's."""
LEAVE_TIMEOUT = 2
"""Seconds that a container gets to go by itself, once its launcher's input has ended."""
CHECK_TIMEOUT = 3
SWEEP_INTERVAL = 60
RETRY_FIRST, RETRY_LAST = 2, 16
"""Seconds until the janitor tries again what the engine refused; doubled each time."""
UNSTARTED_MAX_AGE = 120
"""Seconds after which a container that was created but never started belongs to nobody."""
EXPIRY_MARGIN = 60

_T = TypeVar("_T")


class DockerContainer:
    """A container's launcher, at the other end of an attached socket."""

    def __init__(
        self,
        stream: trio.SocketStream,
        session_id: str,
        in_force: Mapping[str, int],
        update: Callable[[Mapping[str, int]], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._session_id = session_id
        self._in_force = in_force
        self._update = update
        self._demultiplexer = Demultiplexer()
        self._decoder = frames.FrameDecoder()
        self._send_lock = trio.StrictFIFOLock()

    async def send(self, data: bytes) -> None:
        """Sends encoded frames; see `Container`."""
        async with self._send_lock:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise EngineError("the container is gone: its input was closed") from error

    async def receive(self) -> Sequence[frames.Event]:
        """The next events; see `Container`."""
        while True:
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise EngineError("the connection to the container broke") from error
            if not data:
                raise EngineError(
                    "the container ended unexpectedly: the program brought it down, or the engine was stopped"
                )
            events: list[frames.Event] = []
            for stream, piece in self._demultiplexer.feed(data):
                if stream == STDERR:
                    text = piece.decode("utf-8", "replace").strip()
                    LOGGER.warning("session %s: %s", self._session_id, text)
                else:
                    events += self._decoder.feed(piece)
            if events:
                return events

    async def restrict(self, limits: Limits) -> None:
        """Puts a session's limits in force; see `Container`."""
        wanted = HARDENING.changeable(limits, compiles=False)
        if wanted != self._in_force:
            await self._update(wanted)
            self._in_force = wanted

    async def wait_ready(self) -> None:
        """Returns when the launcher has said that it is up.

        Raises:
            EngineError: it said something else, or nothing.
        """
        with trio.move_on_after(START_TIMEOUT) as scope:
            events = await self.receive()
            if events != [frames.Ready(frames.PROTOCOL_VERSION)]:
                raise EngineError("the image's launcher is of another version; run `trio-exec build`")
        if scope.cancelled_caught:
            raise EngineError(f"the container did not come up within {START_TIMEOUT} seconds")


class DockerExecutor:
    """Opens containers on the engine that the environment names.

    Args:
        api: the engine.
        uids: the programs' user ids.
        runtime: Docker runtime, or None for the engine's default.

    Attributes:
        adjustable: whether the limits of a running container can be changed, as far as is known.
        usable: set once a container could be opened.
        obstacle: what is in the way until then; for users.
        instance: names this server in its containers' labels.
    """

    def __init__(self, api: EngineAPI, uids: range, runtime: str | None = None) -> None:
        self._api = api
        self._uids = UserIds(uids)
        self._hardening = HARDENING
        self._images: Mapping[str, str] = {}
        self._runtime = runtime
        self.adjustable = False
        self.usable = trio.Event()
        self.obstacle = "the languages' images are not there yet; they are being built"
        self._limiter = trio.CapacityLimiter(THREADS)
        self.instance = secrets.token_hex(8)
        self._owned: set[str] = set()
        self._unclean = trio.Event()

    async def _call(self, function: Callable[[], _T], *, abandon: bool = False) -> _T:
        return await trio.to_thread.run_sync(function, abandon_on_cancel=abandon, limiter=self._limiter)

    @property
    def warm(self) -> Mapping[str, int]:
        """None: every container is opened when it is asked for."""
        return {}

    def use_images(self, images: Mapping[str, str]) -> None:
        """Says which image each language runs in; before that, no container can be opened."""
        self._images = images

    async def try_out(self, limits: Limits) -> None:
        """Opens a container, to learn what the engine and its runtime can do before anybody relies on it.

        Raises:
            EngineUnavailableError: the engine can't be reached.
            EngineError: it can't run our containers; says why.
        """
        await self._meet_machine(limits)
        async with self.open_container(self._trial(limits)) as container:
            try:
                # Any change will do; a little more is valid whatever the limit.
                await container.restrict(replace(limits, cpus=limits.cpus + 0.01))
                self.adjustable = True
            except EngineUnavailableError:
                raise
            except EngineError:
                LOGGER.warning(
                    "the engine's runtime can't change the limits of a running container: the compile stage gets the "
                    "run stage's, and sessions with lower ones start cold"
                )
        self.usable.set()

    def _trial(self, limits: Limits) -> ContainerSpec:
        return ContainerSpec(session_id="", language=next(iter(self._images)), limits=limits, lifetime=60)

    async def _meet_machine(self, limits: Limits) -> None:
        """Learns what the containers' hardening depends on."""
        machine = await self._call(self._api.machine, abandon=True)
        if not machine.charges_sockets:
            LOGGER.warning(
                "the engine's machine has cgroup v1, where memory in TCP sockets is outside of the memory limit: "
                "programs get fewer descriptors and no UDP; cgroup v2 is better"
            )
        self._hardening = replace(HARDENING, machine=machine)
        for capability in EXTRA_CAPABILITIES:
            extra = (*self._hardening.machine.extra_capabilities, capability)
            without = self._hardening
            self._hardening = replace(HARDENING, machine=replace(machine, extra_capabilities=extra))
            try:
                async with self.open_container(self._trial(limits)):
                    pass
            except EngineUnavailableError:
                raise
            except EngineError as error:
                self._hardening = without
                LOGGER.warning("launchers do without CAP_%s, which the engine does not give: %s", capability, error)

    async def check(self) -> None:
        """Returns when there is nothing in the way and the engine answers; see `Executor`."""
        if not self.usable.is_set():
            raise EngineUnavailableError(self.obstacle)
        with trio.move_on_after(CHECK_TIMEOUT):
            await self._call(self._api.ping, abandon=True)
            return
        raise EngineUnavailableError(f"the Docker engine does not answer within {CHECK_TIMEOUT} seconds")

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        """A container for as long as the context lasts; see `Executor`."""
        name = f"trio-exec-{self.instance}-{secrets.token_hex(8)}"
        compiles = spec.compiles and self.adjustable
        # Known before it exists: whatever fails from here on, there is a name to remove it by.
        self._owned.add(name)
        stream: trio.SocketStream | None = None
        started = False
        try:
            uid = self._uids.take(name)
            await self._call(lambda: self._create(name, spec, uid, compiles=compiles))
            socket = await self._call(lambda: self._api.attach(name))
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(socket))
            await self._call(lambda: self._api.start(name))
            started = True
            container = DockerContainer(
                stream,
                spec.session_id,
                HARDENING.changeable(spec.limits, compiles=compiles),
                lambda limits: self._call(lambda: self._api.update(name, limits)),
            )
            await container.wait_ready()
            yield container
        finally:
            with trio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                if stream is not None:
                    await trio.aclose_forcefully(stream)
                await self._remove(name, leaves=started)
            self._owned.discard(name)

    def _create(self, name: str, spec: ContainerSpec, uid: int, *, compiles: bool) -> None:
        self._api.create(
            name=name,
            image=self._images[spec.language],
            command=[str(spec.lifetime), str(uid)],
            labels={
                INSTANCE_LABEL: self.instance,
                SESSION_LABEL: spec.session_id,
                LANGUAGE_LABEL: spec.language,
                USER_LABEL: str(uid),
                EXPIRY_LABEL: str(int(time.time()) + spec.lifetime + EXPIRY_MARGIN),
            },
            host_config=self._hardening.host_config(spec.limits, self._runtime, uid, compiles=compiles),
            paths=self._hardening.paths(),
        )

    async def _remove(self, name: str, *, leaves: bool) -> None:
        """Returns when the container is gone.

        Args:
            name: the container's.
            leaves: whether its launcher ran and has lost its input: it then ends, and the engine removes the
                container by itself, which takes less of the machine than to kill it.
        """
        removed = False
        try:
            if leaves:
                with trio.move_on_after(LEAVE_TIMEOUT):
                    await self._call(lambda: self._api.wait_removed(name), abandon=True)
                    removed = True
            if not removed:
                await self._call(lambda: self._api.remove(name), abandon=True)
                removed = True
        except EngineError as error:
            LOGGER.warning("%s; will try again", error)
        finally:
            if removed:
                self._uids.release(name)
            else:
                self._unclean.set()

    async def run_janitor(self) -> None:
        """Removes leftovers now, then regularly, and soon after a removal failed. Never returns."""
        delay, retry = 0, RETRY_FIRST
        while True:
            with trio.move_on_after(delay):
                await self._unclean.wait()
            if self._unclean.is_set():
                self._unclean = trio.Event()
                await trio.sleep(RETRY_FIRST)
            try:
                await self._sweep()
                delay, retry = SWEEP_INTERVAL, RETRY_FIRST
            except EngineError as error:
                LOGGER.warning("%s; will try again", error)
                delay, retry = retry, min(2 * retry, RETRY_LAST)

    async def _sweep(self) -> None:
        """Removes every leftover that the engine lets go.

        Raises:
            EngineError: at least one is still there; the others are gone.
        """
        refused: EngineError | None = None
        for container in await self._call(lambda: self._api.list(INSTANCE_LABEL), abandon=True):
            if container.name in self._owned or not self._is_leftover(
                container.labels, container.created, container.status
            ):
                continue
            try:
                # An engine that was restarted may list what is gone for good (moby's pull request 51692): no news.
                if await self._call(lambda name=container.name: self._api.remove(name), abandon=True):
                    LOGGER.info("removed %s, which nobody owned", container.name)
                self._uids.release(container.name)
            except EngineUnavailableError:
                raise
            except EngineError as error:
                refused = error
        if refused is not None:
            raise refused

    def _is_leftover(self, labels: Mapping[str, str], created: float, status: str) -> bool:
        """Whether nobody can still want a container that this server does not own.

        Other servers may use the same engine. What they still want is started soon after it was created, and
        younger than its expiry; nothing need be known of them.
        """
        if labels.get(INSTANCE_LABEL) == self.instance:
            return True
        now = time.time()
        expiry = labels.get(EXPIRY_LABEL, "")
        if expiry.isdecimal() and now > int(expiry):
            return True
        return status == "created" and now > created + UNSTARTED_MAX_AGE

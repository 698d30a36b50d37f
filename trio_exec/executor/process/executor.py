"""The executor without Docker: the launcher in a plain child process, in namespaces of its own.

For tests and for development with programs that are trusted: what is run sees the machine's /usr, network and
processors, and only the workspace's size is limited; the launcher filters system calls as ever. It takes no image, no
engine and 50 ms.

    open_process_executor
    ├─ (itself)         whoever opened a container removes it
    ├─ beat             one for each container: signs of life to its launcher, and from there
    └─ outlast          one for each container that did not go in time

A container is its process. All that it sees is mounted in memory, by `namespaces.sh`, and belongs to its mount
namespace; so when the process is gone, its programs and its workspace are too, however it came to its end, and there
is nothing on disk to clean up. The launcher goes when its input ends, which it does when this process dies.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO

import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError, LauncherGoneError
from trio_exec.executor.base import Container, ContainerSpec
from trio_exec.executor.lingering import Lingering
from trio_exec.executor.machine import Machine
from trio_exec.executor.process import binary
from trio_exec.launcher import frames
from trio_exec.launcher.connection import LauncherConnection
from trio_exec.launcher.layout import PATH
from trio_exec.limits import Resources

NAMESPACES = Path(__file__).with_name("namespaces.sh")
UIDS = range(60000, 65000)
"""Users that nobody is; one for each container in turn."""
LEAVE_TIMEOUT = 2
"""Seconds that a launcher gets to go by itself, once its input has ended, before it is killed."""
KILL_TIMEOUT = 5
"""Seconds that whoever opened a container then waits for its end; more only where the kernel is stuck."""


class ProcessContainer:
    """A container, by its launcher. Its limits are what they are from the beginning.

    Args:
        launcher: the connection to its launcher.
    """

    def __init__(self, launcher: LauncherConnection) -> None:
        self._launcher = launcher
        self.warm = False
        self.gone = False

    async def send(self, data: bytes) -> None:
        """Sends encoded frames; see `Container`."""
        await self._launcher.send(data)

    async def receive(self) -> Sequence[frames.Event]:
        """The next events; see `Container`."""
        return await self._launcher.receive()

    async def apply_resources(self, resources: Resources) -> None:
        """Does nothing: no limits but those of the beginning are in force; see `Executor.can_update_limits`."""
        del resources
        await trio.lowlevel.checkpoint()

    async def expedite(self) -> None:
        """Does nothing: it has all the CPU that there is."""
        await trio.lowlevel.checkpoint()


class ProcessExecutor:
    """Opens containers that are plain processes; `open_process_executor` makes it.

    Args:
        program: the launcher, or what keeps it from being run.
        tasks: owns the heartbeats, and the waiting for containers that did not go in time.
    """

    def __init__(self, program: Path | str, tasks: trio.Nursery) -> None:
        self._program = program
        self._tasks = tasks
        # No memory limit is in force that anything could escape from.
        self._machine = Machine(charges_sockets=True, charges_ipc=True, processors=os.cpu_count() or 1)
        self._uids = itertools.cycle(UIDS)
        self._lingering = Lingering()

    async def wait_ready(self) -> None:
        """Returns at once, or never where this machine lacks something; see `Executor`."""
        if self.not_ready_reason is not None:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    @property
    def warm_at_once(self) -> int:
        """As many as suit this machine; see `Executor`."""
        return self._machine.warm_at_once

    @property
    def warm(self) -> Mapping[str, int]:
        """None: every container is opened when it is asked for."""
        return {}

    @property
    def can_update_limits(self) -> bool:
        """No: nothing is limited but the workspace, and that from the start."""
        return False

    @property
    def missing(self) -> Mapping[str, str]:
        """None: whether this machine has what a language needs, its sessions show; see `Executor`."""
        return {}

    @property
    def versions(self) -> Mapping[str, str]:
        """Unknown: programs are the machine's own."""
        return {}

    @property
    def not_ready_reason(self) -> str | None:
        """What this machine lacks; see `Executor`."""
        return self._program if isinstance(self._program, str) else None

    async def check(self) -> None:
        """Returns at once: what a machine lacks it lacks; see `Executor`."""
        await trio.lowlevel.checkpoint()

    @property
    def lingering(self) -> int:
        """How many containers are there that should not be; see `Executor`."""
        return len(self._lingering)

    async def wait_lingering(self, known: int) -> None:
        """Returns when `lingering` is another number; see `Executor`."""
        await self._lingering.wait_other(known)

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        """A container for as long as the context lasts; see `Executor`."""
        if isinstance(self._program, str):
            raise ExecutorUnavailableError(self._program)
        command = [
            *(*binary.ISOLATED, "/bin/sh", str(NAMESPACES)),
            *(str(self._program), str(spec.limits.workspace_bytes), str(spec.lifetime), str(next(self._uids))),
            *self._machine.charged,
        ]
        with tempfile.TemporaryFile() as complaints:
            try:
                process = await trio.lowlevel.open_process(
                    command, stdin=PIPE, stdout=PIPE, stderr=complaints, env={"PATH": PATH}
                )
            except OSError as error:
                raise ExecutorError(f"a container could not be started: {error}") from error
            assert process.stdio is not None  # noqa: S101 - both of its streams are pipes
            launcher = LauncherConnection(process.stdio)
            try:
                await self._wait_ready(launcher, complaints)
                self._tasks.start_soon(launcher.beat)  # Until it is closed.
                yield ProcessContainer(launcher)
            finally:
                with trio.move_on_after(LEAVE_TIMEOUT, shield=True):
                    await launcher.aclose()
                    await process.wait()
                if process.returncode is None:
                    _kill(process)
                    with trio.move_on_after(KILL_TIMEOUT, shield=True):
                        await process.wait()
                if process.returncode is None:
                    self._linger(process)

    async def _wait_ready(self, launcher: LauncherConnection, complaints: IO[bytes]) -> None:
        try:
            await launcher.greet()
            await launcher.wait_ready()
        except LauncherGoneError as error:
            complaints.seek(0)
            raise ExecutorError(
                f"a container could not be started: {complaints.read().decode(errors='replace').strip()}"
            ) from error

    def _linger(self, process: trio.Process) -> None:
        self._lingering.add(process)
        self._tasks.start_soon(self._outlast, process)

    async def _outlast(self, process: trio.Process) -> None:
        await process.wait()
        self._lingering.discard(process)


def _kill(process: trio.Process) -> None:
    """Kills PID 1 of the namespace, and with it everything there; `unshare` waits for that, and ends when it is done.

    To kill `unshare` would not do: the launcher outlives it, since the kernel forgets about `--kill-child` when a
    process changes its user. And nobody would know when everything is gone.
    """
    with suppress(OSError):  # It has gone just now.
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGKILL)


@asynccontextmanager
async def open_process_executor(cache: Path | None = None) -> AsyncGenerator[ProcessExecutor]:
    """An executor for as long as the context lasts, which its containers must not outlast.

    Where it can't run anything, it says why as its `not_ready_reason`, and opening containers raises.

    Args:
        cache: directory that keeps the compiled launcher; a user's own by default.

    Raises:
        ConfigurationError: the launcher can't be compiled.

    Cancellation: at any moment. Containers that did not go in time are left to the kernel, which has them killed.
    """
    missing = await trio.to_thread.run_sync(binary.missing)
    program = missing or await trio.to_thread.run_sync(binary.launcher, cache or binary.default_cache())
    async with trio.open_nursery() as tasks:
        yield ProcessExecutor(program, tasks)
        tasks.cancel_scope.cancel(reason="what is left is killed already")

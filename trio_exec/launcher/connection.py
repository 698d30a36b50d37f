"""A launcher at the other end of a byte stream, whatever carries it.

Each end gives the other up when nothing has come from it for a while: a connection that is cut, an engine's machine
that is gone and a server that was stopped all leave streams that never end. Any byte is a sign of life, and the server
has the launcher give one now and then (`frames`, Ping). Whether it does can only be known of a stream that is read:
where nobody reads, the heartbeat does, a little ahead; where what was read ahead waits for somebody to take it, a
launcher that cannot go on is not given up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio

from trio_exec.errors import ExecutorError, LauncherGoneError, LauncherSilentError
from trio_exec.launcher import frames

READ_SIZE = 65536
AHEAD_MAX = READ_SIZE
"""Bytes that are read before somebody asks for them, at which no more are."""
START_TIMEOUT = 30
"""Seconds from a container's start to its launcher's first frame."""
SILENCE = 30
"""Seconds without a byte after which a launcher gives the server up; the server gives it a look more."""
BEATS = 3
"""How often in that time the server says something, which is answered."""
LOOKS = 2 * BEATS
"""How often in that time the server looks whether something came."""


class LauncherConnection:
    """Frames over a stream.

    `greet` comes first; what `beat` does is to be done for as long as the connection is to last.

    Args:
        stream: whose other end is the launcher; closed with this.
        silence: seconds, as `SILENCE`, which it is by default.
    """

    def __init__(self, stream: trio.abc.Stream, silence: int | None = None) -> None:
        self._stream = stream
        self._silence = SILENCE if silence is None else silence
        self._decoder = frames.FrameDecoder()
        self._send_lock = trio.StrictFIFOLock()
        self._torn = False
        self._life = trio.CancelScope()
        self._readers = 0
        self._ahead = bytearray()
        self._look: trio.CancelScope | None = None
        self._looked = trio.Event()
        self._ready = False
        self._missed = 0
        self._silent = False
        self._awake_at = math.inf  # As long as nothing beats.
        self._was_away = False

    async def greet(self) -> None:
        """Says Hello, which can be done as soon as there is a stream: nothing is waited for.

        Raises:
            LauncherGoneError: the stream is closed.
        """
        await self.send(frames.encode_hello(self._silence))

    async def send(self, data: bytes) -> None:
        """Sends encoded frames, one sender after the other.

        Raises:
            LauncherGoneError: the stream is closed.

        Cancellation: may leave a frame in part, after which only `aclose` is of use.
        """
        async with self._send_lock:
            await self._send(data)

    async def _send(self, data: bytes) -> None:
        self._torn = True
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone("the container is gone: its input was closed") from error
        self._torn = False

    async def receive(self) -> Sequence[frames.Event]:
        """The next events, at least one.

        Raises:
            LauncherSilentError: nothing came from the launcher for too long.
            LauncherGoneError: the stream has ended.
            ProtocolError: what came is not the launcher's.

        Cancellation: loses nothing.
        """
        self._readers += 1
        try:
            while self._look is not None:
                self._look.cancel(reason="somebody reads")
                await self._looked.wait()
            while True:
                data = bytes(self._ahead) or await self._read()
                self._ahead.clear()
                if events := [event for event in self._decoder.feed(data) if not isinstance(event, frames.Pong)]:
                    return events
        finally:
            self._readers -= 1

    async def _read(self) -> bytes:
        try:
            data = await self._stream.receive_some(READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._gone("the connection to the container broke") from error
        if not data:
            raise self._gone(
                "the container ended unexpectedly: the program brought it down, the engine was stopped, "
                f"or nothing from this server reached it for {self._silence} seconds"
            )
        self._missed = 0
        return bytes(data)

    def _gone(self, otherwise: str) -> LauncherGoneError:
        """What is to be raised, with the reason if it is known."""
        if self._silent:
            return LauncherSilentError(
                f"nothing came from the container for {self._silence} seconds: "
                "it was paused, its machine hangs, or the connection to it was cut"
            )
        self._was_away |= self._is_late()
        if self._was_away:
            return LauncherGoneError(
                f"the container ended, since nothing came from this server for {self._silence} seconds: "
                "it was stopped, or had no processor"
            )
        return LauncherGoneError(otherwise)

    def _is_late(self) -> bool:
        """Whether this process did not run for so long that launchers gave it up."""
        return trio.current_time() - self._awake_at > self._silence

    async def wait_ready(self) -> None:
        """Returns when the launcher has said that it is up.

        Raises:
            ExecutorError: it is of another version, or says nothing within `START_TIMEOUT` seconds.
        """
        with trio.move_on_after(START_TIMEOUT) as scope:
            match await self.receive():
                case [frames.Ready(frames.PROTOCOL_VERSION)]:
                    self._ready = True
                case [frames.Ready(version), *_] if version != frames.PROTOCOL_VERSION:
                    raise ExecutorError(
                        f"the image's launcher speaks version {version} of the protocol, and this server version "
                        f"{frames.PROTOCOL_VERSION}; run `trio-exec build`"
                    )
                case _:
                    raise ExecutorError("the image's launcher is of another version; run `trio-exec build`")
        if scope.cancelled_caught:
            raise ExecutorError(f"the container did not come up within {START_TIMEOUT} seconds")

    async def beat(self) -> None:
        """Gives the launcher signs of life, and closes the stream when it gives none; see `SILENCE`.

        Until the stream is closed or ends. Whoever uses the connection then gets a LauncherGoneError, at once.
        """
        with self._life:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping)
                self._silent = await self._watch()
                if self._silent:
                    await trio.aclose_forcefully(self._stream)
                self._awake_at = math.inf
                nursery.cancel_scope.cancel(reason="the launcher is gone")

    async def _ping(self) -> None:
        interval = self._silence / BEATS
        while True:
            await trio.sleep(interval)
            try:
                async with self._send_lock:
                    if self._torn:
                        return  # Whoever was cancelled there closes this soon.
                    await self._send(frames.encode_ping())
            except LauncherGoneError:
                return

    async def _watch(self) -> bool:
        """Returns whether the launcher is silent for too long; not so when the stream has ended.

        It counts looks, and not seconds: after a time in which this process did not run, what came meanwhile is seen
        before another look.
        """
        while self._missed <= LOOKS:
            self._awake_at = trio.current_time()
            next_look = self._awake_at + self._silence / LOOKS
            heeded = self._readers > 0
            if not heeded and len(self._ahead) < AHEAD_MAX:
                heeded = True
                try:
                    await self._read_ahead(next_look)
                except LauncherGoneError:
                    return False
            await trio.sleep_until(next_look)
            self._was_away |= self._is_late()
            self._missed += heeded and self._ready
        return True

    async def _read_ahead(self, until: float) -> None:
        """Reads until then, or somebody else does, or there is enough."""
        self._looked = trio.Event()
        try:
            with trio.move_on_at(until) as self._look:
                while len(self._ahead) < AHEAD_MAX:
                    self._ahead += await self._read()
        finally:
            self._look = None
            self._looked.set()

    async def aclose(self) -> None:
        """Ends the launcher's input, at which it exits; never waits."""
        self._life.cancel(reason="the connection is closed")
        await trio.aclose_forcefully(self._stream)

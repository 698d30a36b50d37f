"""A launcher at the other end of a byte stream, whatever carries it."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from trio_exec.errors import ExecutorError, LauncherGoneError
from trio_exec.launcher import frames

READ_SIZE = 65536
START_TIMEOUT = 30
"""Seconds from a container's start to its launcher's first frame."""


class LauncherConnection:
    """Frames over a stream.

    Args:
        stream: whose other end is the launcher; closed with this.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._decoder = frames.FrameDecoder()
        self._send_lock = trio.StrictFIFOLock()

    async def send(self, data: bytes) -> None:
        """Sends encoded frames, one sender after the other.

        Raises:
            LauncherGoneError: the stream is closed.

        Cancellation: may leave a frame in part, after which only `aclose` is of use.
        """
        async with self._send_lock:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise LauncherGoneError("the container is gone: its input was closed") from error

    async def receive(self) -> Sequence[frames.Event]:
        """The next events, at least one.

        Raises:
            LauncherGoneError: the stream has ended.
            ProtocolError: what came is not the launcher's.

        Cancellation: loses nothing.
        """
        while True:
            try:
                data = await self._stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise LauncherGoneError("the connection to the container broke") from error
            if not data:
                raise LauncherGoneError(
                    "the container ended unexpectedly: the program brought it down, or the engine was stopped"
                )
            if events := list(self._decoder.feed(bytes(data))):
                return events

    async def wait_ready(self) -> None:
        """Returns when the launcher has said that it is up.

        Raises:
            ExecutorError: it said something else, or nothing within `START_TIMEOUT` seconds.
        """
        with trio.move_on_after(START_TIMEOUT) as scope:
            events = await self.receive()
            if events != [frames.Ready(frames.PROTOCOL_VERSION)]:
                raise ExecutorError("the image's launcher is of another version; run `trio-exec build`")
        if scope.cancelled_caught:
            raise ExecutorError(f"the container did not come up within {START_TIMEOUT} seconds")

    async def aclose(self) -> None:
        """Ends the launcher's input, at which it exits; never waits."""
        await trio.aclose_forcefully(self._stream)

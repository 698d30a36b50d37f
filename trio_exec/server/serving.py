"""Hypercorn's Trio worker, with the faults that we know contained.

Seen in hypercorn 0.18, each pinned by a test:

- A client that stops reading pins a send that nothing can cancel, and with it the shutdown. Here every write has
  a deadline, after which the connection is dropped.
- An exception in the handling of one connection leaves `serve()` and takes the whole server down; a client that
  sends a WebSocket frame in the same packet as its upgrade request causes one. Here it ends that connection only.
- The task that sends pings sleeps on after its connection has ended, and so keeps it, and the shutdown, for up to an
  interval. Here what is left of a connection is cancelled shortly after its end.
- Pings are off, messages may have 16 MiB, and the server tells its version: all set here.
"""

from __future__ import annotations

import logging
import socket

import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.tcp_server import TCPServer

from trio_exec.errors import ConfigurationError
from trio_exec.settings import Settings

LOGGER = logging.getLogger("trio_exec.serving")

WRITE_TIMEOUT = 10
"""Seconds that a client may take to make room for one write. It can come back and go on where it was."""
PING_INTERVAL = 20
"""Seconds; below the idle timeouts of common proxies, which are 60 (nginx, AWS) and more."""
GRACEFUL_TIMEOUT = 3
"""Seconds that open connections get once the server stops; sessions are over by then."""
AFTERMATH = 1
"""Seconds that tasks get after their connection has ended; quart-trio has cancelled the handlers by then."""
MESSAGE_OVERHEAD = 1024


class ContainedTCPServer(TCPServer):
    """One connection, which can neither hang nor harm the others."""

    async def run(self) -> None:
        """Serves the connection; whatever goes wrong ends only it."""
        try:
            await super().run()
        except* Exception as group:
            # One line: whoever can cause this could fill the log with stack traces.
            LOGGER.warning("a connection was dropped, since it could not be handled: %r", group)
            LOGGER.debug("how it came to that", exc_info=True)

    async def _read_data(self) -> None:
        await super()._read_data()
        nursery = self._task_group._nursery  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - there is no other way to it
        if nursery is not None:
            nursery.cancel_scope.deadline = trio.current_time() + AFTERMATH

    async def protocol_send(self, event: Event) -> None:
        """Sends for the protocol, within a deadline."""
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                # Shielded as in the original, so that a cancelled handler leaves no torn message behind.
                with trio.move_on_after(WRITE_TIMEOUT, shield=True) as scope:
                    await self.stream.send_all(event.data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                # Gone; or going: hypercorn closes without the lock, in the very moment that we would send.
                await self.protocol.handle(Closed())
                return
        if scope.cancelled_caught:
            LOGGER.info("a connection was dropped: the client does not read")
            await trio.aclose_forcefully(self.stream)
            await self.protocol.handle(Closed())


def install() -> None:
    """Makes hypercorn use our connections; it looks the class up when it begins to serve."""
    hypercorn.trio.run.TCPServer = ContainedTCPServer  # pyright: ignore[reportPrivateImportUsage] - the module global that is meant


def make_config(settings: Settings) -> Config:
    """Hypercorn's configuration, everything that matters set explicitly.

    Raises:
        ConfigurationError: the address can't be listened on.
    """
    config = Config()
    config.bind = [f"fd://{_listen(settings.host, settings.port).detach()}"]
    config.websocket_ping_interval = PING_INTERVAL
    config.websocket_max_message_size = settings.max_request_bytes + MESSAGE_OVERHEAD
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn")
    return config


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, made here so that a taken port gives a sentence and not a stack trace."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ConfigurationError(f"host, port: can't listen on {host} port {port}: {error}") from error
    return listener

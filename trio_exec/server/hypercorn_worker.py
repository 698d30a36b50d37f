"""Makes hypercorn serve as we need it: with connections of our own, and everything set that matters.

What hypercorn does by itself where it matters: pings are off, messages may have 16 MiB, the server tells its version,
HTTP/2 is on. What else is wrong with it is told where it is contained: `tcp`, `http`, `websockets`.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager

import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
import hypercorn.trio.run

from trio_exec.api.arrivals import Arrivals
from trio_exec.errors import ConfigurationError
from trio_exec.server.connections import Connections, connections_that_fit, raise_descriptor_limit
from trio_exec.server.http import HTTPExchange
from trio_exec.server.tcp import ClientConnection, ServerConfig
from trio_exec.server.websockets import PlainHandshake, WebSocketExchange
from trio_exec.settings import ServerSettings

PING_INTERVAL = 20
"""Seconds; below the idle timeouts of common proxies, which are 60 (nginx, AWS) and more."""
GRACEFUL_TIMEOUT = 3
"""Seconds that open connections get once the server stops; sessions are over by then."""
MESSAGE_OVERHEAD = 1024
BACKLOG = 1024
"""Connections that the kernel keeps while we are busy; what is beyond has to try again, after a second at the least."""
ACCEPTORS = 8
"""Tasks that accept. Each takes one connection in its turn, and when all others are busy, turns are long."""
RECEIVE_BUFFER = 128 * 1024
"""Bytes that the kernel keeps of what a client has sent and we have not read. Left alone it would let that grow to
megabytes for each, which count as the server's memory."""
METRICS_CONNECTIONS = 32
"""On the listener that has nothing but metrics."""
VANISHED = 60
"""Seconds that what we have sent may be without an answer from the client's machine; then it has vanished. After as
long a silence it is asked whether it is there."""


_REPLACED = (
    (hypercorn.trio.run, "TCPServer", ClientConnection),
    (hypercorn.protocol.h11, "HTTPStream", HTTPExchange),
    (hypercorn.protocol.h11, "WSStream", WebSocketExchange),
    (hypercorn.protocol.ws_stream, "Handshake", PlainHandshake),
)
"""Classes that hypercorn looks up in its modules when it begins to serve, or to handle a request, and ours."""


@contextmanager
def installed() -> Generator[None]:
    """Makes hypercorn use our classes while the context lasts: who embeds us may serve something else afterwards."""
    before = [getattr(module, name) for module, name, _ in _REPLACED]
    for module, name, ours in _REPLACED:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for (module, name, _), its in zip(_REPLACED, before, strict=True):
            setattr(module, name, its)


def make_config(settings: ServerSettings, arrivals: Arrivals, containers: int) -> ServerConfig:
    """Hypercorn's configuration, everything that matters set explicitly.

    Args:
        settings: the server's own ones.
        arrivals: counts what has arrived from clients; the application needs the same.
        containers: how many there may be, each of which takes descriptors.

    Raises:
        ConfigurationError: the address can't be listened on.
    """
    listener = _listen(settings.host, settings.port, "host, port")
    connections = Connections(
        connections_that_fit(settings.max_connections, containers, raise_descriptor_limit()),
        settings.max_connections_per_address,
        settings.trusted_proxies,
    )
    return _configure(listener, ACCEPTORS, settings, arrivals, connections)


def make_metrics_config(host: str, port: int, settings: ServerSettings, arrivals: Arrivals) -> ServerConfig:
    """The same for the listener that has nothing but metrics: a few connections, of whoever collects them.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        settings: the server's own ones.
        arrivals: counts what has arrived from clients.

    Raises:
        ConfigurationError: the address can't be listened on.
    """
    listener = _listen(host, port, "metrics_host, metrics_port")
    return _configure(listener, 1, settings, arrivals, Connections(METRICS_CONNECTIONS, METRICS_CONNECTIONS))


def _configure(
    listener: socket.socket, acceptors: int, settings: ServerSettings, arrivals: Arrivals, connections: Connections
) -> ServerConfig:
    config = ServerConfig()
    config.bind = [f"fd://{listener.dup().detach()}" for _ in range(acceptors)]
    listener.close()
    config.backlog = BACKLOG
    config.keep_alive_timeout = settings.keep_alive_timeout
    config.websocket_ping_interval = PING_INTERVAL
    config.websocket_max_message_size = settings.max_request_bytes + MESSAGE_OVERHEAD
    config.graceful_timeout = GRACEFUL_TIMEOUT
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn")
    config.arrivals = arrivals
    config.connections = connections
    return config


def _listen(host: str, port: int, names: str) -> socket.socket:
    """A listening socket, made here so that a taken port gives a sentence and not a stack trace."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by the connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * VANISHED)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, VANISHED)
        listener.bind(address)
    except OSError as error:
        raise ConfigurationError(f"{names}: can't listen on {host} port {port}: {error}") from error
    return listener

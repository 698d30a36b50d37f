"""A TCP proxy between browser and server, for networks that fail and for pages below a path."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

_CHUNK = 65536


class Proxy:
    """Forwards connections to a port of this machine, until it is told to cut or to refuse them.

    Attributes:
        target: the port that new connections go to.
        refuse: whether new connections are closed at once.
    """

    def __init__(self, target: int, prefix: str = "") -> None:
        self.target = target
        self.refuse = False
        self._prefix = prefix
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = ExitStack()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{prefix}/"

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A blocked accept() is only woken by this, not by closing the socket.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads[1:]:
            thread.join()
        self._connections.close()

    def cut(self) -> None:
        """Breaks every connection, without a word to either side."""
        with self._lock:
            sockets, self._open = self._open, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connections.enter_context(client)
            server = None if self.refuse else self._connect()
            if server is None:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            self._start(self._forward, client, server, self._prefix)
            self._start(self._forward, server, client, "")

    def _connect(self) -> socket.socket | None:
        try:
            return self._connections.enter_context(socket.create_connection(("127.0.0.1", self.target)))
        except OSError:
            return None

    def _forward(self, source: socket.socket, sink: socket.socket, prefix: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                # Crude, and enough for a browser: each of its requests begins a chunk.
                stripped = chunk.replace(f" {prefix}/".encode(), b" /", 1) if prefix else chunk
                sink.sendall(stripped)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

"""A TCP proxy between browser and server, for networks that fail and for pages below a path."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

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
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{prefix}/"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A blocked accept() is only woken by this, not by closing the socket.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Breaks every connection, without a word to either side."""
        with self._lock:
            sockets, self._open = self._open, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server, self._prefix), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, ""), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, prefix: str) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                # Crude, and enough for a browser: each of its requests begins a chunk.
                stripped = chunk.replace(f" {prefix}/".encode(), b" /", 1) if prefix else chunk
                sink.sendall(stripped)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

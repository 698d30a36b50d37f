"""What answers at an engine's address where no real engine can be made to answer so: HTTP on loopback, by a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION = {"Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24", "Components": [{"Name": "Engine"}]}
"""What a common engine says of itself."""


@contextmanager
def played_engine(answers: Mapping[str, Any]) -> Generator[str]:
    """Answers requests; gives the address, as for DOCKER_HOST.

    Args:
        answers: bodies by path, without the version of the API; the path "*" is for all others, which get 404
            without it. A body is bytes, or sent as JSON; or it is one of these behind a status.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/v1."):
                path = path[path.index("/", 1) :]
            answer = answers.get(path, answers.get("*", (404, {"message": "page not found"})))
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing: what is asked, the test knows."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

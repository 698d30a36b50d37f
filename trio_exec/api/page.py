"""Serves the built page: static files, compressed, cached by their hashed names, under a strict security policy."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from quart import (
    Response,
    has_request_context,
    request,
    send_from_directory,  # pyright: ignore[reportUnknownVariableType] - its PathLike has no parameter
)
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.security import safe_join

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""No inline script, no foreign origin: what a program prints can't become part of the page."""

_HASHED = "assets/"
"""The build puts the content's hash into the names below this, so they never change."""
_COMPRESSED = {"br": ".br", "gzip": ".gz"}
"""What the build adds to names for a form of the file in that encoding; the smallest is the first."""
_METHODS = ["GET", "HEAD"]
_UNKNOWN = "application/octet-stream"
_FOREVER = "public, max-age=31536000, immutable"
_CHECKED = "no-cache"
_NOT_BUILT = "the page has not been built; script/bootstrap builds it. The API is there, see docs/api.md"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # A name that is too long for the file system.


def _choose_form(path: Path) -> tuple[str, str | None]:
    """What to add to a file's name for the form that the client likes best, and the encoding that this is."""
    accepted = request.accept_encodings
    there = {encoding: ending for encoding, ending in _COMPRESSED.items() if _is_file(Path(f"{path}{ending}"))}
    encoding = max(there, key=accepted.quality, default=None)  # Of equals, the first.
    return ("", None) if encoding is None or accepted.quality(encoding) <= 0 else (there[encoding], encoding)


def add_page(app: QuartTrio, static: Path, not_there: Callable[[HTTPException], Awaitable[Response]]) -> None:
    """Adds the page, and its files wherever no route is for a path.

    As a route of their own the files would shadow what others say of methods: a path that is there for POST alone is
    no file that is missing.

    Args:
        app: to what.
        static: directory with the built files; `index.html` is the page.
        not_there: makes the answer where there is no file, or not for that method.
    """

    async def index() -> Response:
        if not _is_file(static / "index.html"):
            return Response(f"{_NOT_BUILT}\n", 404, content_type="text/plain; charset=utf-8")
        return await file("index.html")

    async def file(name: str) -> Response:
        ending, encoding = _choose_form(static / name)
        mimetype, _ = mimetypes.guess_type(name)
        response = await send_from_directory(static, f"{name}{ending}", mimetype=mimetype or _UNKNOWN)
        response.vary.add("Accept-Encoding")
        if encoding is not None:
            response.content_encoding = encoding
        response.headers.pop("Expires", None)  # Quart's own idea of it, which contradicts what follows.
        response.headers["Cache-Control"] = _FOREVER if name.startswith(_HASHED) else _CHECKED
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    async def file_or_error(error: NotFound) -> Response:
        if not has_request_context():  # It is a WebSocket.
            return await not_there(error)
        name = request.path.removeprefix("/")
        path = safe_join(str(static), name)
        if not name or path is None or not _is_file(Path(path)):
            return await not_there(error)
        if request.method not in _METHODS:
            return await not_there(MethodNotAllowed(_METHODS))
        try:
            return await file(name)
        except HTTPException as unserved:  # A range that there is not; a handler's own error would be our fault.
            return await not_there(unserved)

    async def reference() -> Response:
        return await file("docs.html")

    app.add_url_rule("/", "page", index, methods=["GET"])
    app.add_url_rule("/docs", "reference", reference, methods=["GET"])
    app.register_error_handler(NotFound, file_or_error)

"""Serves the built page: static files, compressed, cached by their hashed names, under a strict security policy."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable, Sequence
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

_POLICY = "; ".join(
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
        "frame-ancestors ",
    ]
)
"""No inline script, no foreign origin: what a program prints can't become part of the page."""
CONTENT_SECURITY_POLICY = f"{_POLICY}'none'"
"""Nobody's page may show it in a frame, and have its visitors click there on what they don't see."""

_HASHED = "assets/"
"""The build puts the content's hash into the names below this, so they never change."""
_COMPRESSED = {"br": ".br", "gzip": ".gz"}
"""What the build adds to names for a form of the file in that encoding; the smallest is the first."""
_METHODS = ["GET", "HEAD"]
_UNKNOWN = "application/octet-stream"
_FOREVER = "public, max-age=31536000, immutable"
_CHECKED = "no-cache"
_NO_EMBEDDING = (
    "this server lets no page show /embed in a frame; its operator names those that may in embed_origins "
    "(TRIO_EXEC_EMBED_ORIGINS=https://docs.example.org)"
)
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


def _sentence(text: str) -> Response:
    """For people, in the place of a page that is not there."""
    return Response(f"{text}\n", 404, content_type="text/plain; charset=utf-8")


def add_page(
    app: QuartTrio,
    static: Path,
    not_there: Callable[[HTTPException], Awaitable[Response]],
    embed_origins: Sequence[str] = (),
) -> None:
    """Adds the page, and its files wherever no route is for a path.

    As a route of their own the files would shadow what others say of methods: a path that is there for POST alone is
    no file that is missing.

    Args:
        app: to what.
        static: directory with the built files; `index.html` is the page.
        not_there: makes the answer where there is no file, or not for that method.
        embed_origins: whose pages may show `embed.html` in a frame, `*` for anybody's.
    """

    async def index() -> Response:
        return await file("index.html") if _is_file(static / "index.html") else _sentence(_NOT_BUILT)

    async def embedded() -> Response:
        if not embed_origins:
            return _sentence(_NO_EMBEDDING)
        if not _is_file(static / "embed.html"):
            return _sentence(_NOT_BUILT)
        response = await file("embed.html")
        response.headers["Content-Security-Policy"] = f"{_POLICY}{' '.join(embed_origins)}"
        return response

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
    app.add_url_rule("/embed", "embed", embedded, methods=["GET"])
    app.add_url_rule("/docs", "reference", reference, methods=["GET"])
    app.register_error_handler(NotFound, file_or_error)

"""Serves the built page: static files, cached by their hashed names, under a strict content security policy."""

from __future__ import annotations

from pathlib import Path

from quart import Response, send_from_directory  # pyright: ignore[reportUnknownVariableType] - its PathLike has no parameter
from quart_trio import QuartTrio
from werkzeug.exceptions import NotFound

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
_FOREVER = "public, max-age=31536000, immutable"
_CHECKED = "no-cache"
_NOT_BUILT = "the page has not been built; script/bootstrap builds it. The API is there, see docs/api.md"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # A name that is too long for the file system.


def add_page(app: QuartTrio, static: Path) -> None:
    """Adds the routes of the page.

    Args:
        app: to what.
        static: directory with the built files; `index.html` is the page.
    """

    async def index() -> Response:
        if not _is_file(static / "index.html"):
            return Response(f"{_NOT_BUILT}\n", 404, content_type="text/plain; charset=utf-8")
        return await file("index.html")

    async def file(name: str) -> Response:
        if not _is_file(static / name):
            raise NotFound
        response = await send_from_directory(static, name)
        response.headers.pop("Expires", None)  # Quart's own idea of it, which contradicts what follows.
        response.headers["Cache-Control"] = _FOREVER if name.startswith(_HASHED) else _CHECKED
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    app.add_url_rule("/", "page", index, methods=["GET"])
    app.add_url_rule("/<path:name>", "page_file", file, methods=["GET"])

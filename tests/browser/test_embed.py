"""Pages of other origins show `/embed` in a frame where the operator has named them, and nothing else of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page

from tests.support import ServerProcess


class _Handler(BaseHTTPRequestHandler):
    """A page with a frame, of what its address says."""

    def do_GET(self) -> None:
        shown = parse_qs(urlsplit(self.path).query).get("shows", [""])[0]
        body = f'<!doctype html><title>Elsewhere</title><iframe name="ours" src="{shown}"></iframe>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


@pytest.fixture
def elsewhere() -> Generator[int]:
    """The port of somebody else's site, which has two origins: by its name, and by its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site.server_port
        site.shutdown()
        thread.join()


def framed(page: Page, origin: str, shown: str) -> str:
    """The address of what a frame at another origin came to show."""
    page.goto(f"{origin}/?shows={shown}", wait_until="load")
    frame = page.frame("ours")
    assert frame is not None
    return frame.url


def test_only_the_embedded_page_is_shown_and_only_by_those_who_are_named(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess], elsewhere: int
) -> None:
    named, other = f"http://localhost:{elsewhere}", f"http://127.0.0.1:{elsewhere}"
    server = start_server(embed_origins=f"https://docs.example.org,{named}", languages="python")
    page = new_page()

    assert framed(page, named, f"{server.url}/embed") == f"{server.url}/embed"
    for origin, path in [(other, "/embed"), (named, "/"), (named, "/docs"), (named, "/embed.html")]:
        assert framed(page, origin, f"{server.url}{path}").startswith("chrome-error:"), (origin, path)


def test_anybody_shows_it_where_that_is_meant(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess], elsewhere: int
) -> None:
    server = start_server(embed_origins="*", languages="python")

    shown = framed(new_page(), f"http://127.0.0.1:{elsewhere}", f"{server.url}/embed")
    assert shown == f"{server.url}/embed"

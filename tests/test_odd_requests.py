"""Whatever is asked, in paths, queries and headers: the answer is the client's fault said in a sentence, never ours."""

from __future__ import annotations

import json

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ServerProcess
from tests.test_connections import Raw, get, post

PATIENCE = 30

PATHS = [
    "/" + "a" * 300,
    "/" + "a" * 15000,
    "/" + "a/" * 2000,
    "/session/" + "a" * 300,
    "/session/%00",
    "/%00",
    "/%ff%fe",
    "/%ed%a0%80",
    "/%f0%9f%92%a9",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/../../../etc/passwd",
    "/assets/../../cli.py",
    "/assets//",
    "/assets",
    "//",
    "//evil.example/",
    "///",
    "/.",
    "/..",
    "/%2e%2e/%2e%2e",
    "/%",
    "/%zz",
    "/%%%",
    "/?",
    "/?%ff=%ff",
    "/?a=%00&a=%ed%a0%80",
    "/session/x?after=%ff",
    "/#",
    "/;a=b",
    "/\\..\\",
    "/{}[]|^`",
    "/static/..",
    "/index.html/",
    "/index.html/x",
    "/favicon.svg%00.html",
    "*",
    "http://localhost/healthz",
    "http://[/healthz",
    "ws://localhost/ws/session/x",
    "/ws/session/x",
    "/ws/session/%00",
    "x",
    "localhost:80",
    "?a",
]
HEADERS = [
    ("Origin", "http://["),
    ("Origin", "http://]"),
    ("Origin", "http://a[b"),
    ("Origin", "http://localhost:x"),
    ("Origin", "http://\uff0f"),
    ("Origin", "\xff\xfe"),
    ("Origin", ""),
    ("Origin", "null"),
    ("Origin", "://"),
    ("Origin", "h" * 10000),
    ("Host", "["),
    ("Host", "[::1"),
    ("Host", "::1]"),
    ("Host", "localhost:x"),
    ("Host", "localhost:99999999999999999999"),
    ("Host", "\xff"),
    ("Host", "a" * 10000),
    ("Host", "%00"),
    ("Host", "[v1.x]"),
    ("Host", "localhost, localhost"),
    ("X-Forwarded-Host", "["),
    ("X-Forwarded-Host", "\xff"),
    ("X-Forwarded-Host", ","),
    ("X-Forwarded-Proto", "\xff"),
    ("X-Forwarded-For", "\xff"),
    ("X-Forwarded-For", "[::1"),
    ("X-Forwarded-For", ","),
    ("X-Forwarded-For", "1.1.1.1:80, fe80::1%eth0, 999.9.9.9"),
    ("Content-Type", "\xff"),
    ("Content-Type", ";"),
    ("Content-Type", "application/json; charset=\xff"),
    ("Content-Type", "application/json; charset=utf-99; a*=utf-8''%ff"),
    ("Content-Type", "multipart/form-data"),
    ("Content-Type", "multipart/form-data; boundary=\xff"),
    ("Content-Length", "-1"),
    ("Content-Length", "1e3"),
    ("Content-Length", "0x10"),
    ("Content-Length", "9" * 30),
    ("Content-Length", "9" * 5000),
    ("Content-Length", ""),
    ("Content-Length", "1, 2"),
    ("Transfer-Encoding", "gzip"),
    ("Transfer-Encoding", "chunked, chunked"),
    ("Transfer-Encoding", "\xff"),
    ("Expect", "\xff"),
    ("Expect", "200-ok"),
    ("Cookie", "\xff=\xff; a; =; ;;"),
    ("Accept", "\xff"),
    ("Authorization", "Basic \xff"),
    ("Authorization", "Digest a=\xff"),
    ("Range", "bytes=\xff"),
    ("Range", "bytes=-1,-2,99999999999999999999-"),
    ("Range", "bytes=" + "0-1," * 2000),
    ("If-Modified-Since", "\xff"),
    ("If-Modified-Since", "Mon, 99 Feb 99999 99:99:99 GMT"),
    ("If-None-Match", '"\xff'),
    ("If-Range", "\xff"),
    ("Access-Control-Request-Method", "\xff"),
    ("Connection", "\xff"),
    ("Connection", "upgrade"),
    ("Upgrade", "\xff"),
    ("Remote-Addr", "\xff"),
    ("X" * 200, "y" * 200),
]
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
UPGRADES = [
    ("Sec-WebSocket-Key", "\xff"),
    ("Sec-WebSocket-Key", ""),
    ("Sec-WebSocket-Key", "x" * 5000),
    ("Sec-WebSocket-Version", "\xff"),
    ("Sec-WebSocket-Version", "13, 8"),
    ("Sec-WebSocket-Protocol", "\xff"),
    ("Sec-WebSocket-Protocol", ",,;"),
    ("Sec-WebSocket-Protocol", "a" * 5000),
    ("Sec-WebSocket-Extensions", "\xff"),
    ("Sec-WebSocket-Extensions", ";;,,=;permessage-deflate;=;server_max_window_bits=99"),
    ("Origin", "http://["),
]


METHODS = ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "TRACE", "CONNECT", "get", "\u2603"]


def named(header: tuple[str, str]) -> str:
    return ": ".join(header)[:40].encode("ascii", "replace").decode()


@pytest.fixture(scope="module")
def odd_server(server: ServerProcess) -> ServerProcess:
    """The shared one; it says itself at its end whether it has logged a stack trace."""
    return server


async def status_of(server: ServerProcess, request: bytes) -> int:
    """The status of the answer, which must be of the form that all errors have; 0 when there is none."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            it = Raw(stream)
            await it.send(request)
            if b"Upgrade: websocket" not in request:  # Of which the end would be its client's leaving.
                await stream.send_eof()
            seen = await it.to_end()
    if not seen:
        return 0
    head, _, body = seen.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status < 500 or status in {501, 505}, (request[:200], seen[:500])
    if status >= 400 and not request.startswith(b"HEAD") and b"transfer-encoding" not in head.lower():
        assert len(body) < 2000, "an error repeats what was sent"
        assert set(json.loads(body)) >= {"error", "code"}, (request[:200], seen[:500])
    return status


@pytest.mark.parametrize("method", METHODS)
async def test_odd_paths(odd_server: ServerProcess, method: str) -> None:
    for path in PATHS:
        await status_of(
            odd_server, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        )


async def test_a_name_that_is_too_long_is_not_found(odd_server: ServerProcess) -> None:
    assert await status_of(odd_server, get("/" + "a" * 300)) == 404


async def test_an_origin_that_is_none_is_refused(odd_server: ServerProcess) -> None:
    assert await status_of(odd_server, get("/languages", "Origin: http://[\r\n")) == 403


@pytest.mark.parametrize("header", HEADERS, ids=named)
async def test_odd_headers(odd_server: ServerProcess, header: tuple[str, str]) -> None:
    name, value = header
    line = f"{name}: {value}\r\n".encode("utf-8" if any(ord(it) > 255 for it in value) else "latin1")
    host = b"" if name == "Host" else b"Host: localhost\r\n"
    for start in (b"GET / ", b"GET /index.html ", b"POST /session ", b"OPTIONS /session ", b"GET /session/x "):
        await status_of(odd_server, start + b"HTTP/1.1\r\n" + host + line + b"\r\n")
    await status_of(odd_server, b"GET /ws/session/x HTTP/1.1\r\n" + host + UPGRADE.encode() + line + b"\r\n")


@pytest.mark.parametrize(
    "header", UPGRADES, ids=lambda it: f"{it[0]}: {it[1]}"[:40].encode("ascii", "replace").decode()
)
async def test_odd_upgrades(odd_server: ServerProcess, header: tuple[str, str]) -> None:
    valid = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in (valid | dict([header])).items())
    for path in ("/ws/session/x", "/", "/session", "/ws/session/" + "a" * 3000):
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{lines}\r\n".encode("latin1")
        await status_of(odd_server, request)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b"\x1f\x8b\x08", b"\xef\xbb\xbf{}", b"{}\0"]
)
async def test_odd_bodies(odd_server: ServerProcess, body: bytes) -> None:
    assert await status_of(odd_server, post(body)) == 400


NAMES = st.sampled_from(sorted({name for name, _ in HEADERS}))
PIECES = st.sampled_from([*"/%.?&=;:@[]\\ ", "..", "%00", "%ff", "%2f", "session", "ws", "assets", "\xff", "\x80", "é"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(PIECES, max_size=12),
    name=st.sampled_from(sorted({name for name, _ in HEADERS})),
    value=st.text(max_size=30),
)
def test_any_path_and_any_header(odd_server: ServerProcess, parts: list[str], name: str, value: str) -> None:
    request = f"GET /{''.join(parts)} HTTP/1.1\r\nHost: localhost\r\n{name}: ".encode("latin1", "replace")
    line = value.replace("\r", "").replace("\n", "").replace("\0", "").encode("utf-8", "surrogatepass")
    trio.run(status_of, odd_server, request + line + b"\r\n\r\n")


def test_the_server_has_nothing_to_say_of_all_that(odd_server: ServerProcess) -> None:
    assert "Traceback" not in odd_server.log()

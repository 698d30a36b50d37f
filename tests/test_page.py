"""The built page as it is served: compressed as the client likes it, and the same whatever it likes."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx2
import pytest

from tests.support import ServerProcess

STATIC = Path(__file__).parent.parent / "trio_exec" / "static"
SCRIPT = max((STATIC / "assets").glob("index-*.js"), key=lambda path: path.stat().st_size)
TARGETS = {
    "/": STATIC / "index.html",
    "/docs": STATIC / "docs.html",
    f"/assets/{SCRIPT.name}": SCRIPT,
    "/licences.txt": STATIC / "licences.txt",
}


def fetch(
    server: ServerProcess, path: str, encodings: str | None, method: str = "GET"
) -> tuple[httpx2.Response, bytes]:
    """An answer and its body as it came."""
    headers = {} if encodings is None else {"accept-encoding": encodings}
    with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        client.headers.pop("accept-encoding")
        with client.stream(method, path, headers=headers) as response:
            return response, b"".join(response.iter_raw())


def decoded(encoding: str | None, body: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "br":
        node = shutil.which("node") or str(Path(__file__).parent.parent / ".venv" / "bin" / "node")
        program = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))"
        return subprocess.run([node, "-e", program], input=body, stdout=subprocess.PIPE, check=True).stdout
    return body


@pytest.mark.parametrize("path", TARGETS)
@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, None),
        ("identity", None),
        ("br", "br"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip"),
        ("*", "br"),
        ("*;q=0", None),
        ("nonsense;;q=x,,", None),
    ],
)
def test_files_are_compressed_as_the_client_likes_it(
    server: ServerProcess, path: str, accepted: str | None, encoding: str | None
) -> None:
    response, body = fetch(server, path, accepted)

    assert (response.status_code, response.headers.get("content-encoding")) == (200, encoding)
    assert "accept-encoding" in response.headers["vary"].lower()
    assert int(response.headers["content-length"]) == len(body)
    assert decoded(encoding, body) == TARGETS[path].read_bytes()
    plain, _ = fetch(server, path, None)
    assert response.headers["content-type"] == plain.headers["content-type"]
    assert (response.headers["etag"] == plain.headers["etag"]) is (encoding is None)
    head, nothing = fetch(server, path, accepted, "HEAD")
    assert (head.headers["content-length"], nothing) == (str(len(body)), b"")


def test_a_form_that_the_client_has_already_is_not_sent_again(server: ServerProcess) -> None:
    for accepted in ("br", "gzip", "identity"):
        with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}", headers={"accept-encoding": accepted}) as client:
            tag = client.head("/").headers["etag"]
            again = client.get("/", headers={"if-none-match": tag})
            other = client.get("/", headers={"if-none-match": '"another"'})
        assert (again.status_code, again.content) == (304, b"")
        assert other.status_code == 200


def linked(page: str) -> Iterable[str]:
    for attribute in ('src="./', 'href="./'):
        for part in page.split(attribute)[1:]:
            yield part.partition('"')[0]


def test_the_first_load_is_light(server: ServerProcess) -> None:
    page, body = fetch(server, "/", "gzip, br")
    assert page.headers["content-encoding"] == "br"
    names = set(linked(decoded("br", body).decode()))
    assert any(name.endswith(".js") for name in names)

    assert len(body) + sum(len(fetch(server, f"/{name}", "gzip, br")[1]) for name in names) < 260_000


def test_without_origins_nothing_is_embedded_and_the_setting_is_named(server: ServerProcess) -> None:
    response, body = fetch(server, "/embed", None)

    assert response.status_code == 404
    assert b"TRIO_EXEC_EMBED_ORIGINS" in body
    for path in [*TARGETS, "/embed.html"]:
        policy = fetch(server, path, None)[0].headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path


def test_origins_that_are_named_may_embed_the_page_for_it_and_no_other(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(embed_origins="https://docs.example.org,http://localhost:8000", languages="python")
    embedded, body = fetch(server, "/embed", "br")
    page, _ = fetch(server, "/", None)

    policy = embedded.headers["content-security-policy"]
    assert policy.endswith("; frame-ancestors https://docs.example.org http://localhost:8000")
    assert page.headers["content-security-policy"].endswith("; frame-ancestors 'none'")
    assert policy.rpartition(";")[0] == page.headers["content-security-policy"].rpartition(";")[0]
    assert decoded(embedded.headers.get("content-encoding"), body) == (STATIC / "embed.html").read_bytes()
    for path in ("/embed.html", "/docs"):
        assert fetch(server, path, None)[0].headers["content-security-policy"].endswith("frame-ancestors 'none'")

"""`trio-exec doctor --url`: a running server behind an nginx that does what it should, and behind such as don't."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from tests.played_engine import played_engine
from tests.support import PATIENCE, ServerProcess
from tests.test_doctor import levels, run_doctor
from tests.test_proxies import Nginx
from trio_exec.doctor.findings import Finding, Level
from trio_exec.doctor.proxies import look_through
from trio_exec.settings import Settings


async def seen(url: str, **settings: object) -> dict[str, Finding]:
    with trio.fail_after(PATIENCE):
        found = await look_through(url, Settings.model_validate(settings), tell=lambda _: None)
    levels(found)  # Each check is there once.
    return {it.check: it for it in found}


def broken_ones(found: dict[str, Finding]) -> set[str]:
    return {name for name, it in found.items() if it.level is Level.BROKEN}


@pytest.fixture
def proxy(server: ServerProcess, tmp_path: Path) -> Generator[Callable[..., str]]:
    """Starts an nginx in front of the shared server, with parts of our configuration replaced; gives its URL."""
    with ExitStack() as started:

        def start(replacements: dict[str, str] | None = None) -> str:
            nginx = Nginx(tmp_path, {"a": server.port}, **(replacements or {}))
            started.callback(nginx.close)
            return f"http://127.0.0.1:{nginx.port}"

        yield start


async def test_a_server_without_a_proxy_and_one_behind_ours_are_well(
    server: ServerProcess, proxy: Callable[..., str]
) -> None:
    for url in (server.url, proxy()):
        found = await seen(url)
        well = {name for name, it in found.items() if it.level is Level.OK}
        assert well == {f"proxy.{it}" for it in ("reachable", "ready", "host", "websocket", "body", "streaming")}
        assert broken_ones(found) == set()


@pytest.mark.parametrize(
    ("check", "replacements", "words"),
    [
        ("websocket", {"proxy_set_header Upgrade $http_upgrade;": ""}, "proxy_set_header Upgrade"),
        ("body", {"client_max_body_size 2m;": "client_max_body_size 100k;"}, "client_max_body_size 2m;"),
        (
            "streaming",
            # What nginx compresses it passes on as soon as a buffer is full.
            {
                "proxy_buffering off;": "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; gzip on; "
                "gzip_types *; gzip_min_length 0; gzip_proxied any;"
            },
            "proxy_buffering off;",
        ),
        (
            "host",
            {
                "proxy_set_header Host $http_host;": "proxy_set_header Host localhost:1;",
                "proxy_set_header X-Forwarded-Host $http_host;": "",
            },
            "proxy_set_header Host $http_host;",
        ),
    ],
)
async def test_what_a_proxy_does_wrong_is_told_with_the_remedy(
    proxy: Callable[..., str], check: str, replacements: dict[str, str], words: str
) -> None:
    found = await seen(proxy(replacements))
    assert broken_ones(found) == {f"proxy.{check}"}
    assert words in (found[f"proxy.{check}"].remedy or "")


async def test_a_name_that_the_server_does_not_know_is_told(proxy: Callable[..., str]) -> None:
    found = await seen(proxy({"proxy_set_header Host $http_host;": "proxy_set_header Host code.example;"}))
    assert broken_ones(found) == {"proxy.host"}
    assert "TRIO_EXEC_ALLOWED_HOSTS=127.0.0.1" in (found["proxy.host"].remedy or "")


async def test_a_server_that_takes_less_than_the_settings_here_say_is_told(server: ServerProcess) -> None:
    found = await seen(server.url, max_request_bytes=2 << 20)
    assert found["proxy.body"].level is Level.WARNING


async def test_what_is_no_server_of_ours_is_told() -> None:
    for url, words in (
        ("ftp://code.example", "is no server's URL"),
        ("http://127.0.0.1:1", "can't be reached"),
    ):
        (found,) = (await seen(url)).values()
        assert (found.check, found.level) == ("proxy.reachable", Level.BROKEN)
        assert words in found.message
    with played_engine({"*": b"<h1>It works!</h1>"}) as address:
        (found,) = (await seen(address.replace("tcp://", "http://"))).values()
        assert "is not this server" in found.message


def test_a_server_that_is_not_ready_gives_its_reason(images: dict[str, str], tmp_path: Path) -> None:
    server = ServerProcess(DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    try:
        code, text = run_doctor("--json", "--no-probe", "--url", server.url)
        found = {it["check"]: it for it in json.loads(text)["findings"]}
        reason = server.request("GET", "/readyz").json()["reason"]
    finally:
        server.close()
    assert (code, found["proxy.ready"]["level"], found["proxy.ready"]["message"]) == (1, "broken", reason)

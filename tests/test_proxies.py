"""Behind reverse proxies: what is believed of them, a path prefix, and a restart that loses nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.compose import Deployed
from tests.raw import attach_raw
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.api.proxies import BehindProxies
from trio_exec.client import connect
from trio_exec.errors import ConfigurationError
from trio_exec.settings import Settings

DEPLOY = Path(__file__).parent.parent / "deploy"
CONFIGURATION = DEPLOY / "nginx.conf"
ASK = "name = input('name? ')\nprint('hello', name)"


async def seen_by_the_app(settings: Settings, peer: str | None, headers: dict[str, str], **more: Any) -> dict[str, Any]:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.lowlevel.checkpoint()
        seen.append(scope)

    scope: Any = {
        "type": "http",
        "scheme": "http",
        "path": "/languages",
        "root_path": "",
        "client": peer and (peer, 1234),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        **more,
    }
    await BehindProxies(app, settings)(scope, None, None)  # type: ignore[arg-type] - the inner application looks at the scope only
    return seen[0]


def request_id(scope: dict[str, Any]) -> str:
    (value,) = [value for name, value in scope["headers"] if name == b"x-request-id"]
    return value.decode()


def without_request_id(scope: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    return [item for item in scope["headers"] if item[0] not in {b"x-request-id", b"x-unknown-proxy"}]


FORWARDED = {
    "host": "inner:8080",
    "X-Forwarded-Host": "evil.example, code.example",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "6.6.6.6, 192.0.2.7, 10.1.1.1",
}


@pytest.mark.parametrize("peer", ["10.2.3.4", "::ffff:10.2.3.4", "2001:db8::1"])
async def test_a_trusted_proxy_is_believed(peer: str) -> None:
    settings = Settings(trusted_proxies=("10.0.0.0/8", "2001:db8::1"))
    scope = await seen_by_the_app(settings, peer, FORWARDED)

    assert without_request_id(scope) == [(b"host", b"code.example")]
    assert scope["scheme"] == "https"
    assert scope["client"][0] == "192.0.2.7"  # The last one that no trusted proxy wrote of itself.


async def test_a_proxy_that_the_settings_do_not_know_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.lowlevel.checkpoint()
        seen.append((b"x-unknown-proxy", b"1") in scope["headers"])

    proxied = BehindProxies(app, Settings(trusted_proxies=("10.0.0.1",)))
    for peer, headers in [
        ("10.0.0.1", FORWARDED),
        ("10.0.0.2", {"host": "x", "X-Unknown-Proxy": "1"}),
        *[("10.0.0.2", FORWARDED)] * 3,
    ]:
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope: Any = {"type": "http", "scheme": "http", "path": "/", "client": (peer, 1), "headers": encoded}
        await proxied(scope, None, None)  # type: ignore[arg-type] - the inner application looks at nothing

    assert seen == [False, False, True, True, True]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "requests come from 10.0.0.2 with X-Forwarded-For, and it is none of trusted_proxies"
    ]


@pytest.mark.parametrize("peer", ["11.2.3.4", "2001:db8::2", "nonsense", None])
async def test_nobody_else_is(peer: str | None) -> None:
    settings = Settings(trusted_proxies=("10.0.0.0/8", "2001:db8::1"))
    scope = await seen_by_the_app(settings, peer, FORWARDED)

    assert without_request_id(scope) == [(b"host", b"inner:8080")]
    assert scope["scheme"] == "http"
    assert scope["client"] == (peer and (peer, 1234))


@pytest.mark.parametrize(
    ("peer", "given", "kept"),
    [
        ("10.0.0.1", "7f9c2ba4e88f827d", True),
        ("10.0.0.1", "5f8b2c9e-7c1c-4a55-9d0e-0f6a1d3c2b1a", True),
        ("10.0.0.1", "a\x1b[2Jb", False),
        ("10.0.0.1", "x" * 129, False),
        ("10.0.0.1", "", False),
        ("11.0.0.1", "7f9c2ba4e88f827d", False),
    ],
)
async def test_a_request_has_an_id_a_trusted_proxy_s_if_it_gave_one(peer: str, given: str, kept: bool) -> None:
    settings = Settings(trusted_proxies=("10.0.0.1",))
    ids = [request_id(await seen_by_the_app(settings, peer, {"X-Request-ID": given})) for _ in range(2)]

    assert (ids == [given, given]) is kept
    assert kept or ids[0] != ids[1]
    assert all(ids)


async def test_answers_name_their_request(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(trusted_proxies="127.0.0.0/8", pool="0"))
    answers = [
        await client.request("GET", path, headers={"X-Request-ID": f"id-{number}"})
        for number, path in enumerate(["/healthz", "/session/none", "/nothing"])
    ]
    assert [answer.headers["x-request-id"] for answer in answers] == ["id-0", "id-1", "id-2"]


async def test_a_websocket_behind_tls_is_a_secure_one() -> None:
    settings = Settings(trusted_proxies=("10.0.0.1",))
    scope = await seen_by_the_app(settings, "10.0.0.1", FORWARDED, type="websocket", scheme="ws")
    assert scope["scheme"] == "wss"


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRUSTED_PROXIES", "10.0.0.0/33"), ("TRUSTED_PROXIES", "*"), ("ROOT_PATH", "run"), ("ROOT_PATH", "/run/")],
)
def test_what_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TRIO_EXEC_{name}", value)
    with pytest.raises(ConfigurationError, match=f"TRIO_EXEC_{name}"):
        Settings.load()


async def test_host_and_origin_are_checked_by_the_forwarded_host(start_server: Callable[..., ServerProcess]) -> None:
    settings: dict[str, Any] = {"allowed_hosts": "code.example", "pool": "0"}
    public = {"X-Forwarded-Host": "code.example"}
    foreign = {"X-Forwarded-Host": "evil.example"}
    page = {"Origin": "https://code.example"}

    trusting = Client(start_server(trusted_proxies="127.0.0.0/8", **settings))
    assert (await trusting.request("GET", "/languages", headers=public | page)).status == 200
    assert (await trusting.request("GET", "/languages", headers=foreign)).json()["code"] == "invalid_host"
    assert (await trusting.request("GET", "/languages", headers=page)).json()["code"] == "origin_not_allowed"

    wary = Client(start_server(trusted_proxies="10.0.0.1", **settings))
    assert (await wary.request("GET", "/languages", headers=public | page)).json()["code"] == "origin_not_allowed"
    assert (await wary.request("GET", "/languages", headers=foreign)).status == 200  # As if it were not there.


WORKER = "nginx: worker process"
"""The title of one that takes connections; others say that they are shutting down."""


class Nginx:
    """An nginx of our own, with the configuration that we recommend.

    Args:
        directory: for what it writes.
        servers: ports by replicas' names.
        replacements: what else to change.
    """

    def __init__(self, directory: Path, servers: dict[str, int], **replacements: str) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._replacements = replacements
        self.configure(servers)
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self._process = subprocess.Popen(
            [binary, "-p", str(directory), "-c", str(directory / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self) -> str:
        return (self._directory / "error.log").read_text()

    def configure(self, servers: dict[str, int]) -> None:
        text = CONFIGURATION.read_text()
        (own,) = re.findall(r"^upstream trio_exec_a \{.*?^\}\n", text, re.MULTILINE | re.DOTALL)
        (line,) = re.findall(r"^    server 127\.0\.0\.1:8080 max_fails.*\n", text, re.MULTILINE)
        changes = {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            own: "".join(
                own.replace("trio_exec_a", f"trio_exec_{name}").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
                for name, port in servers.items()
            ),
            line: "".join(line.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for port in servers.values()),
            **self._replacements,
        }
        for before, after in changes.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        user = "user root;\n" if os.geteuid() == 0 else ""
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{name}_temp_path {self._directory}/{name};\n" for name in names)
        (self._directory / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {self._directory}/pid;\n"
            f"error_log {self._directory}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{text}}}\n"
        )

    def reload(self, servers: dict[str, int]) -> None:
        """Returns when the workers that were there take no connections any more."""
        before = self._workers()
        assert WORKER in before.values(), before
        self.configure(servers)
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while any(self._workers().get(worker) == WORKER for worker in before):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _workers(self) -> dict[int, str]:
        """Titles by process; those that are shutting down say so."""
        titles: dict[int, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # It ends just now.
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self._process.pid:
                    titles[int(process.name)] = (process / "cmdline").read_text().partition("\0")[0].strip()
        return titles

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def start_nginx(tmp_path: Path) -> Generator[Callable[..., Nginx]]:
    started: list[Nginx] = []

    def start(*arguments: Any, **options: Any) -> Nginx:
        started.append(Nginx(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for nginx in started:
        nginx.close()


OTHERS: dict[str, tuple[str, dict[str, str], str, list[str]]] = {
    # name: its configuration, what to change in it, what to put before it, and the command
    "haproxy": (
        "haproxy.cfg",
        {"bind :80": "bind 127.0.0.1:{port}", "127.0.0.1:8080": "127.0.0.1:{server}"},
        "",
        ["/usr/sbin/haproxy", "-db", "-f", "{file}"],
    ),
    "caddy": (
        "Caddyfile",
        {"code.example.org": "http://127.0.0.1:{port}", "127.0.0.1:8080": "127.0.0.1:{server}"},
        "{\n\tadmin off\n}\n",
        ["caddy", "run", "--adapter", "caddyfile", "--config", "{file}"],
    ),
}


class OtherProxy:
    """A proxy of another make, with the configuration that comes with the server."""

    def __init__(self, directory: Path, name: str, server: int) -> None:
        source, changes, before, command = OTHERS[name]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        text = (DEPLOY / source).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new.replace("{port}", str(self.port)).replace("{server}", str(server)))
        file, self._log = directory / source, directory / "log"
        file.write_text(before + text)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [part.replace("{file}", str(file)) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(directory)},
            )
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(params=["nginx", *OTHERS])
def behind(
    request: pytest.FixtureRequest,
    start_server: Callable[..., ServerProcess],
    start_nginx: Callable[..., Nginx],
    tmp_path: Path,
) -> Generator[Client]:
    """A client of a proxy, in front of a server with default settings."""
    server = start_server().port
    if request.param == "nginx":
        yield Client(Deployed(start_nginx({"a": server}).port))
    else:
        proxy = OtherProxy(tmp_path, request.param, server)
        yield Client(Deployed(proxy.port))
        proxy.close()


@pytest.mark.parametrize("change", ["", "rewrite ^/run/code(/.*)$ $1 break;"], ids=["passed on", "taken off"])
async def test_below_a_path(
    start_server: Callable[..., ServerProcess], start_nginx: Callable[..., Nginx], change: str
) -> None:
    settings = {"root_path": "/run/code", "trusted_proxies": "127.0.0.1", "allowed_hosts": "code.example"}
    server = start_server(replica="a", pool="0", **settings)
    nginx = start_nginx({"a": server.port}, **{"location / {": f"location /run/code/ {{ {change}"})
    client = Client(Deployed(nginx.port))

    page = await client.request("GET", "/run/code/", headers={"Host": "code.example"})
    assert (page.status, b"<title>" in page.body) == (200, True)
    assert (await client.request("GET", "/run/code/favicon.svg")).status == 200
    assert (await client.request("GET", "/languages")).status == 404  # nginx's own
    answer = await client.request("POST", "/run/code/session", {"language": "python", "code": "print(1)", "stdin": ""})
    path = answer.json()["websocket"]
    assert path.startswith("/run/code/ws/session/")
    async with attach_raw(nginx.port, path) as attached:
        assert (await attached.to_end()).stdout == "1\n"
    async with (
        connect(f"http://127.0.0.1:{nginx.port}/run/code/") as library,
        library.session("python", ASK) as session,
    ):
        await session.expect("name? ")
        await session.send("Ada\n")
        await session.expect("hello Ada")
    # Without the slash, the page's relative addresses would miss the path; here past nginx, which does the same.
    direct = await Client(server).request("GET", "/run/code")
    assert direct.status == 308
    assert direct.headers["Location"].endswith("/run/code/")
    unknown = await client.request("GET", "/run/code/session/unknown")
    assert (unknown.status, unknown.json()["code"]) == (404, "session_not_found")


async def test_sessions_live_behind_any_proxy(behind: Client) -> None:
    async with behind.session(language="python", code=ASK) as session:
        await session.until_stdout("name? ")
        await session.input("Ada\n")
        run = await session.to_end()

    assert (run.stdout, run.final.exit_code) == ("name? hello Ada\n", 0)


async def test_refused_bodies_leave_nothing_behind_on_a_proxys_connections(behind: Client) -> None:
    large = b'{"language":"nothing","code":"' + b"x" * 900_000 + b'"}'
    cases: list[tuple[str, str, dict[str, Any], int]] = [
        ("POST", "/session", {"raw": large, "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/session", {"raw": b'{"language":"nothing","code":""}'}, 400),
        ("POST", "/session", {"raw": large + b" " * 300_000}, 413),
        ("GET", "/languages", {}, 200),
        ("POST", "/languages", {"raw": large}, 405),
        ("POST", "/session", {"raw": large, "headers": {"Origin": "http://evil.example"}}, 403),
        ("DELETE", "/session/unknown", {}, 404),
    ]

    async def visit(number: int) -> None:
        for turn in range(14):
            method, path, options, status = cases[(number + turn) % len(cases)]
            answer = await behind.request(method, path, **options)
            assert answer.status == status, (method, path, answer.status, answer.body)
            assert answer.json()

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(visit, number)


async def test_no_post_is_lost_on_a_connection_that_is_just_closed(behind: Client) -> None:
    async def visit(pause: float) -> None:
        await behind.request("GET", "/healthz")
        await trio.sleep(pause)
        answer = await behind.request("POST", "/session", {"language": "nothing", "code": ""})
        assert answer.json()["code"] == "unknown_language"

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(visit, 3.8 + number / 20)


async def test_lines_pass_any_proxy_as_they_come(behind: Client) -> None:
    """The program is still running when they are read; when its reader leaves, it ends."""
    code = "import time\nprint('ready', flush=True)\ntime.sleep(600)"
    body = {"language": "python", "code": code, "stream": True, "limits": {"idleTimeout": 30}}

    def read() -> str:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", behind.server.port, timeout=PATIENCE)) as to:
            to.request("POST", "/run", json.dumps(body), {"Content-Type": "application/json"})
            response = to.getresponse()
            session = json.loads(response.readline())["sessionId"]
            while "ready" not in json.loads(response.readline()).get("data", ""):
                pass
            assert behind.server.request("GET", f"/session/{session}").json()["state"] == "running"
            return session

    session = await trio.to_thread.run_sync(read)
    info = await behind.until_info(session, "terminated")
    assert info["reason"] == "detached"

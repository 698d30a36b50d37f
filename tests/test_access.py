"""Which requests of browsers pass, by `Host` and `Origin`."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from trio_exec.api.access import Access, HostError, OriginError
from trio_exec.settings import Settings


def access(**settings: object) -> Access:
    return Access(Settings.model_validate(settings))


def request(host: str | None = "localhost:8080", origin: str | None = None) -> Headers:
    headers = Headers()
    if host is not None:
        headers["Host"] = host
    if origin is not None:
        headers["Origin"] = origin
    return headers


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8080", "LocalHost", "127.0.0.1", "127.0.0.1:80", "127.8.9.10", "[::1]", "[::1]:8080"),
        *("code.example", "CODE.example:443", "10.1.2.3:8080"),
    ],
)
def test_names_of_the_server_pass(host: str) -> None:
    access(host="10.1.2.3", allowed_hosts=("Code.Example",)).check(request(host))


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "code.example.evil", "10.1.2.4", "0.0.0.0", "", "::1", "[::1"),
        *("evil.example#localhost", "localhost@evil.example", "evil.example/localhost"),
        None,
    ],
)
def test_other_names_do_not(host: str | None) -> None:
    with pytest.raises(HostError, match="is not a name of this server"):
        access(host="10.1.2.3", allowed_hosts=("code.example",)).check(request(host))


def test_an_error_repeats_only_so_much() -> None:
    with pytest.raises(HostError) as host:
        access().check(request("x" * 5000))
    with pytest.raises(OriginError) as origin:
        access().check(request(origin="http://" + "x" * 5000))

    assert len(host.value.message) < 400
    assert len(origin.value.message) < 400


def test_any_name_passes_where_the_operator_says_so() -> None:
    access(allowed_hosts=("*",)).check(request("anything.example"))


ORIGINS = ("https://docs.example", "tauri://localhost", "null", "file://")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8080", None),
        ("localhost:8080", "http://localhost:8080"),
        ("localhost:8080", "HTTP://LOCALHOST:8080"),
        ("code.example", "https://code.example"),
        ("localhost:8080", "https://docs.example"),
        ("localhost:8080", "HTTPS://Docs.Example"),
        ("localhost:80", "http://localhost"),
        ("localhost:443", "https://localhost"),
        ("localhost", "http://localhost:80"),
        ("[::1]:80", "http://[::1]"),
        ("localhost", "tauri://localhost"),
        ("localhost", "null"),
        ("localhost", "file://"),
    ],
)
def test_the_servers_own_page_passes_and_those_that_are_allowed(host: str, origin: str | None) -> None:
    access(allowed_hosts=("code.example",), allowed_origins=ORIGINS).check(request(host, origin))


@pytest.mark.parametrize(
    "origin",
    [
        *("http://localhost:8081", "http://localhost", "http://127.0.0.1:8080", "https://evil.example", "null", ""),
        *("http://docs.example", "https://docs.example.evil", "https://docs.example:444", "http://[", "http://"),
        *(
            "tauri://localhost:8080",
            "https://localhost:8080x",
            "//localhost:8080",
            "http://localhost:8080@evil.example",
        ),
    ],
)
def test_other_pages_do_not(origin: str) -> None:
    with pytest.raises(OriginError, match=r"came for 'localhost:8080', so it may not use this server"):
        access(allowed_origins=("https://docs.example",)).check(request(origin=origin))


def test_only_other_origins_that_are_allowed_are_named_to_browsers() -> None:
    one = access(allowed_origins=("https://docs.example",))

    assert one.foreign_origin(request(origin="https://docs.example")) == "https://docs.example"
    assert one.foreign_origin(request(origin="http://localhost:8080")) is None
    assert one.foreign_origin(request(origin="https://evil.example")) is None
    assert one.foreign_origin(request()) is None
    assert access(allowed_origins=("*",)).foreign_origin(request(origin="https://any.example")) == "https://any.example"


def test_a_scheme_implies_its_own_port_only() -> None:
    for host, origin in [("localhost:443", "http://localhost"), ("localhost:80", "https://localhost")]:
        with pytest.raises(OriginError):
            access().check(request(host, origin))


def test_a_host_to_listen_on_lets_no_other_name_in() -> None:
    with pytest.raises(ValueError, match=r"write 0\.0\.0\.0"):
        access(host="*")
    with pytest.raises(HostError):
        access(host="0.0.0.0").check(request("evil.example"))


def test_load_balancers_may_use_any_name_but_pages_may_not() -> None:
    access().check(request("10.0.0.7"), any_host=True)
    access().check(request(None), any_host=True)
    with pytest.raises(OriginError):
        access().check(request("10.0.0.7", "https://evil.example"), any_host=True)

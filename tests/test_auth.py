"""Who asks: keys in three places, users that a proxy names, addresses; and what may not start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from trio_exec.api.auth import Authentication, check_operator, subprotocol
from trio_exec.errors import ConfigurationError, ForbiddenError, RequestError, UnauthorizedError
from trio_exec.keys import Keys, create_key, load_keys
from trio_exec.model import Quota, Requester
from trio_exec.settings import Settings

NO_QUOTA = Quota()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def by(path: Path | None = None, **settings: Any) -> Callable[..., Requester]:
    keys = Keys({} if path is None else load_keys(path))
    auth = Authentication(Settings(keys_file=path, **settings), keys)
    return lambda address="127.0.0.1", **headers: auth.identify(made_of(headers), address).requester


def made_of(headers: dict[str, str]) -> Headers:
    return Headers([(name.replace("_", "-"), value) for name, value in headers.items()])


def test_a_key_is_taken_from_three_places(path: Path) -> None:
    secret, _ = create_key(path, "alice", max_sessions=2, languages=["python"], limits={"pids": 8})
    ask = by(path)
    seen = [
        ask(Authorization=f"Bearer {secret}"),
        ask(Authorization=f"bearer  {secret} "),
        ask(X_API_Key=secret),
        ask(Sec_WebSocket_Protocol=f"trio-exec, trio-exec.key.{secret}"),
        ask(Authorization=f"Bearer {secret}", X_API_Key=secret),
        ask("2001:db8::1", X_API_Key=secret, X_Request_ID="r1"),
    ]
    assert {requester.owner for requester in seen} == {"alice"}
    assert (seen[-1].address, seen[-1].request_id) == ("2001:db8::1", "r1")
    assert seen[0].quota == Quota(2, 50, 60, 64 << 20)
    assert (seen[0].languages, seen[0].limits) == ({"python"}, {"pids": 8})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer te_00000000_0000000000000000000000000000000000000000"},
        {"X_API_Key": "\xff\xfe"},
        {"Sec_WebSocket_Protocol": "trio-exec"},
        {"Sec_WebSocket_Protocol": "trio-exec.key."},
    ],
    ids=str,
)
def test_without_a_key_nobody_is_anybody(path: Path, headers: dict[str, str]) -> None:
    create_key(path, "alice")
    with pytest.raises(UnauthorizedError):
        by(path)(**headers)


def test_who_has_no_key_is_told_how_to_send_one(path: Path) -> None:
    create_key(path, "alice")
    with pytest.raises(UnauthorizedError, match=r"Authorization: Bearer KEY.*X-API-Key.*trio-exec\.key\.KEY"):
        by(path)()


def test_two_keys_are_refused(path: Path) -> None:
    one, two = (create_key(path, name)[0] for name in ("alice", "bob"))
    with pytest.raises(RequestError, match="2 API keys; send one"):
        by(path)(Authorization=f"Bearer {one}", X_API_Key=two)


def test_a_key_that_is_revoked_or_changed_counts_so_from_then_on(path: Path) -> None:
    secret, _ = create_key(path, "alice")
    keys = Keys(load_keys(path))
    auth = Authentication(Settings(keys_file=path), keys)
    headers = made_of({"X_API_Key": secret})
    path.write_text(f"{path.read_text()}max_sessions = 1\n")
    keys.replace(load_keys(path))
    assert auth.identify(headers, "").requester.quota.max_sessions == 1
    keys.replace({})
    with pytest.raises(UnauthorizedError, match="not known here, or was revoked"):
        auth.identify(headers, "")


def test_a_proxy_names_the_owner() -> None:
    ask = by(auth="proxy", trusted_proxies=("10.0.0.1",), auth_header="Remote-User")
    assert ask(Remote_User="ada@example.org").owner == "ada@example.org"
    assert ask(Remote_User="x").quota.max_sessions == 5
    for wrong in ({}, {"Remote_User": ""}, {"Remote_User": "a\x00b"}, {"Remote_User": "x" * 129}, {"X_API_Key": "x"}):
        with pytest.raises(UnauthorizedError, match="Remote-User is missing or can't be a name"):
            ask(**wrong)


@pytest.mark.parametrize(
    ("address", "owner", "sessions"),
    [
        ("203.0.113.9", "203.0.113.9", 5),
        ("::ffff:203.0.113.9", "203.0.113.9", 5),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", 5),
        ("198.51.100.7", "198.51.100.7", 500),
        ("192.0.2.200", "192.0.2.200", 15),
        ("", "unknown", 5),
        ("127.0.0.1", "127.0.0.1", None),
        ("::1", "::/64", None),
    ],
)
def test_without_keys_an_address_is_an_owner(address: str, owner: str, sessions: int | None) -> None:
    ask = by(shared_addresses={"198.51.100.7": 100, "192.0.2.0/24": 3})
    requester = ask(address)
    assert requester.owner == owner
    assert requester.quota.max_sessions == sessions


def test_through_a_proxy_that_is_not_trusted_anybody_may_come_from_the_machine_itself() -> None:
    assert by()("127.0.0.1", X_Unknown_Proxy="1").quota.max_sessions == 5


def test_people_behind_one_address_may_have_so_many_times_as_much() -> None:
    ask = by(shared_addresses={"198.51.100.7": 100})
    assert ask("198.51.100.7").quota == Quota(500, 5000, 6000, 6400 << 20)
    assert ask("127.0.0.1").quota == NO_QUOTA


def test_quotas_are_as_the_settings_say() -> None:
    given = {"owner_max_sessions": 1, "owner_max_queued": 0, "owner_starts_per_minute": 0.5}
    assert by(owner_max_retained_bytes=2048, **given)("192.0.2.1").quota == Quota(1, 0, 0.5, 2048)
    assert by(max_sessions=1, max_queue=1)("192.0.2.1").quota == Quota(1, 0, 60, 64 << 20)


def test_only_operators_are_operators(path: Path) -> None:
    user, _ = create_key(path, "alice")
    operator, _ = create_key(path, "root", operator=True)
    auth = Authentication(Settings(keys_file=path), Keys(load_keys(path)))
    check_operator(auth.identify(made_of({"X_API_Key": operator}), ""))
    with pytest.raises(ForbiddenError, match="keys create NAME --operator"):
        check_operator(auth.identify(made_of({"X_API_Key": user}), ""))


def test_a_key_is_never_repeated() -> None:
    def answered(offer: str) -> str | None:
        return subprotocol(made_of({"Sec_WebSocket_Protocol": offer}))

    assert answered("") is None
    assert answered("trio-exec.key.te_1, trio-exec") == "trio-exec"
    assert answered("trio-exec.key.te_1, other") == "other"
    with pytest.raises(RequestError, match="offer the subprotocol 'trio-exec' besides"):
        answered("trio-exec.key.te_1")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, r"host is 0.0.0.0: whoever reaches that could run programs here.*TRIO_EXEC_AUTH=none"),
        ({"host": "::"}, "whoever reaches that"),
        ({"host": "code.example.org"}, "whoever reaches that"),
        ({"auth": "keys"}, "keys_file .* names no file; make one: trio-exec keys create"),
        ({"auth": "proxy"}, "trusted_proxies .* is empty"),
        ({"auth": "proxy", "host": "0.0.0.0"}, "trusted_proxies .* is empty"),
        ({"keys_file": "/nowhere/keys.toml"}, "there is no file /nowhere/keys.toml"),
    ],
)
def test_a_server_that_does_not_know_who_may_use_it_does_not_start(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Settings(**settings).check_access()
    environment = {f"TRIO_EXEC_{name.upper()}": value for name, value in settings.items()}
    for command in ("serve", "config"):
        done = subprocess.run(
            [sys.executable, "-m", "trio_exec", command],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("trio-exec: "), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "127.1.2.3"},
        {"host": "::1"},
        {"host": "0.0.0.0", "auth": "none"},
        {"host": "0.0.0.0", "auth": "proxy", "trusted_proxies": ("10.0.0.1",)},
    ],
    ids=str,
)
def test_one_that_knows_starts(settings: dict[str, Any]) -> None:
    Settings(**settings).check_access()


def test_the_settings_survive_being_printed(tmp_path: Path) -> None:
    shared = {"TRIO_EXEC_SHARED_ADDRESSES": "198.51.100.7=100, 2001:db8::/48=30"}

    def config(**environment: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "trio_exec", "config"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    printed = config(**shared)
    (tmp_path / "settings.toml").write_text(printed)
    assert 'shared_addresses = { "198.51.100.7" = 100, "2001:db8::/48" = 30 }' in printed
    assert config(TRIO_EXEC_CONFIG=str(tmp_path / "settings.toml")) == printed


@pytest.mark.parametrize("value", ["198.51.100.7", "school=3", "198.51.100.7=0", "198.51.100.7=many", "=3"])
def test_shared_addresses_that_cannot_be_are_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRIO_EXEC_SHARED_ADDRESSES", value)
    with pytest.raises(ConfigurationError, match="shared_addresses"):
        Settings.load()

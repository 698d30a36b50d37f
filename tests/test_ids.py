"""Session ids: unguessable, and with the name of the server that has them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from trio_exec.errors import ConfigurationError
from trio_exec.ids import new_id, replica_of, short_id
from trio_exec.settings import Settings

ROUTED = re.compile(r"location ~ (/session/\S+) \{\n +proxy_pass http://trio_exec_\$replica;")


def test_an_id_names_its_server_and_nothing_else() -> None:
    (pattern,) = ROUTED.findall((Path(__file__).parent.parent / "deploy" / "nginx.conf").read_text())
    rule = re.compile(pattern.replace("(?<", "(?P<"))
    for replica in ("a", "trio-exec-12", "0"):
        made = {new_id(replica) for _ in range(100)}
        assert len(made) == 100
        assert {replica_of(it) for it in made} == {replica}
        for path in ("/session/", "/ws/session/", "/run/code/ws/session/"):
            assert {found["replica"] for it in made if (found := rule.search(path + it))} == {replica}
    alone = new_id()
    assert replica_of(alone) == ""
    assert rule.search(f"/session/{alone}") is None


def test_logs_show_whose_and_which_it_is_and_too_little_to_use_it() -> None:
    assert short_id("b.kq3vJ8abcdefghijklmnopqr") == "b.kq3vJ8…"
    assert short_id("kq3vJ8abcdefghijklmnopqr") == "kq3vJ8…"
    assert short_id("") == "-"


@pytest.mark.parametrize(
    ("value", "hostname", "name"),
    [
        ("", "host", ""),
        ("b", "host", "b"),
        ("@hostname", "Trio-Exec-2.trio-exec.svc", "trio-exec-2"),
        ("@ordinal", "trio-exec-12", "12"),
    ],
)
def test_a_name_can_come_from_the_machine(
    monkeypatch: pytest.MonkeyPatch, value: str, hostname: str, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: hostname)
    assert Settings(replica=value).replica == name


@pytest.mark.parametrize(
    ("value", "hostname"), [("A", "x"), ("a.b", "x"), ("-a", "x"), ("a" * 33, "x"), ("@ordinal", "web"), ("@name", "x")]
)
def test_a_name_that_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch, value: str, hostname: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: hostname)
    monkeypatch.setenv("TRIO_EXEC_REPLICA", value)
    with pytest.raises(ConfigurationError, match="replica"):
        Settings.load()

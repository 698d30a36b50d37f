"""The file of API keys: made, read, changed by many, and refused with a sentence."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support import PATIENCE
from trio_exec.errors import ConfigurationError
from trio_exec.keys import Keys, create_key, load_keys, revoke_key
from trio_exec.model import Owner, Quota
from trio_exec.server import keys as following
from trio_exec.server.keys import FollowedKeys

USUAL = Quota(max_sessions=5, max_queued=50, starts_per_minute=60, max_retained_bytes=1 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def test_a_key_opens_and_only_that(path: Path) -> None:
    secret, _ = create_key(path, "alice")
    other, _ = create_key(path, "bob")
    keys = Keys(load_keys(path))

    found = keys.find(secret)
    assert found is not None
    assert found[0] == "alice"
    assert secret not in path.read_text()
    wrong = [
        *(secret[:-1], secret + "0", secret.upper(), f" {secret}", "", "te_", secret[:11] + other[11:]),
        f"{secret}\n",
        "te_00000000_" + "0" * 40,
    ]
    assert [keys.find(it) for it in wrong] == [None] * len(wrong)


def test_a_key_is_long_and_never_the_same_twice(path: Path) -> None:
    made = {create_key(path, f"n{number}")[0] for number in range(20)}
    assert len(made) == 20
    assert all(len(secret.rpartition("_")[2]) * 4 == 160 for secret in made)


def test_what_a_key_does_not_say_is_as_usual(path: Path) -> None:
    create_key(path, "alice", max_sessions=2, max_queued=0, limits={"memory_bytes": 64 << 20})
    key = load_keys(path)["alice"]
    assert key.quota(USUAL) == Quota(2, 0, 60, 1 << 20)
    assert key.limits.given == {"memory_bytes": 64 << 20}
    assert (key.languages, key.operator) == (None, False)


def test_what_an_operator_wrote_there_stays(path: Path) -> None:
    create_key(path, "alice")
    path.write_text(f"# Ours.\n{path.read_text()}starts_per_minute = 7 # since May\n")
    path.chmod(0o600)
    create_key(path, "bob")
    revoke_key(path, "bob")

    text = path.read_text()
    assert text.startswith("# Ours.\n")
    assert "starts_per_minute = 7 # since May" in text
    assert list(load_keys(path)) == ["alice"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_is_not_for_everybody(path: Path) -> None:
    create_key(path, "alice")
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_the_last_key_can_go_and_come_back(path: Path) -> None:
    create_key(path, "alice")
    revoke_key(path, "alice")
    assert load_keys(path) == {}
    create_key(path, "alice")
    assert list(load_keys(path)) == ["alice"]


def test_many_write_at_once_and_none_is_lost(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: create_key(path, f"n{number}"), range(40)))
    assert len(load_keys(path)) == 40
    assert [it.name for it in path.parent.iterdir()] == ["keys.toml"]


def test_a_name_is_taken_once(path: Path) -> None:
    create_key(path, "alice")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="a key of that name already; revoke it first"):
        create_key(path, "alice")
    with pytest.raises(ConfigurationError, match="no key of the name 'bob'; there are: alice"):
        revoke_key(path, "bob")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a\nb", "x" * 65, "é"])
def test_names_are_such_as_logs_can_show(path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be a key's name"):
        create_key(path, name)
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_sessions": 0}, r"keys\.alice\.max_sessions: .*greater than or equal to 1"),
        ({"starts_per_minute": -1.0}, r"keys\.alice\.starts_per_minute: "),
        ({"limits": {"memory": 1}}, r"keys\.alice\.limits\.memory: .*did you mean memory_bytes"),
        ({"limits": {"memory_bytes": 1000}}, r"keys\.alice\.limits\.memory_bytes: .*16777216"),
        ({"limits": {"pids": 0}}, r"keys\.alice\.limits\.pids: "),
        ({"max_session": 3}, r"keys\.alice\.max_session: there is no such setting of a key, did you mean max_sessions"),
        ({"speed": 3}, r"keys\.alice\.speed: there is no such setting of a key; there are id, hash, "),
    ],
)
def test_nothing_that_could_not_be_read_is_written(path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        create_key(path, "alice", **settings)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[keys", "keys_file: .*keys.toml: "),
        ("[key.alice]\nid = 1", "there is no 'key'; each key is a table"),
        ("keys = 1", "each key is a table"),
        ("[keys.alice]", r"keys\.alice\.id: Field required"),
        ("[keys.alice]\nid = '00000000'\nhash = 'md5:0'", r"keys\.alice\.hash: "),
        ("\xff", "keys.toml"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(path: Path, text: str, message: str) -> None:
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(ConfigurationError, match=message):
        load_keys(path)


def test_one_key_has_one_owner(path: Path) -> None:
    create_key(path, "alice")
    path.write_text(path.read_text() + path.read_text().replace("alice", "bob").partition("\n")[2])
    with pytest.raises(ConfigurationError, match="one and the same key: alice, bob"):
        load_keys(path)


def test_a_file_that_is_missing_is_told_with_what_to_do(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no file .*; make it: trio-exec keys create NAME"):
        load_keys(path)
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        create_key(path.parent / "none" / "keys.toml", "alice")


def test_whose_key_counts_no_more(path: Path) -> None:
    for name in ("alice", "bob", "carol"):
        create_key(path, name)
    keys = Keys(load_keys(path))
    revoke_key(path, "alice")
    revoke_key(path, "bob")
    new, _ = create_key(path, "bob")
    text = path.read_text()
    path.write_text(text.replace("[keys.carol]\n", "[keys.carol]\nmax_sessions = 1\n"))

    assert keys.replace(load_keys(path)) == {"alice", "bob"}
    assert keys.find(new) is not None
    assert len(keys) == 2


async def test_a_file_is_followed(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "PERIOD", 0.02)
    first, _ = create_key(path, "alice")
    followed = FollowedKeys(path)
    revoked: list[frozenset[Owner]] = []
    good = await trio.Path(path).read_text()

    async def lines(number: int) -> None:
        with trio.fail_after(PATIENCE):
            while len(caplog.records) < number:  # noqa: ASYNC110 - a log sets no event
                await trio.sleep(0.01)

    def change(text: str) -> None:
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)

    with caplog.at_level("INFO", "trio_exec.keys"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(followed.run, revoked.append)
            change("[keys")
            await lines(1)
            await trio.Path(path).unlink()
            await lines(2)
            assert followed.keys.find(first) is not None
            change(good)
            await lines(3)
            assert (followed.keys.find(first) is not None, revoked) == (True, [])
            change("")
            await lines(4)
            assert (followed.keys.find(first), revoked) == (None, [{"alice"}])
            nursery.cancel_scope.cancel()
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "INFO", "INFO"]
    assert "the keys stay as they were" in caplog.text


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trio_exec", "keys", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
        timeout=60,
    )


def test_the_command_line(path: Path) -> None:
    file = ["--keys-file", str(path)]
    limits = ["--limit", "memory_bytes=67108864", "--languages", "py,cpp", "--operator"]
    made = cli(*file, "create", "alice", "--max-sessions", "3", *limits)
    assert made.returncode == 0, made.stderr
    assert "alice may have 3 sessions at once, 50 waiting, 60 starts a minute" in made.stderr
    assert made.stdout.count("\n") == 1
    keys = Keys(load_keys(path))
    found = keys.find(made.stdout.strip())
    assert found is not None
    assert (found[1].languages, found[1].limits.given, found[1].operator) == (
        {"python", "cpp"},
        {"memory_bytes": 67108864},
        True,
    )

    listed = cli("list", *file)
    assert "alice (te_" in listed.stdout
    assert "languages cpp, python, memory_bytes at most 67108864, operator" in listed.stdout
    shown = json.loads(cli("list", "--json", TRIO_EXEC_KEYS_FILE=str(path)).stdout)
    assert shown["keys"]["alice"]["max_sessions"] == 3
    assert "hash" not in shown["keys"]["alice"]

    assert cli("revoke", "alice", *file).returncode == 0
    assert "has no keys" in cli("list", *file).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "name the file of keys: --keys-file FILE, or the setting keys_file"),
        (["create", "alice", "--languages", "cobol"], "unknown language 'cobol'; available: "),
        (["create", "alice", "--max-sessions", "0"], "keys.alice.max_sessions: Input should be greater than"),
        (["revoke", "alice"], "there is no file"),
    ],
)
def test_what_the_command_line_says(path: Path, arguments: list[str], message: str) -> None:
    file = [] if arguments == ["list"] else ["--keys-file", str(path)]
    done = cli(*file, *arguments)
    assert done.returncode != 0
    assert done.stderr.startswith("trio-exec: ")
    assert message in done.stderr

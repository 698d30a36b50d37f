"""Settings: where they come from, and what is said when they can't be used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from trio_exec import defaults
from trio_exec.cli.config import describe
from trio_exec.errors import ConfigurationError
from trio_exec.languages import RUNTIMES
from trio_exec.limits import MIB
from trio_exec.settings import GROUPS, Settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "PORT"):
        monkeypatch.delenv(f"TRIO_EXEC_{name}", raising=False)


def test_the_defaults_are_those_that_are_promised() -> None:
    settings = Settings.load()

    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.memory_bytes == 200 * 2**20
    assert (settings.cpus, settings.pids, settings.workspace_bytes) == (0.5, 32, 32 * 2**20)
    assert (settings.idle_timeout, settings.execution_timeout, settings.max_output_bytes) == (30, 120, 2**20)
    assert (settings.max_sessions, settings.max_queue, settings.queue_timeout) == (10, 100, 120)


def test_the_environment_goes_before_the_file_and_both_before_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text('port = 1\npids = 64\nallowed_hosts = ["a", "b"]\n')
    monkeypatch.setenv("TRIO_EXEC_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.setenv("TRIO_EXEC_PORT", "2")
    monkeypatch.setenv("TRIO_EXEC_ALLOWED_ORIGINS", "https://a.example, http://b.example:3000")
    monkeypatch.setenv("TRIO_EXEC_RUNTIME", "")
    settings = Settings.load()

    assert (settings.port, settings.pids, settings.allowed_hosts) == (2, 64, ("a", "b"))
    assert settings.allowed_origins == ("https://a.example", "http://b.example:3000")
    assert settings.runtime is None
    assert Settings.load(port=3).port == 3


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("PORT", "x", "port (TRIO_EXEC_PORT): Input should be a valid integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("PIDS", "0", "pids (TRIO_EXEC_PIDS): Input should be greater than or equal to 2"),
        ("MEMORY_BYTES", "-1", "greater than or equal to"),
        ("CPUS", "0", "cpus"),
        ("CPUS", "nan", "finite"),
        ("IDLE_TIMEOUT", "inf", "idle_timeout"),
        ("MAX_SESSIONS", "0", "max_sessions"),
        ("ALLOWED_ORIGINS", "docs.example", "write scheme://host[:port]"),
        ("ALLOWED_ORIGINS", "https://docs.example/x", "without a path"),
        ("UIDS", "0-9999", "uids (TRIO_EXEC_UIDS): 0-9999 is not within 1 to 65535"),
        ("UIDS", "60000-70000", "uids (TRIO_EXEC_UIDS): 60000-70000 is not within 1 to 65535"),
        ("UIDS", "50000-50009", "50000-50009 has 10 user ids; sessions, the pool and containers that are being"),
        ("UIDS", "59999-50000", "59999-50000 has 0 user ids"),
        ("UIDS", "50000", "uids (TRIO_EXEC_UIDS): String should match pattern"),
        ("MAX_SESSIONS", "10000", "50000-59999 has 10000 user ids"),
        ("IDEL_TIMEOUT", "3", "TRIO_EXEC_IDEL_TIMEOUT: there is no such setting, did you mean TRIO_EXEC_IDLE_TIMEOUT?"),
        ("SECRET", "3", "TRIO_EXEC_SECRET: there is no such setting; `trio-exec config` lists"),
        ("POOL", "python=two", "pool (TRIO_EXEC_POOL): python: Input should be a valid integer"),
        ("LANGUAGES", "cobol", "languages: unknown: cobol; available: cpp, java, javascript, python"),
        ("LANGUAGES_DIR", "/nowhere", "languages_dir: there is no directory /nowhere"),
        ("LANGUAGES_DIR", str(RUNTIMES / "python"), f"name the folder above it: {RUNTIMES}"),
        ("LANGUAGES_DIR", str(RUNTIMES / "launcher"), "has a language.toml"),
        ("CONFIG", "/nowhere.toml", "there is no file /nowhere.toml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    monkeypatch.setenv(f"TRIO_EXEC_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert part in caught.value.message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("port = ", "Invalid value"),
        ("prot = 1", "prot: there is no such setting, did you mean port?"),
        ("max-session = 1", "did you mean max_sessions?"),
        ("maxSessions = 1", "did you mean max_sessions?"),
        ("TRIO_EXEC_PORT = 1", "TRIO_EXEC_PORT: there is no such setting, did you mean port?"),
        ("[server]\nport = 1", "[server]: settings have no headings; take that line away, and write port above"),
        ("[server]\nprot = 1", "prot: there is no such setting, did you mean port?"),
        ("[trio-exec.limits]\npids = 8", "[trio-exec]: settings have no headings"),
        ("[pool]\npython = 1\nport = 2", "port is a setting of its own, but stands below [pool]; write it above"),
        ('[pool]\nhost = "x"', "host is a setting of its own, but stands below [pool]; write it above"),
        ('pool = ["python"]', "pool (TRIO_EXEC_POOL): write a table such as"),
        ("[[pool]]\npython = 1", "pool (TRIO_EXEC_POOL): write a table such as"),
        ("allowed_hosts = { a = 1 }", "allowed_hosts (TRIO_EXEC_ALLOWED_HOSTS): write a list such as"),
        ("host = 1", "host (TRIO_EXEC_HOST): write a text, in quotes"),
        ('languages_dir = ["a"]', "languages_dir (TRIO_EXEC_LANGUAGES_DIR): write a path, in quotes"),
        ("port = true", "port (TRIO_EXEC_PORT): true is no value for it"),
        ("cpus = false", "cpus (TRIO_EXEC_CPUS): false is no value for it"),
        ('languages = ["pyhton"]', "languages: unknown: pyhton (did you mean python?); available: cpp, java,"),
        ('auth = "key"', "auth (TRIO_EXEC_AUTH): unknown: key (did you mean keys?); available: none, keys, proxy"),
        (
            'log_level = "wraning"',
            "log_level (TRIO_EXEC_LOG_LEVEL): unknown: wraning (did you mean warning?); available: d",
        ),
        ("auth = 1", "auth (TRIO_EXEC_AUTH): unknown: 1; available: none, keys, proxy"),
        ('missing_limits = ["memroy", "x"]', "unknown: memroy (did you mean memory?), x; available: memory, swap,"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, part: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    monkeypatch.setenv("TRIO_EXEC_CONFIG", str(tmp_path / "c.toml"))
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert part in caught.value.message


def test_what_config_prints_can_be_loaded_again(tmp_path: Path) -> None:
    first = subprocess.run([sys.executable, "-m", "trio_exec", "config"], capture_output=True, text=True, check=True)
    (tmp_path / "c.toml").write_text(first.stdout)
    command = [sys.executable, "-m", "trio_exec", "--config", str(tmp_path / "c.toml"), "config"]
    second = subprocess.run(command, capture_output=True, text=True, check=True)

    assert second.stdout == first.stdout
    values = tomllib.loads(first.stdout)
    assert values["port"] == 8080
    for name in Settings.model_fields:
        assert f"(TRIO_EXEC_{name.upper()})" in first.stdout


def test_every_setting_is_in_one_group_and_printed_below_its_heading() -> None:
    names = [name for group in GROUPS for name in group.model_fields]
    assert sorted(names) == sorted(Settings.model_fields)

    printed = describe(Settings.load()).splitlines()
    expected: list[str] = []
    for group in GROUPS:
        expected += [f"## {group.heading}", *group.model_fields]
    lines = [line for line in printed if line.startswith("## ") or re.match(r"(# )?\w+ = ", line)]
    assert [line if line.startswith("## ") else line.removeprefix("# ").split(" = ")[0] for line in lines] == expected


def test_each_language_says_how_many_warm_containers_it_wants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, wants in (("few", "pool = 1"), ("many", "pool = 7"), ("none", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "language.toml").write_text(
            f'name = "{name}"\ntitle = "T"\nversion = "1"\nsource_file = "m"\n{wants}\n[run]\ncommand = ["true"]\n'
        )
    built_in = {"cpp": 2, "java": 2, "javascript": 2, "python": 2}

    def pool(gibibytes: int, **settings: Any) -> dict[str, int]:
        monkeypatch.setattr(defaults, "_memory", lambda: gibibytes * 1024 * MIB)
        return Settings.load(**settings).pool

    assert pool(4) == pool(64) == built_in
    assert pool(3) == dict.fromkeys(built_in, 1)
    assert pool(1) == dict.fromkeys(built_in, 0)
    assert pool(64, languages="python,cpp") == {"cpp": 2, "python": 2}
    assert pool(64, languages_dir=tmp_path) == {**built_in, "few": 1, "many": 7}
    assert pool(3, languages_dir=tmp_path) == {**dict.fromkeys(built_in, 1), "few": 1, "many": 1}
    assert pool(64, pool="python=4", languages_dir=tmp_path) == {"python": 4}


@pytest.mark.parametrize(
    "name", ["TRIOEXEC_PORT", "TRIO-EXEC-PORT", "trioexec_port", "TRIO_EXEC-PROT", "TRIO_EXECPORT"]
)
def test_a_prefix_that_is_not_quite_right_is_no_reason_to_pass_a_setting_over(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert f"{name}: there is no such setting, did you mean TRIO_EXEC_PORT?" in caught.value.message


@pytest.mark.parametrize("name", ["TRIOEXECUTOR_HOME", "TRIO_EXEC_API_KEY", "TRIO_EXEC_URL", "TRIO_TOKEN"])
def test_variables_of_others_are_none_of_ours(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert Settings.load().port == 8080


def test_settings_in_a_file_may_be_in_capitals_and_a_pool_may_be_none_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text("PORT = 1\npool = 0\n")
    monkeypatch.setenv("TRIO_EXEC_CONFIG", str(tmp_path / "c.toml"))
    settings = Settings.load()
    assert (settings.port, settings.pool) == (1, {})


def test_a_language_in_the_pool_that_there_is_not_may_be_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_EXEC_POOL", "pyton=1")
    with pytest.raises(ConfigurationError, match=r"pool: unknown: pyton \(did you mean python\?\); available"):
        Settings.load().check_pool(["python"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("allowed_hosts", host) for host in ["https://x.org", "x.org:8443", "*.x.org", '"x.org"', "x.org/", "[::1]"]),
        *(
            ("allowed_origins", origin)
            for origin in ["x.org", "https://x.org/", "https://", "https://x.org/a", "'null'"]
        ),
        *(
            ("embed_origins", origin)
            for origin in [
                "x.org",
                "https://x.org/a",
                "https://*.x.org",
                "https://x.org;script-src",
                "'self'",
                "https://[::1]",
            ]
        ),
        ("host", "*"),
        ("trusted_proxies", "proxy.example"),
    ],
)
def test_what_can_never_match_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TRIO_EXEC_{name.upper()}", value)
    with pytest.raises(ConfigurationError, match=f"^{name} "):
        Settings.load()


def test_what_can_match_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_EXEC_ALLOWED_HOSTS", "x.org, localhost, 10.0.0.1, ::1, a_b.c-d, *")
    monkeypatch.setenv(
        "TRIO_EXEC_ALLOWED_ORIGINS", "https://x.org:8443, null, file://, app://-, vscode-webview://1a2b, *"
    )
    settings = Settings.load()

    assert len(settings.allowed_hosts) == len(settings.allowed_origins) == 6


def test_a_misspelt_line_of_the_file_is_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text("max_session = 1\n")
    monkeypatch.setenv("TRIO_EXEC_CONFIG", str(tmp_path / "c.toml"))
    with pytest.raises(ConfigurationError, match=r"^max_session: .* did you mean max_sessions\?"):
        Settings.load()


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "GREEN_PORT": "udp://10.0.0.1:1",
        "GREEN_SERVICE_HOST": "10.0.0.1",
    }.items():
        monkeypatch.setenv(f"TRIO_EXEC_{name}", value)

    assert Settings.load().port == 8080
    monkeypatch.setenv("TRIO_EXEC_PORT", "9000")
    assert Settings.load().port == 9000


@pytest.mark.parametrize("arguments", [["--config", "{}", "config"], ["config", "--config", "{}"]])
def test_the_file_is_named_before_the_command_or_after_it(tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "c.toml"
    file.write_text("port = 1234\n")
    command = [sys.executable, "-m", "trio_exec", *(it.format(file) for it in arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "\nport = 1234\n" in result.stdout


def test_config_refuses_what_can_not_be_served() -> None:
    command = [sys.executable, "-m", "trio_exec", "config"]
    result = subprocess.run(command, env={"TRIO_EXEC_POOL": "cobol=1"}, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("trio-exec: pool: unknown: cobol; available: cpp,")


def test_what_is_wrong_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_EXEC_PORT", "x")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert len(caught.value.message.splitlines()) == 1


def test_the_readme_lists_every_setting() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name}`" in text, name


def test_a_bad_setting_ends_the_program_with_a_sentence() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "trio_exec", "serve"],
        env={"TRIO_EXEC_PIDS": "0", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 2
    assert result.stderr.startswith("trio-exec: pids (TRIO_EXEC_PIDS): ")


def test_printing_the_settings_imports_no_server() -> None:
    code = (
        "import sys; sys.argv = ['trio-exec', 'config']; from trio_exec.cli.main import main; main(); "
        "print(sorted({'quart', 'hypercorn', 'docker', 'trio'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.splitlines()[-1] == "[]"

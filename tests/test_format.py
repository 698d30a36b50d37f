"""`POST /format`: a program comes back as its language's formatter would have it, or with where that stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.descriptions import check_answer
from tests.support import PATIENCE, TESTED_LANGUAGES, Answer, Client, ServerProcess
from trio_exec.client import FormatError, NotAllowedError, QuotaExceededError, connect
from trio_exec.client.sync import connect as connect_in_plain_calls
from trio_exec.keys import create_key

UGLY = {
    "python": ("x=  1\nif x :\n  print( x )\n", "x = 1\nif x:\n    print(x)\n"),
    "javascript": ("const a  =1\nif(a){f( a )}", "const a = 1;\nif (a) {\n  f(a);\n}\n"),
    "java": ("class A{int x=1 ;}", "class A {\n    int x = 1;\n}\n"),
    "cpp": ("int main(){\n  int x=1 ;\n return x;}\n", "int main() {\n    int x = 1;\n    return x;\n}\n"),
}
BROKEN = {
    "python": ("x = 1\ny = = 1\n", "main.py", 2, 5),
    "javascript": ("let x = 1;\nlet y = = 1;\n", "main.js", 2, 9),
    "java": ("class A {\n    int x = ;\n}\n", "Main.java", 2, 13),
}


def those_of(cases: dict[str, Any]) -> list[str]:
    return [name for name in cases if name in TESTED_LANGUAGES or not TESTED_LANGUAGES]


async def ask(client: Client, **body: Any) -> Answer:
    answer = await client.request("POST", "/format", body)
    check_answer("POST", "/format", answer.status, answer.headers.get_content_type(), answer.body)
    return answer


@pytest.mark.parametrize("language", those_of(UGLY))
async def test_a_program_is_formatted_and_what_is_formatted_stays(client: Client, language: str) -> None:
    ugly, fair = UGLY[language]
    for code in (ugly, fair):
        answer = await ask(client, language=language, code=code)
        assert (answer.status, answer.json()) == (200, {"code": fair})


@pytest.mark.parametrize("language", those_of(BROKEN))
async def test_what_can_not_be_read_is_told_with_its_place(client: Client, language: str) -> None:
    code, file, line, column = BROKEN[language]
    answer = await ask(client, language=language, code=code)

    told = answer.json()
    assert (answer.status, told["code"]) == (422, "cannot_format")
    assert (told["file"], told["line"], told["column"]) == (file, line, column)
    assert told["error"].startswith(f"{file}:{line}: ")
    assert len(told["error"]) > len(f"{file}:{line}: ")


async def test_the_source_files_of_several_are_formatted_whatever_the_main_one_is_called(client: Client) -> None:
    files = {"start": "import  a\n", "a.py": "y=2", "p/[x]*.py": "z=3 ", "data.json": '{"x" :1}'}
    answer = await ask(client, language="python", files=files)
    assert answer.json() == {"files": {"start": "import a\n", "a.py": "y = 2\n", "p/[x]*.py": "z = 3\n"}}

    answer = await ask(client, language="python", code="import  a", files={"a.py": "y=2"})
    assert answer.json() == {"code": "import a\n", "files": {"a.py": "y = 2\n"}}

    answer = await ask(client, language="python", files={"main.py": "x=1", "lib/b.py": "x =", "-c.py": "x=1"})
    assert (answer.status, answer.json()["file"], answer.json()["line"]) == (422, "lib/b.py", 1)


@pytest.mark.parametrize(
    ("body", "field", "part"),
    [
        ({"language": "python"}, "code", "give the program"),
        ({"language": "python", "code": {"data": "/w==", "encoding": "base64"}}, "code", "not UTF-8"),
        ({"language": "python", "files": {"a.py": "", ".b/c.py": ""}}, "files", "begins with a dot"),
        ({"language": "python", "code": "", "stdin": ""}, "stdin", "no such field"),
        ({"language": "cobol", "code": ""}, "language", "unknown language"),
    ],
)
async def test_what_is_no_request_is_told(client: Client, body: dict[str, Any], field: str, part: str) -> None:
    answer = await ask(client, **body)

    assert (answer.status, answer.json()["field"]) == (400, field)
    assert part in answer.json()["error"]


async def test_languages_say_whether_they_have_a_formatter(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(languages_dir=Path(__file__).parent / "languages", languages="bash,python"))
    await client.until_all_languages()
    listed = (await client.request("GET", "/languages")).json()["languages"]
    assert {it["name"]: it["formats"] for it in listed} == {"bash": False, "python": True}

    answer = await ask(client, language="bash", code="ls")
    assert (answer.status, answer.json()["field"]) == (400, "language")
    assert "there is no formatter for" in answer.json()["error"]


async def test_a_formatter_has_limits_of_its_own_and_no_network(
    start_server: Callable[..., ServerProcess], tmp_path: Path, images: dict[str, str]
) -> None:
    """Of a language whose formatter does what the program says."""
    folder = tmp_path / "obeys"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {images['python']}\n")
    (folder / "language.toml").write_text(
        'name = "obeys"\ntitle = "Obeys"\nversion = "1"\nsource_file = "main.py"\n[run]\ncommand = ["true"]\n'
        '[format]\ncommand = ["python3", "{source}"]\ntimeout = 3\nmemory_bytes = 67_108_864\n'
    )
    client = Client(start_server(languages_dir=tmp_path, languages="obeys"))
    await client.until_all_languages()

    async def told(code: str) -> tuple[int, str]:
        answer = await ask(client, language="obeys", code=code)
        return answer.status, answer.json().get("error") or answer.json()["code"]

    assert await told("while True: pass") == (422, "formatting took too long; format a part of it at a time")
    status, words = await told("x = b'x' * 100_000_000")
    assert (status, words) == (422, "formatting took too much memory; format a part of it at a time")
    status, words = await told("import os\nwhile True: os.write(1, b'x' * 65536)")
    assert (status, "wrote more than" in words) == (422, True)
    status, words = await told("import os\nos.remove(__file__)")
    assert (status, "could not be read back" in words) == (422, True)
    network = "import socket; open(__file__, 'w').write(str(socket.socket().connect_ex(('192.0.2.1', 80))))"
    assert await told(network) == (200, "101")
    assert await told("raise SystemExit('it is too ugly')") == (422, "it is too ugly")


async def test_formatting_counts_as_a_start_and_wants_a_key(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    key, _ = create_key(tmp_path / "keys.toml", "one", starts_per_minute=1)
    server = start_server(keys_file=tmp_path / "keys.toml", languages="python")
    with trio.fail_after(PATIENCE):
        async with connect(server.url) as nobody:
            with pytest.raises(NotAllowedError):
                await nobody.format("python", "x=1")
        async with connect(server.url, api_key=key) as library:
            await library.format("python", "x=1")
            with pytest.raises(QuotaExceededError):
                await library.format("python", "x=1")


async def test_the_client_library_formats(client: Client) -> None:
    with trio.fail_after(PATIENCE):
        async with connect(client.server.url) as library:
            formatted = await library.format("py", "x=1", files={"a.py": "y =2"})
            assert (formatted.code, formatted.files) == ("x = 1\n", {"a.py": "y = 2\n"})
            found = (await library.languages()).find("python")
            assert found is not None
            assert found.formats
            with pytest.raises(FormatError) as caught:
                await library.format("python", files={"a.py": "", "b.py": "\nx = = 1"})
    assert (caught.value.file, caught.value.line, caught.value.column) == ("b.py", 2, 5)


def test_plain_calls_format(server: ServerProcess) -> None:
    with connect_in_plain_calls(server.url) as client:
        assert client.format("python", "x=1").code == "x = 1\n"


def test_the_command_prints_a_file_or_changes_it(server: ServerProcess, tmp_path: Path) -> None:
    file, broken = tmp_path / "a.py", tmp_path / "b.py"
    file.write_text("x=1\n")
    broken.write_text("x = = 1\n")

    def command(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "trio_exec", "format", *arguments, "--url", server.url],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    assert command(str(file)) == (0, "x = 1\n", "")
    assert file.read_text() == "x=1\n"
    assert command("--write", str(file)) == (0, "", "")
    assert file.read_text() == "x = 1\n"
    assert command("-w", str(broken)) == (1, "", "trio-exec: b.py:1: Cannot parse\n")
    assert broken.read_text() == "x = = 1\n"
    code, _, words = command(str(tmp_path / "none.py"))
    assert (code, "none.py" in words) == (2, True)

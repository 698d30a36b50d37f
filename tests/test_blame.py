"""What a request brings about is told as the request's doing, and never as a failure of the engine or the server."""

from __future__ import annotations

import pytest

from tests.support import Client

HELLO = "#include <iostream>\nint main() { std::cout << 1; }"


@pytest.mark.parametrize(
    ("language", "name", "taken"),
    [
        ("python", ".tmp", ".tmp"),
        ("python", ".tmp/held0", ".tmp"),
        ("cpp", ".program", ".program"),
        ("cpp", ".program/x.cpp", ".program"),
        ("java", ".build/main-class", ".build"),
    ],
)
async def test_names_that_are_needed_for_something_else(client: Client, language: str, name: str, taken: str) -> None:
    body = {"language": language, "code": HELLO, "files": {name: "x"}}
    answer = await client.request("POST", "/session", body)

    error = answer.json()
    assert (answer.status, error["code"], error["field"]) == (400, "invalid_request", "files")
    assert f"'{taken}' is where" in error["error"]
    assert "choose another name" in error["error"]


@pytest.mark.parametrize("name", [".build", ".program/x", ".tmpx", "x/.tmp", "held0"])
async def test_other_names_are_free(client: Client, name: str) -> None:
    run = await client.run(language="python", code=f"print(open({name!r}).read())", files={name: "x"})
    assert (run.stdout, run.stderr) == ("x\n", "")


async def test_names_and_variables_that_make_a_command_too_long(client: Client) -> None:
    # Of the greatest length and number; the compile command has each of them twice.
    files = {f"{'a' * 250}/{'b' * 254}/{number:02}.cpp": "" for number in range(64)}
    answer = await client.request("POST", "/session", {"language": "cpp", "files": files})

    error = answer.json()
    assert (answer.status, error["code"], error["field"]) == (400, "invalid_request", "files")
    assert "of 65536 at most" in error["error"]
    assert "shorter or fewer names" in error["error"]

    few = {"main.cpp": HELLO, **dict(list(files.items())[:50])}
    run = await client.run(language="cpp", files=few, env={"A": "x" * 16000})
    assert (run.stdout, run.stderr, run.reason) == ("1", "", None)


@pytest.mark.parametrize("path", ["/nowhere", "", "/workspace", "."])
@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import os; print(os.environ['PATH'])"),
        ("javascript", "console.log(process.env.PATH)"),
        ("cpp", '#include <cstdlib>\n#include <cstdio>\nint main() { puts(getenv("PATH")); }'),
    ],
)
async def test_a_path_is_the_programs_and_finds_none_of_our_commands(
    client: Client, language: str, code: str, path: str
) -> None:
    files = {"python3": "#!/bin/sh\necho no", "node": "#!/bin/sh\necho no", "g++": "#!/bin/sh\necho no"}
    run = await client.run(language=language, code=code, files=files, env={"PATH": path})

    assert (run.stdout, run.stderr, run.final.exit_code) == (path + "\n", "", 0)


async def test_a_program_that_does_not_fit_its_own_memory(client: Client) -> None:
    code = "char data[63 << 18] = {1};\nint main() {}"
    run = await client.run(language="cpp", code=code, limits={"memoryBytes": 16 * 2**20})

    assert (run.final.state, run.reason, run.stdout) == ("terminated", "memory_limit", "")
    assert run.final.message is not None
    assert "more memory than the program may use" in run.final.message


@pytest.mark.parametrize(
    ("language", "name", "code"),
    [
        ("javascript", "inspect", "console.log('mine')"),
        ("javascript", "--help", "console.log('mine')"),
        ("python", "-c", "print('mine')"),
        ("python", "@x", "print('mine')"),
        ("cpp", "@main.cpp", '#include <cstdio>\nint main() { puts("mine"); }'),
    ],
)
async def test_a_main_file_may_have_any_name(client: Client, language: str, name: str, code: str) -> None:
    run = await client.run(language=language, files={name: code})
    assert (run.stdout, run.stderr) == ("mine\n", "")

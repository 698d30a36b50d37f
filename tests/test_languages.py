"""Languages as data: a new one takes a Dockerfile and a TOML table; a description that can't be used is told why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Client, ServerProcess
from trio_exec.errors import ConfigurationError, UnknownLanguageError
from trio_exec.executor.images import language_images
from trio_exec.languages import Languages, Sizes, Stage

LANGUAGES = Path(__file__).parent / "languages"

VALID = """
name = "x"
title = "X"
version = "1"
source_file = "main.x"
[run]
command = ["x"]
"""


async def test_a_language_is_added_without_python(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(languages_dir=LANGUAGES, languages="bash,python"))
    await client.until_all_languages()
    versions = {it["name"]: it["version"] for it in (await client.request("GET", "/languages")).json()["languages"]}
    assert sorted(versions) == ["bash", "python"]
    assert versions["bash"].startswith("5.2."), "as the image has it; language.toml says 5"

    async with client.session(
        language="sh", code='read -p "name? " name; echo "hello $name $1"; exit 4', args=["x"]
    ) as it:
        await it.until_waiting()
        await it.input("Ada\n")
        run = await it.to_end()
    assert (run.stdout, run.final.exit_code) == ("hello Ada x\n", 4)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x = ", "Invalid value"),
        (VALID.replace('name = "x"', ""), "name: Field required"),
        (VALID.replace('name = "x"', 'name = "X Y"'), "name: String should match"),
        (VALID + "[compile]\ncommand = []", "compile.command: List should have at least 1 item"),
        (VALID + "[format]\ncommand = ['x']\ntimeout = 0", "format.timeout: Input should be greater than 0"),
        (VALID.replace("[run]", "colour = 3\n[run]"), "colour: Extra inputs are not permitted"),
        (VALID.replace("[run]", 'aliases = ["py"]\n[run]'), "are both called 'py'"),
    ],
)
def test_a_description_that_cannot_be_used_is_told_why(tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "language.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"language\.toml|called") as caught:
        Languages.load(tmp_path)
    assert part in caught.value.message


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="unknown: cobol; available: cpp, java, javascript, python"):
        Languages.load(only=["cobol"])
    with pytest.raises(UnknownLanguageError, match="available: cpp"):
        Languages.load().find("cobol")
    with pytest.raises(ConfigurationError, match="no directory"):
        Languages.load(Path("/nowhere"))


def test_commands_expand() -> None:
    stage = Stage(command=["cc", "{sources}", "-main={source}", "-m{memory},{processors}"])

    expanded = stage.expand(["a.c", "lib/c.c", "-x.c"], Sizes(5, 3))
    assert expanded == ["cc", "a.c", "lib/c.c", "./-x.c", "-main=a.c", "-m5,3"]


def test_source_files_are_the_first_and_those_by_their_extensions() -> None:
    cpp = Languages.load()["cpp"]
    files = ["notes.txt", "b.c", "a.cpp", "lib/A.CC", "x.C", "x.h", "x.hpp", "c.CXX", "d.c", "cpp", "e.txt"]

    assert cpp.sources(files) == ["notes.txt", "a.cpp", "lib/A.CC", "x.C", "c.CXX", "b.c", "d.c"]
    assert cpp.sources(["b.c", "a.c"]) == ["b.c", "a.c"]
    assert Languages.load()["java"].sources(["A", "B.java", "c.cpp"]) == ["A", "B.java"]


def test_sources_can_be_listed_in_a_file() -> None:
    stage = Stage(command=["cc", "list"], sources_file="list")

    assert stage.list_sources(["a.c", "-b.c", "dir/ü x.c"]) == {"list": "a.c\n./-b.c\ndir/ü x.c\n".encode()}
    assert Stage(command=["cc"]).list_sources(["a.c"]) == {}


def test_tags_follow_the_content(tmp_path: Path) -> None:
    def tag() -> str:
        return language_images(Languages.load(tmp_path, ["c++"]).values())["c++"].tag

    directory = tmp_path / "x"
    directory.mkdir()
    (directory / "language.toml").write_text(VALID.replace('"x"', '"c++"', 1))
    (directory / "Dockerfile").write_text("FROM scratch")
    first = tag()
    assert first.startswith("trio-exec/cpp:")
    assert tag() == first

    (directory / "language.toml").write_text(VALID.replace('"x"', '"c++"', 1) + '[env]\nA = "1"')
    assert tag() == first, "the description is no part of the image"
    (directory / "Dockerfile").write_text("FROM scratch\n# changed")
    assert tag() != first

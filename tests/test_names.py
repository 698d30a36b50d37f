"""Files of any name: each is run, or refused in words that say what to do."""

from __future__ import annotations

import json

import pytest

from tests.programs import JAVA_MAIN
from tests.support import Client

NAMES = [
    "program",
    "main.txt",
    "a b.x",
    "größe",
    "-x",
    "@x",
    "MAIN",
    "x.o",
    "x.h",
    "x.c",
    "dir/-x y",
    "$HOME",
    "*",
    "x.class",
]
HELLO = {
    "python": "print('hello')",
    "javascript": "console.log('hello')",
    "java": JAVA_MAIN % ("Main", 'System.out.println("hello");'),
    "cpp": '#include <iostream>\nint main() { std::cout << "hello\\n"; }',
}


@pytest.mark.parametrize("language", HELLO)
@pytest.mark.parametrize("name", NAMES)
async def test_a_main_file_may_have_any_name(client: Client, language: str, name: str) -> None:
    run = await client.run(language=language, files={name: HELLO[language]})

    assert run.outcome == ("hello\n", "", "run: exit 0")


@pytest.mark.parametrize("language", ["java", "cpp"])
async def test_errors_name_the_file(client: Client, language: str) -> None:
    run = await client.run(language=language, files={"my program": HELLO[language].replace(";", "")})

    assert run.ending == "compile: exit 1"
    assert "my program:" in run.stderr


@pytest.mark.parametrize(
    ("language", "name", "own"),
    [
        ("javascript", "data.json", "main.js"),
        ("javascript", "package.json", "main.js"),
        ("javascript", "x.node", "main.js"),
        ("python", "main.pyc", "main.py"),
    ],
)
async def test_a_name_that_means_something_else_is_refused(client: Client, language: str, name: str, own: str) -> None:
    answer = await client.request("POST", "/run", {"language": language, "files": {name: "", own: HELLO[language]}})

    assert (answer.status, answer.json()["field"]) == (400, "files")
    assert f"call it {own!r}, or name the main file first" in json.loads(answer.body)["error"]


PARTS = {
    "main.cpp": "int f(); int g(); int h(); int i(); int j(); int main() { return f() + g() + h() + i() + j(); }",
    "a.cc": "int f() { return 1; }",
    "b.c": '#include "b.h"\nint g() { return 2; }',
    "b.h": "int g();",
    "c.CXX": "int h() { return 4; }",
    "lib/d.C": "int i() { return 8; }",
    "e.c++": "int j() { return 16; }",
    "template.hpp": "no program",
    "notes.txt": "neither",
    "Makefile": "",
}


@pytest.mark.parametrize("main", ["main.cpp", "main.c", "main"])
async def test_all_that_is_cpp_is_compiled_whatever_its_ending(client: Client, main: str) -> None:
    files = {main: PARTS["main.cpp"], **{name: text for name, text in PARTS.items() if name != "main.cpp"}}
    run = await client.run(language="cpp", files=files)

    assert run.outcome == ("", "", "run: exit 31")


ANIMAL = 'public class Animal { public String toString() { return "animal"; } }'
MAIN = JAVA_MAIN % ("Main", "System.out.println(new Animal());")
ORDERS: list[dict[str, str]] = [
    {"Animal.java": ANIMAL, "Main.java": MAIN},
    {"Main.java": MAIN, "Animal.java": ANIMAL},
    {"zoo/Animal.java": "package zoo; " + ANIMAL, "app/Main.java": "package app; import zoo.*; " + MAIN},
    {"Animal": ANIMAL, "x.JAVA": MAIN},
    {"A.java": "interface A {}", "Animal.java": ANIMAL, "B.java": "enum B { X }", "Main.java": MAIN},
    # The first file's own comes before that of others.
    {"Main.java": MAIN, "Animal.java": ANIMAL, "Z.java": JAVA_MAIN % ("A", "System.out.println(1);")},
]


@pytest.mark.parametrize("files", ORDERS)
async def test_the_class_with_main_is_found_in_any_file(client: Client, files: dict[str, str]) -> None:
    run = await client.run(language="java", files=files)

    assert run.outcome == ("animal\n", "", "run: exit 0")


async def test_no_main_at_all_is_told_of_the_first_class(client: Client) -> None:
    run = await client.run(language="java", files={"Animal.java": ANIMAL, "Other.java": "class Other {}"})

    assert run.ending == "run: exit 1"
    assert "Main method not found in class Animal" in run.stderr

"""The launcher's patterns, against a reference that is written the obvious way."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from trio_exec.executor.process import binary
from trio_exec.launcher.patterns import PATTERN_LENGTH_MAX, PATTERNS_MAX, check_pattern

Ask = Callable[[Sequence[tuple[bool, Sequence[bytes], Sequence[bytes]]]], list[str]]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that answers what the launcher's code says."""
    if shutil.which(binary.COMPILER) is None:
        pytest.skip(f"there is no {binary.COMPILER}")
    program = tmp_path_factory.mktemp("matcher") / "matcher"
    sources = [Path(__file__).with_name("matcher.c"), binary.SOURCES / "match.c", binary.SOURCES / "utf8.c"]
    sanitizers = ["-fsanitize=undefined", "-fno-sanitize-recover"]
    flags = [flag for flag in binary.FLAGS if flag != "-static"]
    command = [binary.COMPILER, *flags, *sanitizers, "-I", binary.SOURCES, "-o", program, *sources]
    subprocess.run(command, check=True, timeout=60)
    return program


@pytest.fixture
def ask(driver: Path) -> Ask:
    """Answers for several sets of patterns, each with paths; one line for each set."""

    def ask(questions: Sequence[tuple[bool, Sequence[bytes], Sequence[bytes]]]) -> list[str]:
        lines: list[str] = []
        for hidden_too, patterns, paths in questions:
            lines += [(b"h" if hidden_too else b"-").hex(), *(it.hex() for it in patterns), ""]
            lines += [*(it.hex() for it in paths), ""]
        return _output(driver, lines)

    return ask


def _output(driver: Path, lines: list[str], *arguments: str) -> list[str]:
    text = "".join(line + "\n" for line in lines)
    done = subprocess.run([driver, *arguments], input=text, text=True, capture_output=True, check=True, timeout=60)
    return done.stdout.splitlines()


@cache
def part_regex(part: bytes, hidden_too: bool) -> re.Pattern[bytes]:
    text, at = b"", 0
    while at < len(part):
        byte = part[at : at + 1]
        found = re.match(rb"\[([!^]?+)(\]?+[^]]*)\]", part[at:], re.S) if byte == b"[" else None
        if found:
            members = members_of(found[2])
            inside = [bytes([value]) for value in range(256) if (value in members) != bool(found[1])]
            text += b"(?:" + b"|".join(map(re.escape, inside)) + b")" if inside else b"(?!)"
            at += found.end()
        else:
            text += {b"*": b".*", b"?": b"."}.get(byte, re.escape(byte))
            at += 1
    guard = b"" if hidden_too or part.startswith(b".") else rb"(?!\.)"
    return re.compile(guard + text, re.S)


def members_of(text: bytes) -> set[int]:
    members: set[int] = set()
    while text:
        if len(text) > 2 and text[1:2] == b"-":
            members |= set(range(text[0], text[2] + 1))
            text = text[3:]
        else:
            members.add(text[0])
            text = text[1:]
    return members


def matches(pattern: Sequence[bytes], path: Sequence[bytes], hidden_too: bool) -> bool:
    if not pattern:
        return not path
    if pattern[0] == b"**":
        if len(pattern) == 1:
            return bool(path) and all(hidden_too or not name.startswith(b".") for name in path)
        may_skip = len(path) > 1 and (hidden_too or not path[0].startswith(b"."))
        return matches(pattern[1:], path, hidden_too) or (may_skip and matches(pattern, path[1:], hidden_too))
    if not path or not part_regex(pattern[0], hidden_too).fullmatch(path[0]):
        return False
    return matches(pattern[1:], path[1:], hidden_too)


def expected(hidden_too: bool, patterns: Sequence[bytes], paths: Sequence[bytes]) -> str:
    return "".join(
        str(int(any(matches(it.split(b"/"), path.split(b"/"), hidden_too) for it in patterns))) for path in paths
    )


ATOMS = [*(bytes([it]) for it in b"ab.*?-]!^"), b"[", b"[ab]", b"[!a]", b"[^.]", b"[a-c]", b"[]x]", b"[!]a]", b"[b-]"]
ATOMS += [b"**", b"[.]", b"\xff", b"[\x80-\xff]", b"\\"]
NAMES = [b"a", b"b", b"c", b".", b"-", b"]", b"[", b"!", b"^", b"\xc3", b"\xff", b"*", b"\\", b"x"]


def a_part(source: random.Random, atoms: list[bytes]) -> bytes:
    while (part := b"".join(source.choices(atoms, k=source.randint(1, 6)))) in {b".", b".."}:
        pass
    return part


def test_any_pattern_matches_as_the_reference_does(ask: Ask) -> None:
    source = random.Random(os.environ.get("MATCH_SEED", "1"))
    questions: list[tuple[bool, list[bytes], list[bytes]]] = []
    for _ in range(3000):
        patterns = [
            b"/".join(b"**" if source.random() < 0.3 else a_part(source, ATOMS) for _ in range(source.randint(1, 4)))
            for _ in range(source.randint(1, 3))
        ]
        paths = [
            b"/".join(
                a_part(source, NAMES if source.random() < 0.5 else NAMES[:4]) for _ in range(source.randint(1, 5))
            )
            for _ in range(20)
        ]
        questions.append((source.random() < 0.3, patterns, paths))
    wanted = [expected(*question) for question in questions]
    differing = [it for it in zip(questions, ask(questions), wanted, strict=True) if it[1] != it[2]]
    assert differing == []
    assert "1" in "".join(wanted)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("**", "a a/b a/b/c", ".a a/.b .a/b"),
        ("*", "a", "a/b .a"),
        ("*.txt", "x.txt", "x.txt/x .txt x.tx"),
        ("out/*", "out/x", "out x out/x/y out/.x"),
        ("out/**", "out/x out/x/y", "out x out/.x/y"),
        ("**/x", "x a/x a/b/x", ".a/x a/y"),
        ("a/**/b", "a/b a/c/b a/c/d/b", "a/.c/b b a"),
        (".*", ".a", "a .a/b"),
        (".git/**", ".git/x", ".git/.x git/x"),
        ("[a-c]x", "ax bx cx", "dx x -x"),
        ("[!a-c]x", "dx", "ax"),
        ("[.]x", "", ".x"),
        ("[ab", "[ab", "a b"),
        ("a?", "ab", "a abc"),
        ("**a", "a ba", "b x/a"),
    ],
)
def test_patterns_as_people_write_them(ask: Ask, pattern: str, yes: str, no: str) -> None:
    paths = [*yes.split(), *no.split()]
    answers = "1" * len(yes.split()) + "0" * len(no.split())
    assert ask([(False, [pattern.encode()], [it.encode() for it in paths])]) == [answers]
    assert check_pattern(pattern) == pattern


def test_with_hidden_files_too_dots_are_nothing_special(ask: Ask) -> None:
    assert ask([(True, [b"**"], [b".a", b"a/.b/c", b"a"])]) == ["111"]


@pytest.mark.parametrize(
    "pattern", ["", "/a", "a//b", "a/", "..", "a/../b", ".", "./a", "x" * (PATTERN_LENGTH_MAX + 1)]
)
def test_what_is_no_pattern_is_refused_at_both_ends(ask: Ask, pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|holds) "):
        check_pattern(pattern)
    if pattern:  # An empty line ends the patterns.
        assert ask([(False, [pattern.encode()], [b"a"])]) == ["x"]


def test_only_so_many_patterns_are_taken(ask: Ask) -> None:
    assert ask([(False, [b"a"] * PATTERNS_MAX, [b"a"]), (False, [b"a"] * (PATTERNS_MAX + 1), [b"a"])]) == ["1", "x"]


@pytest.mark.parametrize("pattern", [b"*a" * 127 + b"b", b"*" + b"a" * 126 + b"b", b"*[ab]" * 80 + b"c", b"[" * 500])
def test_no_pattern_takes_for_ever(ask: Ask, pattern: bytes) -> None:
    paths = [b"a" * 255] * 1000
    assert ask([(False, [pattern] * PATTERNS_MAX, paths)]) == ["0" * 1000]


def test_no_number_of_folders_takes_for_ever(ask: Ask) -> None:
    paths = [b"/".join([b"a"] * 2000)] * 20
    assert ask([(False, [b"**/a/" * 100 + b"b"] * PATTERNS_MAX, paths)]) == ["0" * 20]


def test_names_that_can_be_told_are_utf_8_without_control_characters(driver: Path) -> None:
    source = random.Random(2)
    names = [bytes(source.choices(range(1, 256), k=source.randint(1, 4))) for _ in range(20_000)]
    names += [chr(it).encode("utf-8", "surrogatepass") for it in (*range(1, 0x2100), *range(0xD000, 0x11000), 0x10FFFF)]
    names += [b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\xf0\x9f\x98\x80", b"\xc3"]

    def is_text(name: bytes) -> bool:
        try:
            return not re.search(r"[\x00-\x1f\x7f-\x9f]", name.decode())
        except UnicodeDecodeError:
            return False

    assert _output(driver, [it.hex() for it in names], "text") == [str(int(is_text(it))) for it in names]

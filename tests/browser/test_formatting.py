"""Formatting from the page: one undo takes it back, and what can't be read is led to."""

from __future__ import annotations

import re

import pytest

from tests.browser.ide import IDE

UNTIDY = {
    "python": ("x=  [1,\n2]\nprint( x )\n", "x = [1, 2]\nprint(x)"),
    "javascript": ("const x=  1;console.log( x )\n", "const x = 1;\nconsole.log(x);"),
    "java": ("class Main{int x=1;}\n", "class Main {\n    int x = 1;\n}"),
    "cpp": ("int  main( ){return 0;}\n", "int main() { return 0; }"),
}


def formatted(ide: IDE, expected: str) -> None:
    # Of an empty line, the browser makes two.
    ide.eventually(lambda: re.sub(r"\n+", "\n", ide.code).strip() == expected, lambda: f"{ide.code!r}; {ide.notice!r}")


@pytest.mark.parametrize("language", UNTIDY)
def test_a_program_is_formatted_and_an_undo_takes_it_back(ide: IDE, language: str) -> None:
    code, tidy = UNTIDY[language]
    ide.choose(language).write(code)
    ide.page.keyboard.press("Shift+Alt+F")
    formatted(ide, tidy)
    ide.page.keyboard.press("Control+z")
    formatted(ide, code.strip())
    ide.page.click("#format")
    formatted(ide, tidy)
    ide.page.reload()
    ide.page.wait_for_selector("body.ready")
    formatted(ide, tidy)


def test_what_can_not_be_read_is_marked_and_kept(ide: IDE) -> None:
    code = "x = 1\ndef f(:\n    pass\n"
    ide.write(code)
    ide.page.click("#format")
    ide.eventually(lambda: "It can't be formatted" in ide.notice, lambda: ide.notice)
    assert "def f(:" in ide.code
    assert ide.page.locator(".cm-problem-line").count() == 1
    ide.page.click("#notice-action")
    assert ide.page.locator(".cm-activeLineGutter").first.inner_text() == "2"


def test_all_files_are_formatted(ide: IDE) -> None:
    page = ide.page
    ide.write("import other\nprint( other.X )\n")
    page.click("#file-add")
    page.keyboard.press("Enter")
    ide.write("X=  1\n")
    page.click("#tab-0")
    page.click("#format")
    formatted(ide, "import other\nprint(other.X)")
    page.click("#tab-1")
    formatted(ide, "X = 1")

"""Errors lead to their line: in the output, in the result, in the editor."""

from __future__ import annotations

import pytest

from tests.browser.ide import IDE

FAULTS = {
    "python": ("def f():\n    return 1 / 0\n\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
    "javascript": (
        "function f() {\n  return undefined.x;\n}\nf();\n",
        2,
        "TypeError: Cannot read properties of undefined",
    ),
    "java": (
        "class Main {\n  static int f() { return 1 / 0; }\n  public static void main(String[] a) {\n    f();\n  }\n}\n",
        2,
        "java.lang.ArithmeticException: / by zero",
    ),
    "cpp": ("int main() {\n  int x = 1;\n  return y;\n}\n", 3, "‘y’ was not declared in this scope"),
}
BROKEN = {
    "python": ("x = 1\nif x\n    pass\n", 2, "SyntaxError: expected ':'"),
    "javascript": ("let x = 1;\nlet = ;\n", 2, "SyntaxError"),
    "java": ("class Main {\n  int x = 1\n}\n", 2, "';' expected"),
    "cpp": ("#include <nothing.h>\nint main() {}\n", 1, "nothing.h: No such file or directory"),
}
MARKED = ".cm-problem-line"


def marked_line(ide: IDE) -> int:
    lines = ide.page.locator(".cm-content .cm-line")
    [at] = [i for i in range(lines.count()) if "cm-problem-line" in (lines.nth(i).get_attribute("class") or "")]
    return at + 1


@pytest.mark.parametrize("tty", [True, False], ids=["terminal", "plain"])
@pytest.mark.parametrize("language", FAULTS)
@pytest.mark.parametrize("faults", [FAULTS, BROKEN], ids=["runs", "broken"])
def test_the_result_names_what_happened_and_leads_there(
    ide: IDE, faults: dict[str, tuple[str, int, str]], language: str, tty: bool
) -> None:
    code, line, message = faults[language]
    ide.choose(language).write(code).terminal(on=tty).run().ends(message)
    place = ide.page.inner_text("#status-place")

    assert place.endswith(f", line {line}")
    assert marked_line(ide) == line
    assert message in ide.page.locator(".cm-problem-message").first.inner_text()
    ide.page.click("#status-place")
    assert ide.page.evaluate("document.activeElement.classList.contains('cm-content')")
    assert ide.page.locator(".cm-activeLineGutter").first.inner_text() == str(line)
    ide.page.keyboard.type(" ")
    assert ide.page.locator(MARKED).count() == 0, "what was marked is another text now"


@pytest.mark.every_browser
def test_places_in_the_output_are_links_also_into_other_files(ide: IDE) -> None:
    page = ide.page
    page.click("#file-add")
    page.fill("#name-input", "helper.py")
    page.keyboard.press("Enter")
    ide.write("def half(x):\n    if x is None:\n        raise ValueError('nothing to halve')\n")
    page.click("#tab-0")
    ide.write("import helper\n\nhelper.half(None)\n").run().ends("ValueError: nothing to halve")
    assert page.inner_text("#status-place") == "helper.py, line 3"
    assert page.get_attribute("#tab-0", "aria-selected") == "true"

    row = page.locator("#screen .xterm-rows > div", has_text='helper.py", line 3').first
    box = row.bounding_box()
    assert box
    # xterm.js finds links where the pointer comes to rest.
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + 80, box["y"] + box["height"] / 2)
    ide.eventually(
        lambda: page.get_attribute("#screen", "title") == "Go to helper.py, line 3",
        lambda: str(page.get_attribute("#screen", "title")),
    )
    page.mouse.click(box["x"] + 80, box["y"] + box["height"] / 2)
    assert page.get_attribute("#tab-1", "aria-selected") == "true"
    assert marked_line(ide) == 3


def test_a_compiler_s_first_error_is_what_is_seen(ide: IDE) -> None:
    code = "int main() {\n  first;\n" + "".join(f"  unknown{i};\n" for i in range(60)) + "}\n"
    ide.choose("cpp").write(code).run().ends("‘first’ was not declared in this scope")
    ide.shows("‘first’ was not declared")
    # Also where less of the screen is left, as by what is said below it.
    size = ide.page.viewport_size
    assert size
    rows = len(ide.screen.splitlines())
    ide.page.set_viewport_size({"width": size["width"], "height": size["height"] - 100})
    ide.eventually(lambda: len(ide.screen.splitlines()) < rows, lambda: ide.screen)
    ide.shows("‘first’ was not declared")


def test_a_program_that_ends_well_marks_nothing(ide: IDE) -> None:
    ide.write("import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()\n").run()
    ide.shows("Traceback").ends("Finished.")

    assert ide.page.locator(MARKED).count() == 0
    assert not ide.page.is_visible("#status-place")


@pytest.mark.every_browser
def test_what_was_marked_is_gone_when_it_runs_again(ide: IDE) -> None:
    ide.write("import sys\nif input():\n    sys.exit('sorry')\n1 / 0\n").run().says("Waiting").type("\n")
    ide.ends("ZeroDivisionError")
    assert marked_line(ide) == 4
    ide.run().says("Waiting")
    assert ide.page.locator(MARKED).count() == 0
    ide.type("x\n").ends("exit code 1")
    assert ide.page.locator(MARKED).count() == 0


def test_an_exit_code_without_a_trace_says_just_that(ide: IDE) -> None:
    ide.write("raise SystemExit(3)").run().ends("Finished with exit code 3.")
    assert not ide.page.is_visible("#status-place")

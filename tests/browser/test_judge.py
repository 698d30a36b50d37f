"""Tests of a program: written on the page, carried by a link, judged by the server, explained where one fails."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import assert_accessible

SQUARES = "for line in open(0):\n    print(int(line) ** 2)\n"


def tests(ide: IDE, *pairs: tuple[str, str]) -> None:
    ide.page.locator("label", has=ide.page.locator("#as-tests")).click()
    ide.page.wait_for_selector("#tests-add")
    for text, expected in pairs:
        ide.page.click("#tests-add")
        fields = ide.page.locator("#tests-list > li").last.locator("textarea")
        fields.first.fill(text)
        fields.last.fill(expected)


def verdicts(ide: IDE) -> list[str]:
    return [text.split(" in ")[0] for text in ide.page.locator(".verdict").all_inner_texts()]


def test_tests_are_judged_and_the_first_failure_is_explained(ide: IDE) -> None:
    ide.write(SQUARES)
    tests(ide, ("2\n", "4  \n\n"), ("3\n4\n", "9\n17\n"), ("5\n", "26\n"))
    ide.run().ends("2 of 3 tests failed.")

    assert verdicts(ide) == ["✓ passed", "✗ failed", "✗ failed"]
    [difference] = ide.page.locator(".difference").all_inner_texts()
    # For those who don't see the signs, words say the same.
    assert difference.split() == ["9", "missing:", "-", "17", "too", "much:", "+", "16"]
    assert_accessible(ide.page)
    ide.write(SQUARES.replace("** 2", "* int(line)"))
    ide.page.locator("#tests-list textarea").nth(3).fill("9\n16\n")
    ide.page.locator("#tests-list textarea").nth(5).fill("25\n")
    ide.run().ends("All 3 tests passed.")
    assert ide.page.locator(".difference").count() == 0


def test_a_link_carries_the_tests(ide: IDE, new_page: Callable[..., Page]) -> None:
    ide.write(SQUARES)
    tests(ide, ("2\n", "4\n"))
    link = ide.shared_link()
    other = IDE(new_page()).open(link)
    assert other.page.is_checked("#as-tests")
    other.run().ends("The test passed.")
    other.page.reload()
    other.page.wait_for_selector("body.ready")
    tests(other, ("3\n", "9\n"))
    other.run().ends("All 2 tests passed.")
    other.page.reload()
    other.page.wait_for_selector("body.ready")
    tests(other)
    assert other.page.locator("#tests-list > li").count() == 2, "they are kept with the program"


def test_what_goes_wrong_is_said(ide: IDE) -> None:
    ide.write("import sys\nsys.exit('no good')\n")
    tests(ide)
    ide.run().ends("There are no tests yet")
    tests(ide, ("", ""))
    ide.run().ends("1 of 1 test failed.")
    assert "exit code 1" in ide.page.inner_text(".test-words")
    assert "no good" in ide.page.inner_text(".test-errors")
    ide.choose("cpp").write("int main() { return nonsense; }")
    tests(ide, ("", "x"))
    ide.run().ends("does not compile, so no test was run")
    assert ide.page.locator(".cm-problem-line").count() == 1


def test_tests_are_stopped_and_make_room_for_a_run(ide: IDE) -> None:
    ide.write("import time\ntime.sleep(60)\n")
    tests(ide, ("", "x"), ("", "y"))
    ide.run().says("Testing… 0 of 2").stop().ends("Stopped.")
    ide.run().says("Testing…")
    ide.terminal(on=True).write("print('as before')").run().shows("as before").ends("Finished.")
    assert not ide.page.is_visible("#tests")


def test_tests_are_removed_by_keyboard(ide: IDE) -> None:
    ide.write(SQUARES)
    tests(ide, ("1", "1"), ("2", "4"))
    ide.page.focus("#tests-list li:first-child button")
    ide.page.keyboard.press("Enter")
    assert ide.page.locator("#tests-list > li").count() == 1
    assert ide.page.locator("#tests-list textarea").first.input_value() == "2"
    assert ide.page.evaluate("document.activeElement.id") == "tests-add"

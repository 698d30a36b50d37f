"""What an address can ask of the page: a language, a program, its looks, a run; and that it harms nobody's work."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import assert_accessible
from tests.browser.test_programs import has, keeps, listed, notes, typed
from tests.support import ServerProcess


def go(ide: IDE, fragment: str) -> IDE:
    """Follows a link to the page that is open."""
    ide.page.evaluate("fragment => location.assign(fragment)", f"#{fragment}")
    ide.eventually(lambda: "#" not in ide.page.url, lambda: ide.page.url)
    return ide


def test_a_language_and_a_program_in_plain_text(new_page: Callable[..., Page], server: ServerProcess) -> None:
    code = "print('a+b', 100 % 7, '&=#ž')\nprint(2)"
    ide = IDE(new_page()).open(f"{server.url}/#lang=py&text={quote(code)}&file=sum.py&theme=dark&run=1")
    ide.shows("a+b 2 &=#ž").ends("Finished.")
    has(ide, code)
    assert "#" not in ide.page.url
    assert ide.page.locator("#tabs .tab").inner_text().startswith("sum.py")
    assert ide.page.get_attribute("html", "data-theme") == "dark"
    assert ide.notice == ""
    ide.page.reload()
    ide.page.wait_for_selector("body.ready")
    has(ide, code)
    assert ide.page.get_attribute("html", "data-theme") is None


def test_a_language_alone(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page()).open(f"{server.url}/#lang=java")
    assert ide.page.input_value("#language") == "java"
    assert ide.status == "Ready."


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("lang=cobol&text=x&run=1", "“cobol”, which this server does not have"),
        ("text=%zz&run=1", "“text” is damaged"),
        ("text=x&run=please", "it can be 1 or 0"),
        ("code=AAAA&run=1", "damaged"),
    ],
)
def test_bad_values_are_said_and_nothing_runs(ide: IDE, fragment: str, words: str) -> None:
    ide.write("# mine")
    notes(go(ide, fragment), words)
    assert ide.status == "Ready."
    keeps(ide, "# mine")


def test_a_link_overwrites_nothing_and_ends_nothing(ide: IDE) -> None:
    ide.write("print('mine', input())").run().says("Waiting for your input.")
    go(ide, "lang=python&text=print('theirs')&run=1")
    notes(ide, "another one is running")
    has(ide, "print('theirs')")
    keeps(ide, "print('mine', input())")
    ide.type("goes on\n").shows("mine goes on").ends("Finished.")
    go(ide, "lang=python&text=print('again')&run=1")
    ide.shows("again").ends("Finished.")
    assert listed(ide) == ["From a link 2", "From a link", "Ask for a name and a number"]


def test_a_link_without_a_program_runs_nothing(ide: IDE) -> None:
    ide.write("print('mine')")
    go(ide, "lang=python&run=1")
    go(ide, "run=1")
    ide.page.wait_for_timeout(500)
    assert ide.status == "Ready."


def test_a_link_that_is_loaded_in_a_tab_with_a_running_program_ends_nothing(ide: IDE) -> None:
    ide.write("print('mine', input())").run().says("Waiting for your input.")
    url = ide.page.url
    ide.page.goto("about:blank")
    ide.open(f"{url}#lang=python&text=print('theirs')&run=1")
    notes(ide, "another one is running")
    ide.type("goes on\n").shows("mine goes on").ends("Finished.")


def test_a_program_to_be_read(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page()).open(f"{server.url}/#lang=python&text=print(1)&readonly=1")
    assert_accessible(ide.page)
    typed(ide, "changed")
    ide.page.focus("#tab-0")
    ide.page.keyboard.press("F2")
    has(ide, "print(1)")
    assert not ide.page.is_visible("#name-dialog")
    assert not ide.page.is_visible("#file-add")
    assert ide.page.get_attribute("#args", "readonly") is not None
    ide.run().shows("1").ends("Finished.")
    ide.choose("java")
    typed(ide, "// free")
    ide.eventually(lambda: "// free" in ide.code, lambda: ide.code)
    ide.choose("python")
    typed(ide, "changed")
    has(ide, "print(1)")


def test_what_is_to_be_read_can_be_changed_by_whoever_wants(
    new_page: Callable[..., Page], server: ServerProcess
) -> None:
    ide = IDE(new_page()).open(f"{server.url}/#lang=python&text=print(1)&readonly=1")
    ide.page.get_by_role("button", name="Change it").click()
    typed(ide, "0")
    has(ide, "print(1)0")

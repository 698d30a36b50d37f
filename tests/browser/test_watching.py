"""Others watch a program by a link: they see it, and can do nothing to it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.ide import IDE

ASKS = "print('before')\nname = input('name? ')\nprint('hello', name)\n1 / 0\n"


def watch_link(ide: IDE) -> str:
    ide.page.click("#share")
    ide.page.wait_for_selector("#share-watch:not([hidden])")
    link = ide.page.input_value("#watch-link")
    ide.page.keyboard.press("Escape")
    return link


def test_watching_a_program(ide: IDE, new_page: Callable[..., Page]) -> None:
    ide.write(ASKS).run().shows("name?").says("Waiting")
    link = watch_link(ide)
    first, second = IDE(new_page()), IDE(new_page())
    first.open(link).shows("before", "name?").says("It waits for input.")
    second.open(link).shows("name?")
    ide.eventually(
        lambda: "are watching\n2" in ide.page.inner_text("#figures"), lambda: ide.page.inner_text("#figures")
    )
    first.eventually(lambda: "is watching\n1" in first.page.inner_text("#figures"), lambda: "nobody else")
    assert "input('name? ')" in first.code
    assert link.split("watch=")[1].split("&")[0] not in first.page.url, "a reload by the address would not be theirs"

    first.page.focus("#screen textarea")
    first.page.keyboard.type("Eve\n")
    ide.type("Ada\n")
    for each in (ide, first, second):
        each.shows("hello Ada").ends("ZeroDivisionError: division by zero")
        assert "Eve" not in each.screen
        assert each.page.inner_text("#status-place") == "main.py, line 4"
    assert first.notice.startswith("You watch a program")


def test_a_watcher_leaves_and_the_program_goes_on(ide: IDE, new_page: Callable[..., Page]) -> None:
    ide.write(ASKS).run().shows("name?")
    watcher = IDE(new_page()).open(watch_link(ide)).shows("name?")
    assert watcher.page.inner_text("#run") == "Leave"
    watcher.page.wait_for_timeout(600)
    watcher.page.click("#run")
    watcher.ends("You watch it no more.")
    assert ide.running
    watcher.write("print('mine')").run().shows("mine").ends("Finished.")
    assert ide.running
    ide.stop().ends("Stopped.")


def test_watching_goes_on_after_a_reload_and_does_not_outlive_who_runs_it(
    ide: IDE, new_page: Callable[..., Page]
) -> None:
    ide.write(ASKS).run().shows("name?")
    link = watch_link(ide)
    watcher = IDE(new_page()).open(link).shows("name?")
    watcher.page.reload()
    watcher.shows("name?").says("It waits for input.")
    ide.stop().ends("Stopped.")
    watcher.ends("Stopped.")


def test_a_link_to_what_is_long_over(ide: IDE) -> None:
    ide.page.goto(ide.page.url + "#watch=AAAAAAAAAAAAAAAAAAAAAA")
    ide.eventually(lambda: "over, and not kept" in ide.notice, lambda: ide.notice)
    assert not ide.running

"""Input goes where the eyes are, and who is at it is not cut off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE
from tests.support import ServerProcess

REPR = "while True: print('got', repr(input('> ')))"
ODD = "😀é한"


@pytest.mark.parametrize("reader", [True, False], ids=["read-aloud", "silent"])
def test_text_without_key_presses_reaches_the_terminal(ide: IDE, reader: bool) -> None:
    ide.set("reader", reader).write(REPR).run().says("Waiting")
    ide.page.focus("#screen textarea")
    ide.page.keyboard.insert_text(ODD)
    ide.page.keyboard.type("x")
    ide.page.evaluate("document.execCommand('insertText', false, 'ü')")
    ide.page.keyboard.press("Enter")
    ide.shows(f"got '{ODD}xü'")
    ide.page.keyboard.type("plain\n")
    ide.shows("got 'plain'").stop()


@pytest.mark.parametrize("reader", [True, False], ids=["read-aloud", "silent"])
def test_what_an_input_method_composes_comes_once(ide: IDE, reader: bool) -> None:
    ide.set("reader", reader).write(REPR).run().says("Waiting")
    ide.page.focus("#screen textarea")
    cdp = ide.page.context.new_cdp_session(ide.page)
    for text in ("に", "にほ", "にほん"):
        cdp.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})
    cdp.send("Input.insertText", {"text": "日本"})
    ide.page.wait_for_timeout(50)
    ide.page.keyboard.press("Enter")
    ide.shows("got '日本'").stop()


def test_text_without_key_presses_reaches_the_input_line(ide: IDE) -> None:
    ide.terminal(on=False).write(REPR).run().says("Waiting")
    ide.page.focus("#line-input")
    ide.page.keyboard.insert_text(ODD)
    ide.page.keyboard.press("Enter")
    ide.shows(f"got '{ODD}'").stop()


def test_the_end_for_want_of_input_is_counted_down_and_put_off(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]
) -> None:
    ide = IDE(new_page()).open(start_server(idle_timeout=8).url)
    ide.write(REPR).run().says("Waiting")
    keep = ide.page.locator("#keep-alive")
    assert not keep.is_visible()
    keep.wait_for(state="visible")
    assert "ends without input in" in ide.page.inner_text("#figures")
    keep.click()
    keep.wait_for(state="hidden")
    assert ide.running
    keep.wait_for(state="visible")
    ide.ends("no input and no output for 8 seconds")


def test_who_types_a_long_line_is_not_cut_off(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]
) -> None:
    ide = IDE(new_page()).open(start_server(idle_timeout=9).url)
    ide.terminal(on=False).write(REPR).run().says("Waiting")
    ide.page.focus("#line-input")
    ide.page.keyboard.type("a line that takes its time", delay=600)
    ide.page.keyboard.press("Enter")
    ide.shows("got 'a line that takes its time'").stop()


def test_a_program_that_sleeps_is_not_said_to_be_busy(ide: IDE) -> None:
    ide.write("import time\nprint('zzz')\ntime.sleep(60)").run().says("Running…").says("Idle: it sleeps").stop()


@pytest.mark.parametrize("tty", [True, False], ids=["terminal", "plain"])
def test_a_touch_screen_has_a_field_for_answers(
    new_page: Callable[..., Page], server: ServerProcess, tty: bool
) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    ide.write(REPR)
    ide.page.tap("#view-output")
    ide.terminal(on=tty)
    ide.page.tap("#run")
    ide.says("Waiting")
    assert ide.page.inner_text("#line-label") == ("Answer" if tty else "Input")
    assert ide.page.get_attribute("#line-input", "enterkeyhint") == "send"
    ide.line("by touch").shows("> by touch", "got 'by touch'")
    assert ide.screen.count("by touch") == 2, "the terminal echoes it, or the page, and not both"
    ide.page.tap("#line-eof")
    ide.ends("EOFError")


@pytest.mark.every_browser
def test_all_of_the_input_from_a_box(ide: IDE) -> None:
    ide.terminal(on=False).write("import sys\nprint(sum(map(int, sys.stdin)))")
    ide.page.click("#stdin-toggle")
    ide.page.fill("#stdin", "1\n2\n39\n")
    ide.run().shows("42").ends("Finished.")
    assert ide.page.get_attribute("#line-input", "readonly") is not None
    ide.page.fill("#stdin", "")
    ide.run().says("Waiting")
    ide.line("7")
    ide.page.click("#line-eof")
    ide.shows("7\n").ends("Finished.")


@pytest.mark.every_browser
def test_a_double_click_on_run_stops_nothing(ide: IDE) -> None:
    ide.write("input('still here? ')")
    ide.page.dblclick("#run")
    ide.shows("still here?")
    ide.page.wait_for_timeout(300)
    assert ide.running
    ide.stop().ends("Stopped.")


def test_the_editor_s_keys_of_a_touch_screen(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    ide.write("")
    ide.page.tap("#code-keys [data-text='[']")
    ide.page.keyboard.type("1")
    ide.page.tap("#code-keys [data-text=':']")
    assert ide.code.strip() == "[1:]"
    ide.page.tap("#code-keys [data-key=undo]")
    assert len(ide.code.strip()) < len("[1:]")

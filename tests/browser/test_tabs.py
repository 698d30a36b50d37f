"""Files are tabs: dragged, moved by keys, made the main one, removed; and the editor has the keys that people know."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE
from tests.support import ServerProcess


@pytest.fixture
def three(ide: IDE) -> IDE:
    """A program of three files, each of which prints its name."""
    ide.write("print('main')")
    for name in ("b.py", "c.py"):
        ide.page.click("#file-add")
        ide.page.fill("#name-input", name)
        ide.page.keyboard.press("Enter")
        ide.write(f"print('{name}')")
    return ide


def names(ide: IDE) -> list[str]:
    return ide.page.locator("#tabs .tab").all_inner_texts()


def drag(ide: IDE, start: int, to: int) -> None:
    boxes = [ide.page.locator(f"#tab-{i}").bounding_box() for i in (start, to)]
    (first, last) = (box for box in boxes if box)
    mouse = ide.page.mouse
    mouse.move(first["x"] + 20, first["y"] + 15)
    mouse.down()
    for step in range(1, 6):
        mouse.move(first["x"] + 20 + (last["x"] - first["x"]) * step / 5, first["y"] + 15)
    mouse.up()


def test_a_tab_is_dragged_and_the_first_one_runs(three: IDE) -> None:
    drag(three, 2, 0)
    assert names(three) == ["c.py", "main.py", "b.py"]
    assert three.page.get_attribute("#tab-0", "aria-selected") == "true"
    three.run().shows("c.py").ends("Finished.")
    drag(three, 0, 2)
    assert names(three) == ["main.py", "b.py", "c.py"]
    three.page.click("#tab-1")
    assert "b.py" in three.code, "a click after a drag selects again"


def test_a_tab_is_moved_by_keys(three: IDE) -> None:
    three.page.focus("#tab-2")
    three.page.keyboard.press("Shift+ArrowLeft")
    assert names(three) == ["main.py", "c.py", "b.py"]
    three.page.keyboard.press("Shift+ArrowLeft")
    three.page.keyboard.press("Shift+ArrowLeft")
    assert names(three) == ["c.py", "main.py", "b.py"]
    assert three.page.evaluate("document.activeElement.id") == "tab-0"
    assert three.page.get_attribute("#tab-0", "aria-label") == "c.py, the main file"
    three.page.reload()
    three.page.wait_for_selector("body.ready")
    assert names(three) == ["c.py", "main.py", "b.py"]


def test_a_file_is_made_the_main_one_without_dragging(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    ide.page.tap("#file-add")
    ide.page.keyboard.press("Enter")
    ide.page.tap("#tab-1")
    ide.page.wait_for_selector("#name-dialog[open]")
    ide.page.tap("#name-main")
    assert names(ide) == ["other.py", "main.py"]


def test_vim_s_and_emacs_keys(ide: IDE) -> None:
    ide.write("first\nsecond\n").set("keys", "vim")
    ide.page.wait_for_load_state("networkidle")
    ide.page.click("#editor .cm-content")
    ide.page.keyboard.type("ggdd")
    assert ide.code.strip() == "second"
    ide.page.keyboard.type("Othird")
    ide.page.keyboard.press("Escape")
    assert ide.code.split() == ["third", "second"]
    ide.set("keys", "emacs")
    ide.page.wait_for_load_state("networkidle")
    ide.page.click("#editor .cm-line >> nth=0")
    ide.page.keyboard.press("Control+a")
    ide.page.keyboard.press("Control+k")
    ide.eventually(lambda: ide.code.split() == ["second"], lambda: ide.code)


def test_indentation_and_wrapping_are_chosen(ide: IDE) -> None:
    ide.set("tab", "2").set("wrap", value=True).write("")
    ide.page.keyboard.type("if x:\ny")
    assert "\n  y" in ide.code
    assert ide.page.locator(".cm-lineWrapping").count() == 1
    ide.page.reload()
    ide.page.wait_for_selector(".cm-lineWrapping")


def test_search_counts_and_replaces(ide: IDE) -> None:
    ide.write("one two one\none\n")
    ide.page.keyboard.press("Control+Home")
    ide.page.keyboard.press("Control+f")
    ide.page.keyboard.type("one")
    count = ide.page.locator(".search .count")
    ide.page.keyboard.press("Enter")
    ide.eventually(lambda: " of 3" in count.inner_text(), count.inner_text)
    ide.page.fill(".search input >> nth=1", "1")
    ide.page.click(".search button:has-text('All')")
    assert ide.code.split() == ["1", "two", "1", "1"]
    assert count.inner_text() == "none"

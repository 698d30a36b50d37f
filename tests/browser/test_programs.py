"""Programs that are kept in the browser: whatever tabs, links, crashes and full storages do, no work is lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Dialog, Page
from playwright.sync_api import Error as PlaywrightError

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE, assert_accessible
from tests.support import ServerProcess

FIRST = "Ask for a name and a number"
"""The example that newcomers see, in all languages."""
SECOND = f"{FIRST} 2"

_KEPT = """() => Object.entries(localStorage).filter(([key]) => key.startsWith('trio-exec:program:'))
  .map(([, value]) => JSON.parse(value))"""
_FILL = """() => {
  for (let size = 1 << 22; size >= 1; size >>= 1) {
    try { for (let i = 0; ; i++) localStorage.setItem(`filling ${size} ${i}`, 'x'.repeat(size)); } catch {}
  }
}"""
_EMPTY = (
    "() => Object.keys(localStorage).filter(it => it.startsWith('filling')).forEach(it => localStorage.removeItem(it))"
)
_FORBID = """for (const name of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(window, name, { get() { throw new DOMException('forbidden', 'SecurityError'); } });
}"""


def kept(ide: IDE) -> dict[str, str]:
    """The main files of all programs that the browser keeps, by their names."""
    return {it["name"]: it["files"][0]["text"] for it in ide.page.evaluate(_KEPT)}


def keeps(ide: IDE, *codes: str) -> None:
    """Waits until the browser keeps programs with exactly these codes."""

    def found() -> list[str]:
        return sorted(it["files"][0]["text"] for it in ide.page.evaluate(_KEPT))

    ide.eventually(lambda: found() == sorted(codes), lambda: f"{codes} are not {found()}")


def another_tab(ide: IDE, url: str | None = None) -> IDE:
    return IDE(ide.page.context.new_page()).open(url or ide.page.url)


def reload(ide: IDE) -> IDE:
    ide.page.reload()
    ide.page.wait_for_selector("body.ready")
    return ide


def leave(ide: IDE) -> None:
    ide.page.close(run_before_unload=False)


def has(ide: IDE, code: str) -> None:
    ide.eventually(lambda: ide.code == code, lambda: ide.code)


def notes(ide: IDE, text: str) -> None:
    ide.eventually(lambda: text in ide.notice, lambda: f"no {text!r} in {ide.notice!r}")


def menu(ide: IDE) -> Page:
    if ide.page.is_visible("#programs-button"):
        ide.page.click("#programs-button")
    else:
        ide.page.click("#more-button")
        ide.page.click("[data-opens=programs-button]")
    ide.page.wait_for_selector("#programs .program:focus")
    return ide.page


def listed(ide: IDE) -> list[str]:
    names = menu(ide).locator(".program-name").all_inner_texts()
    ide.page.keyboard.press("Escape")
    return names


def choose(ide: IDE, name: str, language: str = "Python") -> None:
    menu(ide).click(f".program:has(.program-name:text-is('{name}')):has-text('{language} ·')")


def act(ide: IDE, button: str) -> None:
    menu(ide).click(f"#programs button:text-is('{button}')")


def give(ide: IDE, name: str) -> None:
    ide.page.fill("#name-input", name)
    ide.page.keyboard.press("Enter")


def typed(ide: IDE, text: str) -> IDE:
    """Types at the end of the code."""
    ide.page.click("#editor .cm-content")
    ide.page.keyboard.press("Control+End")
    ide.page.keyboard.type(text)
    return ide


@pytest.mark.parametrize("closed", ["older first", "newer first"])
def test_a_tab_that_changed_nothing_overwrites_nothing(ide: IDE, closed: str) -> None:
    ide.write("monday")
    keeps(ide, "monday")
    newer = another_tab(ide)
    has(newer, "monday")
    newer.write("tuesday")
    keeps(ide, "tuesday")
    url, context = ide.page.url, ide.page.context
    for tab in (ide, newer) if closed == "older first" else (newer, ide):
        leave(tab)

    again = IDE(context.new_page()).open(url)
    assert again.code == "tuesday"
    keeps(again, "tuesday")


def test_what_another_tab_stores_is_taken_over_with_cursor_and_history(ide: IDE) -> None:
    ide.write("first = 1\nsecond = 2")
    keeps(ide, "first = 1\nsecond = 2")
    other = another_tab(ide)
    typed(ide, "\nthird = 3")
    has(other, "first = 1\nsecond = 2\nthird = 3")
    other.page.click("#editor .cm-content")
    other.page.keyboard.press("Control+Home")
    other.page.keyboard.type("zeroth = 0\n")
    has(ide, "zeroth = 0\nfirst = 1\nsecond = 2\nthird = 3")
    ide.page.keyboard.type(" + 3")  # The cursor is where it was, behind the third line.
    ide.page.keyboard.press("Control+z")
    ide.page.keyboard.press("Control+z")

    has(ide, "zeroth = 0\nfirst = 1\nsecond = 2")
    has(other, "zeroth = 0\nfirst = 1\nsecond = 2")
    assert ide.notice == other.notice == ""


def same_program(ide: IDE) -> IDE:
    """Another tab, with the same program."""
    ide.write("common")
    keeps(ide, "common")
    return another_tab(ide)


def conflict(ide: IDE) -> IDE:
    """Another tab, whose changes meet those of the first."""
    other = same_program(ide)
    ide.write("theirs")
    keeps(ide, "theirs")
    other.write("mine")
    return other


@pytest.fixture
def deaf(ide: IDE) -> IDE:
    """A page whose later tabs hear nothing of each other, as those that a browser has put to sleep."""
    ide.page.context.add_init_script("window.addEventListener('storage', it => it.stopImmediatePropagation(), true)")
    return ide


def test_changes_that_meet_are_both_kept_until_somebody_decides(deaf: IDE) -> None:
    other = conflict(deaf)
    notes(other, "changed in another tab")
    keeps(deaf, "theirs", "mine")
    typed(other, " and more")
    url, context = deaf.page.url, deaf.page.context
    leave(other)
    leave(deaf)

    again = IDE(context.new_page()).open(url)
    assert sorted(kept(again).values()) == ["mine and more", "theirs"]


def test_of_changes_that_meet_mine_can_be_kept(deaf: IDE) -> None:
    other = conflict(deaf)
    notes(other, f"Yours is kept as “{SECOND}”.")
    other.page.get_by_role("button", name="Keep mine").click()

    assert other.notice == ""
    assert other.code == "mine"
    assert deaf.code == "theirs"
    assert kept(deaf) == {FIRST: "theirs", SECOND: "mine"}


def test_of_changes_that_meet_theirs_can_be_loaded(deaf: IDE) -> None:
    other = conflict(deaf)
    notes(other, "changed in another tab")
    other.page.get_by_role("button", name="Load that").click()

    has(other, "theirs")
    assert kept(deaf) == {FIRST: "theirs"}
    other.page.get_by_role("button", name="Bring it back").click()
    assert kept(deaf) == {FIRST: "theirs", SECOND: "mine"}


def test_renaming_there_and_writing_here_are_no_conflict(deaf: IDE) -> None:
    deaf.write("common")
    keeps(deaf, "common")
    other = another_tab(deaf)
    act(deaf, "Rename")
    give(deaf, "A better name")
    other.write("mine")
    keeps(deaf, "mine")

    assert kept(deaf) == {"A better name": "mine"}
    assert other.notice == ""
    menu(other)
    assert other.page.inner_text("#programs-open-title") == "A better name"


def test_changes_that_meet_while_the_storage_is_full(deaf: IDE) -> None:
    other = same_program(deaf)
    deaf.write("theirs")
    keeps(deaf, "theirs")
    deaf.page.evaluate(_FILL)
    mine = "mine " * 100
    other.write(mine)
    notes(other, "Yours is kept as")
    other.page.get_by_role("button", name="Load that").click()
    has(other, "theirs")
    other.page.get_by_role("button", name="Bring it back").click()
    choose(other, SECOND)
    has(other, mine)
    deaf.page.evaluate(_EMPTY)
    typed(other, "!")
    keeps(deaf, "theirs", f"{mine}!")


def test_what_a_later_page_has_stored_is_not_overwritten(ide: IDE) -> None:
    ide.write("mine")
    keeps(ide, "mine")
    strange = "{'of': 'another shape'}"
    ide.page.evaluate(
        "text => { for (const key in localStorage) if (key.includes(':program:')) localStorage.setItem(key, text); }",
        strange,
    )
    typed(ide, "!")
    ide.eventually(
        lambda: "mine!" in str(ide.page.evaluate("Object.values(localStorage)")),
        lambda: str(ide.page.evaluate("Object.values(localStorage)")),
    )
    assert strange in ide.page.evaluate("Object.values(localStorage)")


def test_links_that_nobody_changed_stay_among_many_others(ide: IDE) -> None:
    ide.page.evaluate("location.assign('#lang=python&text=precious')")
    has(ide, "precious")
    for _ in range(25):
        act(ide, "New")
    choose(ide, "From a link")
    has(ide, "precious")


def test_changes_at_the_same_moment_are_both_kept(ide: IDE) -> None:
    ide.write("common")
    keeps(ide, "common")
    other = another_tab(ide)
    # What this tab stored is overwritten by one that did not know of it.
    stored = ide.page.evaluate("() => Object.entries(localStorage).find(([key]) => key.includes(':program:'))")
    ide.write("mine")
    keeps(ide, "mine")
    theirs = json.loads(stored[1])
    theirs["files"][0]["text"] = "theirs"
    theirs["version"].insert(0, ["elsewhere", 1])
    theirs["version"] = [it for it in theirs["version"] if it[0] == "elsewhere"]
    other.page.evaluate("([key, value]) => localStorage.setItem(key, value)", [stored[0], json.dumps(theirs)])

    notes(ide, "changed in another tab")
    assert ide.code == "mine"
    keeps(ide, "mine", "theirs")


def test_two_examples_leave_work_alone(ide: IDE) -> None:
    ide.write("# my work").choose("python", "Guess my number")
    notes(ide, "kept under Programs")
    typed(ide, "# touched")
    ide.choose("python", "Hello, world")
    codes = kept(ide)
    assert codes[FIRST] == "# my work"
    assert codes["Guess my number"].endswith("# touched")
    assert len(codes) == 2

    choose(reload(ide), FIRST)
    has(ide, "# my work")


def test_an_example_that_nobody_changed_is_not_kept(ide: IDE) -> None:
    ide.choose("python", "Guess my number").choose("python", "Hello, world").choose("java").choose("python")
    typed(ide, "x")
    ide.page.keyboard.press("Backspace")
    ide.page.wait_for_timeout(500)

    assert kept(ide) == {}
    assert ide.notice == ""


def test_going_back_from_an_example(ide: IDE) -> None:
    ide.write("# my work").choose("python", "Guess my number")
    ide.page.get_by_role("button", name="Go back").click()

    has(ide, "# my work")


def test_two_links_leave_work_and_each_other_alone(
    ide: IDE, new_page: Callable[..., Page], server: ServerProcess
) -> None:
    sender = IDE(new_page()).open(server.url)
    links = [sender.write(code).shared_link() for code in ("# link one", "# link two")]
    ide.write("# my work")
    for link in links:
        ide.page.evaluate("link => location.assign(link)", link)
        notes(ide, "from the link")
        ide.eventually(lambda: "#code" not in ide.page.url, lambda: ide.page.url)
    has(ide, "# link two")
    keeps(ide, "# my work")
    reload(ide)
    has(ide, "# link two")
    typed(ide, " changed")
    keeps(ide, "# my work", "# link two changed")

    assert listed(ide) == ["From a link", "From a link 2", FIRST]
    choose(ide, "From a link")
    has(ide, "# link one")


def test_switching_languages_leaves_everything_as_it_was(ide: IDE) -> None:
    codes = {"python": "# py", "java": "// java", "javascript": "// js", "cpp": "// cpp"}
    for language, code in codes.items():
        ide.choose(language).write(code)
    for language in ("python", "cpp", "java", "javascript", "python", "java"):
        has(ide.choose(language), codes[language])
    keeps(ide, *codes.values())
    new = another_tab(ide)
    has(new, "// java")
    has(new.choose("cpp"), "// cpp")


def test_undo_goes_on_across_languages_examples_and_renaming(ide: IDE) -> None:
    ide.write("one")
    ide.page.wait_for_timeout(600)  # Undo takes back at once what was typed within half a second.
    typed(ide, " two")
    ide.choose("java").choose("python", "Guess my number")
    choose(ide, FIRST)
    act(ide, "Rename")
    give(ide, "Counting")
    ide.page.dblclick("#tab-0")
    give(ide, "count.py")
    has(ide, "one two")
    ide.page.click("#editor .cm-content")
    ide.page.keyboard.press("Control+z")

    has(ide, "one")


def test_full_storage_is_said_once_and_nothing_is_lost(ide: IDE) -> None:
    ide.write("small")
    keeps(ide, "small")
    ide.page.evaluate(_FILL)
    large = "large = '" + "x" * 300 + "'"
    ide.write(large)
    notes(ide, "full")
    with ide.page.expect_download() as download:
        ide.page.get_by_role("button", name="Save to a file").click()
    assert download.value.suggested_filename == "main.py"
    assert download.value.path().read_text(encoding="utf-8") == large
    typed(ide, "\nmore")
    ide.page.wait_for_timeout(600)
    assert ide.notice == ""

    ide.choose("java")
    choose(ide, FIRST)
    has(ide, f"{large}\nmore")
    ide.page.evaluate(_EMPTY)
    typed(ide, "!")
    keeps(ide, f"{large}\nmore!")


def test_full_storage_and_leaving(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        dialogs: list[str] = []

        def accept(dialog: Dialog) -> None:
            dialogs.append(dialog.type)
            dialog.accept()

        page.on("dialog", accept)
        ide = IDE(page).open(server.url)
        page.evaluate(_FILL)
        ide.write("only here")
        notes(ide, "full")
        has(reload(ide), "only here")
        assert dialogs == ["beforeunload"]


def test_forbidden_storage(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page()
    page.add_init_script(_FORBID)
    ide = IDE(page).open(server.url)
    assert ide.notice == ""
    ide.write("print('only', 'here')")
    notes(ide, "does not let the page keep anything")
    page.click("#notice-close")
    typed(ide, "\n")
    ide.run().shows("only here").ends("Finished.")
    ide.choose("java").write("// java")
    has(ide.choose("python"), "print('only', 'here')\n\n")
    assert ide.notice == ""
    assert listed(ide) == [FIRST, FIRST]


def test_a_page_that_crashes(ide: IDE) -> None:
    url, context = ide.page.url, ide.page.context
    ide.write("first")
    keeps(ide, "first")
    act(ide, "Duplicate")
    ide.write("second")
    keeps(ide, "first", "second")
    with pytest.raises(PlaywrightError, match=r"crash|ERR_"):
        ide.page.goto("chrome://crash")
    ide.page.close()

    again = IDE(context.new_page()).open(url)
    keeps(again, "first", "second")
    has(again, "second")


OLD = {
    "project:python": {"files": [{"name": "main.py", "text": "# old python"}], "args": "-x"},
    "aside:python": {"files": [{"name": "main.py", "text": "# put aside"}], "args": ""},
    "project:java": {"files": [{"name": "Main.java", "text": "// old java"}], "args": ""},
    "project:cobol": {"files": [{"name": "a.cob", "text": "old cobol"}], "args": ""},
    "language": "java",
}
_OLD_KEYS = "() => Object.keys(localStorage).filter(it => /trio-exec:(project|aside):/.test(it))"


def keep_old(page: Page, url: str) -> None:
    """Leaves in the browser what earlier pages kept."""
    page.goto(f"{url}/favicon.svg")
    for name, value in OLD.items():
        page.evaluate("([name, text]) => localStorage.setItem(`trio-exec:${name}`, text)", [name, json.dumps(value)])


def test_what_earlier_pages_kept_is_taken_over(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page()
    keep_old(page, server.url)
    ide = IDE(page).open(server.url)

    assert ide.code == "// old java"
    assert page.evaluate(_OLD_KEYS) == []
    keeps(ide, "# old python", "# put aside", "// old java", "old cobol")
    has(ide.choose("python"), "# old python")
    assert page.input_value("#args") == "-x"
    choose(reload(ide), "My cobol program", "cobol")
    notes(ide, "this server does not have")
    keeps(ide, "# old python", "# put aside", "// old java", "old cobol")


@pytest.mark.parametrize("fails", ["setItem", "removeItem"])
def test_a_crash_while_it_is_taken_over(new_page: Callable[..., Page], server: ServerProcess, fails: str) -> None:
    page = new_page()
    keep_old(page, server.url)
    page.add_init_script(f"""{{
      const {{ {fails} }} = Storage.prototype;
      let calls = 0;
      if (!sessionStorage.getItem('crashed')) Storage.prototype.{fails} = function (...args) {{
        if (this === localStorage && ++calls > 1) throw new Error('as if the page were gone');
        return {fails}.apply(this, args);
      }};
    }}""")
    ide = IDE(page).open(server.url)
    page.evaluate("sessionStorage.setItem('crashed', 'yes')")
    reload(ide)

    assert page.evaluate(_OLD_KEYS) == []
    keeps(ide, "# old python", "# put aside", "// old java", "old cobol")


def test_removing_and_bringing_back(ide: IDE) -> None:
    ide.write("first")
    act(ide, "Duplicate")
    ide.write("second")
    act(ide, "Remove")
    has(ide, "first")
    keeps(ide, "first")
    ide.page.get_by_role("button", name="Bring it back").click()
    has(ide, "second")
    keeps(ide, "first", "second")

    # Another one than the open one, by the keyboard.
    menu(ide)
    ide.page.keyboard.press("ArrowDown")
    ide.page.keyboard.press("Delete")
    assert ide.page.locator(".program-name").all_inner_texts() == [SECOND]
    ide.page.keyboard.press("Escape")
    has(ide, "second")
    ide.page.get_by_role("button", name="Bring it back").click()
    has(ide, "second")
    keeps(ide, "first", "second")


def test_removing_in_another_tab(ide: IDE) -> None:
    ide.write("precious")
    keeps(ide, "precious")
    other = another_tab(ide)
    act(other, "Remove")
    notes(ide, "removed in another tab")
    has(ide, "precious")
    keeps(ide)
    typed(ide, "!")
    keeps(ide, "precious!")


def test_resetting_to_the_example(ide: IDE) -> None:
    example = ide.code
    ide.write("mine")
    ide.page.click("#file-add")
    give(ide, "other.py")
    act(ide, "Reset to the example")
    has(ide, example)
    assert ide.page.locator("#tabs .tab").count() == 1
    ide.page.get_by_role("button", name="Bring yours back").click()
    has(ide, "mine")
    assert ide.page.locator("#tabs .tab").count() == 2
    act(ide, "Reset to the example")
    ide.page.click("#editor .cm-content")
    ide.page.keyboard.press("Control+z")
    has(ide, "mine")


def test_new_duplicate_and_rename(ide: IDE) -> None:
    ide.write("mine")
    act(ide, "Duplicate")
    act(ide, "Rename")
    give(ide, "")
    assert ide.page.inner_text("#name-problem") == "A program needs a name."
    give(ide, "Second thoughts")
    act(ide, "New")
    has(ide, "\n")
    assert sorted(kept(ide)) == [FIRST, "Second thoughts"]
    ide.write("new")
    keeps(ide, "mine", "mine", "new")
    assert listed(ide) == ["Untitled", "Second thoughts", FIRST]
    other = another_tab(ide)
    menu(other)
    other.page.keyboard.press("ArrowDown")
    other.page.keyboard.press("F2")
    give(other, "Third thoughts")
    assert sorted(kept(ide)) == [FIRST, "Third thoughts", "Untitled"]


@pytest.mark.parametrize("options", [{}, PHONE, {**PHONE, "viewport": {"width": 320, "height": 568}}])
def test_the_menu_fits_and_can_be_used_by_everybody(
    new_page: Callable[..., Page], server: ServerProcess, options: dict[str, object]
) -> None:
    ide = IDE(new_page(**options)).open(server.url)
    ide.write("import os\n\nprint('a long line of code, so that not all of it fits into a list')")
    for _ in range(3):
        act(ide, "Duplicate")
    page = menu(ide)
    assert_accessible(page)
    assert page.locator(".program[aria-current=true]").count() == 1
    assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
    assert "just now" in page.locator(".program-facts").first.inner_text()
    assert page.locator(".program-line").first.inner_text().startswith("print('a long")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#programs").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.evaluate("innerWidth")
    assert box["y"] + box["height"] <= page.evaluate("innerHeight")


def test_a_duplicated_tab_leaves_the_session_to_the_first(ide: IDE) -> None:
    ide.write("print('got', input('? '))").run().shows("?")
    context, url = ide.page.context, ide.page.url
    copied = ide.page.evaluate("JSON.stringify(sessionStorage)")
    page = context.new_page()
    page.add_init_script(f"if (!sessionStorage.length) Object.assign(sessionStorage, {copied})")
    twin = IDE(page).open(url)
    has(twin, "print('got', input('? '))")
    twin.eventually(lambda: page.evaluate("sessionStorage['trio-exec:session']") is None, lambda: "it has the session")
    assert twin.status == "Ready."
    twin.run().shows("?")
    ide.type("mine\n").shows("got mine").ends("Finished.")
    twin.type("its own\n").shows("got its own").ends("Finished.")

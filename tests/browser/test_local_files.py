"""Local files: opened by a dialog or by dropping them, saved as they are or as a zip file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Download, FileChooser, FilePayload, Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE, assert_accessible
from tests.browser.test_files import shows_files
from tests.browser.test_programs import act, choose, has, keeps, menu, notes, typed
from tests.support import ServerProcess

_DRAG = """([type, selector, files]) => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(files)) data.items.add(new File([text], name));
  const event = new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""

_DROP_TEXT = """selector => {
  const data = new DataTransfer();
  data.setData("text/plain", "dropped");
  const target = document.querySelector(selector);
  const { left, top } = target.getBoundingClientRect();
  const place = { clientX: left + 5, clientY: top + 5 };
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true, ...place });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}"""


def file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def zipped(files: dict[str, str]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return archive.getvalue()


def choosing(ide: IDE, action: Callable[[], object], *files: FilePayload) -> IDE:
    """Does what asks for files, and chooses these."""
    choosers: list[FileChooser] = []
    ide.page.once("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108 - no built-in is taken.
    ide.page.evaluate("0")  # What comes before it is done: the browser asks us instead of somebody in front of it.
    action()
    ide.eventually(lambda: choosers, lambda: "no files were asked for")
    choosers[0].set_files(list(files))
    return ide


def opens(ide: IDE, *files: FilePayload) -> IDE:
    return choosing(ide, lambda: ide.page.keyboard.press("Control+o"), *files)


def drag(ide: IDE, kind: str, selector: str, files: dict[str, str]) -> bool:
    return ide.page.evaluate(_DRAG, [kind, selector, files])


def saved(ide: IDE, action: Callable[[], object]) -> Download:
    with ide.page.expect_download() as download:
        action()
    return download.value


def test_a_file_opens_in_its_language_and_is_saved_as_it_is(ide: IDE) -> None:
    ide.write("# mine")
    opens(ide, file("Hello.java", b"class Hello { /* \xc5\xbe */ }\r\n"))
    has(ide, "class Hello { /* ž */ }\n\n")
    assert ide.page.input_value("#language") == "java"
    keeps(ide, "# mine")
    notes(ide, "is kept under Programs")
    typed(ide, "// more")
    download = saved(ide, lambda: ide.page.keyboard.press("Control+s"))
    assert download.suggested_filename == "Hello.java"
    assert Path(download.path()).read_text(encoding="utf-8") == "class Hello { /* ž */ }\n// more"
    choose(ide, "Ask for a name and a number")
    has(ide, "# mine")


def test_several_files_and_zip_files(ide: IDE) -> None:
    opens(
        ide,
        file("util.py", b"WORD = 'used'"),
        file("main.py", b"import util\nprint(util.WORD)"),
        file("data.txt", b"1"),
    )
    has(ide, "import util\nprint(util.WORD)")
    ide.run().shows("used").ends("Finished.")
    download = saved(ide, lambda: act(ide, "Save to file"))
    assert download.suggested_filename == "main.py.zip"
    content = Path(download.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["main.py", "data.txt", "util.py"]

    act(ide, "New")
    opens(ide, file("exercise.zip", content))
    has(ide, "import util\nprint(util.WORD)")
    assert ide.page.locator("#tabs .tab").count() == 3
    menu(ide)
    assert ide.page.inner_text("#programs-open-title") == "exercise"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([file("a.py", b"x" * 1_000_001)], "“a.py” is 1.0 MB, and a program can be 1.0 MB at most."),
        ([file("a.png", b"\x89PNG\0")], "“a.png” is no text"),
        ([file(f"{i}.py", b"") for i in range(65)], "64 files at most, and these are 65"),
        ([file("a.zip", b"PK\3\4 damaged")], "“a.zip” can't be unpacked"),
        ([file("a.zip", zipped({f"{i}.py": "" for i in range(65)}))], "64 files at most"),
        ([file("a.zip", zipped({"bomb.py": "x" * 30_000_000}))], "“a.zip” can't be unpacked"),
        ([file("a.zip", zipped({"../../evil.py": "x", "a.py": ""}))], "can't leave its folder"),
    ],
)
def test_what_can_not_be_opened_is_said(ide: IDE, files: list[FilePayload], words: str) -> None:
    ide.write("# mine")
    opens(ide, *files)
    notes(ide, words)
    assert ide.code == "# mine"


def test_what_is_opened_with_a_word_about_it(ide: IDE) -> None:
    opens(ide, file("notes.txt", b"print('still')"), file("a.png", b"\x89PNG\0"))
    notes(ide, "Left out, since it is no text: “a.png”.")
    assert "opened as Python" in ide.notice
    ide.run().shows("still").ends("Finished.")


@pytest.mark.parametrize("where", ["#editor .cm-content", "#output-pane", "header", "#args"])
def test_files_can_be_dropped_anywhere(ide: IDE, where: str) -> None:
    ide.write("# mine")
    files = {"dropped.py": "print('dropped')"}
    assert drag(ide, "dragenter", where, files)
    assert ide.page.is_visible("#drop-zone")
    assert drag(ide, "dragover", where, files)
    assert drag(ide, "drop", where, files)
    has(ide, "print('dropped')")
    assert not ide.page.is_visible("#drop-zone")
    keeps(ide, "# mine")


def test_dragging_over_and_away(ide: IDE) -> None:
    files = {"dropped.py": ""}
    drag(ide, "dragenter", "#editor", files)
    drag(ide, "dragenter", "#output-pane", files)
    drag(ide, "dragleave", "#editor", files)
    assert ide.page.is_visible("#drop-zone")
    drag(ide, "dragleave", "#output-pane", files)
    assert not ide.page.is_visible("#drop-zone")


def test_text_is_still_dropped_into_the_editor_and_nowhere_else(ide: IDE) -> None:
    ide.write("word = 1")
    assert ide.page.evaluate(_DROP_TEXT, "#output-pane")
    has(ide, "word = 1")
    ide.page.evaluate(_DROP_TEXT, "#editor .cm-line")
    ide.eventually(lambda: "dropped" in ide.code, lambda: ide.code)


def test_the_terminal_keeps_its_keys(ide: IDE) -> None:
    ide.write(
        "import sys, termios, tty\n"
        "tty.setraw(0)\nprint('ready', end='\\r\\n', flush=True)\n"
        "print('got', list(sys.stdin.buffer.raw.read(1)), end='\\r\\n', flush=True)\n"
    )
    ide.run().shows("ready").press("Control+s").shows("got [19]").ends("Finished.")
    assert ide.notice == ""


def test_all_that_a_program_left_can_be_had_at_once(ide: IDE) -> None:
    ide.write("open('one', 'w').write('1')").run().ends("Finished.")
    shows_files(ide, "one")
    assert not ide.page.is_visible("#files-all")
    ide.write("import os\nos.mkdir('d')\nfor it in ('one', 'd/two', '__proto__'): open(it, 'w').write(it)").run().ends(
        "Finished."
    )
    shows_files(ide, "__proto__", "d/two", "one")
    assert_accessible(ide.page)
    download = saved(ide, lambda: ide.page.click("#files-all"))
    assert download.suggested_filename == "files.zip"
    with zipfile.ZipFile(download.path()) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "_proto_": b"__proto__",
            "d/two": b"d/two",
            "one": b"one",
        }


def test_opening_on_a_phone(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    menu(ide)
    choosing(ide, lambda: ide.page.click("#program-open"), file("a.js", b"console.log('js')"))
    has(ide, "console.log('js')")


def test_a_file_that_is_dropped_before_the_server_has_answered(
    new_page: Callable[..., Page], server: ServerProcess
) -> None:
    page = new_page()
    page.route("**/languages", lambda route: route.abort())
    page.goto(server.url)
    ide = IDE(page)
    notes(ide, "can't be reached")
    assert drag(ide, "dragover", "#editor", {"a.py": ""})
    assert drag(ide, "drop", "#args", {"a.py": ""})

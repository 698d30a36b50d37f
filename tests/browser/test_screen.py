"""The terminal draws what programs mean: lines without gaps, streams apart, emoji as wide as they are."""

from __future__ import annotations

import pytest

from tests.browser.ide import IDE

_ROWS = (
    "() => [...document.querySelectorAll('#screen .xterm-rows > div')].map(row => row.getBoundingClientRect().height)"
)
_FONT = "() => document.fonts.check('14px Code')"


@pytest.mark.parametrize("scheme", ["dark", "page"])
def test_lines_that_are_drawn_with_characters_have_no_gaps(ide: IDE, scheme: str) -> None:
    ide.set("terminal", scheme).write("print('┌─┐\\n│ │\\n└─┘')").run().ends("Finished.")
    heights = set(ide.page.evaluate(_ROWS))
    glyph = ide.page.evaluate("""() => {
      const context = document.createElement("canvas").getContext("2d");
      context.font = "14px Code";
      const { fontBoundingBoxAscent, fontBoundingBoxDescent } = context.measureText("│");
      return fontBoundingBoxAscent + fontBoundingBoxDescent;
    }""")

    assert ide.page.evaluate(_FONT)
    assert len(heights) == 1
    assert heights.pop() <= glyph + 0.5, "a row is no higher than what is drawn in it"


def test_black_is_the_ground_of_the_dark_terminal(ide: IDE) -> None:
    ide.write("print('\\x1b[40m black \\x1b[0m')").run().ends("Finished.")
    ground = ide.page.evaluate("getComputedStyle(document.querySelector('#output-pane')).backgroundColor")
    black = ide.page.evaluate("""() => {
      const spans = [...document.querySelectorAll("#screen .xterm-rows span")];
      const span = spans.find(it => it.textContent.includes("black"));
      return getComputedStyle(span).backgroundColor;
    }""")

    assert black == ground


def test_neither_stream_lands_in_a_line_of_the_other(ide: IDE) -> None:
    ide.terminal(on=False).write("""
import sys, time
for i in range(3):
    sys.stdout.write(f"out {i} goes on")
    sys.stdout.flush()
    sys.stderr.write(f"err {i} goes on")
    sys.stderr.flush()
""").run().ends("Finished.")
    ide.shows("err 2 goes on")
    lines = [line.rstrip() for line in ide.screen.splitlines() if "goes on" in line]

    assert lines == [f"{stream} {i} goes on" for i in range(3) for stream in ("out", "err")]
    assert ide.download() == "".join(f"out {i} goes onerr {i} goes on" for i in range(3)), "what is saved is exact"


def test_an_answer_stands_behind_its_question(ide: IDE) -> None:
    ide.terminal(on=False).write("import sys\nsys.stderr.write('name? ')\nprint('hello', input())").run()
    ide.says("Waiting").line("Ada").shows("name? Ada", "hello Ada").ends("Finished.")


@pytest.mark.every_browser
@pytest.mark.parametrize("text", ["👩\u200d👩\u200d👧\u200d👦", "🇩🇪", "✈\ufe0f", "😀"])
def test_emoji_are_two_cells_wide(ide: IDE, text: str) -> None:
    ide.page.wait_for_load_state("networkidle")
    ide.write(f"""
import sys, tty
tty.setcbreak(0)
print('{text}|\\x1b[6n', end='', flush=True)
print('at', repr(sys.stdin.read(6)))
""")
    ide.run().shows("at '\\x1b[1;4R'").ends("Finished.")


def test_the_end_stands_on_the_screen_and_not_in_what_is_saved(ide: IDE) -> None:
    ide.write("print('out', end='')").run().ends("Finished.").shows("out", "— finished with exit code 0 in ")
    assert ide.download() == "out"
    ide.write("pass").run().ends("Finished.")
    assert "—" not in ide.screen


def test_an_ended_program_s_output_is_read_by_the_usual_keys(ide: IDE) -> None:
    ide.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ide.write("for i in range(500): print('line', i)").run().ends("Finished.").shows("line 499")
    ide.press("Home").shows("line 0\n").press("PageDown").press("End").shows("line 499")
    ide.press("Control+a").press("Control+c")
    ide.eventually(
        lambda: "line 0\n" in ide.page.evaluate("navigator.clipboard.readText()").replace("\r", ""),
        lambda: ide.page.evaluate("navigator.clipboard.readText()")[:100],
    )


def test_a_larger_text_is_a_smaller_terminal(ide: IDE) -> None:
    ide.write("""
import os, signal
signal.signal(signal.SIGWINCH, lambda *_: print("now", os.get_terminal_size().columns, flush=True))
print("first", os.get_terminal_size().columns, flush=True)
while True:
    signal.pause()
""").run()
    first = int(ide.finds(r"first (\d+)"))
    ide.page.click("#settings-button")
    for _ in range(4):
        ide.page.click("#size-larger")
    assert int(ide.finds(r"now (\d+)")) < first
    assert ide.page.evaluate("getComputedStyle(document.querySelector('.cm-editor')).fontSize") == "18px"
    ide.page.keyboard.press("Escape")
    ide.stop().page.reload()
    ide.page.wait_for_selector("body.ready")
    assert ide.page.evaluate("getComputedStyle(document.querySelector('.cm-editor')).fontSize") == "18px"

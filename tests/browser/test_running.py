"""Programs on the page: talked to, interrupted, stopped, flooding it."""

from __future__ import annotations

import time

import pytest

from tests.browser.ide import IDE

LANGUAGES = ["python", "javascript", "java", "cpp"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_interactive_example_in_the_terminal(ide: IDE, language: str) -> None:
    ide.choose(language, "Ask for a name and a number").run()
    ide.shows("name?").type("Ada\n").shows("Ada?").type("2\n")
    ide.shows("2. Hello, Ada!").ends("Finished.")
    figures = ide.page.inner_text("#figures").split()

    assert {"exit", "time", "CPU", "memory"} <= set(figures)


@pytest.mark.every_browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_interactive_example_without_a_terminal(ide: IDE, language: str) -> None:
    ide.choose(language, "Ask for a name and a number").terminal(on=False).run()
    ide.shows("name?").line("Ada").shows("Ada?").line("2")
    ide.shows("2. Hello, Ada!").ends("Finished.")


def test_waiting_for_input_is_said(ide: IDE) -> None:
    ide.write("input('go on? ')").run().says("Waiting for your input.").type("x\n").ends("Finished.")


@pytest.mark.every_browser
def test_control_c_interrupts(ide: IDE) -> None:
    ide.write("import time\nprint('started')\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')")
    ide.run().shows("started").press("Control+c").shows("caught").ends("Finished.")


def test_control_d_ends_the_input(ide: IDE) -> None:
    ide.write("import sys\nprint('read', len(sys.stdin.read()))").run().says("Waiting for your input.")
    ide.type("abc\n").press("Control+d").shows("read 4").ends("Finished.")


def test_the_program_sees_a_new_size(ide: IDE) -> None:
    ide.write("""
import os, signal, time
signal.signal(signal.SIGWINCH, lambda *_: print("now", os.get_terminal_size().columns, "columns", flush=True))
print("first", os.get_terminal_size().columns, "columns", flush=True)
while True:
    time.sleep(0.1)
""").run()
    first = int(ide.finds(r"first (\d+) columns"))
    ide.page.set_viewport_size({"width": 900, "height": 700})
    now = int(ide.finds(r"now (\d+) columns"))
    ide.stop()
    ide.ends("Stopped.")

    assert now < first


def test_stop(ide: IDE) -> None:
    ide.write("print('going')\nwhile True: pass").run().shows("going").says("Running")
    ide.stop()
    ide.ends("Stopped.")


def test_running_again_replaces_the_program(ide: IDE) -> None:
    ide.write("import os\nprint(input('first? '))").run().shows("first?")
    ide.write("print('second')").run().shows("second").ends("Finished.")

    assert "first?" not in ide.screen


def test_a_compile_error_is_said_and_shown(ide: IDE) -> None:
    ide.choose("cpp").write("int main() { return nonsense; }").run()
    ide.shows("nonsense", "error").ends("The program does not compile: ‘nonsense’ was not declared in this scope")


def test_an_exit_code_and_a_signal_are_said(ide: IDE) -> None:
    ide.write("raise SystemExit(3)").run().ends("Finished with exit code 3.")
    ide.write("import os\nos.abort()").run()
    ide.eventually(lambda: "SIGABRT" in ide.status, lambda: ide.status)


@pytest.mark.every_browser
def test_no_output_is_said(ide: IDE) -> None:
    ide.write("pass").run().ends("Finished.")

    assert "without printing anything" in ide.page.inner_text("#empty")


def test_the_terminal_has_colours_and_a_full_screen(ide: IDE) -> None:
    ide.write("""
print("\\x1b[31mRED\\x1b[0m \\x1b[38;2;1;200;3mEXACT\\x1b[0m")
input()
print("\\x1b[?1049h\\x1b[HFULL SCREEN", end="", flush=True)
input()
""").run().shows("RED", "EXACT")
    colour = (
        "text => getComputedStyle([...document.querySelectorAll('#screen .xterm-rows span')]"
        ".find(span => span.textContent.includes(text))).color"
    )
    red, exact = ide.page.evaluate(colour, "RED"), ide.page.evaluate(colour, "EXACT")
    ide.type("\n").shows("FULL SCREEN").type("\n").ends("Finished.").shows("RED")

    # The dark theme's red; the exact green may be lightened for contrast, but stays green.
    assert red == "rgb(255, 123, 114)"
    r, g, b = (int(part) for part in exact.removeprefix("rgb(").removesuffix(")").split(","))
    assert g > 2 * max(r, b)


@pytest.mark.every_browser
def test_cursor_keys_and_line_editing(ide: IDE) -> None:
    ide.write("import readline\nprint('got', input('> '))").run().shows(">")
    ide.type("ac").press("ArrowLeft").type("b").press("Home").type("x").press("Enter")
    ide.shows("got xabc").ends("Finished.")


@pytest.mark.every_browser
def test_curses(ide: IDE) -> None:
    ide.write("""
import curses

def main(window):
    window.addstr(2, 3, "press an arrow")
    key = window.getch()
    window.addstr(4, 3, {curses.KEY_UP: "UP", curses.KEY_DOWN: "DOWN"}.get(key, "other"))
    window.getch()

curses.wrapper(main)
print("left")
""").run().shows("press an arrow").press("ArrowUp").shows("UP").type("q").shows("left").ends("Finished.")


@pytest.mark.every_browser
def test_standard_error_is_apart_without_a_terminal(ide: IDE) -> None:
    ide.terminal(on=False).write("import sys\nprint('good')\nprint('evil', file=sys.stderr)").run()
    ide.shows("good", "evil").ends("Finished.")
    # The bar's cell is drawn apart from the rest of the line.
    span = ide.page.locator("#screen .xterm-rows span", has_text="vil").first

    assert "xterm-fg-1" in (span.get_attribute("class") or "")
    assert ide.page.locator("#screen .stderr-bar").count() == 1


def test_the_input_line_echoes_and_ends_the_input(ide: IDE) -> None:
    ide.terminal(on=False).write("import sys\nprint(sys.stdin.read().upper())").run().says("Waiting for your input.")
    ide.line("abc").shows("abc")
    ide.page.click("#line-eof")
    ide.shows("ABC").ends("Finished.")


def test_arguments(ide: IDE) -> None:
    ide.page.fill("#args", "one 'two three'")
    ide.write("import sys\nprint(sys.argv[1:])").run().shows("['one', 'two three']").ends("Finished.")
    ide.page.fill("#args", "'open")
    ide.run()

    assert "without its partner" in ide.page.inner_text("#args-problem")


def test_typing_goes_on_while_output_floods(ide: IDE) -> None:
    ide.page.evaluate("""() => {
      window.longest = 0;
      new PerformanceObserver(list => {
        for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
      }).observe({ type: "longtask" });
    }""")
    ide.write("import time\ntime.sleep(1)\nfor i in range(11000): print(i, 'x' * 80)\nprint('the end')\n")
    ide.run().says("Running")
    ide.page.click("#editor .cm-content")
    ide.page.keyboard.press("Control+End")
    started = time.monotonic()
    ide.page.keyboard.type("# typed while it came", delay=20)
    took = time.monotonic() - started
    ide.shows("the end").ends("Finished.")

    assert "# typed while it came" in ide.code
    assert took < 5
    assert ide.page.evaluate("window.longest") < 500


def test_too_much_output_is_said(ide: IDE) -> None:
    ide.write("while True: print('y' * 100)").run().ends("more output than the limit of 1 MiB")

    assert len(ide.download().encode()) <= 1024 * 1024


def test_scrollback(ide: IDE) -> None:
    ide.write("for i in range(9000): print('line', i)").run().ends("Finished.").shows("line 8999")
    ide.page.focus("#screen textarea")
    for _ in range(9000 // 20):
        ide.page.keyboard.press("Shift+PageUp")
    ide.shows("line 0\n")


def test_copy_and_paste(ide: IDE) -> None:
    ide.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ide.write("print('copy-me')\nprint('got', input())").run().shows("copy-me")
    box = ide.page.locator("#screen .xterm-rows > div").first.bounding_box()
    assert box
    ide.page.mouse.dblclick(box["x"] + 30, box["y"] + box["height"] / 2)
    ide.page.keyboard.press("Control+c")
    ide.eventually(
        lambda: "copy-me" in ide.page.evaluate("navigator.clipboard.readText()"),
        lambda: ide.page.evaluate("navigator.clipboard.readText()"),
    )
    ide.press("Control+v").press("Enter").shows("got copy-me").ends("Finished.")


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_programs_that_end_at_once_raise_no_alarm(ide: IDE, language: str) -> None:
    ide.choose(language)
    ide.write({"python": "print('hello')", "javascript": "console.log('hello')"}[language])
    for _ in range(40):
        ide.run().ends("Finished.")
        assert ide.notice == ""


def test_keys_that_cross_the_end_of_a_program_raise_none_either(ide: IDE) -> None:
    ide.write("input()")
    for _ in range(15):
        ide.run().says("Waiting for your input.").type("a\nbcd\n").press("Control+d").ends("Finished.")
        assert ide.notice == ""


def test_a_notice_about_a_program_does_not_outlive_the_next(ide: IDE) -> None:
    ide.write("input()").run().says("Waiting for your input.")
    ide.terminal(on=False)
    assert "The running program keeps what it has" in ide.notice
    ide.stop()
    ide.ends("Stopped.").write("print('next')").run().ends("Finished.")
    assert ide.notice == ""


@pytest.mark.every_browser
def test_an_answer_is_typed_where_the_program_asks_and_not_into_its_code(ide: IDE) -> None:
    code = "print('got', input('q? '))"
    ide.write(code)
    ide.page.click(".cm-content")
    ide.page.keyboard.press("Control+Enter")
    ide.says("Waiting for your input.")
    ide.page.keyboard.type("hello\n")
    ide.shows("got hello").ends("Finished.")
    assert ide.code == code


@pytest.mark.parametrize("tty", [True, False], ids=["terminal", "line"])
def test_one_who_goes_on_writing_is_not_disturbed(ide: IDE, tty: bool) -> None:
    ide.write("import time\ntime.sleep(1)\nprint('got', input('q? '))").terminal(on=tty)
    ide.page.click(".cm-content")
    ide.page.keyboard.press("Control+End")
    ide.page.keyboard.press("Control+Enter")
    ide.page.keyboard.type("  # more")
    ide.says("Waiting for your input.")
    ide.page.keyboard.type(" words")
    assert ide.code.endswith("  # more words")
    ide.stop()
    ide.ends("Stopped.")

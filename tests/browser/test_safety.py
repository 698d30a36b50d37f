"""What programs print and what links carry was written by anybody: it stays text."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.support import ServerProcess

MARKUP = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"
NAME = "<img src=x onerror=window.hacked=1>.py"


def link(server: ServerProcess, **shared: object) -> str:
    """A link that our own page would never make."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(json.dumps(shared).encode()) + packer.flush()
    return f"{server.url}/#code={urlsafe_b64encode(packed).decode().rstrip('=')}"


def assert_unharmed(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, iframe, object, embed").count() == 0
    assert page.locator("script").count() == 2


def test_markup_in_output_is_text(ide: IDE) -> None:
    for terminal in (True, False):
        ide.terminal(on=terminal).write(f"import sys\nprint('''{MARKUP}''')\nprint('''{MARKUP}''', file=sys.stderr)")
        ide.run().shows("<img src=x").ends("Finished.")
        assert_unharmed(ide.page)


def test_markup_in_the_input_line_is_text(ide: IDE) -> None:
    ide.terminal(on=False).write("print(input())").run().says("Waiting").line(MARKUP).shows("<img src=x").ends(
        "Finished."
    )

    assert_unharmed(ide.page)


def test_markup_in_names_is_text(new_page: Callable[..., Page], server: ServerProcess) -> None:
    files = [{"name": NAME, "text": "print(1)"}, {"name": "b.py", "text": MARKUP}]
    ide = IDE(new_page()).open(link(server, language="python", tty=True, args=MARKUP, files=files))
    ide.page.dblclick("#tab-0")
    assert NAME in ide.page.inner_text("#name-title")
    ide.page.keyboard.press("Escape")
    ide.page.click("#tab-0")
    ide.page.click("#tab-0 + .tab-close")
    assert NAME in ide.notice

    assert_unharmed(ide.page)


def test_an_unknown_language_in_a_link_is_text(new_page: Callable[..., Page], server: ServerProcess) -> None:
    files = [{"name": "a", "text": "b"}]
    ide = IDE(new_page()).open(link(server, language=MARKUP, tty=True, args="", files=files))

    assert MARKUP[:40] in ide.notice
    assert_unharmed(ide.page)


def test_a_terminal_can_not_leave_its_screen(ide: IDE) -> None:
    """Titles, clipboard writes and the like are asked for by output, and are not granted."""
    ide.write(r"print('\x1b]0;hacked\x07\x1b]52;c;aGFja2Vk\x07\x1b]2;hacked\x07done')").run()
    ide.shows("done").ends("Finished.")

    assert ide.page.title() == "✓ main.py – trio-exec"


def test_links_open_the_web_only_and_without_a_way_back(ide: IDE) -> None:
    page = ide.page
    page.context.route(
        "https://example.org/**", lambda route: route.fulfill(body="<p>there</p>", content_type="text/html")
    )
    ide.write(r"""
print("https://example.org/plain")
print("\x1b]8;;https://example.org/hidden\x1b\\named link\x1b]8;;\x1b\\")
print("\x1b]8;;javascript:window.hacked=1\x1b\\evil script\x1b]8;;\x1b\\")
print("\x1b]8;;file:///etc/passwd\x1b\\evil file\x1b]8;;\x1b\\")
print("javascript:window.hacked=1")
""").run().shows("evil file").ends("Finished.")

    def click(text: str) -> None:
        row = page.locator("#screen .xterm-rows > div", has_text=text).first.bounding_box()
        assert row
        x, y = row["x"] + 24, row["y"] + row["height"] / 2
        page.mouse.move(x - 8, y)
        page.mouse.move(x, y)
        page.wait_for_timeout(200)
        page.mouse.click(x, y)

    for text, path in [("https://example.org/plain", "plain"), ("named link", "hidden")]:
        with page.context.expect_page() as opened:
            click(text)
        opened.value.wait_for_load_state()
        assert opened.value.url.endswith(path)
        assert opened.value.evaluate("window.opener") is None
        opened.value.close()
    for text in ("evil script", "evil file", "javascript:window"):
        click(text)
    page.wait_for_timeout(500)

    assert len(page.context.pages) == 1
    assert_unharmed(page)

"""Keyboards, screen readers, light and dark, phones, slow networks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response

from tests.browser.ide import IDE
from tests.support import ServerProcess

ROOT = Path(__file__).parents[2]
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
BUDGET = 260_000
"""Bytes until the page can be used; frontend/tools/budget.js counts the files without what the server adds."""
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


_SENT = """() => {
  const [{ startTime: usable }] = performance.getEntriesByName("usable");
  const loads = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return loads.filter(it => it.startTime < usable).reduce((sum, it) => sum + it.transferSize, 0);
}"""
"""Bytes that came, with headers, for what was asked for before the page could be used."""

TRANSITIONS_END = """() => Promise.allSettled(document.getAnimations()
  .filter(it => Number.isFinite(it.effect.getComputedTiming().endTime))
  .map(it => it.finished)).then(() => {})"""


def assert_accessible(page: Page) -> None:
    """No finding of axe's, of whatever weight."""
    page.evaluate(TRANSITIONS_END)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    found = [
        f"{violation['id']} ({violation['impact']}): {[node['html'][:150] for node in violation['nodes'][:3]]}"
        for violation in result["violations"]
    ]
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(new_page: Callable[..., Page], server: ServerProcess, scheme: str) -> None:
    ide = IDE(new_page(color_scheme=scheme)).open(server.url)
    page = ide.page
    assert_accessible(page)
    ide.choose("python", "Ask for a name").run().shows("name?")
    assert_accessible(page)
    ide.type("Ada\n1\n").ends("Finished.")
    assert_accessible(page)
    ide.write("raise SystemExit(1)").terminal(on=False).run().ends("exit code 1")
    assert_accessible(page)
    page.click("#examples-button")
    assert_accessible(page)
    page.keyboard.press("Escape")
    for opener in ("#share", "#help", "#file-add", "#settings-button"):
        page.click(opener)
        assert_accessible(page)
        page.keyboard.press("Escape")
    page.click("#editor .cm-content")
    page.keyboard.press("Control+f")
    assert_accessible(page)


def test_states_are_announced(ide: IDE) -> None:
    status = ide.page.locator("#status-text")

    assert status.get_attribute("role") == "status"
    assert status.get_attribute("aria-live") == "polite"
    ide.write("print('spoken')").run().ends("Finished.")
    tree = ide.page.locator("#screen .xterm-accessibility")
    ide.eventually(lambda: "spoken" in tree.inner_text(), tree.inner_text)


@pytest.mark.every_browser
def test_by_keyboard_only(ide: IDE) -> None:
    page = ide.page
    focused = (
        "document.activeElement.closest('header, .pane')?.id || document.activeElement.closest('header')?.className"
    )
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("document.activeElement.classList.contains('cm-content')"):
            break
        page.keyboard.press("Tab")
    else:
        pytest.fail("Tab does not reach the editor")
    page.keyboard.press("Control+a")
    page.keyboard.type("print('name?', end=' ')\nprint('hello', input())")
    page.keyboard.press("Control+Enter")
    ide.shows("name?").says("Waiting for your input.")
    assert page.evaluate(focused) == "output-pane", "the answer goes where the program asks"
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    ide.shows("hello Ada").ends("Finished.")

    page.keyboard.press("F6")
    assert page.evaluate(focused) == "bar"
    page.keyboard.press("F6")
    assert page.evaluate(focused) == "code-pane"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "args"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "splitter"
    before = page.get_attribute("#splitter", "aria-valuenow")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#splitter", "aria-valuenow") != before


@pytest.mark.every_browser
def test_the_editor_helps(ide: IDE) -> None:
    ide.write("")
    ide.page.keyboard.type("def f(x):\nreturn (x")
    highlighted = ide.page.locator("#editor .cm-line span").count()

    assert "    return (x)" in ide.code
    assert highlighted > 2
    ide.page.keyboard.press("Control+f")
    assert ide.page.locator(".cm-panel.search").is_visible()


@pytest.mark.every_browser
def test_the_choice_of_colours_is_kept(ide: IDE) -> None:
    page = ide.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    ide.set("theme", "dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()

    assert page.evaluate(ground) == dark


def test_a_phone(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    page = ide.page
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 390
    assert not page.locator("#output-pane").is_visible()
    page.tap("#run")
    ide.shows("name?").type("Ada\n").shows("do you want, Ada?").type("1\n").shows("1. Hello, Ada!").ends("Finished.")
    assert page.locator("#output-pane").is_visible()
    assert page.evaluate(width) == 390
    assert_accessible(page)

    page.tap("#view-code")
    ide.write("import time\nprint('sleeps')\ntime.sleep(60)")
    page.tap("#run")
    ide.shows("sleeps")
    page.tap("[data-key='ctrl-c']")
    ide.shows("KeyboardInterrupt").ends("SIGINT" if "SIGINT" in ide.status else "")
    small = [
        box
        for box in (button.bounding_box() for button in page.locator("button:visible, select:visible").all())
        if box and min(box["width"], box["height"]) < 30
    ]
    assert small == []


def test_the_first_load_is_small_and_all_from_here(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page()
    responses: list[Response] = []

    def note(response: Response) -> None:
        responses.append(response)

    page.on("response", note)
    IDE(page).open(server.url)
    page.wait_for_load_state("networkidle")
    until_usable = page.evaluate(_SENT)

    assert all(response.url.startswith(server.url) for response in responses)
    assert 50_000 < until_usable < BUDGET, "with headers, as it comes over the wire"
    for response in responses:
        if "/assets/" in response.url:
            assert "immutable" in response.headers["cache-control"]
            small = int(response.headers["content-length"]) < 1000
            assert small or response.url.endswith(".woff2") or response.headers["content-encoding"] == "br"
    policy = responses[0].headers["content-security-policy"]
    assert "unsafe" not in policy


@pytest.mark.alone
def test_how_soon_it_is_usable_on_a_slow_phone(
    new_page: Callable[..., Page], server: ServerProcess, record_property: Callable[[str, object], None]
) -> None:
    """1.6 Mbit/s, 150 ms, a quarter of the processor: what that takes is reported, and not asserted."""
    page = new_page()
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    network = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
    cdp.send("Network.emulateNetworkConditions", network)
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    started = time.monotonic()
    ide = IDE(page).open(server.url)
    usable = time.monotonic() - started
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000

    record_property(
        "page", f"on a slow phone it shows something after {painted:.1f} s, and is usable after {usable:.1f} s"
    )
    ide.write("print('hello')").run().shows("hello").ends("Finished.")


@pytest.mark.skipif("TRIO_EXEC_SCREENSHOTS" not in os.environ, reason="a picture for the documentation, made on demand")
def test_picture(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(viewport={"width": 1240, "height": 720}, device_scale_factor=2)).open(server.url)
    ide.choose("python").write('''import time

COLOURS = [203, 209, 215, 221, 155, 121, 87, 81, 75, 105, 141, 177]


def greet(name: str) -> None:
    """Writes a name in all the colours there are."""
    for shift in range(len(COLOURS)):
        print("  " * shift, end="")
        for i, letter in enumerate(name):
            colour = COLOURS[(i + shift) % len(COLOURS)]
            print(f"\\x1b[38;5;{colour}m{letter}", end="")
        print("\\x1b[0m")
        time.sleep(0.05)


name = input("What is your name? ")
greet(f"Hello, {name}!")
again = input("Once more? ")
''')
    ide.run().shows("name?").type("Ada Lovelace\n").shows("Once more?").says("Waiting for your input.")
    ide.page.wait_for_timeout(500)
    ide.page.screenshot(path=ROOT / "docs/page.png", animations="disabled")

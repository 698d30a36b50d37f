"""It fits: large zoom, small windows, fingers, contrast themes. What axe does not measure is measured here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE, TRANSITIONS_END, assert_accessible
from tests.support import ServerProcess

SMALL = {
    "1366x768 at 250 %": (546, 307),
    "1280x720 at 300 %": (427, 240),
    "1280x1024 at 400 %": (320, 256),
    "phone on its side, with keyboard": (844, 190),
    "small phone": (320, 568),
    "tablet, upright": (800, 1100),
}
ROOM = 120
"""Pixels that editor and terminal have at least: a few lines each."""

_WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_OVERFLOWING = """() => [...document.querySelectorAll("header *, .pane-head *, .pane-foot *")].filter(it => {
  if (!it.checkVisibility()) return false;
  const { left, right, width } = it.getBoundingClientRect();
  const { clientWidth } = document.documentElement;
  return width > 0 && (left < -0.5 || right > clientWidth + 0.5) && !it.closest(".tabs, .keys");
}).map(it => it.outerHTML.slice(0, 120))"""

# Contrast by WCAG's formula, of colours as they come out: what is transparent lets through what is behind it.
_CONTRAST = """
const parse = text => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return { r, g, b, a: a / 255 };
};
const over = (top, below) => {
  const mix = part => top[part] * top.a + below[part] * (1 - top.a);
  return { r: mix("r"), g: mix("g"), b: mix("b"), a: 1 };
};
const ground = element => {
  const own = parse(getComputedStyle(element).backgroundColor);
  if (own.a === 1) return own;
  return over(own, element.parentElement ? ground(element.parentElement) : { r: 255, g: 255, b: 255, a: 1 });
};
const luminance = ({ r, g, b }) => {
  const part = value => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ratio = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
"""
_FAINT_EDGES = (
    "() => {"
    + _CONTRAST
    + """
  const edged = ".control:not(.quiet), .field, .runs-as, .views, .card, .keys button, #splitter";
  return [...document.querySelectorAll(edged)].flatMap(it => {
    if (!it.checkVisibility() || it.getAttribute("aria-disabled") === "true" || it.disabled) return [];
    const behind = ground(it.parentElement);
    const style = getComputedStyle(it);
    // An edge, or else a ground of its own, tells where it is.
    const found = Math.max(ratio(over(parse(style.borderTopColor), ground(it)), behind), ratio(ground(it), behind));
    return found < 3 && it.id !== "splitter" ? [`${it.id || it.className} ${found.toFixed(2)}`] : [];
  });
}"""
)
_FAINT_TEXT = (
    "() => {"
    + _CONTRAST
    + """
  const fields = [...document.querySelectorAll("input[placeholder], textarea[placeholder]")];
  return fields.filter(it => it.checkVisibility()).flatMap(it => {
    const found = ratio(parse(getComputedStyle(it, "::placeholder").color), ground(it));
    return found < 4.5 ? [`${it.id} ${found.toFixed(2)}`] : [];
  });
}"""
)
_DOT = (
    "() => {"
    + _CONTRAST
    + """
  const dot = document.querySelector("#status .dot");
  return ratio(ground(dot), ground(dot.parentElement));
}"""
)
_SMALL_TARGETS = """() => [...document.querySelectorAll("button, select, input, textarea, a")].filter(it => {
  if (!it.checkVisibility() || it.closest(".xterm, .cm-editor .cm-content")) return false;
  const { width, height } = (it.closest("label") ?? it).getBoundingClientRect();
  return Math.min(width, height) < 24;
}).map(it => `${it.outerHTML.slice(0, 100)} ${JSON.stringify(it.getBoundingClientRect())}`)"""


def room(page: Page, selector: str) -> float:
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    return box["height"] if box else 0.0


def faint_edges(page: Page) -> list[str]:
    """What has no edge that can be seen, once everything has the colours that it turns to."""
    page.evaluate(TRANSITIONS_END)
    return page.evaluate(_FAINT_EDGES)


def show(page: Page, view: str) -> None:
    if page.is_visible(f"#view-{view}"):
        page.click(f"#view-{view}")


@pytest.mark.every_browser
@pytest.mark.parametrize("size", SMALL)
def test_small_windows_are_usable(new_page: Callable[..., Page], server: ServerProcess, size: str) -> None:
    width, height = SMALL[size]
    page = new_page(viewport={"width": width, "height": height})
    ide = IDE(page).open(server.url)

    assert page.evaluate(_WIDER) == 0
    assert page.evaluate(_OVERFLOWING) == []
    assert room(page, "#editor") >= ROOM
    ide.write("print('hello', input('name? '))").run().shows("name?").says("Waiting")
    assert page.evaluate(_WIDER) == 0
    assert page.evaluate(_OVERFLOWING) == []
    assert room(page, "#screen-box") >= ROOM
    page.locator("#status").scroll_into_view_if_needed()
    assert page.locator("#status-text").is_visible()
    ide.type("Ada\n").shows("hello Ada").ends("Finished.")
    for opener in ("examples-button", "settings-button", "help", "share"):
        if page.is_visible(f"#{opener}"):
            page.click(f"#{opener}")
        else:
            page.click("#more-button")
            page.click(f"[data-opens={opener}]")
        box = page.locator("dialog[open], [popover]:popover-open").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height, "what does not fit in it scrolls"
        page.keyboard.press("Escape")
    assert_accessible(page)


def test_the_text_may_be_spaced_out(ide: IDE) -> None:
    """WCAG 1.4.12: with more space between lines, words and letters nothing is cut off."""
    ide.page.evaluate("""() => {
      const sheet = new CSSStyleSheet();
      const rules = { "line-height": 1.5, "letter-spacing": ".12em", "word-spacing": ".16em" };
      const text = Object.entries(rules).map(([name, value]) => `${name}: ${value} !important`).join(";");
      sheet.replaceSync(`* { ${text} }`);
      document.adoptedStyleSheets.push(sheet);
    }""")
    assert ide.page.evaluate(_OVERFLOWING) == []
    cut = ide.page.evaluate("""() => [...document.querySelectorAll(".control, .pane-head, .runs-as span, .status")]
      .filter(it => it.checkVisibility() && it.tagName !== "SELECT" && it.scrollHeight > it.clientHeight + 1)
      .map(it => it.id || it.className)""")
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("terminal", ["dark", "page"])
def test_what_can_be_used_can_be_seen(
    new_page: Callable[..., Page], server: ServerProcess, scheme: str, terminal: str
) -> None:
    ide = IDE(new_page(color_scheme=scheme)).open(server.url)
    ide.set("terminal", terminal)
    page = ide.page
    assert faint_edges(page) == []
    assert page.evaluate(_FAINT_TEXT) == []
    assert page.evaluate(_DOT) >= 3
    ide.terminal(on=False)
    page.click("#stdin-toggle")
    assert faint_edges(page) == []
    ide.write("input()").run().says("Waiting")
    assert faint_edges(page) == []
    ide.stop().ends("Stopped.")
    assert page.evaluate(_FAINT_TEXT) == []
    page.click("#settings-button")
    assert faint_edges(page) == []
    page.keyboard.press("Escape")
    page.click(".cm-content")
    page.keyboard.press("Control+f")
    assert faint_edges(page) == []
    assert page.evaluate(_FAINT_TEXT) == []


@pytest.mark.parametrize("options", [{}, PHONE], ids=["mouse", "touch"])
def test_nothing_is_too_small_to_be_hit(
    new_page: Callable[..., Page], server: ServerProcess, options: dict[str, Any]
) -> None:
    """WCAG 2.5.8: 24 by 24 pixels, in every state."""
    page = new_page(**options)
    ide = IDE(page).open(server.url)
    assert page.evaluate(_SMALL_TARGETS) == []
    page.click("#file-add")
    assert page.evaluate(_SMALL_TARGETS) == []
    page.keyboard.press("Enter")
    assert page.evaluate(_SMALL_TARGETS) == []
    page.click("#tab-0")
    ide.write("1 / 0").run().ends("ZeroDivisionError")
    show(page, "output")
    assert page.evaluate(_SMALL_TARGETS) == []
    ide.terminal(on=False)
    assert page.evaluate(_SMALL_TARGETS) == []


def test_contrast_themes_show_all_of_it(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page(forced_colors="active")
    ide = IDE(page).open(server.url)
    ide.write("print('once')\ninput()").run().shows("once").says("Waiting")
    colour = "selector => getComputedStyle(document.querySelector(selector)).color"
    ground = "selector => getComputedStyle(document.querySelector(selector)).backgroundColor"

    assert page.evaluate(colour, ".xterm-accessibility") == "rgba(0, 0, 0, 0)", "the text for screen readers"
    chosen, other = ".runs-as input:checked + span", ".runs-as input:not(:checked) + span"
    assert page.evaluate(ground, chosen) != page.evaluate(ground, other)
    edge = "selector => getComputedStyle(document.querySelector(selector)).borderTopWidth"
    assert page.evaluate(edge, ".tab-frame.selected") == "3px"
    assert page.evaluate(ground, "#status .dot") != page.evaluate(ground, "#status")
    ide.stop()


def test_a_keyboard_on_the_screen_leaves_room_for_the_text(
    new_page: Callable[..., Page], server: ServerProcess
) -> None:
    page = new_page(**PHONE)
    IDE(page).open(server.url)
    before = room(page, "#editor")
    page.set_viewport_size({"width": 390, "height": 430})
    page.wait_for_selector("body[data-keyboard=up]")
    assert not page.is_visible("header")
    assert room(page, "#editor") > 300
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("body:not([data-keyboard])")
    assert room(page, "#editor") == before


def test_a_browser_that_is_too_old_says_so(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page()
    page.add_init_script("delete String.prototype.toWellFormed")
    page.goto(server.url)
    page.wait_for_selector("text=This browser is too old")
    assert not page.is_visible("#run")


def test_without_scripts_it_says_so_first(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(server.url)
    text = page.locator("noscript")
    assert "needs JavaScript" in text.inner_text()

"""A program in a frame of another site's page: what visitors do there, and what the page around it says and hears."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Frame, Page

from tests.browser.ide import IDE, PATIENCE
from tests.browser.test_embed import elsewhere  # noqa: F401 - a fixture
from tests.browser.test_everybody import assert_accessible
from tests.support import ServerProcess

_LISTEN = "window.heard = []; window.addEventListener('message', it => heard.push({ origin: it.origin, ...it.data }));"
_SCREEN = "() => [...document.querySelectorAll('#screen .xterm-rows > div')].map(row => row.textContent).join('\\n')"


class Embedding:
    """A page at another origin that shows ours."""

    def __init__(self, page: Page, origin: str, shown: str) -> None:
        self.page = page
        page.add_init_script(_LISTEN)
        page.goto(f"{origin}/?shows={quote(shown, safe='')}")
        page.evaluate("Object.assign(document.querySelector('iframe'), { width: 900, height: 420 })")

    @property
    def frame(self) -> Frame:
        frame = self.page.frame("ours")
        assert frame is not None
        return frame

    def opened(self) -> Embedding:
        self.frame.wait_for_selector("body.ready")
        return self

    def say(self, message: Any) -> None:
        self.page.evaluate(
            "message => document.querySelector('iframe').contentWindow.postMessage(message, '*')", message
        )

    def heard(self, kind: str) -> list[dict[str, Any]]:
        return self.page.evaluate("kind => heard.filter(it => it.type === kind)", kind)

    def hears(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits for so many messages of a kind, and returns the last."""
        for _ in range(PATIENCE * 20):
            if len(found := self.heard(kind)) >= count:
                return found[-1]
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no {kind}: {self.page.evaluate('heard')}")

    def shows(self, text: str) -> None:
        screen = ""
        for _ in range(PATIENCE * 20):
            if text in (screen := str(self.frame.evaluate(_SCREEN)).replace("\xa0", " ")):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"no {text!r} in {screen!r}")

    @property
    def code(self) -> str:
        return self.frame.locator("#editor .cm-content").inner_text()


@pytest.fixture
def embedding_server(start_server: Callable[..., ServerProcess], elsewhere: int) -> tuple[ServerProcess, str]:  # noqa: F811 - the fixture
    origin = f"http://localhost:{elsewhere}"
    return start_server(embed_origins=origin, languages="python,javascript"), origin


def test_visitors_change_and_run_a_program(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    code = "name = input('name? ')\nprint('hello', name)"
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text={quote(code)}").opened()
    frame = there.frame
    assert there.code == code
    frame.click("#run")
    there.shows("name?")
    there.page.keyboard.type("Ada\n")
    there.shows("hello Ada")
    frame.wait_for_selector("#status[data-tone=good]")
    assert there.hears("result")["exitCode"] == 0
    frame.click("#editor .cm-content")
    there.page.keyboard.press("Control+End")
    there.page.keyboard.type("\nprint('more')")
    assert there.hears("changed")["files"] == [{"name": "main.py", "text": f"{code}\nprint('more')"}]
    with there.page.context.expect_page() as opened:
        frame.click("#open")
    whole = IDE(opened.value)
    whole.page.wait_for_selector("body.ready")
    whole.eventually(lambda: whole.code == f"{code}\nprint('more')", lambda: whole.code)


def test_a_double_click_on_run_stops_nothing_there_either(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    code = quote("input('still here? ')")
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text={code}").opened()
    there.frame.dblclick("#run")
    there.shows("still here?")
    there.page.wait_for_timeout(300)
    assert there.frame.get_attribute("#run", "data-does") == "stop"


def test_errors_lead_to_their_line_there_too(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    code = quote("x = 1\nprint(x / 0)")
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text={code}&run=1").opened()
    frame = there.frame
    frame.wait_for_selector("#status[data-tone=bad]")
    assert frame.inner_text("#status-text") == "ZeroDivisionError: division by zero"
    assert frame.locator(".cm-problem-line").count() == 1
    assert frame.locator("#editor .cm-line span").count() > 1, "it is coloured as in the whole page"
    frame.click("#status-place")
    assert frame.locator(".cm-activeLineGutter").first.inner_text() == "2"


def test_the_page_around_it_says_what_to_do_and_hears_what_happens(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    there = Embedding(new_page(), origin, f"{server.url}/embed").opened()
    assert there.hears("ready") == {"type": "ready", "from": "trio-exec", "origin": server.url}
    there.say({"type": "set", "language": "python", "code": "print(input() * 2)", "stdin": "ab\n"})
    there.say({"type": "run"})
    result = there.hears("result")
    assert {key: result[key] for key in ("state", "exitCode", "text")} == {
        "state": "finished",
        "exitCode": 0,
        "text": "Finished.",
    }
    assert result["wallTime"] >= 0
    assert "".join(it["data"] for it in there.heard("output")) == "abab\n"
    assert there.heard("state")[0]["state"] == "starting"
    files = [
        {"name": "main.py", "text": "import sys, word\nprint(word.IT, sys.argv[1:])\ninput()"},
        {"name": "word.py", "text": "IT = 1"},
    ]
    there.say({"type": "set", "files": files, "args": "'a b' c", "stdin": ""})
    there.say({"type": "run"})
    there.shows("1 ['a b', 'c']")
    there.say({"type": "stop"})
    result = there.hears("result", 2)
    assert (result["state"], result["reason"]) == ("terminated", "stopped")
    there.say({"type": "hello"})
    there.hears("ready", 2)


def test_nonsense_is_answered_and_harms_nothing(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text=1").opened()
    for nonsense in (None, 5, "run", [], {}, {"type": "constructor"}, {"type": {"type": "run"}}):
        there.say(nonsense)
    there.say({"type": "set", "files": [{"name": "../a", "text": ""}]})
    assert "names that files can have" in there.hears("error")["error"]
    there.say({"type": "set", "language": "cobol", "code": "x"})
    assert "no language “cobol”; it has" in there.hears("error", 2)["error"]
    assert there.code == "1"
    assert there.heard("state") == []


def test_nobody_but_the_page_around_it_is_obeyed(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text=1").opened()
    # Another frame of the same page, and the embedded page itself.
    there.page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), { name: 'other' }))")
    other = there.page.frame("other")
    assert other is not None
    other.evaluate("parent.frames.ours.postMessage({ type: 'set', code: 'theirs' }, '*')")
    there.frame.evaluate("window.postMessage({ type: 'set', code: 'theirs' }, '*')")
    there.say({"type": "hello"})
    there.hears("ready", 2)
    assert there.code == "1"


def test_without_a_referrer_it_answers_whoever_speaks_first(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    there = Embedding(new_page(), origin, "about:blank")
    there.page.evaluate(
        "src => Object.assign(document.querySelector('iframe'), { referrerPolicy: 'no-referrer', src })",
        f"{server.url}/embed",
    )
    there.opened()
    assert there.heard("ready") == []
    there.say({"type": "hello"})
    assert there.hears("ready")["origin"] == server.url


def test_a_site_that_is_not_named_shows_nothing(
    new_page: Callable[..., Page],
    embedding_server: tuple[ServerProcess, str],
    elsewhere: int,  # noqa: F811 - the fixture
) -> None:
    server, _ = embedding_server
    there = Embedding(new_page(), f"http://127.0.0.1:{elsewhere}", f"{server.url}/embed")
    assert there.frame.url.startswith("chrome-error:")
    there.say({"type": "hello"})
    there.page.wait_for_timeout(500)
    assert there.heard("ready") == []


def test_what_an_address_asks_for(new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]) -> None:
    server, origin = embedding_server
    address = f"{server.url}/embed#lang=js&text=console.log('ran')&theme=dark&run=1&readonly=1"
    there = Embedding(new_page(), origin, address).opened()
    there.shows("ran")
    assert there.frame.get_attribute("html", "data-theme") == "dark"
    there.frame.click("#editor .cm-content")
    there.page.keyboard.type("changed")
    assert there.code == "console.log('ran')"
    there.page.goto(f"{origin}/?shows={quote(f'{server.url}/embed#lang=cobol', safe='')}")
    there.opened()
    assert "does not have" in there.frame.inner_text("#status-text")


@pytest.mark.parametrize("width", [900, 320])
def test_it_fits_and_is_accessible(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str], width: int
) -> None:
    server, _ = embedding_server
    page = new_page(viewport={"width": width, "height": 420})
    page.goto(f"{server.url}/embed#lang=python&text=print(1)&run=1")
    page.wait_for_selector("#status[data-tone=good]")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for part in ("#editor", "#screen"):
        box = page.locator(part).bounding_box()
        assert box
        assert box["height"] >= 100
    status = page.locator("#status").bounding_box()
    assert status
    assert status["y"] + status["height"] <= 420


def test_the_page_makes_the_html(new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]) -> None:
    server, origin = embedding_server
    ide = IDE(new_page()).open(server.url)
    ide.write("print('from the page')")
    ide.page.click("#share")
    ide.page.click("#embed summary")
    ide.page.select_option("#embed-theme", "light")
    ide.page.check("#embed-run")
    assert_accessible(ide.page)
    text = ide.page.input_value("#embed-html")
    [shown] = re.findall('src="([^"]+)"', text)
    assert ide.page.inner_text("#embed-note") == ""
    there = Embedding(new_page(), origin, html.unescape(shown)).opened()
    there.shows("from the page")


def test_the_page_says_where_it_can_not_be_shown(ide: IDE) -> None:
    ide.page.click("#share")
    ide.page.click("#embed summary")
    ide.eventually(lambda: "embed_origins" in ide.page.inner_text("#embed-note"), lambda: "nothing is said")


def test_the_page_around_it_changes_the_address(
    new_page: Callable[..., Page], embedding_server: tuple[ServerProcess, str]
) -> None:
    server, origin = embedding_server
    there = Embedding(new_page(), origin, f"{server.url}/embed#lang=python&text=one").opened()
    assert there.code == "one"
    there.page.evaluate("src => void (document.querySelector('iframe').src = src)", f"{server.url}/embed#text=two")
    for _ in range(PATIENCE * 20):
        if there.frame.locator("#editor .cm-content").count() and there.code == "two":
            break
        there.page.wait_for_timeout(50)
    assert there.code == "two"

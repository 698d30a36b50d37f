"""The page as its users have it: what they do, and what they see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

PATIENCE = 40
"""Seconds that a wait gets: machines are shared, and containers start cold."""

_PASTE = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const target = document.querySelector("#editor .cm-content");
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  // Firefox gives events that scripts make none.
  if (!event.clipboardData?.getData("text")) Object.defineProperty(event, "clipboardData", { value: data });
  target.dispatchEvent(event);
}"""

_SCREEN = "() => [...document.querySelectorAll('#screen .xterm-rows > div')].map(row => row.textContent).join('\\n')"


class IDE:
    """Drives one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, url: str) -> IDE:
        self.page.goto(url)
        self.page.wait_for_selector("body.ready")
        return self

    def eventually(self, holds: Callable[[], Any], what: Callable[[], str]) -> None:
        """Waits until something holds; `what` says what is there instead."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, what()
            self.page.wait_for_timeout(50)

    def choose(self, language: str, example: str | None = None) -> IDE:
        self.page.select_option("#language", language)
        if example:
            self.page.click("#examples-button")
            self.page.click(f"#examples-list button:has-text('{example}')")
        return self

    def write(self, code: str) -> IDE:
        """Replaces the code of the open file, as a paste would."""
        self.page.click("#editor .cm-content")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.evaluate(_PASTE, code)
        return self

    def terminal(self, *, on: bool) -> IDE:
        self.page.locator("label", has=self.page.locator("#as-terminal" if on else "#as-plain")).click()
        return self

    @property
    def running(self) -> bool:
        return self.page.get_attribute("#run", "data-does") == "stop"

    def run(self) -> IDE:
        """Runs the program, also in place of one that runs."""
        if self.running:
            self.page.keyboard.press("Control+Enter")
        else:
            self.page.click("#run")
        return self

    def stop(self) -> IDE:
        """Presses Stop, as somebody would who has seen the program run."""
        self.page.wait_for_timeout(600)  # Sooner, it is the second half of a double click.
        self.page.click("#run[data-does=stop]")
        return self

    def set(self, setting: str, value: str | bool) -> IDE:
        """Chooses something in the settings."""
        if self.page.is_visible("#settings-button"):
            self.page.click("#settings-button")
        else:
            self.page.click("#more-button")
            self.page.click("[data-opens=settings-button]")
        if isinstance(value, bool):
            self.page.set_checked(f"#set-{setting}", value)
        else:
            self.page.select_option(f"#set-{setting}", value)
        self.page.keyboard.press("Escape")
        return self

    def type(self, text: str) -> IDE:
        """Types into the terminal."""
        self.page.focus("#screen textarea")
        self.page.keyboard.type(text)
        return self

    def press(self, key: str) -> IDE:
        self.page.focus("#screen textarea")
        self.page.keyboard.press(key)
        return self

    def line(self, text: str) -> IDE:
        """Sends a line by the input line."""
        self.page.fill("#line-input", text)
        self.page.press("#line-input", "Enter")
        return self

    @property
    def code(self) -> str:
        return self.page.locator("#editor .cm-content").inner_text()

    @property
    def screen(self) -> str:
        return str(self.page.evaluate(_SCREEN)).replace("\xa0", " ")

    @property
    def status(self) -> str:
        return self.page.inner_text("#status-text")

    @property
    def notice(self) -> str:
        return self.page.inner_text("#notice-text")

    def shows(self, *texts: str) -> IDE:
        """Waits for texts on the screen."""
        for text in texts:
            self.eventually(lambda text=text: text in self.screen, lambda text=text: f"no {text!r} in {self.screen!r}")
        return self

    def finds(self, pattern: str) -> str:
        """Waits for a pattern on the screen, and returns what its group stands for the last time that it is there."""
        self.eventually(lambda: re.search(pattern, self.screen), lambda: f"no {pattern!r} in {self.screen!r}")
        return re.findall(pattern, self.screen)[-1]

    def says(self, text: str) -> IDE:
        """Waits for a text in the status line."""
        self.eventually(lambda: text in self.status, lambda: f"no {text!r} in {self.status!r}; {self.screen!r}")
        return self

    def ends(self, text: str) -> IDE:
        """Waits for the end of the program, and checks what the status line says of it."""
        self.eventually(lambda: not self.running, lambda: f"still {self.status!r}: {self.screen!r}")
        assert text in self.status, self.screen
        return self

    def download(self) -> str:
        """All of the output, as the page saves it."""
        with self.page.expect_download() as download:
            self.page.click("#download")
        assert download.value.suggested_filename == "output.txt"
        return download.value.path().read_text(encoding="utf-8")

    def shared_link(self) -> str:
        self.page.click("#share")
        self.page.wait_for_selector("#share-dialog[open]")
        link = self.page.input_value("#share-link")
        self.page.keyboard.press("Escape")
        return link

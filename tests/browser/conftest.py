"""A browser for all tests, and for each test a page of its own that must do nothing its policy forbids.

Tests marked `every_browser` run in Firefox as well, the others in Chromium alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser.ide import IDE, PATIENCE
from tests.support import ServerProcess

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
"""Without a sandbox: tests may run as root in a container, and the pages are ours."""

# Without a source it is the browser itself: typing over a selection, it styles what it puts into an editable element
# before the editor takes over.
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  const { sourceFile, effectiveDirective, lineNumber, sample } = event;
  if (sourceFile) window.violations.push(`${effectiveDirective} ${sourceFile}:${lineNumber} ${sample}`);
});
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the figures that tests have reported."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties:
            terminalreporter.write_line(f"{name}: {figure}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("every_browser"):
        metafunc.parametrize("browser", ["chromium", "firefox"], indirect=True, scope="session")


def _find(variable: str, *names: str) -> str:
    executable = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    assert executable, f"there is no {names[-1]}; script/test installs it"
    return executable


@pytest.fixture(scope="session")
def playwright() -> Generator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright, request: pytest.FixtureRequest) -> Generator[Browser]:
    if getattr(request, "param", "chromium") == "firefox":
        # Firefox as it is, by the protocol that it has for this; Playwright has no build of its own here.
        browser = playwright.firefox.launch(
            executable_path=_find("FIREFOX", "firefox-esr", "firefox"), channel="moz-firefox"
        )
    else:
        executable = _find("CHROMIUM", "chromium-headless-shell", "chromium-browser", "chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Generator[Callable[..., Page]]:
    """Makes pages, each in a context of its own; afterwards none of them, and no other tab there, may have failed."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def make(**options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        context.add_init_script(_WATCH)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.on("dialog", lambda dialog: errors.append(f"a dialog: {dialog.message}"))
        contexts.append(context)
        return page

    yield make
    pages = [page for context in contexts for page in context.pages]
    violations = [violation for page in pages for violation in page.evaluate("window.violations")]
    for context in contexts:
        context.close()
    assert errors == []
    assert violations == []


@pytest.fixture
def ide(new_page: Callable[..., Page], server: ServerProcess) -> IDE:
    """The page of the shared server, with a browser that has never seen it."""
    return IDE(new_page()).open(server.url)

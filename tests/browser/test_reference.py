"""`/docs`: the API's reference, as a reader sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_everybody import PHONE, assert_accessible
from tests.support import ServerProcess


def opened(page: Page, server: ServerProcess, anchor: str = "") -> Page:
    page.goto(f"{server.url}/docs{anchor}")
    page.wait_for_selector("article")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_tells_what_there_is(new_page: Callable[..., Page], server: ServerProcess, scheme: str) -> None:
    page = opened(new_page(color_scheme=scheme), server)
    listed = page.locator("#contents a").all_text_contents()
    assert "POST /run" in listed
    assert "WS /ws/session/{sessionId}" in listed
    run = page.locator("article#run").text_content() or ""
    assert "stopOnFailure" in run
    assert "leave out the cases behind the first that does not pass" in run
    assert_accessible(page)
    page.locator("article#run > details > summary").last.click()
    assert "queue_full" in page.locator("article#run").inner_text()
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    assert_accessible(page)


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 320, "height": 500}}], ids=["phone", "narrow"])
def test_it_fits(new_page: Callable[..., Page], server: ServerProcess, options: dict[str, Any]) -> None:
    page = opened(new_page(**options), server, "#attach")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("article#attach").is_visible()
    assert_accessible(page)


def test_what_cannot_be_loaded_is_told(new_page: Callable[..., Page], server: ServerProcess) -> None:
    page = new_page()
    page.route("**/openapi.json", lambda route: route.fulfill(status=503))
    page.goto(f"{server.url}/docs")
    assert "Reload" in page.locator("[role=alert]").inner_text()

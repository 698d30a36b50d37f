"""The page of a server that wants to know who asks: keys that are given, wrong, revoked and forgotten; and proxies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.support import ServerProcess
from trio_exec.keys import create_key, revoke_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def give(page: Page, key: str) -> None:
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-input", key)
    page.press("#key-input", "Enter")


def test_a_key_is_asked_for_once(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess], path: Path
) -> None:
    key, _ = create_key(path, "alice", languages=["python"])
    server = start_server(keys_file=path)
    page = new_page()
    page.goto(server.url)
    page.wait_for_selector("#key-dialog[open]")
    assert page.evaluate("document.activeElement.id") == "key-input"
    assert "Ask those who run it" in page.inner_text("#key-why")

    give(page, "not a key")
    assert "can't be a key" in page.inner_text("#key-problem")
    give(page, key[:-1] + ("0" if key[-1] != "0" else "1"))
    why = page.locator("#key-why", has_text="does not know the key")
    why.wait_for()
    give(page, key)
    page.wait_for_selector("body.ready")
    assert page.locator("#language option").all_inner_texts()[0].startswith("Python")
    assert page.locator("#language option").count() == 1

    ide = IDE(page).terminal(on=True).write("print('hi', input('name? '))").run()
    ide.eventually(lambda: "name? " in ide.screen, lambda: ide.screen)
    ide.type("Ada\n")
    ide.eventually(lambda: "hi Ada" in ide.screen, lambda: ide.screen)

    page.reload()
    page.wait_for_selector("body.ready")
    assert page.locator("#key-dialog[open]").count() == 0
    # A second tab of this browser has it as well.
    second = page.context.new_page()
    second.goto(server.url)
    second.wait_for_selector("body.ready")
    second.close()
    assert key not in page.url

    page.click("#help")
    page.click("#key-forget")
    page.wait_for_selector("#key-dialog[open]")
    page.click("#key-cancel")
    page.click("#notice-action")
    give(page, key)
    page.wait_for_selector("body.ready")


def test_a_key_that_is_revoked_meanwhile_is_asked_for_again_and_nothing_is_lost(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess], path: Path
) -> None:
    first, _ = create_key(path, "alice")
    second, _ = create_key(path, "bob")
    server = start_server(keys_file=path)
    page = new_page()
    page.goto(server.url)
    give(page, first)
    page.wait_for_selector("body.ready")
    ide = IDE(page).terminal(on=True).write("print('up'); input()").run()
    ide.eventually(lambda: "up" in ide.screen, lambda: ide.screen)

    revoke_key(path, "alice")
    ide.eventually(lambda: "revoked" in page.inner_text("#status-text"), lambda: page.inner_text("#status-text"))
    page.click("#run")
    give(page, second)
    ide.eventually(lambda: "up" in ide.screen, lambda: ide.screen)
    assert "print('up')" in ide.code
    ide.stop()


def test_without_keys_nobody_is_asked(ide: IDE) -> None:
    assert ide.page.locator("#key-dialog[open]").count() == 0
    ide.page.click("#help")
    assert not ide.page.is_visible("#key-fact")


def test_behind_a_proxy_that_says_who_asks(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]
) -> None:
    server = start_server(auth="proxy", trusted_proxies="127.0.0.1")
    page = new_page(extra_http_headers={"X-Forwarded-User": "ada"})
    ide = IDE(page).open(server.url).terminal(on=True).write("print('hello')").run()
    ide.eventually(lambda: "hello" in ide.screen, lambda: ide.screen)
    ide.eventually(lambda: "for ada" in server.log() or "owner=ada" in server.log(), server.log)

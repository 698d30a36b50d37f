"""Dropped connections, reloads, servers that leave: output and code survive, and the page says what happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.proxy import Proxy
from tests.support import GENEROUS, ServerProcess

COUNT = "import time\nfor i in range(60):\n    print('line', i, flush=True)\n    time.sleep(0.1)\n"
COUNTED = [f"line {i}" for i in range(60)]


def test_output_goes_on_after_dropped_connections(new_page: Callable[..., Page], server: ServerProcess) -> None:
    with Proxy(server.port) as proxy:
        ide = IDE(new_page()).open(proxy.url)
        ide.write(COUNT).run().shows("line 5")
        proxy.cut()
        ide.shows("line 20")
        proxy.refuse = True
        proxy.cut()
        ide.says("The connection is lost.")
        proxy.refuse = False
        ide.page.dispatch_event("#retry", "click")  # The page may have tried again itself, and hidden it, meanwhile.
        ide.ends("Finished.")

        assert ide.download().split("\n")[:-1] == COUNTED


def test_a_reload_goes_on_with_the_program(ide: IDE) -> None:
    ide.write(COUNT).run().shows("line 3")
    ide.page.reload()
    ide.shows("line 10").ends("Finished.")

    assert ide.download().split("\n")[:-1] == COUNTED


def test_a_tab_that_is_closed_frees_its_slot_soon_and_one_that_is_reloaded_goes_on(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]
) -> None:
    server = start_server(detach_grace=3600, leave_grace=4, languages="python", **GENEROUS)
    closed, reloaded = IDE(new_page()).open(server.url), IDE(new_page()).open(server.url)
    closed.write("print('closed')\ninput()").run().shows("closed")
    reloaded.write("import time\nprint('begun')\nwhile input() != 'end': print('on')").run().shows("begun")
    reloaded.page.reload()
    reloaded.shows("begun")
    closed.page.goto("about:blank")

    reloaded.eventually(lambda: server.request("GET", "/readyz").json()["running"] == 1, lambda: "two still run")
    reloaded.type("x\n").shows("on").type("end\n").ends("Finished.")


def test_typing_is_kept_while_the_connection_is_down(new_page: Callable[..., Page], server: ServerProcess) -> None:
    with Proxy(server.port) as proxy:
        ide = IDE(new_page()).open(proxy.url)
        ide.write("print('got', input('? '))").run().shows("?")
        proxy.refuse = True
        proxy.cut()
        ide.says("The connection is lost.").type("late\n")
        proxy.refuse = False
        ide.shows("got late").ends("Finished.")


def test_a_server_that_was_restarted(new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]) -> None:
    first, second = start_server(), start_server()
    with Proxy(first.port) as proxy:
        ide = IDE(new_page()).open(proxy.url)
        ide.write("print('mine')\ninput()").run().shows("mine")
        proxy.target = second.port
        proxy.cut()
        ide.ends("The session is gone")
        assert "print('mine')" in ide.code
        ide.page.reload()
        ide.page.wait_for_selector("body.ready")

        assert "print('mine')" in ide.code


def test_a_server_that_drains(new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(drain_timeout=30)
    ide = IDE(new_page()).open(server.url)
    ide.write("print('asks')\ninput()").run().shows("asks")
    other = IDE(new_page()).open(server.url)
    server.terminate()
    other.eventually(lambda: server.request("GET", "/readyz").status == 503, lambda: "still ready")
    other.run().ends("shutting down")
    ide.type("\n").ends("Finished.")


def test_a_server_that_can_not_be_reached(new_page: Callable[..., Page], server: ServerProcess) -> None:
    with Proxy(server.port) as proxy:
        ide = IDE(new_page()).open(proxy.url)
        proxy.refuse = True
        proxy.cut()
        ide.run().ends("can't be reached")


def test_queue_positions_and_time_limits_are_said(
    new_page: Callable[..., Page], start_server: Callable[..., ServerProcess]
) -> None:
    server = start_server(max_sessions=1, idle_timeout=6)
    first, second = IDE(new_page()).open(server.url), IDE(new_page()).open(server.url)
    first.write("print('here')\ninput()").run().shows("here")
    second.write("print('there')").run().says("Queued at position 1")
    first.ends("no input and no output for 6 seconds")
    second.ends("Finished.")


def test_code_of_each_language_is_kept(ide: IDE) -> None:
    ide.choose("python").write("# my python")
    ide.choose("java").write("// my java")
    ide.page.fill("#args", "-x")
    ide.page.reload()
    ide.page.wait_for_selector("body.ready")

    assert "// my java" in ide.code
    assert ide.page.input_value("#args") == "-x"
    assert "# my python" in ide.choose("python").code


@pytest.mark.every_browser
def test_files_are_added_renamed_removed_and_kept(ide: IDE) -> None:
    page = ide.page
    ide.write("import helper\nprint(helper.WORD, open('data/x.txt').read())")
    page.click("#file-add")
    page.fill("#name-input", "main.py")
    page.keyboard.press("Enter")
    assert "already" in page.inner_text("#name-problem")
    page.fill("#name-input", "data/x.txt")
    page.keyboard.press("Enter")
    ide.write("data")
    page.click("#file-add")
    page.keyboard.press("Enter")
    ide.write("WORD = 'helped'")
    page.press("#tab-2", "F2")
    page.fill("#name-input", "helper.py")
    page.keyboard.press("Enter")
    ide.run().shows("helped data").ends("Finished.")
    page.reload()
    page.wait_for_selector("body.ready")
    tabs = page.locator("#tabs .tab")
    assert [text.split("\n")[0] for text in tabs.all_inner_texts()] == ["main.py", "data/x.txt", "helper.py"]

    page.click("#tab-1 + .tab-close")
    ide.run()
    ide.eventually(lambda: "FileNotFoundError" in ide.screen, lambda: ide.screen)
    page.click("#notice-action")
    assert tabs.count() == 3


@pytest.mark.every_browser
def test_a_shared_link_brings_everything(ide: IDE, new_page: Callable[..., Page]) -> None:
    ide.choose("javascript").write("console.log('žluťoučký 😀', process.argv.slice(2))")
    ide.page.fill("#args", "a 'b c'")
    ide.page.click("#file-add")
    ide.page.fill("#name-input", "lib/x.js")
    ide.page.keyboard.press("Enter")
    ide.terminal(on=False)
    link = ide.shared_link()
    assert "#code=" in link

    other = IDE(new_page()).open(link)
    assert "žluťoučký 😀" in other.code
    assert other.page.locator("#tabs .tab").count() == 2
    assert not other.page.is_checked("#as-terminal")
    assert "#" not in other.page.url
    other.run().shows("žluťoučký 😀 [ 'a', 'b c' ]").ends("Finished.")


def test_a_damaged_link_is_said(ide: IDE, new_page: Callable[..., Page], server: ServerProcess) -> None:
    other = IDE(new_page()).open(f"{server.url}/#code=AAAA")

    assert "damaged" in other.notice
    assert ide.notice == ""


def test_the_page_works_below_a_path(new_page: Callable[..., Page], server: ServerProcess) -> None:
    with Proxy(server.port, prefix="/below/a/path") as proxy:
        ide = IDE(new_page()).open(proxy.url)
        ide.choose("python", "Hello, world").run().shows("Hello, world!").ends("Finished.")

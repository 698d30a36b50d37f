"""Files that a program leaves, as the page shows them: names, sizes, pictures, downloads."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.ide import IDE
from tests.browser.test_everybody import PHONE, assert_accessible
from tests.support import ServerProcess

PICTURES = """
import os, struct, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(width, height):
    rows = b"".join(b"\\0" + bytes([200, x % 256, 60]) * width for x in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

os.mkdir("out")
with open("out/plot.png", "wb") as file:
    file.write(png(300, 200))
with open("drawn.svg", "w") as file:
    file.write('<svg xmlns="http://www.w3.org/2000/svg" width="70" height="50" onload="parent.harmed = 1">'
               '<script>window.top.harmed = 1; alert(1)</script><rect width="70" height="50"/></svg>')
with open("broken.png", "wb") as file:
    file.write(png(30, 20)[:30])
with open("notes.txt", "wb") as file:
    file.write(bytes(range(256)))
print("drawn")
"""
SHOWN = "() => [...document.querySelectorAll('#files-list li')].map(it => it.querySelector('.file-name').textContent)"
SIZES = (
    "() => Object.fromEntries([...document.querySelectorAll('#files-list img')]"
    ".filter(it => it.complete && it.naturalWidth).map(it => [it.alt, [it.naturalWidth, it.naturalHeight]]))"
)


def shows_files(ide: IDE, *names: str) -> None:
    ide.eventually(lambda: ide.page.evaluate(SHOWN) == list(names), lambda: str(ide.page.evaluate(SHOWN)))


def downloaded(ide: IDE, name: str) -> tuple[str, bytes]:
    with ide.page.expect_download() as download:
        ide.page.get_by_role("button", name=f"Download {name}").click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_pictures_are_shown_and_all_files_can_be_had(ide: IDE) -> None:
    ide.write(PICTURES).run().shows("drawn").ends("Finished.")
    shows_files(ide, "broken.png", "drawn.svg", "notes.txt", "out/plot.png")
    wanted = {"What out/plot.png shows": [300, 200], "What drawn.svg shows": [70, 50]}
    ide.eventually(lambda: ide.page.evaluate(SIZES) == wanted, lambda: str(ide.page.evaluate(SIZES)))

    assert ide.page.inner_text("#files-title") == "The program left 4 files"
    assert "256 B" in ide.page.inner_text("#files-list")
    assert downloaded(ide, "notes.txt") == ("notes.txt", bytes(range(256)))
    name, content = downloaded(ide, "out/plot.png")
    assert (name, content[:4]) == ("plot.png", b"\x89PNG")
    assert ide.page.evaluate("window.harmed") is None
    # What could not be drawn is not there as a broken picture.
    assert ide.page.locator("#files-list img").count() == 2
    assert_accessible(ide.page)
    ide.shows("drawn")  # The screen still has room.


def test_the_program_itself_is_shown_only_when_it_changed(ide: IDE) -> None:
    ide.write("print('nothing')").run().shows("nothing").ends("Finished.")
    shows_files(ide)
    ide.write("open('main.py', 'a').write('#')\nopen('other', 'w').close()").run().ends("Finished.")
    shows_files(ide, "main.py", "other")
    ide.write("print('nothing again')").run().shows("nothing again").ends("Finished.")
    shows_files(ide)
    assert ide.page.inner_text("#files-title") == ""


def test_compiled_programs_leave_what_they_write_and_no_more(ide: IDE) -> None:
    ide.choose("java").write(
        "import java.nio.file.*;\npublic class Main { public static void main(String[] a) throws Exception {"
        ' Files.writeString(Path.of("made.txt"), "x"); System.out.println("ok"); } }'
    ).run().shows("ok").ends("Finished.")
    shows_files(ide, "made.txt")


def test_what_can_not_be_kept_is_said(ide: IDE) -> None:
    ide.write("import os\nos.mkfifo('pipe')\nopen('large', 'wb').write(bytes(9 << 20))\nprint('ok')").run()
    ide.shows("ok").ends("Finished.")
    said = ide.page.locator("#files-omitted")
    ide.eventually(lambda: said.inner_text() != "", said.inner_text)

    assert said.inner_text() == "Not kept: large (too large), pipe (not a regular file)."
    assert ide.page.evaluate(SHOWN) == []
    assert_accessible(ide.page)


def test_names_are_text(ide: IDE) -> None:
    ide.write("for it in ('<img src=x onerror=alert(1)>', '\"&amp;.svg'): open(it, 'w').write('<b>')").run()
    ide.ends("Finished.")
    shows_files(ide, '"&amp;.svg', "<img src=x onerror=alert(1)>")


def test_clearing_and_running_take_them_away(ide: IDE) -> None:
    ide.write("open('made', 'w').close()\nprint(1)").run().ends("Finished.")
    shows_files(ide, "made")
    ide.page.click("#clear")
    shows_files(ide)
    ide.run().ends("Finished.")
    shows_files(ide, "made")
    ide.write("input('go on? ')").run().shows("go on?")
    shows_files(ide)


def test_a_reload_shows_them_again(ide: IDE) -> None:
    ide.write("open('made', 'w').close()\nprint('made it')").run().shows("made it").ends("Finished.")
    shows_files(ide, "made")
    ide.write("print('changed since')")
    ide.page.reload()
    ide.page.wait_for_selector("body.ready")
    ide.shows("made it")
    shows_files(ide, "made")


def test_files_that_do_not_load_can_be_asked_for_again(ide: IDE) -> None:
    ide.page.route("**/files", lambda route: route.abort())
    ide.write("open('made', 'w').close()").run().ends("Finished.")
    ide.eventually(lambda: "could not be loaded" in ide.notice, lambda: ide.notice)
    ide.page.unroute("**/files")
    ide.page.click("#notice-action")
    shows_files(ide, "made")


def test_files_on_a_phone(new_page: Callable[..., Page], server: ServerProcess) -> None:
    ide = IDE(new_page(**PHONE)).open(server.url)
    ide.write(PICTURES).run().ends("Finished.")
    shows_files(ide, "broken.png", "drawn.svg", "notes.txt", "out/plot.png")
    width = ide.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["viewport"]["width"]
    assert_accessible(ide.page)


def test_a_program_starts_by_one_websocket(ide: IDE) -> None:
    sockets: list[str] = []
    requests: list[str] = []
    ide.page.on("websocket", lambda socket: sockets.append(socket.url))
    ide.page.on("request", lambda request: requests.append(request.url))
    ide.write("print('started')").run().shows("started").ends("Finished.")

    assert [url.rpartition("/ws/")[2] for url in sockets] == ["run"]
    assert [url for url in requests if not url.endswith("/files")] == []

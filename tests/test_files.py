"""Files that programs leave: what comes back, what doesn't, and that nothing else can be had."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Client, ServerProcess

LEAVES = """
import os
os.makedirs("out/deep")
files = {"a.csv": b"1,2", "b.csv": b"", "out/c.csv": b"3", "out/deep/d.csv": bytes(range(256)), ".hidden.csv": b"h"}
for name, data in files.items():
    open(name, "wb").write(data)
"""


async def left(client: Client, code: str, collect: list[str], **more: Any) -> tuple[dict[str, bytes], dict[str, str]]:
    """Contents by name, and why names were left out."""
    answer = await client.request("POST", "/run", {"language": "python", "code": code, "collect": collect, **more})
    assert answer.status == 200, answer.body
    found = answer.json()
    files = {it["name"]: base64.b64decode(it["data"], validate=True) for it in found["files"]}
    assert [it["size"] for it in found["files"]] == [len(data) for data in files.values()]
    return files, {it["name"]: it["reason"] for it in found.get("filesOmitted", [])}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["*.csv"], ["a.csv", "b.csv"]),
        (["**/*.csv"], ["a.csv", "b.csv", "out/c.csv", "out/deep/d.csv"]),
        (["out/*"], ["out/c.csv"]),
        (["out/**"], ["out/c.csv", "out/deep/d.csv"]),
        (["[ab].csv", "a.csv", "?.csv"], ["a.csv", "b.csv"]),
        ([".*.csv"], [".hidden.csv"]),
        (["out"], []),
        (["none", "**/none"], []),
        (["main.py"], ["main.py"]),
    ],
    ids=str,
)
async def test_patterns_name_what_comes_back(client: Client, patterns: list[str], names: list[str]) -> None:
    files, omitted = await left(client, LEAVES, patterns)
    assert sorted(files) == names
    assert not omitted
    if "out/deep/d.csv" in files:
        assert files["out/deep/d.csv"] == bytes(range(256))


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("import sys; sys.exit(3)", None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", None),
        ("while True: pass", "cpu_time_limit"),
        ("import time; time.sleep(600)", "execution_timeout"),
        ("while True: print('y' * 1000)", "output_limit"),
        ("x = 'x' * 500_000_000", "memory_limit"),
    ],
)
async def test_files_come_back_however_the_program_ended(client: Client, ending: str, reason: str | None) -> None:
    answer = await client.request(
        "POST",
        "/run",
        {
            "language": "python",
            "code": f"open('kept', 'w').write('here')\n{ending}",
            "collect": ["kept"],
            "limits": {"cpuTime": 0.5, "executionTimeout": 3},
        },
    )
    found = answer.json()
    assert found.get("reason") == reason
    assert [(it["name"], base64.b64decode(it["data"])) for it in found["files"]] == [("kept", b"here")]


async def test_what_is_no_file_of_the_workspace_does_not_come_back(client: Client) -> None:
    code = """
import os, socket
os.symlink("/etc/passwd", "link.txt")
os.symlink("/", "root")
os.symlink(".", "loop")
os.symlink("/proc/1", "launcher")
os.mkfifo("fifo.txt")
socket.socket(socket.AF_UNIX).bind("socket.txt")
os.mkdir("folder.txt")
open("locked.txt", "w").write("mine"); os.chmod("locked.txt", 0)
os.mkdir("shut"); open("shut/in.txt", "w").write("mine"); os.chmod("shut", 0)
open("twice.txt", "w").write("linked"); os.link("twice.txt", "hard.txt")
open(b"odd\\xff.txt", "w").write("x")
open("line\\nbreak.txt", "w").write("x")
"""
    files, omitted = await left(client, code, ["**/*.txt", "root/etc/passwd", "loop/twice.txt", "launcher/environ"])
    assert files["twice.txt"] == files["hard.txt"] == b"linked"
    assert not {"link.txt", "fifo.txt", "socket.txt", "folder.txt", "root/etc/passwd", "loop/twice.txt"} & set(files)
    assert omitted["link.txt"] == omitted["fifo.txt"] == omitted["socket.txt"] == "not_regular"
    assert all(name.isprintable() for name in [*files, *omitted])
    assert {"unreadable"} == {reason for name, reason in omitted.items() if "odd" in name or "line" in name}


async def test_a_race_for_the_name_brings_nothing_else(client: Client) -> None:
    """What a program leaves running can't change anything: it is gone before files are looked at."""
    code = """
import os, sys
open("x", "w").write("own")
if os.fork() == 0:
    os.setsid()
    while True:
        for target in ("/etc/passwd", "/proc/1/environ"):
            os.symlink(target, "y"); os.rename("y", "x")
            open("y", "w").write("own"); os.rename("y", "x")
"""
    for _ in range(5):
        files, omitted = await left(client, code, ["x"])
        assert files.get("x", b"own") in {b"own", b""}
        assert set(omitted.values()) <= {"not_regular"}


async def test_bounds_hold_and_are_told(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_collected_files=3, max_collected_bytes=1000))
    files, omitted = await left(client, "for n in range(5): open(f'{n}', 'w').write('x')", ["?"])
    assert sorted(files) == ["0", "1", "2"]
    assert omitted == {"3": "too_many", "4": "too_many"}
    files, omitted = await left(
        client, "open('a', 'w').write('x' * 999); open('b', 'w').write('xx'); open('c', 'w').write('x')", ["?"]
    )
    assert sorted(files) == ["a", "c"]
    assert omitted == {"b": "too_large"}


async def test_a_server_that_has_no_room_leaves_them_out(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(max_retained_bytes=8 * 2**20, max_collected_bytes=2**24)
    client = Client(server)
    code = "open('large', 'wb').write(b'x' * 9_000_000); open('small', 'w').write('x')"
    files, omitted = await left(client, code, ["large", "small"])
    assert (list(files), omitted) == (["small"], {"large": "overloaded"})
    files, omitted = await left(client, "open('small', 'w').write('x')", ["small"])
    assert (list(files), omitted) == (["small"], {})


async def test_a_sessions_files_are_there_at_its_end(client: Client) -> None:
    session = await client.create(language="python", code="open('a', 'w').write(input())", collect=["a"])
    await client.until_info(session, "running")
    refused = await client.request("GET", f"/session/{session}/files")
    assert (refused.status, refused.json()["code"]) == (409, "wrong_state")
    async with client.attach(session) as attached:
        await attached.input("typed\n")
        run = await attached.to_end()
    assert [(it.name, it.size) for it in run.final.files or []] == [("a", 5)]
    found = (await client.request("GET", f"/session/{session}/files")).json()
    assert found == {"files": [{"name": "a", "size": 5, "data": base64.b64encode(b"typed").decode()}]}
    assert (await client.info(session))["files"] == [{"name": "a", "size": 5}]


async def test_a_session_that_asks_for_none_has_none(client: Client) -> None:
    run = await client.run(language="python", code="open('a', 'w').write('x')")
    assert not run.final.files
    answer = await client.request("GET", f"/session/{run.session_id}/files")
    assert answer.json() == {"files": []}


async def test_a_failed_compile_leaves_none(client: Client) -> None:
    answer = await client.request("POST", "/run", {"language": "cpp", "code": "int main() {", "collect": ["**"]})
    assert "files" not in answer.json()

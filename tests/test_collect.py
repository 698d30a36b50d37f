"""Collect: what a launcher sends back of a workspace, and what it does not, whatever a program has left there."""

from __future__ import annotations

import os
import re
import select
import time
from pathlib import Path

import pytest
import trio

from tests.leftovers import PROGRAMS
from tests.sessions import SPEC
from tests.stages import ENVIRONMENT, Gathered, collect, gather, run, run_python, send_file
from tests.support import PATIENCE
from tests.test_process_executor import launchers
from trio_exec.executor.base import Container
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.process.executor import ProcessContainer
from trio_exec.launcher import frames


async def test_files_that_match_come_whole_in_the_order_of_their_names(container: Container) -> None:
    large = bytes(range(256)) * 2000
    for path, content in {
        "b.txt": b"b",
        "a/z.txt": large,
        "a/.hidden": b"h",
        "B": b"",
        "a.txt": b"a",
        "ä": b"u",
    }.items():
        await send_file(container, path, content, 0o640)
    await run(container, ["chmod", "4755", "B"])

    everything = await collect(container, "**")
    assert list(everything.files) == ["B", "a/z.txt", "a.txt", "b.txt", "ä"]
    assert everything.files["a/z.txt"] == (0o640, large)
    assert everything.files["B"] == (0o4755, b"")
    assert everything.omitted == []
    assert list((await collect(container, "*.txt", "a/.h*")).files) == ["a/.hidden", "a.txt", "b.txt"]
    assert list((await collect(container, "**", hidden_too=True)).files) == [
        "B",
        "a/.hidden",
        *list(everything.files)[1:],
    ]
    assert await collect(container) == Gathered(count=0)
    assert await collect(container, "nothing") == Gathered(count=0)


ODD = """
import os, socket, stat
os.mkdir("d")
for name in ("good", "d/good"): open(name, "w").write(name)
os.mkfifo("fifo")
os.symlink("good", "link")
os.symlink("/etc/passwd", "out")
os.symlink("d", "folder")
os.symlink("/", "root")
os.link("good", "hard")
socket.socket(socket.AF_UNIX).bind("socket")
try: os.mknod("whiteout", stat.S_IFCHR)
except OSError: os.mkfifo("whiteout")
open("locked", "w").close()
os.chmod("locked", 0)
for number, mode in enumerate((0, 0o400, 0o600)):
    os.mkdir(f"locked{number}")
    open(f"locked{number}/file", "w").close()
    os.chmod(f"locked{number}", mode)
"""


async def test_only_regular_files_are_sent_and_no_link_is_followed(container: Container) -> None:
    await run_python(container, ODD)
    result = await collect(container, "**")
    assert {name: content for name, (_, content) in result.files.items()} == {
        "d/good": b"d/good",
        "good": b"good",
        "hard": b"good",
    }
    assert result.omitted == [
        ("fifo", "not_regular"),
        ("folder", "not_regular"),
        ("link", "not_regular"),
        ("locked", "unreadable"),
        ("locked0", "unreadable"),
        ("locked1", "unreadable"),
        ("locked2", "unreadable"),
        ("out", "not_regular"),
        ("root", "not_regular"),
        ("socket", "not_regular"),
        ("whiteout", "not_regular"),
    ]
    assert await collect(container, "folder/*", "root/etc/passwd", "locked/x", "good/x") == Gathered(count=0)


async def test_names_that_nobody_can_tell_are_left_out(container: Container) -> None:
    await run_python(
        container,
        "import os\nos.mkdir(b'd\\xff')\nfor it in (b'\\xff', b'd\\xff/x', b'a\\nb', b'\\xc2\\x9bx', 'ü'.encode()):"
        " open(it, 'w').close()",
    )
    result = await collect(container, "**")
    assert list(result.files) == ["ü"]
    assert result.omitted == [
        ("a\\nb", "unreadable"),
        ("d\\xff", "unreadable"),
        ("\\x9bx", "unreadable"),
        ("\\xff", "unreadable"),
    ]


async def test_bounds_hold_and_cut_the_same_each_time(container: Container) -> None:
    for number in range(9):
        await send_file(container, f"f{number}", bytes(1000 * (number + 1)))

    few = await collect(container, "*", files=3)
    assert list(few.files) == ["f0", "f1", "f2"]
    assert few.omitted == [(f"f{number}", "too_many") for number in range(3, 9)]
    small = await collect(container, "*", size=6500)
    assert list(small.files) == ["f0", "f1", "f2"]
    assert small.omitted == [(f"f{number}", "too_large") for number in range(3, 9)]
    # What does not fit does not keep out what comes after it and does.
    assert list((await collect(container, "f[1-9]", "f0", size=9500)).files) == ["f0", "f1", "f2"]
    assert list((await collect(container, "f[82]", "f0", size=4500)).files) == ["f0", "f2"]
    assert list((await collect(container, "*", size=0)).files) == []
    assert list((await collect(container, "*", files=0)).files) == []


async def test_a_file_without_end_costs_nothing(container: Container) -> None:
    await run_python(container, "import os; os.truncate(os.open('huge', os.O_CREAT | os.O_RDWR), 1 << 40)")
    assert await collect(container, "*") == Gathered(omitted=[("huge", "too_large")], count=0)
    await run_python(container, "import os; os.truncate('huge', 5_000_000)")
    assert (await collect(container, "*")).files == {"huge": (0o755 & ~0o022, bytes(5_000_000))}


async def test_so_many_omissions_are_told_and_no_more(container: Container) -> None:
    await run_python(container, "import os\nfor n in range(200): os.mkfifo(f'p{n:03}')")
    assert (await collect(container, "*")).omitted == [(f"p{number:03}", "not_regular") for number in range(64)]
    await run_python(container, "open('z', 'w').close()")
    assert list((await collect(container, "*")).files) == ["z"], "others are sent all the same"


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
async def test_nothing_hostile_keeps_it_from_its_end(container: Container, program: str) -> None:
    await send_file(container, "main", b"main")
    await send_file(container, "kept/data", b"data")
    await run(container, ["python3", "-S", "-B", "-c", program])
    result = await collect(container, "**", "**/.*", files=4096, size=1 << 23)
    assert len(result.omitted) <= 64
    assert all(name.isprintable() for name, _ in result.omitted)


async def test_nothing_hostile_gets_out_of_a_hardened_container(executor: DockerExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        await run_python(container, ODD)
        result = await collect(container, "**", "root/etc/passwd")
        assert list(result.files) == ["d/good", "good", "hard"]
        assert len(result.omitted) == 11
        await container.send(frames.encode_save())
        assert await container.receive() == [frames.Saved()]
        for program in PROGRAMS.values():
            await run(container, ["python3", "-S", "-B", "-c", program])
            assert len((await collect(container, "**", files=4096, size=1 << 23)).omitted) <= 64
            await container.send(frames.encode_restore())


async def test_thousands_of_files_in_deep_folders_all_come(container: Container) -> None:
    await run_python(
        container,
        """
import os
for top in range(10):
    os.mkdir(f"t{top}")
    os.chdir(f"t{top}")
    for depth in range(200):
        open("file", "w").write("x")
        os.mkdir("d")
        os.chdir("d")
    os.chdir("../" * 201)
for number in range(2000): open(f"n{number:04}", "w").close()
""",
    )
    result = await collect(container, "**", files=10_000)
    deep = sorted("t" + str(top) + "/" + "d/" * depth + "file" for top in range(10) for depth in range(200))
    assert sorted(result.files) == [f"n{number:04}" for number in range(2000)] + deep
    assert list((await collect(container, "**/d/d/d/file", files=10)).files)[-1] == "t0/" + "d/" * 190 + "file"


async def test_malformed_requests_are_told(container: Container) -> None:
    head = bytes(5) + bytes(7) + b"\1"
    for payload in (b"", bytes(12), head + b"a", head + b"../x\0", head + b"/etc\0", head + b"\0", head + b"a\0" * 33):
        await container.send(b"c" + len(payload).to_bytes(4, "big") + payload)
        assert await container.receive() == [frames.Failure("malformed collect frame")]
    assert (await collect(container, "*")).count == 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_slow_reader_loses_nothing_and_costs_nothing(container: Container) -> None:
    content = os.urandom(1_000_000)
    for number in range(10):
        await send_file(container, f"f{number}", content)
    await container.send(frames.encode_collect(["*"], 100, 1 << 30))
    await container.send(frames.encode_stage(["sh", "-c", "echo x > f9"], ENVIRONMENT, terminal=None, deadline=60))
    (pid,) = launchers()
    before, begun = cpu_seconds(pid), time.monotonic()
    await trio.sleep(1)
    assert cpu_seconds(pid) - before < (time.monotonic() - begun) / 2, "it spins"
    gathered = Gathered()
    while gathered.count is None:
        for event in await container.receive():
            await trio.sleep(0.002)
            if gathered.count is None:
                gathered.take(event)
    # The stage that was asked for meanwhile has waited.
    assert [it for _, it in gathered.files.values()] == [content] * 10
    assert gathered.count == 10


async def test_the_end_of_input_ends_it_in_the_middle(container: ProcessContainer) -> None:
    await send_file(container, "large", bytes(10_000_000))
    (pid,) = launchers()
    end = os.pidfd_open(pid)
    await container.send(frames.encode_collect(["*"], 100, 1 << 30))
    await container.receive()
    stream = container._launcher._stream
    assert isinstance(stream, trio.StapledStream)
    await stream.send_stream.aclose()
    gone, _, _ = await trio.to_thread.run_sync(select.select, [end], [], [], PATIENCE)
    os.close(end)
    assert gone, "the launcher is still there"


def id_of_child(pid: int) -> str:
    """The id that the only child of a launcher has in its container."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (ids,) = re.findall(r"NSpid:(.*)", Path(f"/proc/{child}/status").read_text())
    return ids.split()[-1]


async def test_what_is_held_goes_on_being_held(container: Container) -> None:
    command = ["python3", "-S", "made.py"]
    await container.send(frames.encode_prestart("made.py", command, ENVIRONMENT, terminal=None))
    assert await container.receive() == [frames.Prestarted()]
    (launcher,) = launchers()
    pid = id_of_child(launcher)
    await container.send(frames.encode_collect(["**"], 10, 10))
    assert (await gather(container)).omitted == [("made.py", "not_regular")]
    await send_file(container, "made.py", b"import os; print(os.getpid())")
    held = await run(container, command)
    assert held.stdout == f"{pid}\n".encode()

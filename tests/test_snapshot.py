"""Save and Restore: what a program leaves does not reach the next one, whatever it is."""

from __future__ import annotations

import pytest

from tests.leftovers import DESCRIBE, PROGRAMS
from tests.sessions import SPEC
from tests.stages import ENVIRONMENT, restore, run, run_python, save, send_file
from trio_exec.errors import ExecutorError
from trio_exec.executor.base import Container
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.launcher import frames

KINDS = """
import os
os.makedirs("kept/folder/.hidden")
os.mkdir("empty")
def write(path, content, mode):
    with open(path, "wb") as file: file.write(content)
    os.chmod(path, mode)
write("main", bytes(range(256)) * 1000, 0o755)
write("kept/data", b"data", 0o644)
write("kept/nothing", b"", 0o600)
write("kept/folder/.hidden/it", b"hidden", 0o444)
write("kept/set", b"x", 0o4755)
with open("kept/sparse", "wb") as file:
    file.seek(3_000_000)
    file.write(b"in the middle")
    file.truncate(9_000_001)
os.symlink("data", "kept/link")
os.symlink("/nowhere", "dangling")
os.symlink("..", "up")
os.link("main", "kept/same")
os.chmod("kept/folder", 0o1750)
os.setxattr(".", "user.mine", b"value")
for number, path in enumerate(("kept/folder/.hidden/it", "kept/link", "dangling", "kept/folder", "kept", "empty", ".")):
    os.utime(path, ns=(10**18 + number, 10**18 + 7 * number), follow_symlinks=False)
"""
"""Makes one of everything that is saved."""


async def test_all_kinds_of_files_come_back_as_they_were(container: Container) -> None:
    await run_python(container, KINDS)
    before = await run_python(container, DESCRIBE)
    await save(container)
    assert await run_python(container, DESCRIBE) == before
    for _ in range(2):
        await run_python(container, "import shutil, os\nfor it in os.listdir(): os.rename(it, it + 'x')")
        await restore(container)
        after = await run_python(container, DESCRIBE)
        # Other than before, `main` is in the workspace twice.
        assert drop_room(after) == drop_room(before)
        assert b"user.mine" in after


def drop_room(description: bytes) -> list[bytes]:
    return [line.rpartition(b"]")[0] if line.startswith(b"[(") else line for line in description.splitlines()]


async def test_what_is_locked_is_saved_as_well(container: Container) -> None:
    lock = """
import os
os.makedirs("a/b")
for path in ("a/b/file", "a/file", "file"):
    with open(path, "w") as file: file.write(path)
    os.chmod(path, 0)
for path in ("a/b", "a"): os.chmod(path, 0)
"""
    # Modes alone can be told without unlocking; the rest is looked at after unlocking.
    modes = "import os; print([oct(os.stat(it).st_mode) for it in ('.', 'a', 'file')])"
    unlock = "import os\nfor it in ('a', 'a/b', 'a/b/file', 'a/file', 'file'): print(os.chmod(it, 0o700), it)"
    await run_python(container, lock)
    before = await run_python(container, modes)
    await save(container)
    assert await run_python(container, modes) == before
    await restore(container)
    assert await run_python(container, modes) == before
    await run_python(container, unlock)
    assert await run_python(container, "print(*[open(it).read() for it in ('file', 'a/file', 'a/b/file')])") == (
        b"file a/file a/b/file\n"
    )


async def test_deep_folders_are_saved_as_well(container: Container) -> None:
    await run_python(container, PROGRAMS["folders as deep as can be"])
    depth = """
import os
count = 0
while os.path.isdir("d" * 100):
    os.chdir("d" * 100)
    count += 1
print(count, os.listdir())
"""
    assert await run_python(container, depth) == b"5000 ['bottom']\n"
    await save(container)
    await restore(container)
    assert await run_python(container, depth) == b"5000 ['bottom']\n"


async def leave_no_trace(container: Container, program: str) -> None:
    before = await run_python(container, DESCRIBE)
    await run(container, ["python3", "-S", "-B", "-c", program])
    await restore(container)
    assert await run_python(container, DESCRIBE) == before


async def prepare(container: Container) -> None:
    await send_file(container, "main", b"#!/bin/sh\necho main\n", 0o755)
    await send_file(container, "kept/data", b"data")
    await save(container)
    await restore(container)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
async def test_nothing_hostile_is_left(container: Container, program: str) -> None:
    await prepare(container)
    await leave_no_trace(container, program)


async def test_nothing_hostile_is_left_in_a_hardened_container(executor: DockerExecutor) -> None:
    async with executor.open_container(SPEC) as container:
        await prepare(container)
        for program in PROGRAMS.values():
            await leave_no_trace(container, program)


async def test_programs_do_what_the_tests_believe(container: Container) -> None:
    """A test for a trace that was never there would show nothing."""
    await prepare(container)
    clean = await run_python(container, DESCRIBE)
    for name in ("a few files", "links to everywhere", "times", "a change that shows in no time", "no room left"):
        await run(container, ["python3", "-S", "-B", "-c", PROGRAMS[name]])
        assert await run_python(container, DESCRIBE) != clean, name
        await restore(container)


async def test_a_second_save_replaces_the_first(container: Container) -> None:
    await send_file(container, "one", b"1")
    await save(container)
    await send_file(container, "two", b"2")
    await save(container)
    await run_python(container, "import os; os.unlink('one'); os.unlink('two')")
    await restore(container)
    assert await run_python(container, "import os; print(sorted(os.listdir()))") == b"['.tmp', 'one', 'two']\n"


async def test_what_is_held_is_discarded_and_its_file_in_place(container: Container) -> None:
    command = ["python3", "-S", "first.py"]
    await container.send(frames.encode_prestart("first.py", command, ENVIRONMENT, terminal=None))
    assert await container.receive() == [frames.Prestarted()]
    await send_file(container, "first.py", b"print('it')", 0o640)
    await save(container)
    await restore(container)
    assert (await run(container, command)).stdout == b"it\n"
    shown = await run_python(container, "import os; print(oct(os.stat('first.py').st_mode), os.listdir('.tmp'))")
    assert shown == b"0o100640 []\n"


async def test_without_a_save_there_is_no_restore(container: Container) -> None:
    await restore(container)
    with pytest.raises(ExecutorError):
        await container.receive()


async def until_it_ends(container: Container) -> None:
    while True:
        await container.receive()


async def test_nothing_is_saved_or_collected_while_a_stage_runs(container: Container) -> None:
    await container.send(frames.encode_stage(["sleep", "1000"], ENVIRONMENT, terminal=None, deadline=60))
    assert await container.receive() == [frames.Started()]
    for frame in (frames.encode_save(), frames.encode_collect(["**"], 1, 1)):
        await container.send(frame)
        events = [event for event in await container.receive() if not isinstance(event, frames.Waiting)]
        assert [type(event) for event in events] == [frames.Failure]
    await restore(container)
    with pytest.raises(ExecutorError):
        await until_it_ends(container)


async def test_more_than_fits_is_not_saved(container: Container) -> None:
    # A file of many names would take its room once for each.
    await run_python(
        container,
        "import os\nopen('0', 'wb').write(bytes(SIZE))\nfor n in range(100): os.link('0', f'n{n}')".replace(
            "SIZE", str(SPEC.limits.workspace_bytes // 50)
        ),
    )
    await container.send(frames.encode_save())
    (event,) = await container.receive()
    assert isinstance(event, frames.Failure)
    assert "File too large" in event.message
    await restore(container)
    with pytest.raises(ExecutorError):
        await container.receive()

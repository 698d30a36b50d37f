"""What frames for a stage do, in containers without Docker: files with modes, and output that is gathered."""

from __future__ import annotations

import pytest

from tests.stages import ENVIRONMENT, run, run_python, send_file
from trio_exec.executor.base import Container
from trio_exec.launcher import frames


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o666, 0o777, 0o444, 0o000, 0o4755])
async def test_a_file_has_the_mode_that_was_asked_for(container: Container, mode: int) -> None:
    await send_file(container, "folder/file", bytes(200_000), mode)
    show = "import os; it = os.stat('folder/file'); print(oct(it.st_mode), it.st_size)"
    assert await run_python(container, show) == f"{0o100000 | mode:#o} 200000\n".encode()
    await send_file(container, "folder/file", b"again", 0o640)
    assert await run_python(container, show) == b"0o100640 5\n"


async def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(container: Container) -> None:
    await run_python(container, "import os; os.mkfifo('pipe')")
    await send_file(container, "pipe", b"x")
    (event,) = await container.receive()
    assert isinstance(event, frames.Failure)
    assert (await run(container, ["echo", "on"])).stdout == b"on\n"


async def test_a_short_stage_is_told_in_one_piece(container: Container) -> None:
    stage = frames.encode_stage(["echo", "all"], ENVIRONMENT, terminal=None, deadline=60, gather=True)
    whole = 0
    for _ in range(20):
        await container.send(stage)
        events = list(await container.receive())
        whole += len(events) == 3
        while not isinstance(events[-1], frames.StageEnd):  # A busy machine may take longer than is waited for.
            events += await container.receive()
        assert events[:-1] == [frames.Started(), frames.Stdout(b"all\n")]
    assert whole > 0


async def test_what_is_gathered_is_not_kept_for_long(container: Container) -> None:
    command = ["sh", "-c", "echo one; read it; head -c 100000 /dev/zero; read it"]
    await container.send(frames.encode_stage(command, ENVIRONMENT, terminal=None, deadline=60, gather=True))
    seen = b""
    for wanted in (4, 100_004):
        while len(seen) < wanted:
            seen += b"".join(it.data for it in await container.receive() if isinstance(it, frames.Stdout))
        await container.send(frames.encode_stdin(b"go on\n"))
    events: list[frames.Event] = []
    while not events or not isinstance(events[-1], frames.StageEnd):
        events += await container.receive()
    assert seen == b"one\n" + bytes(100_000)

"""Stages that tests run over a launcher, without sessions around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trio_exec.executor.base import Container
from trio_exec.launcher import frames

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass
class Result:
    """One stage's output and end."""

    stdout: bytes
    stderr: bytes
    end: frames.StageEnd


async def run(container: Container, command: Sequence[str], deadline: int = 60) -> Result:
    await container.send(frames.encode_stage(command, ENVIRONMENT, terminal=None, deadline=deadline))
    out = err = b""
    while True:
        for event in await container.receive():
            match event:
                case frames.Stdout(data):
                    out += data
                case frames.Stderr(data):
                    err += data
                case frames.StageEnd():
                    return Result(out, err, event)
                case frames.Failure(message):
                    raise AssertionError(message)
                case _:
                    pass


async def run_python(container: Container, code: str, *arguments: str) -> bytes:
    """What a program writes that must end well."""
    result = await run(container, ["python3", "-S", "-B", "-c", code, *arguments])
    assert (result.end.exit_code, result.stderr) == (0, b"")
    return result.stdout


async def send_file(container: Container, path: str, content: bytes, mode: int = 0o644) -> None:
    for frame in frames.encode_file(path, content, mode):
        await container.send(frame)


async def save(container: Container) -> None:
    await container.send(frames.encode_save())
    assert await container.receive() == [frames.Saved()]


async def restore(container: Container) -> None:
    await container.send(frames.encode_restore())


@dataclass
class Gathered:
    """What a launcher sent back; files with modes and contents, in the order in which they came."""

    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    omitted: list[tuple[str, str]] = field(default_factory=list)
    count: int | None = None

    def take(self, event: frames.Event) -> None:
        match event:
            case frames.CollectedFile(path, mode, content, begins):
                assert begins == (path not in self.files)
                assert not self.files or begins or path == list(self.files)[-1]
                self.files[path] = (mode, self.files.get(path, (0, b""))[1] + content)
            case frames.Omitted(path, reason):
                self.omitted.append((path, reason.name.lower()))
            case frames.Collected(count):
                self.count = count
            case _:
                raise AssertionError(event)


async def gather(container: Container) -> Gathered:
    gathered = Gathered()
    while gathered.count is None:
        for event in await container.receive():
            gathered.take(event)
    assert gathered.count == len(gathered.files)
    return gathered


async def collect(
    container: Container, *patterns: str, files: int = 1000, size: int = 1 << 26, hidden_too: bool = False
) -> Gathered:
    await container.send(frames.encode_collect(patterns, files, size, hidden_too=hidden_too))
    return await gather(container)

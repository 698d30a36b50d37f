"""Programs do here what they do in the same image without us: as one's own machine would, whose image it is."""

from __future__ import annotations

import io
import signal
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast

import docker
import pytest
import trio
from docker.models.containers import Container as DockerContainer

from tests.programs import PROGRAMS
from tests.support import Client
from trio_exec.languages import Languages

COMMANDS = {"python": "python3 main.py", "javascript": "node main.js", "cpp": "./program"}
COMPILERS = {"cpp": "g++ -std=gnu++20 -O2 -o program main.cpp"}
"""What a person types. Not Java: `javac` and `java` want to be told names that are found here."""

DIFFERENT = {
    ("environment", "python"): "the variables are the session's",
    ("environment", "javascript"): "likewise",
    ("more than a pipe holds", "javascript"): "at home, process.exit() loses what the pipe had no room for",
    ("limits", "python"): "limits are what a session has",
    ("itself", "python"): "lists the workspace, which has a folder for temporary files here",
    ("itself", "javascript"): "likewise",
    ("processors", "python"): "told to fit the limit of processes",
    ("processors", "javascript"): "likewise",
    ("memory", "javascript"): "the heap has a limit here",
}
"""Rows that can't be the same, and why; docs/languages.md tells people."""

_ROWS = [row for row in PROGRAMS if row[1] in COMMANDS and (row[0], row[1]) not in DIFFERENT]
_READS = "end of input"
"""On a terminal, one who reads waits for somebody to type."""
_BOTH = [(row, tty) for row in _ROWS for tty in (False, True) if not (tty and (row[3] or row[0] == _READS))]
CASES = [(language, code, stdin, tty) for (_, language, code, stdin), tty in _BOTH]
IDS = [f"{language}, {name}, {'terminal' if tty else 'pipes'}" for (name, language, _, _), tty in _BOTH]


@dataclass
class Home:
    """Containers of the languages' images, with a shell in the place of the launcher, and without limits."""

    containers: dict[str, DockerContainer]

    def run(self, language: str, code: str, stdin: str, *, tty: bool) -> tuple[str, str, int]:
        """Standard output, standard error (on a terminal, part of the former) and the exit code, as shells have it."""
        container = self.containers[language]
        file = Languages.load()[language].source_file
        container.exec_run(["sh", "-c", "chmod 777 /workspace; rm -rf /workspace/* /workspace/.[!.]*"], user="0")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, text in {file: code, "/.stdin": stdin}.items():
                info = tarfile.TarInfo(name)
                info.size, info.uid, info.gid, info.mode = len(text.encode()), UID, UID, 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
        container.put_archive("/workspace", archive.getvalue())
        compiler = COMPILERS.get(language)
        if compiler is not None and (compiled := self._shell(container, compiler, tty=False))[2] != 0:
            return compiled
        piped = "mkfifo .pipe; (cat .stdin > .pipe &); exec < .pipe;"
        return self._shell(container, f"{'' if tty else piped} exec {COMMANDS[language]}", tty=tty)

    def _shell(self, container: DockerContainer, script: str, *, tty: bool) -> tuple[str, str, int]:
        command = ["sh", "-c", f"cd /workspace; {script}"]
        # What is returned depends on the arguments, whatever the stubs say.
        code, output = cast("tuple[int, Any]", container.exec_run(command, user=f"{UID}:{UID}", demux=not tty, tty=tty))
        out, err = (output, b"") if tty else output
        return (out or b"").decode("utf-8", "replace"), (err or b"").decode("utf-8", "replace"), code


UID = 50000


@pytest.fixture(scope="module")
def home(images: dict[str, str]) -> Generator[Home]:
    engine = docker.from_env(timeout=120)
    containers = {
        language: engine.containers.run(
            images[language],
            entrypoint=["sleep"],
            command=["1200"],
            environment={"HOME": "/workspace", "LANG": "en_US.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            detach=True,
            auto_remove=True,
            network_mode="none",
            init=True,
        )
        for language in COMMANDS
    }
    yield Home(containers)
    for container in containers.values():
        container.remove(force=True)
    engine.close()


def exit_code(ending: str) -> int:
    """As a shell has it: of a signal, 128 and its number."""
    _, how = ending.split(": ")
    return int(how.removeprefix("exit ")) if how.startswith("exit ") else 128 + signal.Signals[how]


@pytest.mark.parametrize(("language", "code", "stdin", "tty"), CASES, ids=IDS)
async def test_a_program_does_what_it_does_at_home(
    client: Client, home: Home, language: str, code: str, stdin: str, tty: bool
) -> None:
    expected = await trio.to_thread.run_sync(lambda: home.run(language, code, stdin, tty=tty))
    run = await client.run(language=language, code=code, stdin=stdin, tty=tty)

    assert (run.stdout, run.stderr, exit_code(run.ending)) == expected

"""Java against the JDK itself: what `javac` and `java` say is what a session says, byte for byte."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Generator
from typing import Any

import docker
import pytest

from tests.programs import PROGRAMS
from tests.support import Client

# `javac` wants a file to be called like its public class; properties tell which program started the virtual machine.
ROWS = [row for row in PROGRAMS if row[1] == "java" and "class Main" in row[2] and row[0] != "the virtual machine"]


@pytest.fixture(scope="module")
def jdk(images: dict[str, str]) -> Generator[Any]:
    """A container of the image without anything of ours running in it."""
    engine = docker.from_env()
    limits = {"mem_limit": 200 * 2**20, "nano_cpus": 500_000_000, "detach": True, "auto_remove": True}
    container: Any = engine.containers.run(
        images["java"], entrypoint=["sleep"], command=["600"], environment={"LANG": "C.UTF-8"}, **limits
    )
    yield container
    container.remove(force=True)
    engine.close()


@pytest.mark.parametrize(("code", "stdin"), [pytest.param(*row[2:], id=row[0]) for row in ROWS])
async def test_java_is_as_the_jdk(client: Client, jdk: Any, code: str, stdin: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in {"Main.java": code, "input": stdin}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    jdk.put_archive("/workspace", buffer.getvalue())
    main = "a.b.Main" if "package a.b;" in code else "Main"
    run = f"java -XX:+UseSerialGC -XX:MaxRAMPercentage=50 -cp .classes:. {main} < input"
    script = f"cd /workspace && rm -rf .classes && javac -proc:none -d .classes Main.java && {run}"
    exit_code, (stdout, stderr) = jdk.exec_run(["sh", "-c", script], demux=True)

    run_here = await client.run(language="java", code=code, stdin=stdin)

    expected = (stdout or b"").decode(), (stderr or b"").decode(), exit_code, None
    assert (run_here.stdout, run_here.stderr, run_here.final.exit_code, run_here.reason) == expected

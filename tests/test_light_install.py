"""What `pip install trio-exec` brings, without the extra `server`: the client library and the command line."""

from __future__ import annotations

import re
import shutil
import subprocess
import venv
from collections.abc import Iterator
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import PATIENCE, ServerProcess
from tests.test_packages import LIGHT, ROOT, locked, names


def light_packages() -> Iterator[str]:
    """Names of what the lock of a light installation has for this system."""
    for pin in map(Requirement, locked("client").values()):
        if pin.marker is None or pin.marker.evaluate():
            yield pin.name


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has nothing but those, of the versions that are here, and this checkout."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "checkout.pth").write_text(f"{ROOT}\n")
    for name in light_packages():
        installed = distribution(name)
        for path in installed.files or ():
            if ".." not in path.parts and path.suffix != ".pyc":
                target = packages / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(installed.locate_file(path)), target)
    return folder / "bin" / "python"


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")


def test_the_package_itself_says_so() -> None:
    said = [Requirement(it) for it in requires("trio-exec") or ()]

    assert {it.name for it in said if it.marker is None} == names(LIGHT)
    extras = {'extra == "server"', 'extra == "otel"'}
    assert all(it.marker is None or str(it.marker) in extras for it in said)


def test_it_has_no_server(python: Path) -> None:
    for package in ("docker", "hypercorn", "pydantic", "quart"):
        assert run(python, "-c", f"import {package}").returncode == 1, package


def test_the_library_is_there(python: Path) -> None:
    done = run(python, "-W", "error", "-c", "import trio_exec.client, trio_exec.client.sync")

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_command_line_is_there(python: Path) -> None:
    done = run(python, "-m", "trio_exec", "--help")

    assert done.returncode == 0
    assert re.search(r"^  +run ", done.stdout, re.MULTILINE)
    assert run(python, "-m", "trio_exec", "completion", "bash").returncode == 0


@pytest.mark.parametrize("command", ["serve", "build", "images", "prune", "config"])
def test_what_needs_the_server_says_how_to_get_it(python: Path, command: str) -> None:
    done = run(python, "-m", "trio_exec", command)

    assert done.returncode == 2
    assert done.stderr == (
        f"trio-exec: `trio-exec {command}` needs the server, which is not installed here: "
        "pip install 'trio-exec[server]'\n"
    )


def test_it_runs_programs_on_a_server(python: Path, server: ServerProcess) -> None:
    code = "import sys; from trio_exec.client.sync import connect\nwith connect(sys.argv[1]) as client: "
    done = run(python, "-c", code + "print(client.run('python', 'print(6 * 7)').stdout, end='')", server.url)

    assert (done.stdout, done.stderr) == ("42\n", "")

"""What `import trio_exec` gives, and what it does not cost. Its types are checked by `tests/typing`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import trio_exec
from trio_exec.errors import TrioExecError
from trio_exec.serving import serve
from trio_exec.settings import Settings


def test_every_public_name_is_the_one_inside() -> None:
    assert trio_exec.Settings is Settings
    assert trio_exec.serve is serve
    assert trio_exec.errors.TrioExecError is TrioExecError
    assert all(hasattr(trio_exec, name) for name in trio_exec.__all__)


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'trio_exec' has no attribute 'sesame'"):
        getattr(trio_exec, "sesame")  # noqa: B009 - as an attribute, pyright would find it


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, trio_exec; print({'trio', 'pydantic', 'docker', 'quart'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert run.stdout == "set()\n"


def test_the_version_has_one_source() -> None:
    assert version("trio-exec") == trio_exec.__version__

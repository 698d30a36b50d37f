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
    prune(
        DockerAPI(),
        languages.values(),
        removed=lambda tag: say(f"removed {tag}"),
        kept=lambda tag: say(f"kept {tag}: a container needs it"),
    )

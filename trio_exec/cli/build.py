"""`trio-exec build`: the languages' images."""

from __future__ import annotations

import argparse

from trio_exec.cli.output import say
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.images import build_missing
from trio_exec.languages import Languages
from trio_exec.settings import Settings


def run(arguments: argparse.Namespace) -> None:
    """Builds those that are missing, or all that are named."""
    settings = Settings.load()
    languages = Languages.load(settings.languages_dir, settings.languages)
    chosen = [languages.find(name) for name in arguments.languages] or list(languages.values())
    tags = build_missing(
        DockerAPI(),
        chosen,
        progress=say,
        started=say,
        rebuild=arguments.rebuild,
        registry=settings.base_registry,
    )
    for name, tag in tags.items():
        say(f"{name}: {tag}")

"""`trio-exec images`: what the languages' images are called."""

from __future__ import annotations

import argparse

from trio_exec.cli.output import say
from trio_exec.executor.images import language_images
from trio_exec.languages import Languages
from trio_exec.settings import Settings


def run(_: argparse.Namespace) -> None:
    """Prints them, one a line, whether or not they are built."""
    settings = Settings.load()
    languages = Languages.load(settings.languages_dir, settings.languages)
    for image in language_images(languages.values(), settings.base_registry).values():
        say(image.tag)

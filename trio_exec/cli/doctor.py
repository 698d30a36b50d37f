"""`trio-exec doctor`: what is missing on this machine, and what to do about it."""

from __future__ import annotations

import argparse
import logging
import os
import sys

import trio

from trio_exec.cli import terminal
from trio_exec.cli.output import say
from trio_exec.doctor.examination import Extent, examine
from trio_exec.doctor.findings import Finding, Level, as_json, as_text, broken, worst
from trio_exec.doctor.proxies import look_through
from trio_exec.errors import ConfigurationError
from trio_exec.languages import Languages
from trio_exec.settings import Settings

EXIT_CODES = {Level.OK: 0, Level.WARNING: 0, Level.BROKEN: 1}
UNUSABLE = 2
"""The settings can't be used."""


def run(arguments: argparse.Namespace) -> None:
    """Looks at everything; exits with 0, with 1 if something is broken, and with 2 if the settings can't be used."""
    if not arguments.verbose:
        logging.getLogger("trio_exec").setLevel(logging.ERROR)  # What it warns of is found here as well.
    try:
        settings = Settings.load()
        languages = Languages.load(settings.languages_dir, settings.languages)
        settings.check_pool(languages)
        settings.check_access()
    except ConfigurationError as error:
        _print([broken("settings", line) for line in error.message.splitlines()], as_object=arguments.json)
        sys.exit(UNUSABLE)
    findings = trio.run(_look, settings, languages, arguments)
    _print(findings, as_object=arguments.json)
    sys.exit(EXIT_CODES[worst(findings)])


async def _look(settings: Settings, languages: Languages, arguments: argparse.Namespace) -> list[Finding]:
    line = terminal.StatusLine(wanted=True)
    try:
        extent = Extent(probe=arguments.probe, build=arguments.build)
        findings = await examine(settings, languages, extent, tell=line.show)
        if arguments.url is not None:
            findings += await look_through(arguments.url, settings, tell=line.show)
        return findings
    finally:
        line.erase()


def _print(findings: list[Finding], *, as_object: bool) -> None:
    colour = os.isatty(terminal.STDOUT) and not os.environ.get("NO_COLOR")
    say(as_json(findings) if as_object else as_text(findings, colour=colour))

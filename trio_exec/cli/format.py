"""`trio-exec format`: a local file, formatted on a server."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import trio

from trio_exec.cli import terminal
from trio_exec.cli.conversation import say
from trio_exec.cli.own_engine import named
from trio_exec.cli.programs import UsageError, language_of
from trio_exec.cli.run import guarded
from trio_exec.client import FormatError

EXIT_CANNOT = 1
"""The program can't be understood."""


def run(arguments: argparse.Namespace) -> None:
    """Prints the file as it should look, or writes it."""
    sys.exit(trio.run(_format, arguments))


async def _format(arguments: argparse.Namespace) -> int:
    async def command() -> int:
        path = Path(arguments.file)
        async with named(arguments) as client:
            language = language_of(arguments.language, arguments.file, await client.languages())
            text = _read(path)
            try:
                formatted = await client.format(language.name, files={path.name: text})
            except FormatError as error:
                say(error.message)
                return EXIT_CANNOT
        if not arguments.write:
            sys.stdout.write(formatted.files[path.name])
        elif formatted.files[path.name] != text:
            _write(path, formatted.files[path.name])
        return 0

    return await guarded(command, terminal.StatusLine(wanted=False))


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {_why(error)}") from error


def _write(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: {_why(error)}") from error


def _why(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "this is not UTF-8, and only text can be formatted"

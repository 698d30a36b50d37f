"""`trio-exec languages`: what a server runs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

import trio

from trio_exec.cli import terminal
from trio_exec.cli.output import say as show
from trio_exec.cli.own_engine import named
from trio_exec.cli.run import guarded


def run(arguments: argparse.Namespace) -> None:
    """Lists them."""
    sys.exit(trio.run(_list, arguments))


async def _list(arguments: argparse.Namespace) -> int:
    async def tell() -> int:
        async with named(arguments) as client:
            found = await client.languages()
        if arguments.json:
            show(json.dumps(asdict(found)))
            return 0
        for language in found.languages:
            extensions = " ".join(f".{it}" for it in language.extensions)
            show(f"{language.name:12} {language.version:10} {extensions:24} {', '.join(language.aliases)}".rstrip())
        return 0

    return await guarded(tell, terminal.StatusLine(wanted=False))

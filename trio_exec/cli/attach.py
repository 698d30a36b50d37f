"""`trio-exec attach`: watches a session that is there, or joins it."""

from __future__ import annotations

import argparse
import os
import sys

import trio

from trio_exec.cli import terminal
from trio_exec.cli.conversation import Conversation
from trio_exec.cli.own_engine import named
from trio_exec.cli.run import conclude, guarded


def run(arguments: argparse.Namespace) -> None:
    """Follows the session; exits as its program did."""
    sys.exit(trio.run(_attach, arguments))


async def _attach(arguments: argparse.Namespace) -> int:
    status = terminal.StatusLine(wanted=not arguments.quiet)

    async def follow() -> int:
        async with (
            named(arguments) as client,
            client.attach(arguments.id, text=False) as session,
        ):
            watches = arguments.watch or session.view_only
            raw = session.tty and os.isatty(terminal.STDIN) and os.isatty(terminal.STDOUT)
            talk = Conversation(session, status, tty=raw and not watches, sends=not watches)
            if raw and not watches:
                await session.resize(*terminal.size())
            return conclude(await talk.hold(), session.id, stats=arguments.stats, quiet=arguments.quiet)

    return await guarded(follow, status)

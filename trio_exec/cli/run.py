"""`trio-exec run`: a local program as though it ran here."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

import trio

from trio_exec.cli import terminal
from trio_exec.cli.conversation import ClosedOutputError, Conversation, Ended, say
from trio_exec.cli.defaults import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from trio_exec.cli.ending import FAILED, SIGNALLED, exit_code_of, explanation_of, stats_of
from trio_exec.cli.own_engine import reached
from trio_exec.cli.programs import LocalProgram, UsageError, language_of, read_program, write_files
from trio_exec.client import (
    Client,
    ClientError,
    File,
    InvalidRequestError,
    Language,
    NotAllowedError,
    Result,
    StateChanged,
)

CLOSED_OUTPUT = SIGNALLED + 13
"""As of a process that SIGPIPE has ended."""
USAGE = 2
_ASK_AGAIN = 0.1
_READY_TIMEOUT = 900
"""Seconds; images take minutes to build where nothing of them is there. Then the server says itself what is wrong."""


def run(arguments: argparse.Namespace) -> None:
    """Runs the program; exits as it did."""
    sys.exit(trio.run(_run, arguments))


async def _run(arguments: argparse.Namespace) -> int:
    status = terminal.StatusLine(wanted=not arguments.quiet)
    return await guarded(lambda: _Run(arguments, status).run(), status)


async def guarded(command: Callable[[], Awaitable[int]], status: terminal.StatusLine) -> int:
    """Runs a command against a server. What goes wrong on our side is a sentence and an exit code of its own."""
    try:
        return await command()
    except ClosedOutputError:
        _silence_stdout()
        return CLOSED_OUTPUT
    except (UsageError, InvalidRequestError) as error:
        status.erase()
        say(error.message)
        return USAGE
    except ClientError as error:
        status.erase()
        say(_sentence(error))
        return FAILED


def _sentence(error: ClientError) -> str:
    """What is wrong; where it is the want of a key, how this command takes one."""
    if not isinstance(error, NotAllowedError) or error.code != "unauthorized":
        return error.message
    if KEY_VARIABLE not in os.environ:
        return f"this server needs an API key: set {KEY_VARIABLE}"
    return f"{KEY_VARIABLE}: {error.message}"


def _silence_stdout() -> None:
    """So that the interpreter, as it ends, does not complain of output that nobody reads."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, terminal.STDOUT)
    os.close(devnull)


class _Run:
    def __init__(self, arguments: argparse.Namespace, status: terminal.StatusLine) -> None:
        self._arguments = arguments
        self._status = status
        self._program = read_program(arguments.file, arguments.files)

    async def run(self) -> int:
        announce = say if not self._arguments.quiet else _nothing
        url = self._arguments.url or os.environ.get(URL_VARIABLE)
        key = os.environ.get(KEY_VARIABLE)
        async with reached(url, DEFAULT_URL, key, tell=self._status.show, announce=announce) as (client, own):
            language = language_of(self._arguments.language, self._arguments.file, await client.languages())
            if own:
                await self._until_available(client, language)
            if self._arguments.json:
                return await self._run_whole(client, language)
            return await self._converse(client, language)

    async def _until_available(self, client: Client, language: Language) -> None:
        """Waits until an engine that has just been started can run the language: maybe for its image to be built."""
        with trio.move_on_after(_READY_TIMEOUT):
            while True:
                readiness = await client.ready()
                why = readiness.missing.get(language.name) or readiness.reason
                if why is None:
                    return
                self._status.show(f"waiting for {language.title}: {why}…")
                await trio.sleep(_ASK_AGAIN)

    def _options(self, program: LocalProgram) -> dict[str, Any]:
        arguments = self._arguments
        return {
            "code": program.code,
            "files": program.files,
            "args": arguments.args,
            "env": dict(arguments.env),
            "limits": dict(arguments.limit),
            "collect": arguments.collect,
            "merge": arguments.merge,
        }

    async def _converse(self, client: Client, language: Language) -> int:
        arguments, program = self._arguments, self._program
        local = os.isatty(terminal.STDIN) and os.isatty(terminal.STDOUT)
        wanted = local if arguments.tty is None else arguments.tty
        options = self._options(program)
        if wanted:
            rows, cols = terminal.size()
            options |= {"tty": True, "rows": rows, "cols": cols}
            if "TERM" in os.environ:
                options["env"] = {"TERM": os.environ["TERM"], **options["env"]}
        if not program.takes_stdin:
            options["stdin"] = b""
        self._status.show("starting…")
        async with client.session(language.name, text=False, interactive=program.takes_stdin, **options) as session:
            raw = wanted and os.isatty(terminal.STDIN)
            talk = Conversation(session, self._status, tty=raw, sends=program.takes_stdin)
            ended = await talk.hold()
            if ended.final is not None and ended.final.files:
                self._keep(await session.files())
        return conclude(ended, session.id, stats=arguments.stats, quiet=arguments.quiet)

    def _keep(self, files: Sequence[File]) -> None:
        for path in write_files(files, self._arguments.output_dir):
            if not self._arguments.quiet:
                say(f"wrote {path}")

    async def _run_whole(self, client: Client, language: Language) -> int:
        stdin = b""
        if self._program.takes_stdin and not os.isatty(terminal.STDIN):
            stdin = await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        options = self._options(self._program)
        result: Result[str] = await client.run(language.name, stdin=stdin, text=True, **options)
        shown = {**asdict(result), "files": [{"name": file.name, "size": len(file.data)} for file in result.files]}
        sys.stdout.write(json.dumps(shown) + "\n")
        sys.stdout.flush()
        self._keep(result.files)
        final = StateChanged(result.state, reason=result.reason, signal=result.signal, exit_code=result.exit_code)
        return exit_code_of(final)


def conclude(ended: Ended, session_id: str, *, stats: bool, quiet: bool) -> int:
    """Says what is to be said of the end, and returns the exit code."""
    if ended.detached:
        say(f"left; the program goes on for a while: trio-exec attach {session_id}")
        return SIGNALLED + 2
    final = ended.final
    if final is None:
        return FAILED
    if not quiet and (words := explanation_of(final)) is not None:
        say(words)
    if not quiet:
        for file in final.files_omitted:
            say(f"{file.name} was not kept: {file.reason}")
    if stats:
        say(stats_of(final))
    return exit_code_of(final)


def _nothing(_: str) -> None:
    pass

"""An engine for one command, where no server is there: the same server, on a port that nobody else knows.

It is a process of its own, in a session of its own: signals that are meant for the program don't reach it, and it
drains as any server does when the command ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec

import trio

from trio_exec.cli.defaults import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from trio_exec.client import Client, ClientError, connect

END_TIMEOUT = 30
_NEEDED = ("docker", "hypercorn", "quart_trio")


class NoEngineError(ClientError):
    """There is none, and none can be started."""


@asynccontextmanager
async def own_engine(tell: Callable[[str], None]) -> AsyncGenerator[str]:
    """The URL of an engine that lasts as long as the context.

    Args:
        tell: is called with what it says of images that it builds.

    Raises:
        NoEngineError: it can't be started; says why.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise NoEngineError(
            "no server is there, and this installation has none of its own; install trio-exec[server], or name a "
            "server with --url"
        )
    command = [sys.executable, "-m", "trio_exec", "serve", "--port", "0", "--host", "127.0.0.1"]
    with tempfile.TemporaryFile() as log:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            line, rest = await _first_line(process.stdout)
            if "listens on" not in line:
                await process.wait()
                raise NoEngineError(
                    f"no server is there, and none could be started: {line or _last_line(log.fileno())}"
                )
            failure: Exception | KeyboardInterrupt | None = None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, process.stdout, rest, tell)
                try:
                    yield line.split()[-1]
                except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below, in no group
                    failure = error
                nursery.cancel_scope.cancel(reason="the command is over")
            if failure is not None:
                raise failure
        finally:
            with trio.move_on_after(END_TIMEOUT, shield=True):
                for _ in range(2):  # The second has it not wait for sessions.
                    if process.returncode is None:
                        process.terminate()
                    await trio.sleep(0.05)
                await process.wait()
            if process.returncode is None:
                process.kill()


async def _first_line(stream: trio.abc.ReceiveStream) -> tuple[str, bytes]:
    data = b""
    while b"\n" not in data and (more := await stream.receive_some(4096)):
        data += more
    line, _, rest = data.partition(b"\n")
    return line.decode(errors="replace"), rest


async def _pass_on(stream: trio.abc.ReceiveStream, data: bytes, tell: Callable[[str], None]) -> None:
    while True:
        *lines, data = data.split(b"\n")
        for line in lines:
            tell(line.decode(errors="replace"))
        more = await stream.receive_some(4096)
        if not more:
            return
        data += more


def _last_line(log: int) -> str:
    with open(log, closefd=False, encoding="utf-8", errors="replace") as file:
        file.seek(0)
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def named(arguments: argparse.Namespace) -> AbstractAsyncContextManager[Client]:
    """A client of the server that the command line or the environment names, or of the one at the default address."""
    url = arguments.url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    return connect(url, api_key=os.environ.get(KEY_VARIABLE))


@asynccontextmanager
async def reached(
    url: str | None, default: str, api_key: str | None, *, tell: Callable[[str], None], announce: Callable[[str], None]
) -> AsyncGenerator[tuple[Client, bool]]:
    """A client of the server that is named, or else of the one at the default address, or of an engine of our own.

    Whether it is of our own comes along.

    Args:
        url: of a server; None where none is named.
        default: the address that is tried then.
        api_key: for the server.
        tell: is called with what an engine of our own says.
        announce: is called once there is one.

    Raises:
        NoEngineError: there is none.
    """
    if url is not None:
        async with connect(url, api_key=api_key) as client:
            yield client, False
        return
    async with connect(default, api_key=api_key) as client:
        if await _is_there(client):
            yield client, False
            return
    announce(f"no server at {default}; starting an engine for this run")
    async with own_engine(tell) as started, connect(started) as client:
        yield client, True


async def _is_there(client: Client) -> bool:
    try:
        await client.languages()
    except ClientError:
        return False
    return True

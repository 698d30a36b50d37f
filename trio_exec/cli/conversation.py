"""A session on this process's own standard streams: bytes are bytes, signals are passed on, and the end is the end.

converse
├─ keys            standard input, to the program
├─ signals         what this process is sent, to the program; the terminal's size
└─ (itself)        the program's output, to standard output and standard error
"""

from __future__ import annotations

import os
import signal as signals
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass

import trio

from trio_exec.cli import terminal
from trio_exec.client import ClientError, InputClosedError, Output, Session, StateChanged

CHUNK = 65536
DETACH_WITHIN = 1.0
"""Seconds within which a second Ctrl-C means that it is enough, whatever came of the first."""
_PASSED_ON = (signals.SIGINT, signals.SIGTERM, signals.SIGHUP, signals.SIGQUIT)
_CTRL_C = b"\x03"


class ClosedOutputError(Exception):
    """Nobody reads what the program writes any more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the conversation ended.

    Attributes:
        final: the session's final state; None where it was left before.
        detached: whether it was left by two Ctrl-C, and goes on.
    """

    final: StateChanged | None
    detached: bool = False


class Conversation:
    """One session's.

    Args:
        session: with output as bytes.
        status: tells of the time before the program runs.
        tty: whether the program has a terminal, and this process lends it its own.
        sends: whether what is typed is for the program.
    """

    def __init__(self, session: Session[bytes], status: terminal.StatusLine, *, tty: bool, sends: bool) -> None:
        self._session = session
        self._status = status
        self._tty = tty
        self._sends = sends
        self._asked_at = -DETACH_WITHIN
        self._detached = False
        self._scope = trio.CancelScope()

    async def hold(self) -> Ended:
        """Returns when the session is over, or was left.

        Raises:
            ClosedOutputError: nobody reads the output any more.
            ClientError: the connection is lost, for good.
        """
        raw = terminal.raw() if self._tty and self._sends else nullcontext()
        passed_on = (*_PASSED_ON, signals.SIGWINCH) if self._tty else _PASSED_ON
        failure: Exception | None = None
        with raw, trio.open_signal_receiver(*passed_on) as received:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_signals, received)
                if self._sends:
                    nursery.start_soon(self._pass_input)
                try:
                    with self._scope:
                        await self._show()
                except (ClientError, ClosedOutputError) as error:
                    failure = error  # Out of the nursery as it is, in no group.
                nursery.cancel_scope.cancel(reason="the conversation is over")
            self._status.erase()
        if failure is not None:
            raise failure
        return Ended(None if self._detached else self._session.state, self._detached)

    async def _show(self) -> None:
        async for event in self._session:
            match event:
                case StateChanged():
                    self._tell(event)
                case Output(stream, data):
                    self._status.erase()
                    await self._write(terminal.STDERR if stream == "stderr" else terminal.STDOUT, data)
                case _:
                    pass

    def _tell(self, state: StateChanged) -> None:
        match state.state:
            case "waiting" if state.position:
                self._status.show(f"waiting, number {state.position} in the queue…")
            case "waiting":
                self._status.show("starting…")
            case "compiling":
                self._status.show("compiling…")
            case _:
                self._status.erase()

    async def _write(self, descriptor: int, data: bytes) -> None:
        try:
            await trio.to_thread.run_sync(_write_all, descriptor, data, abandon_on_cancel=True)
        except OSError as error:
            raise ClosedOutputError from error

    async def _pass_input(self) -> None:
        with suppress(InputClosedError):
            while data := await _read(terminal.STDIN):
                if self._tty and data == _CTRL_C and self._asked_twice():
                    return
                await self._session.send(data)
            await self._session.end_input()

    async def _pass_signals(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            if number == signals.SIGWINCH:
                await self._session.resize(*terminal.size())
            elif number == signals.SIGINT and self._asked_twice():
                return
            elif not self._sends:
                self._leave()
            elif self._session.state is not None and self._session.state.state == "running":
                await self._session.signal(number)
            else:
                await self._session.stop()  # There is no program yet to be told.

    def _asked_twice(self) -> bool:
        """Takes note of a Ctrl-C. The second one leaves, also a program that floods its output."""
        now = trio.current_time()
        if now - self._asked_at <= DETACH_WITHIN:
            self._leave()
            return True
        self._asked_at = now
        return False

    def _leave(self) -> None:
        self._session.detach()
        self._detached = True
        self._scope.cancel(reason="it is enough")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


async def _read(descriptor: int) -> bytes:
    """What there is; nothing at the end."""
    try:
        await trio.lowlevel.wait_readable(descriptor)
    except OSError:
        await trio.lowlevel.checkpoint()  # A file, which is always ready, or /dev/null.
    try:
        return os.read(descriptor, CHUNK)
    except OSError:
        return b""  # The terminal has gone.


def say(text: str) -> None:
    """Tells the user something that is not the program's."""
    with suppress(OSError):
        sys.stderr.write(f"trio-exec: {text}\n")
        sys.stderr.flush()

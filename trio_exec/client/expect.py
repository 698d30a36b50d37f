"""Waiting for what a program says, as pexpect does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, cast

import trio

from trio_exec.client.errors import ExpectTimeoutError, ProgramEndedError
from trio_exec.client.events import Event, InputWait, Output, StateChanged, T


class WaitingForInput:
    """The type of `WAITING_FOR_INPUT`."""

    def __repr__(self) -> str:
        return "WAITING_FOR_INPUT"


WAITING_FOR_INPUT = WaitingForInput()
"""What to `expect` for the moment in which the program waits for its input."""


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """What was expected has come.

    Attributes:
        before: standard output before it.
        matched: what matched; empty for `WAITING_FOR_INPUT`.
        groups: of the regular expression, by number from 1.
        passed: what else happened meanwhile, such as standard error.
    """

    before: T
    matched: T
    groups: Sequence[T | None]
    passed: Sequence[Event[T]]


class Reader(Protocol[T]):
    """What is needed of a session."""

    async def next_event(self) -> Event[T] | None:
        """The next event, or None at the end."""
        ...

    def unread(self, events: Iterable[Event[T]]) -> None:
        """Gives events back, to be read again before all others."""
        ...


async def expect(reader: Reader[T], pattern: T | re.Pattern[T] | WaitingForInput, seconds: float, empty: T) -> Match[T]:
    """Reads standard output until a pattern matches, and leaves what follows it unread.

    Args:
        reader: whose.
        pattern: what is expected.
        seconds: how long to wait for it.
        empty: an empty string or bytes, as the output is.

    Raises:
        ExpectTimeoutError: it took longer.
        ProgramEndedError: the session ended before.
    """
    read: list[Event[T]] = []
    passed: list[Event[T]] = []
    seen = empty
    matched = False
    final: StateChanged | None = None
    try:
        with trio.move_on_after(seconds) as scope:
            while (event := await reader.next_event()) is not None:
                read.append(event)
                if isinstance(event, Output) and event.stream == "stdout":
                    start = len(seen)
                    seen = cast("T", seen + event.data)
                    span = _search(pattern, seen, start)
                    if span is not None:
                        matched = True
                        begin, end, groups = span
                        if end < len(seen):
                            reader.unread([replace(event, data=seen[end:])])
                        return Match(seen[:begin], seen[begin:end], groups, passed)
                elif isinstance(event, InputWait) and event.waiting and isinstance(pattern, WaitingForInput):
                    matched = True
                    return Match(seen, empty, (), passed)
                else:
                    passed.append(event)
                    if isinstance(event, StateChanged) and event.final:
                        final = event
    finally:
        if not matched:
            reader.unread(read)
    what = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
    shown = f"{what!r} did not come; seen: {seen[-500:]!r}"
    if scope.cancelled_caught:
        raise ExpectTimeoutError(f"{shown} within {seconds:g} s", seen)
    ended = "the session had ended before" if final is None else f"the program ended ({final.ending})"
    raise ProgramEndedError(f"{shown}; {ended}", seen)


def _search(
    pattern: T | re.Pattern[T] | WaitingForInput, seen: T, start: int
) -> tuple[int, int, Sequence[T | None]] | None:
    """Where a pattern is in what was seen, of which all before `start` was searched already."""
    if isinstance(pattern, WaitingForInput):
        return None
    if isinstance(pattern, re.Pattern):
        found = pattern.search(seen)
        return None if found is None else (*found.span(), found.groups())
    begin = cast("str", seen).find(cast("str", pattern), max(0, start - len(pattern) + 1))
    return None if begin < 0 else (begin, begin + len(pattern), ())

"""What type checkers make of the client library: pyright's strict mode checks this file, and nothing runs it."""

from __future__ import annotations

import re
from typing import assert_type

from trio_exec.client import (
    WAITING_FOR_INPUT,
    Activity,
    Batch,
    Case,
    Client,
    Event,
    Idle,
    InputWait,
    Match,
    MessageRefused,
    Output,
    Result,
    StateChanged,
    Watchers,
    sync,
)


async def text_or_bytes(client: Client) -> None:
    assert_type(await client.run("python", "", stdin=b"", limits={"execution_timeout": 5}), Result[str])
    assert_type(await client.run("python", "", text=False), Result[bytes])
    assert_type(await client.run_batch("python", "", runs=[{"stdin": "a", "expected": b"a"}]), Batch[str])
    async with client.stream_batch("python", "", runs=[{}], text=False, compare="trimmed") as cases:
        async for case in cases:
            assert_type(case, Case[bytes])


async def events(client: Client) -> None:
    async with client.session("python", "", tty=True, rows=3, cols=4) as session:
        assert_type(await session.expect("text"), Match[str])
        assert_type(await session.expect(re.compile("x")), Match[str])
        assert_type(await session.expect(WAITING_FOR_INPUT), Match[str])
        async for event in session:
            assert_type(event, Event[str])
            match event:
                case Output():
                    assert_type(event.data, str)
                case StateChanged() | InputWait() | Activity() | Idle() | Watchers() | MessageRefused():
                    pass
    async with client.attach("", text=False) as attached:
        await attached.send(b"")
        assert_type(await attached.result(), Result[bytes])


def plain(client: sync.Client) -> None:
    assert_type(client.run("python", ""), Result[str])
    with client.session("python", "", text=False) as session:
        assert_type(session.expect(b"x"), Match[bytes])

"""The link to watch by: it shows everything of a session, and lets nobody do anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest
import trio

from tests.descriptions import check_answer, check_message
from tests.raw import attach_raw, raw_session
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.client import InputClosedError, MessageRefused, NotAllowedError, Output, Watchers, connect
from trio_exec.ids import replica_of

ECHO = "open('left.txt', 'w').write('x')\nprint('ready')\nfor line in input(), input(): print(line)"


async def test_a_link_to_watch_by_shows_everything_and_takes_nothing(client: Client) -> None:
    answer = await client.request("POST", "/session", {"language": "python", "code": ECHO, "collect": ["left.txt"]})
    created = answer.json()
    session_id, watch_id = created["sessionId"], created["watchId"]
    assert session_id not in watch_id
    async with (
        client.attach(session_id) as driver,
        attach_raw(client.server.port, f"/ws/session/{watch_id}") as watcher,
    ):
        await driver.until_stdout("ready")
        await watcher.until_stdout("ready")
        for message in [{"type": "input", "data": "mine\n"}, {"type": "stop"}]:
            await watcher.send(json.dumps(message))
            await watcher.until(lambda run: isinstance(run.messages[-1], MessageRefused))
            refused = watcher.run.messages.pop()
            assert isinstance(refused, MessageRefused)
            assert refused.code == "view_only"
        await driver.until(lambda run: Watchers(1) in run.messages)
        path = f"/session/{watch_id}"
        shown = await client.request("GET", path)
        check_answer("GET", path, shown.status, "application/json", shown.body)
        assert (shown.json()["state"], shown.json()["clients"], shown.json()["watchers"]) == ("running", 1, 1)
        assert shown.json()["watchId"] == watch_id
        ended = await client.request("DELETE", path)
        assert (ended.status, ended.json()["code"]) == (403, "view_only")
        check_answer("DELETE", path, ended.status, "application/json", ended.body)
        await driver.input("one\n")
        await driver.input("two\n")
        await driver.to_end()
        run = await watcher.to_end()
        position = next(it["seq"] for it in watcher.messages if it["type"] == "stdout")
        files = await client.request("GET", f"{path}/files")

    assert run.outcome == ("ready\none\ntwo\n", "", "run: exit 0")
    assert [it["name"] for it in files.json()["files"]] == ["left.txt"]
    for message in watcher.messages:
        check_message(json.dumps(message), sent_by="server")
    for told in [shown.body, ended.body, files.body, json.dumps(watcher.messages).encode()]:
        assert session_id.encode() not in told
    async with client.attach(watch_id, after=position) as late:
        assert (await late.to_end()).stdout == "one\ntwo\n"


async def test_what_starts_a_session_says_by_what_to_watch_it(client: Client) -> None:
    async with connect(client.server.url) as library, library.session("python", "input()") as session:
        assert session.watch_id is not None
        assert not session.view_only
        async with library.attach(session.id) as again:
            assert again.watch_id == session.watch_id
        assert (await client.info(session.id))["watchId"] == session.watch_id


async def test_the_client_library_watches(client: Client) -> None:
    with trio.fail_after(PATIENCE):
        async with connect(client.server.url) as library, library.session("python", ECHO) as session:
            assert session.watch_id is not None
            async with library.attach(session.watch_id) as watcher:
                assert (watcher.view_only, watcher.id, watcher.watch_id) == (True, session.watch_id, session.watch_id)
                with pytest.raises(InputClosedError, match="watch_id"):
                    await watcher.send("mine\n")
                await watcher.stop()
                async for event in watcher:
                    if isinstance(event, MessageRefused):
                        break
                with pytest.raises(NotAllowedError) as caught:
                    await library.stop(session.watch_id)
                assert caught.value.code == "view_only"
                await session.send("one\ntwo\n")
                assert (await session.result()).stdout.endswith("one\ntwo\n")
                told = "".join([event.data async for event in watcher if isinstance(event, Output)])
                assert told.endswith("one\ntwo\n")


async def test_the_command_looks_on_with_a_link_to_watch_by(client: Client) -> None:
    async with client.session(language="python", code="print('here')\nprint(input())") as driver:
        await driver.until_stdout("here")
        watch_id = driver.session.watch_id
        assert watch_id is not None
        async with trio.open_nursery() as nursery:
            command = [sys.executable, "-m", "trio_exec", "attach", watch_id, "--url", client.server.url]
            process: trio.Process = await nursery.start(
                partial(trio.run_process, command, stdin=b"mine\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            assert process.stdout is not None
            shown = b""
            while b"here\n" not in shown:
                shown += await process.stdout.receive_some()
            await driver.until(lambda run: Watchers(1) in run.messages)
            await driver.input("yours\n")
            async for data in process.stdout:
                shown += data
            assert await process.wait() == 0
    assert shown == b"here\nyours\n"


async def test_more_watchers_than_may_are_refused(start_server: Callable[..., ServerProcess]) -> None:
    client = Client(start_server(max_watchers=2, languages="python", replica="here"))
    async with raw_session(client, language="python", code="input()") as driver:
        watch_id = (await client.info(driver.run.session_id))["watchId"]
        assert replica_of(watch_id) == "here"
        path = f"/ws/session/{watch_id}"
        async with attach_raw(client.server.port, path) as one:
            async with attach_raw(client.server.port, path):
                await one.until(lambda run: Watchers(2) in run.messages)
                status, refusal = await client.refused_upgrade(path)
                assert (status, refusal["code"]) == (503, "too_many_watchers")
                assert "no more than 2" in refusal["error"]
            await one.until(lambda run: run.messages[-1] == Watchers(1))
            async with attach_raw(client.server.port, path) as another:
                await another.until_state("running")
        await driver.stop()
        await driver.to_end()

"""What the documentation shows is true: its commands run, its messages come, files can be read, links lead on."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.raw import attach_raw
from tests.support import PATIENCE, Client, ServerProcess
from trio_exec.api.native.parsing import parse_server_message
from trio_exec.keys import load_keys
from trio_exec.languages import Languages
from trio_exec.model import Stream
from trio_exec.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
MEASURED = {"stages", "wallTime", "cpuTime", "peakMemory"}
"""Fields of messages that differ from run to run."""
FROM_ELSEWHERE = {"$EDITOR", "docker", "echo", "kubectl", "mkdir", "nginx", "pip", "prometheus", "seq", "trio-exec"}
"""What commands of the documentation start with that is not ours and not for a test to run."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Commands, each with the output that is shown for it."""
        parts = re.split(r"^\$ ", self.text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [(block, *pair) for block in BLOCKS if block.kind == "console" for pair in block.commands]
REQUESTS = [it for it in COMMANDS if it[1].startswith("curl ") and "localhost:8080" in it[1]]


def of_kind(kind: str) -> list[Block]:
    return [block for block in BLOCKS if block.kind == kind]


def keys(value: Any) -> set[str]:
    """Names of all fields, at any depth."""
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        return set(fields).union(*map(keys, fields.values()))
    if isinstance(value, list):
        items: list[Any] = value
        return set[str]().union(*map(keys, items))
    return set()


def without_measures(value: Any) -> Any:
    """All but what differs from run to run."""
    if isinstance(value, dict):
        fields: dict[str, Any] = value
        return {
            name: without_measures(it) for name, it in fields.items() if name not in {*MEASURED, "sessionId", "watchId"}
        }
    if isinstance(value, list):
        items: list[Any] = value
        return [without_measures(it) for it in items]
    return value


def test_there_is_something_to_test() -> None:
    assert {block.kind for block in BLOCKS} == {
        "",
        "console",
        "dockerfile",
        "html",
        "json",
        "mermaid",
        "python",
        "toml",
        "yaml",  # tests/test_manifests.py renders it
    }
    assert len(REQUESTS) >= 3


@pytest.mark.parametrize(("block", "command"), [it[:2] for it in COMMANDS], ids=[str(it[0]) for it in COMMANDS])
def test_commands_name_what_there_is(block: Block, command: str) -> None:
    words = shlex.split(command, comments=True)
    while "=" in words[0]:
        del words[0]
    first = words[0]
    if first.startswith(("script/", ".venv/bin/")):
        assert (ROOT / first).exists(), block
    else:
        assert first in FROM_ELSEWHERE | {"curl"}, block
    for word in words[1:]:
        path = word.rpartition("=")[2]
        if path.startswith("tests/") or path.endswith(".yml"):
            assert (ROOT / path).exists(), block


@pytest.mark.parametrize(("block", "command", "output"), REQUESTS, ids=[str(it[0]) for it in REQUESTS])
async def test_requests_are_answered_as_shown(client: Client, block: Block, command: str, output: str) -> None:
    command = command.replace("localhost:8080", f"127.0.0.1:{client.server.port}")
    answer = json.loads((await trio.run_process(["sh", "-c", command], capture_stdout=True)).stdout)

    assert set(re.findall(r'"(\w+)":', output)) <= keys(answer), block
    if "state" in answer:  # A program ran, or several, to their end.
        assert without_measures(answer) == without_measures(json.loads(output))
    if "websocket" not in answer:
        return
    assert answer["websocket"] == f"/ws/session/{answer['sessionId']}"
    shown = next(it for it in BLOCKS if it.page == block.page and it.line > block.line and not it.kind)
    text, position = "", 0
    async with attach_raw(client.server.port, answer["websocket"]) as attached:
        for arrow, line in re.findall(r"^([←→]) (\{.*\})", shown.text, re.MULTILINE):
            message = json.loads(line)
            if arrow == "→":
                if attached.run.states[-1].state != "finished":
                    await attached.send(line)
                continue
            assert json.loads(parse_server_message(line).to_json()) == message, line
            length = len(message.get("data", "")) or 1
            if message.get("state") == "finished":
                length += len(Stream)  # Each stream's end has a place, too.
            assert position == 0 or message.get("seq", position + length) == position + length, line
            position = message.get("seq", position)
            if message["type"] == "stdout":
                text += message["data"]
                await attached.until(lambda run, expected=text: run.stdout.startswith(expected))
            elif message != {"type": "input_wait", "waiting": False}:  # which a program that is quick does not need
                await attached.until(lambda _, expected=message: came(attached.messages, expected))
        await attached.to_end()
    assert attached.run.stdout == text


@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_python_prints_what_is_shown(server: ServerProcess, block: Block) -> None:
    shown = next(it for it in BLOCKS if it.page == block.page and it.line > block.line)
    code = block.text.replace("http://127.0.0.1:8080", server.url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.stdout, done.stderr) == (shown.text, "")


async def test_the_language_of_the_docs_can_be_added_as_it_is_written(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (dockerfile,) = (block for block in of_kind("dockerfile") if "ruby" in block.text)
    (description,) = (block for block in of_kind("toml") if 'name = "ruby"' in block.text)
    (tmp_path / "ruby").mkdir()
    (tmp_path / "ruby" / "Dockerfile").write_text(dockerfile.text)
    (tmp_path / "ruby" / "language.toml").write_text(description.text)
    client = Client(start_server(languages_dir=tmp_path, languages="ruby,python", pool="0"))
    await client.until_all_languages()

    async with client.session(language="rb", code='print "n? "; n = gets; puts "hello #{n}"') as session:
        await session.until_stdout("n? ")
        await session.until_waiting()
        await session.input("Ada\n")
        run = await session.to_end()
    assert (run.stdout, run.ending) == ("n? hello Ada\n", "run: exit 0")


def came(messages: list[dict[str, Any]], expected: dict[str, Any]) -> bool:
    """Whether a message has come that is the one shown, but for what is measured."""
    fixed = expected.keys() - MEASURED
    return any(it.keys() == expected.keys() and all(it[key] == expected[key] for key in fixed) for it in messages)


@pytest.mark.parametrize("block", of_kind("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)


async def test_the_languages_are_listed_as_shown(start_server: Callable[..., ServerProcess]) -> None:
    (shown,) = [it for it in of_kind("json") if it.page.name == "api.md" and it.text.startswith('{"languages"')]
    documented = json.loads(shown.text)
    client = Client(start_server())  # the shared one has times that are not the defaults
    answer = (await client.request("GET", "/languages")).json()

    assert keys(answer) == keys(documented)
    assert documented["limits"] == answer["limits"]


def test_a_file_of_keys_is_as_shown(tmp_path: Path) -> None:
    (shown,) = [block for block in of_kind("toml") if block.page.name == "access.md"]
    (tmp_path / "keys.toml").write_text(shown.text)
    (key,) = load_keys(tmp_path / "keys.toml").values()
    told = {"id", "hash", "max_sessions", "languages", "limits", "operator"}
    assert key.model_fields_set == told


@pytest.mark.parametrize("block", [it for it in of_kind("toml") if it.page.name != "access.md"], ids=str)
def test_language_descriptions_can_be_loaded(tmp_path: Path, block: Block) -> None:
    text = block.text
    if "name" not in tomllib.loads(text):
        text = f'name = "x"\ntitle = "X"\nversion = "1"\nsource_file = "main.x"\n{text}'
    if "[run]" not in text:
        text += '[run]\ncommand = ["x"]\n'
    if "[compile]" not in text:
        text += '[compile]\ncommand = ["x"]\nmakes = [".build"]\n' if "file = " in text.split("source_file")[1] else ""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "language.toml").write_text(text)
    (tmp_path / "x" / "Dockerfile").touch()

    assert Languages.load(tmp_path), block


def test_the_readme_lists_every_setting() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "README.md").read_text().split("## Configure it")[1], re.MULTILINE)

    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in set(anchors(there.read_text())), target


def anchors(text: str) -> Iterator[str]:
    """Of all headings, as code hosts make them."""
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

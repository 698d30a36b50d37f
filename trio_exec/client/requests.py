"""Requests as they go over the wire, made of what callers give."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TypedDict

Content = str | bytes
"""A file's or a stream's content; bytes need not be text."""


class Limits(TypedDict, total=False):
    """Limits that are to be lower than the server's: bytes, seconds, numbers. docs/api.md explains them."""

    memory_bytes: int
    cpus: float
    pids: int
    workspace_bytes: int
    output_bytes: int
    stdout_bytes: int
    stderr_bytes: int
    idle_timeout: float
    execution_timeout: float
    compile_timeout: float
    cpu_time: float


class Program(TypedDict, total=False):
    """What a program may be given, beside its code.

    Attributes:
        stdin: its input; where no more can follow, all of it.
        files: further files, by their paths. Without code, the first is the main one, under its own name.
        args: command line arguments.
        env: environment variables.
        limits: those that are to be lower than the server's.
        collect: patterns of files to bring back, such as `out/*.png` or `**/*.csv`.
        merge: whether standard error goes where standard output does, in exactly the order of writing.
    """

    stdin: Content | None
    files: Mapping[str, Content] | None
    args: Sequence[str] | None
    env: Mapping[str, str] | None
    limits: Limits | Mapping[str, float] | None
    collect: Sequence[str] | None
    merge: bool


class Interactive(Program, total=False):
    """What a session may be given besides.

    Attributes:
        interactive: whether more input may follow `stdin`; by default when there is none.
        tty: whether the program runs in a terminal.
        rows, cols: the terminal's first size.
    """

    interactive: bool | None
    tty: bool
    rows: int | None
    cols: int | None


class Run(TypedDict, total=False):
    """One case of a batch: what it gives replaces what the program was given; `env` and `limits` are merged.

    Attributes:
        expected: what standard output has to be.
    """

    stdin: Content | None
    args: Sequence[str] | None
    env: Mapping[str, str] | None
    limits: Limits | Mapping[str, float] | None
    collect: Sequence[str] | None
    expected: Content | None


def content(value: Content) -> object:
    """Text as it is, other bytes as base64."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"data": base64.b64encode(value).decode(), "encoding": "base64"}


def program(language: str, code: Content | None, options: Program) -> dict[str, object]:
    """What all requests that start a program have in common; what is not given is left out."""
    body: dict[str, object] = {"language": language}
    if code is not None:
        body["code"] = content(code)
    if files := options.get("files"):
        body["files"] = {name: content(value) for name, value in files.items()}
    if options.get("merge"):
        body["merge"] = True
    return {**body, **_common(options)}


def _common(options: Program | Run) -> dict[str, object]:
    body: dict[str, object] = {}
    if (stdin := options.get("stdin")) is not None:
        body["stdin"] = content(stdin)
    if (args := options.get("args")) is not None:
        body["args"] = list(args)
    if (env := options.get("env")) is not None:
        body["env"] = dict(env)
    if (limits := options.get("limits")) is not None:
        body["limits"] = {camel(name): value for name, value in limits.items()}
    if (collect := options.get("collect")) is not None:
        body["collect"] = list(collect)
    return body


def case(run: Run) -> dict[str, object]:
    """One case of a batch."""
    body = _common(run)
    if (expected := run.get("expected")) is not None:
        body["expected"] = content(expected)
    return body


def camel(name: str) -> str:
    """A field's name as it is on the wire."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)

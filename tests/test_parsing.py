"""Input of any shape is read in about the time that a program of that size takes, and what is wrong is told shortly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from trio_exec.api.native.parsing import parse_client_message, parse_session_request
from trio_exec.errors import RequestError, TrioExecError

SIZE = 1024 * 1024
REQUEST = '{"language":"python","code":"x",'


def filled(head: str, item: Callable[[int], str], tail: str) -> str:
    """A text of nearly the size, of as many items as fit."""
    parts, size, number = [head], len(head) + len(tail), 0
    while size + len(part := item(number)) <= SIZE:
        parts.append(part)
        size += len(part)
        number += 1
    return "".join([*parts, tail])


SHAPES = {
    "names of variables": filled(REQUEST + '"env":{', lambda it: f'"-{it}":1,', '"a":1}}'),
    "one variable again and again": filled(REQUEST + '"env":{', lambda _: '"-":1,', '"a":1}}'),
    "names of files": filled(REQUEST + '"files":{', lambda it: f'"/{it}":1,', '"a":1}}'),
    "one name of a file": filled(REQUEST + '"files":{"', lambda _: "/", '":1}}'),
    "arguments": filled(REQUEST + '"args":[', lambda _: '"",', '""]}'),
    "arguments that are lists": filled(REQUEST + '"args":[', lambda _: "[],", "[]]}"),
    "arguments that are numbers": filled(REQUEST + '"args":[', lambda _: "1,", "1]}"),
    "large numbers": filled(REQUEST + '"args":[', lambda _: "9" * 4000 + ",", "1]}"),
    "one large number": filled(REQUEST + '"rows":', lambda _: "9", "}"),
    "limits": filled(REQUEST + '"limits":{', lambda it: f'"{it:x}":1,', '"a":1}}'),
    "unknown fields": filled(REQUEST, lambda it: f'"{it:x}":1,', '"a":1}'),
    "one unknown field": filled(REQUEST + '"', lambda _: "k", '":1}'),
    "something in an unknown field": filled(REQUEST + '"z":[', lambda _: '{"a":[{}]},', "1]}"),
    "no object": filled("[", lambda _: "[],", "[]]"),
    "deep lists": filled(REQUEST + '"args":', lambda _: "[", ""),
    "deep objects": filled(REQUEST + '"args":', lambda _: '{"a":', ""),
    "quotes": filled("", lambda _: '"', ""),
    "backslashes": filled('"', lambda _: "\\", ""),
    "a string that does not end": filled('{"code":"', lambda _: '\\"', ""),
    "escapes in a name": filled(REQUEST + '"env":{"', lambda _: "\\n", '":"a"}}'),
    "NULs": filled(REQUEST + '"args":["', lambda _: "\\u0000", '"]}'),
    "a language": filled('{"code":"","language":"', lambda _: "k", '","z":1}'),
    "surrogates": filled('{"code":"', lambda _: "\\ud800", '"}'),
}
PROGRAM = filled('{"language":"python","code":"', lambda _: "\\u00e9", '"}')


def seconds(parse: Callable[[str], object], text: str) -> float:
    """Of the processor; the least of some tries, since others use its caches as well."""
    times: list[float] = []
    for _ in range(3):
        start = time.thread_time()
        try:
            parse(text)
        except TrioExecError as error:
            told = json.dumps([error.message, error.field])
            assert len(told) < 1000, "an error repeats what was sent"
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_request_takes_much_longer_than_a_program_of_its_size(shape: str) -> None:
    def parse(text: str) -> object:
        return parse_session_request(text.encode())

    assert seconds(parse, SHAPES[shape]) < 15 * seconds(parse, PROGRAM)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_message_takes_much_longer_than_input_of_its_size(shape: str) -> None:
    text = SHAPES[shape].replace('"language":"python","code":"x"', '"type":"input","data":"x"')
    program = PROGRAM.replace('"language":"python","code"', '"type":"input","data"')

    assert seconds(parse_client_message, text) < 15 * seconds(parse_client_message, program)


@pytest.mark.parametrize(
    ("more", "field", "part"),
    [
        ({"env": {f"V{number}": "" for number in range(65)}}, "env", "64 at most"),
        ({"files": {f"f{number}": "" for number in range(65)}}, "files", "64 at most"),
        ({"args": ["x"] * 257}, "args", "256 at most"),
        ({"env": {f"-{number}": 1 for number in range(2000)}}, None, "`env` 64"),
        ({"args": [""] * 5000}, None, "`args` 256"),
        ({"x" * 5000: 1}, "x" * 60 + "…", "no such field"),
        ({"files": {"a" * 500 + "/../x": ""}}, "files." + "a" * 60 + "…", "too long"),
        ({"files": {"a/" * 100 + "../x": ""}}, "files." + "a/" * 30 + "…", "is not a relative path"),
    ],
)
def test_what_is_too_much_is_said_with_the_limit(more: dict[str, object], field: str | None, part: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_session_request(json.dumps({"language": "python", "code": ""} | more))

    assert (caught.value.field, part in caught.value.message) == (field, True), caught.value.message


def test_a_request_that_fills_every_field_is_taken() -> None:
    code = 'print("{[,]}") # ' + '[{,"\\' * 100_000
    files = {f"d/f{number}": '[{"' for number in range(64)}
    body = {
        "language": "python",
        "code": code,
        "files": files,
        "args": ["[,"] * 256,
        "env": {f"V{number}": "{," for number in range(64)},
        "limits": {"memoryBytes": 2**24, "cpus": 1, "pids": 2, "outputBytes": 1, "idleTimeout": 1},
    }
    request = parse_session_request(json.dumps(body).encode())

    assert (request.code, len(request.args)) == (code.encode(), 256)
    assert request.files == {name: text.encode() for name, text in files.items()}

"""From JSON to what the domain knows, and back: the wire's adapter, without a wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trio_exec.api.native.messages import (
    EofMessage,
    InputMessage,
    ResizeMessage,
    SignalMessage,
    StateMessage,
    StopMessage,
)
from trio_exec.api.native.parsing import (
    InvalidJSONError,
    InvalidMessageError,
    parse_client_message,
    parse_server_message,
    parse_session_request,
)
from trio_exec.errors import RequestError
from trio_exec.model import Figures, Job, Outcome, Reason, StageName, StageResult, State, Status


def job(**fields: Any) -> Job:
    return parse_session_request(json.dumps({"language": "python", **fields})).job()


def test_the_least_that_can_be_asked_for() -> None:
    assert job(code="") == Job("python", b"", args=[], collect=[])


def test_everything_that_can_be_asked_for() -> None:
    assert job(
        code="é",
        files={"lib/a.py": "漢"},
        collect=["*.png"],
        args=["a b", ""],
        stdin="in",
        interactive=True,
        tty=True,
        rows=30,
        cols=100,
        env={"NAME": "value"},
        limits={"memoryBytes": 2**24, "cpus": 0.5, "idleTimeout": 1},
    ) == Job(
        "python",
        "é".encode(),
        files={"lib/a.py": "漢".encode()},
        collect=["*.png"],
        args=["a b", ""],
        env={"NAME": "value"},
        stdin=b"in",
        ends_input=False,
        terminal=(30, 100),
        limits={"memory_bytes": 2**24, "cpus": 0.5, "idle_timeout": 1},
    )


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({}, False),
        ({"stdin": ""}, True),
        ({"stdin": "x"}, True),
        ({"interactive": False}, True),
        ({"stdin": "x", "interactive": True}, False),
        ({"stdin": "x", "interactive": False}, True),
        ({"stdin": None, "interactive": None}, False),
    ],
)
def test_end_of_input_follows_what_is_given_unless_more_is_to_come(fields: dict[str, Any], ends: bool) -> None:
    assert job(code="", **fields).ends_input is ends


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "input", "data": "é"}, InputMessage(data="é")),
        ({"type": "eof"}, EofMessage()),
        ({"type": "signal", "signal": "SIGINT"}, SignalMessage(signal="SIGINT")),
        ({"type": "resize", "rows": 1, "cols": 1000}, ResizeMessage(rows=1, cols=1000)),
        ({"type": "stop"}, StopMessage()),
    ],
)
def test_every_message_of_a_client(message: dict[str, object], expected: object) -> None:
    assert parse_client_message(json.dumps(message)) == expected


@pytest.mark.parametrize(
    ("text", "kind", "field", "part"),
    [
        ("", InvalidJSONError, None, "not valid JSON"),
        ("{", InvalidJSONError, None, "not valid JSON"),
        ('{"type": "input", "data": "\\ud800"}', InvalidJSONError, None, "not valid JSON"),
        ("[]", InvalidMessageError, None, "object"),
        ("{}", InvalidMessageError, "type", "must be one of input, eof, signal, resize, alive, leave, stop"),
        (
            '{"type": "dance"}',
            InvalidMessageError,
            "type",
            "must be one of input, eof, signal, resize, alive, leave, stop",
        ),
        ('{"type": 1}', InvalidMessageError, "type", "must be one of input, eof, signal, resize, alive, leave, stop"),
        ('{"type": "input"}', InvalidMessageError, "data", "data: this field is required"),
        ('{"type": "input", "data": 1}', InvalidMessageError, "data", "string"),
        ('{"type": "eof", "data": ""}', InvalidMessageError, "data", "no such field"),
        ('{"type": "resize", "rows": 0, "cols": 1}', InvalidMessageError, "rows", "greater than or equal to 1"),
        ('{"type": "resize", "rows": "1", "cols": 1}', InvalidMessageError, "rows", "integer"),
        ('{"type": "resize", "rows": 1, "cols": 1001}', InvalidMessageError, "cols", "less than or equal to 1000"),
        ('{"type": "signal", "signal": "SIGNO"}', InvalidMessageError, "signal", "signal: "),
    ],
)
def test_what_is_no_message_is_told_by_its_field(
    text: str, kind: type[RequestError], field: str | None, part: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse_client_message(text)

    assert (type(caught.value), caught.value.field) == (kind, field)
    assert part in caught.value.message


def test_a_state_says_what_is_known_and_leaves_out_the_rest() -> None:
    waiting = StateMessage.of(Status(State.WAITING, position=3), 1)
    ended = StateMessage.of(
        Status(
            State.TERMINATED,
            stage=StageName.RUN,
            outcome=Outcome(
                (
                    StageResult(StageName.COMPILE, Figures(0, None, 2.5, 1.5, 3000), 1, 1),
                    StageResult(StageName.RUN, Figures(None, 9, 1.5, 0.5, 1000), 2, 10),
                ),
                reason=Reason.STOPPED,
                message="a client asked for it",
                output_truncated=False,
            ),
        ),
        20,
    )

    assert json.loads(waiting.to_json()) == {"type": "state", "state": "waiting", "position": 3, "seq": 1}
    assert json.loads(ended.to_json()) == {
        "type": "state",
        "state": "terminated",
        "stage": "run",
        "reason": "stopped",
        "message": "a client asked for it",
        "signal": "SIGKILL",
        "wallTime": 1.5,
        "cpuTime": 0.5,
        "peakMemory": 1000,
        "outputTruncated": False,
        "stages": [
            {"stage": "compile", "exitCode": 0, "wallTime": 2.5, "cpuTime": 1.5, "peakMemory": 3000},
            {"stage": "run", "signal": "SIGKILL", "wallTime": 1.5, "cpuTime": 0.5, "peakMemory": 1000},
        ],
        "seq": 20,
    }
    for message in (waiting, ended):
        assert parse_server_message(message.to_json()) == message


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_word_of_the_domain_has_one_on_the_wire(state: State, reason: Reason | None) -> None:
    outcome = Outcome((), reason, None, output_truncated=False)
    message = StateMessage.of(Status(state, stage=StageName.COMPILE, outcome=outcome), 0)

    assert (message.state, message.reason) == (state.value, None if reason is None else reason.value)

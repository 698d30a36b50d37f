"""Reads what clients and servers send, and says of bad input which field is wrong, and why, in a sentence.

It does so in the event loop, so no input may take long. What takes long is items, tens of thousands of which fit a
request: each becomes an object, and each wrong one an error or two of which only the first is told. So items are
counted before anything is parsed, and error messages repeat only so much of what was sent.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from trio_exec.api.native.messages import CLIENT_MESSAGES, ClientMessage, ServerMessage, kind_of
from trio_exec.api.native.requests import (
    MAX_ARGUMENTS,
    MAX_FILES,
    MAX_VARIABLES,
    BatchRequest,
    FormatRequest,
    RunRequest,
    SessionRequest,
)
from trio_exec.errors import RequestError

ITEMS_MAX = 1000
"""Names and values in one request; one that fills every field has some four hundred."""
BATCH_ITEMS_MAX = 8000
"""The same for a batch: that many cases with thirty of each."""
_OF_SEVERAL = re.compile(r"(code|files|args|env|parallel): ")
"""How our own checks over several fields begin: with the name of the field to blame."""
_SHOWN_NAME, _SHOWN_MESSAGE = 60, 400
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A JSON string, or what begins like one; it never goes back, so it takes no longer on what is none."""
_STRING_IN_BYTES = re.compile(_STRING.pattern.encode(), re.DOTALL)

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])

_BATCH, _SINGLE = "batch", "run"


def _kind_of_run(value: object) -> str:
    return _BATCH if isinstance(value, dict) and "runs" in value else _SINGLE


_RUN: TypeAdapter[RunRequest | BatchRequest] = TypeAdapter(
    Annotated[
        Annotated[RunRequest, Tag(_SINGLE)] | Annotated[BatchRequest, Tag(_BATCH)],
        Discriminator(_kind_of_run),
    ]
)
_KINDS = ", ".join(kind_of(it) for it in CLIENT_MESSAGES)
_ADVICE = f"`files` takes {MAX_FILES} at most, `args` {MAX_ARGUMENTS} and `env` {MAX_VARIABLES}; see docs/api.md"


class InvalidJSONError(RequestError):
    """It is not JSON at all."""

    code = "invalid_json"


class InvalidMessageError(RequestError):
    """A WebSocket message that is of no known form."""

    code = "invalid_message"


_SENTENCES: dict[str, str] = {
    "extra_forbidden": "there is no such field; see docs/api.md for those that there are",
    "missing": "this field is required",
    "string_pattern_mismatch": "not a valid name; letters, digits and underscores, not beginning with a digit",
}
"""Where pydantic's own sentence does not say what to do."""


def _describe(detail: ErrorDetails) -> tuple[str | None, str]:
    """The field and the sentence of one of pydantic's findings."""
    location = _location(detail["loc"])
    message = _SENTENCES.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    if detail["type"] == "too_long":
        message = f"too many; {detail['ctx']['max_length']} at most"  # pyright: ignore[reportTypedDictNotRequiredAccess] - there with this type
    if detail["type"] == "value_error" and _OF_SEVERAL.match(
        message
    ):  # Our own checks over several fields name theirs in front.
        field, _, message = message.partition(": ")
        location = f"{location}.{field}" if location else field
    return location or None, _shortened(message, _SHOWN_MESSAGE)


def _location(parts: Sequence[str | int]) -> str:
    """A field's name as one would write it in a program: `runs[3].args[0]`."""
    location = ""
    for part in parts:
        if isinstance(part, int):
            location += f"[{part}]"
        elif part != "[key]":
            location += f"{'.' if location else ''}{_shortened(part, _SHOWN_NAME)}"
    return location


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _check_items(text: bytes | str, most: int, advice: str, whole: type[RequestError]) -> None:
    if len(text) <= most:
        return
    if isinstance(text, str):
        rest = _STRING.sub("", text)
        count = rest.count(",") + rest.count("[") + rest.count("{")
    else:
        outside = _STRING_IN_BYTES.sub(b"", text)
        count = outside.count(b",") + outside.count(b"[") + outside.count(b"{")
    if count > most:
        raise whole(f"this holds more than {most} names and values; {advice}")


def _translate(error: ValidationError, whole: type[RequestError]) -> RequestError:
    detail = error.errors(include_url=False, include_input=False)[0]
    if detail["type"] == "json_invalid":
        return InvalidJSONError(f"this is not valid JSON: {detail['msg'].removeprefix('Invalid JSON: ')}")
    field, message = _describe(detail)
    return whole(f"{field}: {message}" if field else message, field=field)


def _without_mark(body: bytes) -> bytes:
    """The text without a byte order mark, which Windows' tools put before UTF-8."""
    if body.startswith(_UTF_16_MARKS) or body[1:2] == b"\0" or body[:1] == b"\0":
        raise InvalidJSONError("this is not UTF-8, but looks like UTF-16 or UTF-32; send the request as UTF-8")
    return body.removeprefix(codecs.BOM_UTF8)


def parse_session_request(body: bytes | str) -> SessionRequest:
    """Reads the body of `POST /session`, or the first message at `/ws/run`.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    if isinstance(body, bytes):
        body = _without_mark(body)
    _check_items(body, ITEMS_MAX, _ADVICE, RequestError)
    try:
        return SessionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _translate(error, RequestError) from error


def parse_format_request(body: bytes) -> FormatRequest:
    """Reads the body of `POST /format`.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    body = _without_mark(body)
    _check_items(body, ITEMS_MAX, f"`files` takes {MAX_FILES} at most; see docs/api.md", RequestError)
    try:
        return FormatRequest.model_validate_json(body)
    except ValidationError as error:
        raise _translate(error, RequestError) from error


def parse_run_request(body: bytes) -> RunRequest | BatchRequest:
    """Reads the body of `POST /run`.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    body = _without_mark(body)
    advice = f"`runs` takes some hundreds; what they have in common can be given once, beside them. {_ADVICE}"
    _check_items(body, BATCH_ITEMS_MAX, advice, RequestError)
    try:
        return _RUN.validate_json(body)
    except ValidationError as error:
        translated = _translate(error, RequestError)
        if translated.field is None:
            raise translated from error
        tag, _, field = translated.field.partition(".")  # The union's tag is no field of the client's.
        message = translated.message.removeprefix(f"{tag}: ").removeprefix(f"{tag}.")
        raise type(translated)(message, field=field or None) from error


def parse_client_message(text: str) -> ClientMessage:
    """Reads a message from a WebSocket client.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    _check_items(text, ITEMS_MAX, f"a message is one of {_KINDS}; see docs/api.md", InvalidMessageError)
    try:
        return _CLIENT.validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        kind = detail["loc"][0] if detail["loc"] else None
        if detail["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            raise InvalidMessageError(f"type: must be one of {_KINDS}", field="type") from error
        translated = _translate(error, InvalidMessageError)
        if isinstance(kind, str) and translated.field:  # The union's tag is no field of the client's.
            field = translated.field.removeprefix(f"{kind}.")
            message = translated.message.removeprefix(f"{kind}.")
            raise type(translated)(message, field=field) from error
        raise translated from error


def is_client_message(text: str | bytes) -> bool:
    """Whether this is a message to a session's program, and not a request for a session."""
    try:
        _CLIENT.validate_json(text)
    except ValidationError:
        return False
    return True


def parse_server_message(text: str | bytes) -> ServerMessage:
    """Reads a message from the server, as clients do.

    Raises:
        pydantic.ValidationError: the server does not speak our protocol.
    """
    return _SERVER.validate_json(text)

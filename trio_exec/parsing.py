"""Reads what clients and servers send, and says of bad input which field is wrong, and why, in a sentence."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from trio_exec.errors import RequestError
from trio_exec.messages import ClientMessage, ServerMessage, SessionRequest

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


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
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    message = _SENTENCES.get(detail["type"], detail["msg"].removeprefix("Value error, "))
    if not location and ": " in message:  # Our own checks over several fields name theirs in front.
        field, _, message = message.partition(": ")
        location = [field]
    return ".".join(location) or None, message


def _translate(error: ValidationError, whole: type[RequestError]) -> RequestError:
    detail = error.errors(include_url=False)[0]
    if detail["type"] == "json_invalid":
        return InvalidJSONError(f"this is not valid JSON: {detail['msg'].removeprefix('Invalid JSON: ')}")
    field, message = _describe(detail)
    return whole(f"{field}: {message}" if field else message, field=field)


def parse_session_request(body: bytes | str) -> SessionRequest:
    """Reads the body of `POST /session`.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    try:
        return SessionRequest.model_validate_json(body)
    except ValidationError as error:
        raise _translate(error, RequestError) from error


def parse_client_message(text: str) -> ClientMessage:
    """Reads a message from a WebSocket client.

    Raises:
        RequestError: it can't be used; names the first field that is wrong.
    """
    try:
        return _CLIENT.validate_json(text)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        kind = detail["loc"][0] if detail["loc"] else None
        if detail["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            raise InvalidMessageError("type: must be one of input, eof, signal, resize, stop", field="type") from error
        translated = _translate(error, InvalidMessageError)
        if isinstance(kind, str) and translated.field:  # The union's tag is no field of the client's.
            field = translated.field.removeprefix(f"{kind}.")
            message = translated.message.removeprefix(f"{kind}.")
            raise type(translated)(message, field=field) from error
        raise translated from error


def parse_server_message(text: str | bytes) -> ServerMessage:
    """Reads a message from the server, as clients do.

    Raises:
        pydantic.ValidationError: the server does not speak our protocol.
    """
    return _SERVER.validate_json(text)

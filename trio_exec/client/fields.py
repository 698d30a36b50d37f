"""Reads JSON objects of servers that may be newer than this package: what is not known is not looked at."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import cast

from trio_exec.client.errors import ProtocolError

Object = Mapping[str, object]


def parse_object(text: str | bytes) -> Object:
    """A JSON object.

    Raises:
        ProtocolError: it is something else.
    """
    try:
        value: object = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        shown = text[:60] if isinstance(text, str) else text[:60].decode(errors="replace")
        raise ProtocolError(f"this is no answer of a trio-exec server: {shown!r}")
    return cast("Object", value)


def text_of(data: Object, name: str) -> str | None:
    """A string, or None where there is none."""
    value = data.get(name)
    return value if isinstance(value, str) else None


def integer_of(data: Object, name: str) -> int | None:
    """An integer, or None where there is none."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number_of(data: Object, name: str) -> float | None:
    """A number, or None where there is none."""
    value = data.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def flag_of(data: Object, name: str) -> bool:
    """Whether a field is there and true."""
    return data.get(name) is True


def objects_of(data: Object, name: str) -> Sequence[Object]:
    """A list's objects; empty where there is none."""
    value = data.get(name)
    if not isinstance(value, list):
        return []
    return [cast("Object", item) for item in cast("list[object]", value) if isinstance(item, dict)]


def strings_of(data: Object, name: str) -> Sequence[str]:
    """A list's strings; empty where there is none."""
    value = data.get(name)
    if not isinstance(value, list):
        return []
    return [item for item in cast("list[object]", value) if isinstance(item, str)]


def object_of(data: Object, name: str) -> Object:
    """An object; empty where there is none."""
    value = data.get(name)
    return cast("Object", value) if isinstance(value, dict) else {}


def needed_text(data: Object, name: str) -> str:
    """A string that has to be there.

    Raises:
        ProtocolError: it is not.
    """
    value = text_of(data, name)
    if value is None:
        raise ProtocolError(f"the server's answer lacks {name!r}; is it a trio-exec server?")
    return value


def needed_integer(data: Object, name: str) -> int:
    """An integer that has to be there.

    Raises:
        ProtocolError: it is not.
    """
    value = integer_of(data, name)
    if value is None:
        raise ProtocolError(f"the server's answer lacks {name!r}; is it a trio-exec server?")
    return value


def decoded(text: str) -> bytes:
    """The bytes of base64.

    Raises:
        ProtocolError: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"the server sent what is no base64: {error}") from error

"""JSON that is written piece by piece: what is in it need not be in memory as a whole, nor twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic_core import to_json

PIECE = 32 * 1024
"""Bytes that are put together before they are sent, as far as they come in smaller ones."""


@dataclass(frozen=True, slots=True)
class LongText:
    """A string that comes in pieces."""

    pieces: Iterable[str]


@dataclass(frozen=True, slots=True)
class LongList:
    """A list whose items are made one after the other."""

    items: Iterable[object]


def encode(value: object) -> Iterator[bytes]:
    """A value as JSON: what pydantic can serialise, and in dictionaries and lists also the long ones above."""
    match value:
        case LongText(pieces):
            yield b'"'
            for piece in pieces:
                yield to_json(piece)[1:-1]
            yield b'"'
        case LongList(items):
            yield from _enclosed(b"[", (encode(item) for item in items), b"]")
        case dict():
            fields = cast("Mapping[str, object]", value)
            yield from _enclosed(b"{", (_field(name, it) for name, it in fields.items()), b"}")
        case list():
            yield from encode(LongList(cast("list[object]", value)))
        case _:
            yield to_json(value)


def _field(name: str, value: object) -> Iterator[bytes]:
    yield to_json(name) + b":"
    yield from encode(value)


def _enclosed(before: bytes, items: Iterable[Iterator[bytes]], behind: bytes) -> Iterator[bytes]:
    separator = before
    for item in items:
        yield separator
        yield from item
        separator = b","
    yield behind if separator == b"," else before + behind


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in larger pieces."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)

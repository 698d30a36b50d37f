"""A session's output as text: cursors on its log, which decode its bytes, or encode them as base64.

As text, output is UTF-8; what is not becomes U+FFFD, as `bytes.decode(errors="replace")` has it. Characters may come in
pieces, and the other stream's output may stand between them; it is read where its last byte is. So that any position
can be read from, whoever begins in the midst of a character looks at the bytes before it.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pydantic_core import to_json

from trio_exec.api.native.parts import EncodingName
from trio_exec.model import Stream
from trio_exec.session.output import Output, OutputLog, StateChange

DATA_MAX = 32 * 1024 - 128
"""Bytes of text in one message as it is encoded: all of the message then fits 32 KiB, which every client takes."""
_LONGEST_PART = 3
"""Bytes of a character that is not complete yet."""
_BASE64_DATA_MAX = DATA_MAX // 4 * 3
"""Bytes that take so much as base64. Three to a group, so that what is put together needs no padding in between."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a program wrote, as text or as base64; `seq` is the position behind it."""

    stream: Stream
    data: str
    seq: int


class Cursor(Protocol):
    """Reads a log, in one encoding or the other."""

    position: int

    def read(self) -> Text | StateChange | None:
        """What comes next; None when that is not there yet."""
        ...


def cursor(log: OutputLog, position: int, encoding: EncodingName) -> Cursor:
    """Reads a log from a position on: between 0 and the log's end."""
    return Base64Cursor(log, position) if encoding == "base64" else TextCursor(log, position)


class Base64Cursor:
    """As `TextCursor`, for output that is not text."""

    def __init__(self, log: OutputLog, position: int) -> None:
        self._log = log
        self.position = position

    def read(self) -> Text | StateChange | None:
        """What comes next; None when that is not there yet."""
        while (entry := self._log.read(self.position, _BASE64_DATA_MAX)) is not None:
            self.position = entry.seq
            if isinstance(entry, StateChange):
                return entry
            if isinstance(entry, Output):
                return Text(entry.stream, base64.b64encode(entry.data).decode(), entry.seq)
        return None


class TextCursor:
    """Reads a log from a position on.

    Args:
        log: the session's.
        position: between 0 and the log's end.

    Attributes:
        position: behind all that was read.
    """

    def __init__(self, log: OutputLog, position: int) -> None:
        self._log = log
        self.position = position
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
        for stream, decoder in self._decoders.items():
            decoder.decode(log.before(position, stream, _LONGEST_PART))

    def read(self) -> Text | StateChange | None:
        """What comes next; None when that is not there yet."""
        while (entry := self._log.read(self.position, DATA_MAX)) is not None:
            if isinstance(entry, StateChange):
                self.position = entry.seq
                return entry
            decoder = self._decoders[entry.stream]
            if isinstance(entry, Output):
                entry, text = self._decode(entry, decoder)
            else:
                # A character that was never completed is shown as such, unless it was our limit that cut it.
                text = decoder.decode(b"", final=True)
                if entry.truncated:
                    text = ""
            self.position = entry.seq
            if text:
                return Text(entry.stream, text, entry.seq)
        return None

    def _decode(self, output: Output, decoder: codecs.IncrementalDecoder) -> tuple[Output, str]:
        """As much of what was written as fits a message, and its text.

        What takes more room as text, or encoded, than as bytes: control characters, quotes, and what is no character.
        """
        before = decoder.getstate()
        text = decoder.decode(output.data)
        while len(to_json(text)) > DATA_MAX:
            decoder.setstate(before)
            start = output.seq - len(output.data)
            data = output.data[: len(output.data) // 2]
            output = Output(output.stream, data, start + len(data))
            text = decoder.decode(data)
        return output, text


def whole(log: OutputLog, stream: Stream, encoding: EncodingName, start: int, stop: int) -> Iterator[str]:
    """All that was written to one stream between two positions, which stages begin and end at, in pieces.

    Put together they are the text, or base64.
    """
    if encoding == "base64":
        yield from _whole_base64(log, stream, start, stop)
        return
    reader = TextCursor(log, start)
    while reader.position < stop and (entry := reader.read()) is not None:
        if isinstance(entry, Text) and entry.stream is stream:
            yield entry.data


def _whole_base64(log: OutputLog, stream: Stream, start: int, stop: int) -> Iterator[str]:
    rest = b""
    for output in log.output(start, stop):
        if output.stream is stream:
            rest += output.data
            most = len(rest) // 3 * 3
            yield base64.b64encode(rest[:most]).decode()
            rest = rest[most:]
    yield base64.b64encode(rest).decode()

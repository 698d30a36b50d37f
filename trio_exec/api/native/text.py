"""A session's output as text: a cursor on its log, whose bytes it decodes.

Output is UTF-8; what is not becomes U+FFFD, as `bytes.decode(errors="replace")` has it. A character may come in pieces,
and the other stream's output may stand between them; it is read where its last byte is. So that any position can be
read from, whoever begins in the midst of a character looks at the bytes before it.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from trio_exec.model import Stream
from trio_exec.session.output import Output, OutputLog, StateChange

_LONGEST_PART = 3
"""Bytes of a character that is not complete yet."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a program wrote, as text; `seq` is the position behind it."""

    stream: Stream
    data: str
    seq: int


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
        while (entry := self._log.read(self.position)) is not None:
            self.position = entry.seq
            if isinstance(entry, StateChange):
                return entry
            decoder = self._decoders[entry.stream]
            if isinstance(entry, Output):
                text = decoder.decode(entry.data)
            else:
                # A character that was never completed is shown as such, unless it was our limit that cut it.
                text = decoder.decode(b"", final=True)
                if entry.truncated:
                    text = ""
            if text:
                return Text(entry.stream, text, entry.seq)
        return None

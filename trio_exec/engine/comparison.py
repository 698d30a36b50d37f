"""Whether a program wrote what was expected."""

from __future__ import annotations

from trio_exec.model import Comparison, Stream
from trio_exec.session.output import OutputLog


def matches(log: OutputLog, expected: bytes, comparison: Comparison) -> bool:
    """Compares all that is in a log of standard output with what was expected."""
    written = b"".join(output.data for output in log.output(0, log.end) if output.stream is Stream.STDOUT)
    if comparison is Comparison.TRIMMED:
        return _trimmed(written) == _trimmed(expected)
    return written == expected


def _trimmed(data: bytes) -> bytes:
    return b"\n".join(line.rstrip() for line in data.splitlines()).rstrip()

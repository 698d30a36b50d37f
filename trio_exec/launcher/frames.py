"""The launcher's byte stream, sans-IO: frames in and out of bytes.

A frame is a type byte, a four-byte big-endian length and the payload. The other end is
`trio_exec/runtimes/launcher` (C); this is where the meaning of every frame is written down.

To the launcher:

==========  ====  =====================================================================================
Hello       h     u8 protocol version, u16 seconds: the first frame, before which the launcher says nothing. It ends
                  when nothing comes for so many seconds. A launcher of another version says Ready, and ends
Ping        n     Pong answers, unless there is something else to be sent already; before the silence is over, for
                  any byte is a sign of life
File        f     u8 append, u16 mode, path NUL, content: creates or continues a file in the working directory,
                  whose mode is then exactly that
Stage       s     u8 flags (1: terminal, 2: gather, 4: merge), u16 rows, u16 cols, u32 deadline in seconds, u32 CPU
                  time in milliseconds (0: no limit), u16 argc, u16 envc, then argv and environment, each string
                  NUL-terminated: runs a command, and kills it when its processes have used so much CPU together.
                  With `gather`, what is sent of it may come up to 10 ms later, and in fewer pieces. With `merge`,
                  its standard error goes where its standard output does
Prestart    p     a path, NUL, and a stage's payload: starts the command with a FIFO at the path, and holds it
                  until it has opened that. The stage frame for the same command, environment and kind of streams
                  then lets it go with the file that was sent, or made by a stage, meanwhile; any other stage,
                  another file, or Kill discards it. Two commands can be held: one for each stage. With flag 8 in the
                  payload, the FIFO tells the last argument instead, which may be another one in the stage's frame
Stdin       i     bytes for the program; at most `STDIN_WINDOW` of them unacknowledged
StdinEof    e     no more input; on a terminal, which Ctrl-D among the input ends, it does nothing
Signal      g     u8 number, to the program's process group
Resize      w     u16 rows, u16 cols
Kill        k     kills every process of the stage
Save        v     remembers the workspace: folders, regular files and symbolic links, with their modes and times.
                  Discards what is held, empties the shared memory, and takes the place of an earlier Save
Restore     r     kills every process, makes the workspace what it was when saved, and empties the shared memory.
                  There is no answer; a launcher that can't do it ends
Collect     c     u8 flags (1: hidden files too), u32 most files, u64 most bytes in all, then patterns, each
                  NUL-terminated (see `patterns`): sends the regular files that match, in the order of their names.
                  Links are not followed. Frames that come meanwhile wait for its end
==========  ====  =====================================================================================

From the launcher:

==========  ====  =====================================================================================
Ready       R     u8 protocol version: the first frame, which answers Hello. Up to version 4 it came by itself
Pong        N     the launcher is there; also by itself, when something keeps it from answering for long
Started     S     the stage's command runs
Prestarted  P     a held command has opened its FIFO, so the start-up is behind it
Stdout      O     bytes
Stderr      E     bytes
Ack         A     u32: that many bytes of input have been taken
Waiting     W     u8: 1 while the program waits for its input; 2 while nothing of it has run for a second; else 0
StageEnd    Z     u8 kind (0 exit, 1 signal), u8 exit code or signal, u64 wall, user and system
                  microseconds, u64 peak bytes of all of it, u32 out-of-memory kills, u8: whether it was killed
                  since it had used up its CPU time, u8 limits that it ran into (1 processes and threads, 2 bytes
                  of the workspace, 4 files of it, 8 shared memory)
Lingers     L     the command has ended, and others that it left behind have not: for two seconds at most, and one
                  in silence, what they write still comes
Failure     X     text: what the launcher could not do
Saved       V     the workspace is saved
File        F     u8 (0 begins, 1 continues), u16 mode, path NUL, content: of a file that was asked for. It is whole
                  when anything but its continuation comes
Omitted     M     u8 reason (0 too large, 1 too many, 2 not regular, 3 unreadable), path NUL: a file that matches, or a
                  folder that may hold some, and is not sent. The first 64 are told
Collected   C     u32: that many files were sent; the answer to Collect is complete
==========  ====  =====================================================================================

Save, Restore and Collect are for when no stage runs.

The end of the stream towards the launcher, or its silence, makes it kill everything and exit.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, Flag

from trio_exec.errors import ProtocolError
from trio_exec.launcher.patterns import PATTERNS_MAX, check_pattern

PROTOCOL_VERSION = 6
PAYLOAD_MAX = 65536
"""Both ends refuse longer payloads, so that garbage shows at once and no buffer grows with it."""
STDIN_WINDOW = 65536
"""Unacknowledged bytes of input that the launcher has room for."""

_HEADER = struct.Struct(">BI")
_HELLO = struct.Struct(">BH")
_STAGE = struct.Struct(">BHHIIHH")
_STAGE_END = struct.Struct(">BBQQQQI?B")
_COLLECT = struct.Struct(">BIQ")
_FLAG_TTY = 1
_FLAG_GATHER = 2
_FLAG_MERGE = 4
_FLAG_NAMED = 8
_FLAG_HIDDEN_TOO = 1
_MODE_MAX = 0o7777
_U16_MAX = 0xFFFF


def _frame(kind: bytes, payload: bytes = b"") -> bytes:
    if len(payload) > PAYLOAD_MAX:
        raise ValueError(f"a frame's payload is limited to {PAYLOAD_MAX} bytes, not {len(payload)}")
    return _HEADER.pack(kind[0], len(payload)) + payload


def _strings(strings: Sequence[str]) -> bytes:
    for string in strings:
        if "\0" in string:
            raise ValueError("strings for the launcher can't hold NUL")
    return b"".join(string.encode() + b"\0" for string in strings)


def encode_hello(silence: int) -> bytes:
    """The first frame of all.

    Args:
        silence: seconds after which the launcher ends if nothing comes; between 1 and 65535, or ValueError.
    """
    if not 1 <= silence <= _U16_MAX:
        raise ValueError(f"the silence is between 1 and {_U16_MAX} seconds, not {silence}")
    return _frame(b"h", _HELLO.pack(PROTOCOL_VERSION, silence))


def encode_ping() -> bytes:
    """Asks for a sign of life, and is one."""
    return _frame(b"n")


def encode_file(path: str, content: bytes, mode: int = 0o644) -> Iterator[bytes]:
    """Frames that create a file, in as many pieces as it takes.

    Args:
        path: relative to the working directory.
        content: all of it.
        mode: its permission bits.

    Raises:
        ValueError: the path holds NUL or is too long, or there is no such mode.
    """
    if not 0 <= mode <= _MODE_MAX:
        raise ValueError(f"a file's mode is between 0 and 0o{_MODE_MAX:o}, not {mode}")
    head = struct.pack(">H", mode) + _strings([path])
    step = PAYLOAD_MAX - len(head) - 1
    if step <= 0:
        raise ValueError("the path is too long")
    for start in range(0, max(len(content), 1), step):
        yield _frame(b"f", bytes([start > 0]) + head + content[start : start + step])


def encode_stage(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    terminal: tuple[int, int] | None,
    deadline: int,
    cpu_time: float | None = None,
    gather: bool = False,
    merge: bool = False,
) -> bytes:
    """The frame that runs a command.

    Args:
        command: the program and its arguments.
        environment: the program's whole environment.
        terminal: rows and columns, or None for pipes.
        deadline: seconds after which the launcher gives up by itself, as a last resort.
        cpu_time: seconds of CPU that all its processes may use together, to the millisecond; None for no limit.
        gather: nobody waits for single pieces of output, so they may be sent a little later, several at once.
        merge: its standard error is to be its standard output.

    Raises:
        ValueError: a string holds NUL, or all of it together is longer than a frame.
    """
    payload = _stage(command, environment, terminal, deadline=deadline, cpu_time=cpu_time, gather=gather, merge=merge)
    return _frame(b"s", payload)


def encode_prestart(
    file: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    terminal: tuple[int, int] | None,
    named: bool = False,
) -> bytes:
    """The frame that starts a command before a file that it reads is there.

    Args:
        file: where the FIFO is.
        command: the program and its arguments.
        environment: as for `encode_stage`.
        terminal: likewise.
        named: the FIFO tells the last argument, which may be another in the stage's own frame.

    Raises:
        ValueError: as for `encode_stage`.
    """
    return _frame(b"p", _strings([file]) + _stage(command, environment, terminal, named=named))


def stage_size(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Bytes of the payload that `encode_stage` makes of these; at most `PAYLOAD_MAX` can be sent.

    Raises:
        ValueError: a string holds NUL.
    """
    return len(_stage(command, environment, None))


def _stage(
    command: Sequence[str],
    environment: Mapping[str, str],
    terminal: tuple[int, int] | None,
    *,
    deadline: int = 0,
    cpu_time: float | None = None,
    gather: bool = False,
    merge: bool = False,
    named: bool = False,
) -> bytes:
    rows, columns = terminal or (0, 0)
    given = {_FLAG_TTY: terminal is not None, _FLAG_GATHER: gather, _FLAG_MERGE: merge, _FLAG_NAMED: named}
    flags = sum(flag for flag, is_set in given.items() if is_set)
    pairs = [f"{name}={value}" for name, value in environment.items()]
    cpu_milliseconds = 0 if cpu_time is None else max(1, round(cpu_time * 1000))
    head = _STAGE.pack(flags, rows, columns, deadline, cpu_milliseconds, len(command), len(pairs))
    return head + _strings(command) + _strings(pairs)


def encode_stdin(data: bytes) -> bytes:
    """Input for the program; at most `PAYLOAD_MAX` bytes, or ValueError."""
    return _frame(b"i", data)


def encode_eof() -> bytes:
    """End of input."""
    return _frame(b"e")


def encode_signal(number: int) -> bytes:
    """A signal for the program's process group."""
    return _frame(b"g", bytes([number]))


def encode_resize(rows: int, columns: int) -> bytes:
    """A new terminal size."""
    return _frame(b"w", struct.pack(">HH", rows, columns))


def encode_kill() -> bytes:
    """Ends the stage at once."""
    return _frame(b"k")


def encode_save() -> bytes:
    """Remembers the workspace as it is; `Saved` answers."""
    return _frame(b"v")


def encode_restore() -> bytes:
    """Makes the workspace what it was when it was saved; nothing answers."""
    return _frame(b"r")


def encode_collect(patterns: Sequence[str], max_files: int, max_bytes: int, *, hidden_too: bool = False) -> bytes:
    """Asks for files; `CollectedFile` and `Omitted` answer, and `Collected` last.

    Args:
        patterns: as `trio_exec.launcher.patterns` describes them.
        max_files: the first so many of those that match.
        max_bytes: of their contents together; a file that does not fit is left out, and smaller ones may follow.
        hidden_too: leading dots are nothing special.

    Raises:
        ValueError: a pattern is none, there are too many, or a number is out of its range.
    """
    if len(patterns) > PATTERNS_MAX:
        raise ValueError(f"there are {len(patterns)} patterns; at most {PATTERNS_MAX} are allowed")
    for pattern in patterns:
        try:
            check_pattern(pattern)
        except ValueError as error:
            raise ValueError(f"the pattern {pattern!r} {error}") from None
    try:
        head = _COLLECT.pack(_FLAG_HIDDEN_TOO if hidden_too else 0, max_files, max_bytes)
    except struct.error:
        raise ValueError(f"a number is out of its range: {max_files} files, {max_bytes} bytes") from None
    return _frame(b"c", head + _strings(patterns))


@dataclass(frozen=True, slots=True)
class Ready:
    """The launcher is up."""

    version: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The launcher is there; a connection keeps it to itself."""


@dataclass(frozen=True, slots=True)
class Started:
    """The stage's command runs."""


@dataclass(frozen=True, slots=True)
class Prestarted:
    """The held command waits for its main file."""


@dataclass(frozen=True, slots=True)
class Stdout:
    """What the program wrote to its standard output, or to its terminal."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Stderr:
    """What the program wrote to its standard error."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """So many bytes of input have been taken."""

    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Whether the program waits for its input."""

    waiting: bool
    sleeping: bool = False


@dataclass(frozen=True, slots=True)
class Lingers:
    """The command has ended; what it left behind may go on writing for a moment."""


class Hits(Flag):
    """Limits that a stage ran into."""

    PIDS = 1
    """It was refused a process or a thread."""
    WORKSPACE = 2
    """As it ended, the workspace had no room for another byte,"""
    INODES = 4
    """or for another file,"""
    SHARED_MEMORY = 8
    """or /dev/shm for another byte."""


_NONE = Hits(0)


@dataclass(frozen=True, slots=True)
class StageEnd:
    """The stage is over, all of its output has been sent, and none of its processes is left.

    Exactly one of `exit_code` and `signal` is set. Times are seconds. `peak_memory` is the most bytes that everything
    in the container had at once, its files in memory included and caches not; where the container had more before,
    or the kernel does not tell, it is at least what the largest process had. `oom_kills` says how many processes the
    kernel killed for want of memory, and `used_up_cpu_time` whether the launcher killed it since it had used as much
    CPU as it may.
    """

    exit_code: int | None
    signal: int | None
    wall_time: float
    user_time: float
    system_time: float
    peak_memory: int
    oom_kills: int
    used_up_cpu_time: bool = False
    hits: Hits = _NONE


@dataclass(frozen=True, slots=True)
class Failure:
    """What the launcher could not do; the stage in question did not run."""

    message: str


@dataclass(frozen=True, slots=True)
class Saved:
    """The workspace is saved."""


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """A file that was asked for, or a piece of it.

    Attributes:
        path: relative to the workspace, of printable characters.
        mode: its permission bits.
        content: a piece; the whole file is that of this event and of those that follow and do not begin one.
        begins: whether this is the file's first piece.
    """

    path: str
    mode: int
    content: bytes
    begins: bool


class OmittedReason(Enum):
    """Why a file that matches was not sent."""

    TOO_LARGE = 0
    TOO_MANY = 1
    NOT_REGULAR = 2
    UNREADABLE = 3


@dataclass(frozen=True, slots=True)
class Omitted:
    """A file that matches, or a folder that may hold some, and that was not sent.

    Attributes:
        path: relative to the workspace; bytes that are no UTF-8, and control characters, are escaped (`\\xff`).
        reason: why.
    """

    path: str
    reason: OmittedReason


@dataclass(frozen=True, slots=True)
class Collected:
    """All that was asked for has come: so many files."""

    count: int


Event = (
    Ready
    | Pong
    | Started
    | Prestarted
    | Stdout
    | Stderr
    | Ack
    | Waiting
    | Lingers
    | StageEnd
    | Failure
    | Saved
    | CollectedFile
    | Omitted
    | Collected
)


def _stage_end(payload: bytes) -> StageEnd:
    kind, value, wall, user, system, peak, oom_kills, used_up_cpu_time, hits = _STAGE_END.unpack(payload)
    if kind > 1:
        raise ValueError
    return StageEnd(
        exit_code=None if kind else value,
        signal=value if kind else None,
        wall_time=wall / 1e6,
        user_time=user / 1e6,
        system_time=system / 1e6,
        peak_memory=peak,
        oom_kills=oom_kills,
        used_up_cpu_time=used_up_cpu_time,
        hits=Hits(hits),
    )


def _empty(payload: bytes) -> None:
    if payload:
        raise ValueError


def _pong(payload: bytes) -> Pong:
    _empty(payload)
    return Pong()


def _started(payload: bytes) -> Started:
    _empty(payload)
    return Started()


def _prestarted(payload: bytes) -> Prestarted:
    _empty(payload)
    return Prestarted()


def _waiting(payload: bytes) -> Waiting:
    if payload not in {b"\0", b"\1", b"\2"}:
        raise ValueError
    return Waiting(payload == b"\1", sleeping=payload == b"\2")


def _lingers(payload: bytes) -> Lingers:
    _empty(payload)
    return Lingers()


def _saved(payload: bytes) -> Saved:
    _empty(payload)
    return Saved()


def _until_nul(payload: bytes) -> tuple[bytes, bytes]:
    head, nul, rest = payload.partition(b"\0")
    if not head or not nul:
        raise ValueError
    return head, rest


def _file(payload: bytes) -> CollectedFile:
    continues, mode = struct.unpack_from(">BH", payload)
    path, content = _until_nul(payload[3:])
    if continues > 1 or mode > _MODE_MAX:
        raise ValueError
    return CollectedFile(path.decode(), mode, content, not continues)


def _omitted(payload: bytes) -> Omitted:
    path, rest = _until_nul(payload[1:])
    _empty(rest)
    text = path.decode("utf-8", "backslashreplace")
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return Omitted(printable, OmittedReason(payload[0]))


_PARSERS: dict[int, Callable[[bytes], Event]] = {
    ord("R"): lambda payload: Ready(*struct.unpack(">B", payload)),
    ord("N"): _pong,
    ord("S"): _started,
    ord("P"): _prestarted,
    ord("O"): Stdout,
    ord("E"): Stderr,
    ord("A"): lambda payload: Ack(*struct.unpack(">I", payload)),
    ord("W"): _waiting,
    ord("L"): _lingers,
    ord("Z"): _stage_end,
    ord("X"): lambda payload: Failure(payload.decode("utf-8", "replace")),
    ord("V"): _saved,
    ord("F"): _file,
    ord("M"): _omitted,
    ord("C"): lambda payload: Collected(*struct.unpack(">I", payload)),
}


class FrameDecoder:
    """Bytes from the launcher in, events out; how the bytes are split makes no difference."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Events that are complete with `data`; iterate to the end before feeding again.

        Raises:
            ProtocolError: these are not the launcher's frames. The decoder is of no use afterwards.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            parse = _PARSERS.get(kind)
            if parse is None or length > PAYLOAD_MAX:
                raise ProtocolError(f"unexpected bytes from the container: {bytes(self._buffer[:16])!r}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            try:
                event = parse(payload)
            except (ValueError, struct.error) as error:
                raise ProtocolError(f"a malformed {chr(kind)!r} frame from the container") from error
            yield event

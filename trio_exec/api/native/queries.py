"""What can stand in a path and behind it: read, and described."""

from __future__ import annotations

import re

from trio_exec.api.native.parts import EncodingName
from trio_exec.api.routes import Parameter
from trio_exec.errors import RequestError

_SHOWN = 40
_ROOM_DIGITS = 6
"""No server takes more sessions than that."""
_POSITION_DIGITS = 15
"""No log is longer than that."""
_CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

SESSION_ID = Parameter(
    "sessionId",
    "The session's id, as it was answered when the session was started; or its `watchId`, to look and do nothing else.",
    {"type": "string"},
    in_path=True,
)
ROOM = Parameter("room", "How many more sessions there should be room for.", {"type": "integer", "minimum": 0})
AFTER = Parameter(
    "after", "A `seq` that the session has sent: what follows it is sent. Default: everything.", {"type": "integer"}
)
CLIENT = Parameter(
    "client", "A name for this client, by which its input is counted (`at`).", {"type": "string", "maxLength": 64}
)
ENCODING = Parameter("encoding", "How output is given.", {"type": "string", "enum": ["utf-8", "base64"]})

KEEP = Parameter("keep", "Whether the connection goes on after a session's end, for the next one.", {"type": "boolean"})


def flag(name: str, wanted: str | None) -> bool:
    """A yes or no.

    Raises:
        RequestError: it is neither.
    """
    if wanted not in {None, "true", "false"}:
        raise RequestError(f"{name}: {(wanted or '')[:_SHOWN]!r} is neither; write {name}=true", field=name)
    return wanted == "true"


def room(wanted: str | None) -> int:
    """How many sessions a balancer wants there to be room for.

    Raises:
        RequestError: that is no number.
    """
    if wanted is None:
        return 0
    if not _is_number(wanted, _ROOM_DIGITS):
        raise RequestError(f"room: {wanted[:_SHOWN]!r} is no number of sessions; write /readyz?room=1", field="room")
    return int(wanted)


def after(wanted: str | None, end: int) -> int:
    """The position in a log from which on a client wants it.

    Raises:
        RequestError: the log, which ends at `end`, has none like that.
    """
    if wanted is None:
        return 0
    if not _is_number(wanted, _POSITION_DIGITS) or int(wanted) > end:
        raise RequestError(
            f"after: {wanted[:_SHOWN]!r} is no position in this session; use a `seq` that it has sent, up to {end}",
            field="after",
        )
    return int(wanted)


def client_name(wanted: str | None) -> str | None:
    """The name that a client gives itself.

    Raises:
        RequestError: that can't be one.
    """
    if wanted is not None and not _CLIENT_NAME.fullmatch(wanted):
        raise RequestError(
            f"client: {wanted[:_SHOWN]!r} can't be a client's name; take 1 to 64 letters, digits, `-` and `_`",
            field="client",
        )
    return wanted


def encoding(wanted: str | None) -> EncodingName:
    """How a client wants output.

    Raises:
        RequestError: there is no such way.
    """
    match wanted:
        case None | "utf-8":
            return "utf-8"
        case "base64":
            return "base64"
        case _:
            raise RequestError(f"encoding: {wanted[:_SHOWN]!r} is none; there are utf-8 and base64", field="encoding")


def _is_number(text: str, digits: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= digits

"""The WebSocket's messages, defined once for both directions."""

from __future__ import annotations

import signal as signals
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from trio_exec.api.native.answers import SessionCreated
from trio_exec.api.native.parts import EncodingName, ErrorBody, StateFields, Wire
from trio_exec.api.native.requests import TerminalSize, decode
from trio_exec.api.native.text import Text
from trio_exec.errors import RequestError
from trio_exec.model import Status, Stream
from trio_exec.session.output import StateChange
from trio_exec.session.present import Present


class StdoutMessage(Wire):
    """Standard output, or the terminal's output."""

    type: Literal["stdout"] = "stdout"
    data: str
    encoding: Literal["base64"] | None = None
    seq: int


class StderrMessage(Wire):
    """Standard error."""

    type: Literal["stderr"] = "stderr"
    data: str
    encoding: Literal["base64"] | None = None
    seq: int


class StateMessage(StateFields):
    """A change of the session's state."""

    type: Literal["state"] = "state"
    seq: int

    @classmethod
    def of(cls, status: Status, seq: int) -> StateMessage:
        """The form of a state; `seq` is the position behind it."""
        return cls(**cls.fields_of(status), seq=seq)


class InputWaitMessage(Wire):
    """Whether the program waits for its input."""

    type: Literal["input_wait"] = "input_wait"
    waiting: bool


class IdleMessage(Wire):
    """In so many seconds the session ends, unless something happens; `null`: something has."""

    type: Literal["idle"] = "idle"
    ends_in: float | None

    def to_json(self) -> str:
        """Its text; that nothing ends is said, and not left out."""
        return self.model_dump_json()


class ActivityMessage(Wire):
    """Whether the program sleeps: nothing of it has run for a second, and it does not wait for its input."""

    type: Literal["activity"] = "activity"
    sleeping: bool


class WatchersMessage(Wire):
    """So many watch the session by its `watchId`."""

    type: Literal["watchers"] = "watchers"
    count: int


class InputAckMessage(Wire):
    """The answer to input that says where it belongs: so many bytes of this client's were taken, and more have room."""

    type: Literal["input_ack"] = "input_ack"
    at: int
    room: int
    error: str | None = None
    code: str | None = None


class ErrorMessage(ErrorBody):
    """The client's last message could not be used."""

    type: Literal["error"] = "error"
    retry_after: int | None = None


class SessionMessage(SessionCreated):
    """The session that was asked for, by this very connection."""

    type: Literal["session"] = "session"


class InputMessage(Wire):
    """Input, as text or as bytes; `at` is how many bytes of this client's come before it, if it says so."""

    type: Literal["input"] = "input"
    data: str
    encoding: EncodingName | None = None
    at: Annotated[int, Field(ge=0)] | None = None

    def content(self) -> bytes:
        """What is meant.

        Raises:
            RequestError: it is not what it says it is.
        """
        try:
            return decode(self.data, self.encoding)
        except ValueError as error:
            raise RequestError(f"data: {error}", field="data") from error


class EofMessage(Wire):
    """End of input."""

    type: Literal["eof"] = "eof"


def _signal_name(value: str) -> str:
    if value not in signals.Signals.__members__:
        raise ValueError(f"there is no signal {value[:40]!r}; names are as in SIGINT, SIGTERM, SIGKILL")
    return value


class SignalMessage(Wire):
    """A signal for the program."""

    type: Literal["signal"] = "signal"
    signal: Annotated[str, AfterValidator(_signal_name)]

    @property
    def number(self) -> int:
        """The signal's number."""
        return signals.Signals[self.signal].value


class ResizeMessage(Wire):
    """A new terminal size."""

    type: Literal["resize"] = "resize"
    rows: TerminalSize
    cols: TerminalSize


class AliveMessage(Wire):
    """Somebody is there, such as one who types and has not pressed Enter: the idle timeout begins anew."""

    type: Literal["alive"] = "alive"


class LeaveMessage(Wire):
    """The client leaves by choice, and closes the connection: if nobody else is there, the session soon ends."""

    type: Literal["leave"] = "leave"


class StopMessage(Wire):
    """End the session."""

    type: Literal["stop"] = "stop"


ServerMessage = (
    SessionMessage
    | StdoutMessage
    | StderrMessage
    | StateMessage
    | InputWaitMessage
    | ActivityMessage
    | IdleMessage
    | WatchersMessage
    | InputAckMessage
    | ErrorMessage
)
ClientMessage = InputMessage | EofMessage | SignalMessage | ResizeMessage | AliveMessage | LeaveMessage | StopMessage

SERVER_MESSAGES: tuple[type[Wire], ...] = get_args(ServerMessage)
CLIENT_MESSAGES: tuple[type[Wire], ...] = get_args(ClientMessage)


def kind_of(message: type[Wire]) -> str:
    """What the `type` of a kind of message is."""
    return str(message.model_fields["type"].default)


def message_of(entry: Text | StateChange, encoding: EncodingName) -> StdoutMessage | StderrMessage | StateMessage:
    """The form of what a cursor has read."""
    if isinstance(entry, StateChange):
        return StateMessage.of(entry.status, entry.seq)
    of = StdoutMessage if entry.stream is Stream.STDOUT else StderrMessage
    return of(data=entry.data, encoding="base64" if encoding == "base64" else None, seq=entry.seq)


def messages_between(
    before: Present, now: Present, at: float
) -> Iterator[InputWaitMessage | ActivityMessage | IdleMessage | WatchersMessage]:
    """What a client is told that knows how things stood before.

    Args:
        before: so they did.
        now: so they do.
        at: the time, by Trio's clock.
    """
    if now.waiting != before.waiting:
        yield InputWaitMessage(waiting=now.waiting)
    if now.sleeping != before.sleeping:
        yield ActivityMessage(sleeping=now.sleeping)
    if now.idle_until != before.idle_until:
        yield IdleMessage(ends_in=None if now.idle_until is None else round(max(0.0, now.idle_until - at), 3))
    if now.watchers != before.watchers:
        yield WatchersMessage(count=now.watchers)

"""What the API's paths take and answer, as a table: the application serves it, and descriptions are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pydantic import BaseModel
from quart import Response

from trio_exec.errors import TrioExecError

JSON = "application/json"
NDJSON = "application/x-ndjson"


class Audience(Enum):
    """Whom something is for."""

    ANYBODY = "anybody"
    """Also for whom nobody knows: it is no secret, or its path holds a session's id, which is one."""
    OWNERS = "owners"
    """For whoever has a key, or is named by a proxy; where neither is needed, for anybody."""
    OPERATORS = "operators"
    """For those with an operator's key; where nothing is needed, for anybody."""


Models = Sequence[type[BaseModel]]
"""What may be in a place: one of these."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One in a path or behind it.

    Attributes:
        name: as in the path.
        description: what it means, for users.
        schema: JSON schema of its value.
        in_path: whether it is a part of the path, and not of the query behind it.
    """

    name: str
    description: str
    schema: Mapping[str, object]
    in_path: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered when all is well.

    Attributes:
        status: the HTTP status.
        description: when, and with what, for users.
        content: models by media type; for `NDJSON`, of its lines; none for what is plain text.
    """

    status: int
    description: str
    content: Mapping[str, Models]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: the HTTP method.
        path: with parameters as `{name}`.
        name: of the operation; unique.
        summary: what it does, for users.
        handler: answers it; its arguments are the path's parameters.
        parameters: of the path and behind it.
        request: what its body may be; nothing for a request without one.
        answers: when all is well.
        errors: ours that may be raised beside those that any request can meet.
        any_host: whether it answers under whatever name.
        audience: whom it answers.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[..., Awaitable[Response]]
    answers: Sequence[Answer]
    parameters: Sequence[Parameter] = ()
    request: Models = ()
    errors: Sequence[type[TrioExecError]] = ()
    any_host: bool = False
    audience: Audience = Audience.ANYBODY


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of message over a WebSocket.

    Attributes:
        model: its form.
        name: unique among those of its WebSocket.
    """

    model: type[BaseModel]
    name: str

    @property
    def summary(self) -> str:
        """What it says, for users."""
        return (self.model.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Socket:
    """The path of a WebSocket.

    Attributes:
        path: with parameters as `{name}`.
        name: unique.
        summary: what it is for, for users.
        handler: serves it; its arguments are the path's parameters.
        parameters: of the path and behind it.
        receives: what clients may send.
        sends: what the server sends.
        errors: ours that may refuse the upgrade.
        closes: close codes, with their meaning for users.
        audience: whom it serves.
    """

    path: str
    name: str
    summary: str
    handler: Callable[..., Awaitable[None]]
    receives: Sequence[Message]
    sends: Sequence[Message]
    parameters: Sequence[Parameter] = ()
    errors: Sequence[type[TrioExecError]] = ()
    closes: Mapping[int, str] = field(default_factory=dict[int, str])
    audience: Audience = Audience.ANYBODY

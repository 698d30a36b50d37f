"""The WebSockets described for machines: AsyncAPI 3.0, made of their table and of the models that validate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trio_exec.api.routes import Message, Socket
from trio_exec.api.schemas import schemas_of
from trio_exec.version import __version__

DESCRIPTION = (
    "A program's output and states come as messages, and its input, signals and the terminal's size go as messages, "
    "each a JSON object with a `type`. docs/api.md explains them, with an example; the paths for plain HTTP are "
    "described at /openapi.json."
)


def asyncapi(sockets: Sequence[Socket]) -> dict[str, Any]:
    """The description of the WebSockets, as of AsyncAPI 3.0. Client and server are told from the client's side."""
    received = {message.name: message for socket in sockets for message in socket.receives}
    sent = {message.name: message for socket in sockets for message in socket.sends}
    schemas = schemas_of([message.model for message in received.values()], [message.model for message in sent.values()])
    messages = {name: _message(message, schemas.of[message.model]) for name, message in {**received, **sent}.items()}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for socket in sockets:
        channels[socket.name] = _channel(socket)
        for action, direction in (("send", socket.receives), ("receive", socket.sends)):
            operations[f"{socket.name}{action.capitalize()}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{socket.name}"},
                "messages": [{"$ref": f"#/channels/{socket.name}/messages/{message.name}"} for message in direction],
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "trio-exec", "version": __version__, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.definitions},
    }


def _message(message: Message, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": message.name, "summary": message.summary, "payload": schema}


def _channel(socket: Socket) -> dict[str, Any]:
    query = {it.name: {**it.schema, "description": it.description} for it in socket.parameters if not it.in_path}
    closes = "\n".join(f"- {code}: {meaning}" for code, meaning in sorted(socket.closes.items()))
    return {
        "address": socket.path,
        "summary": socket.summary,
        "description": f"Close codes:\n\n{closes}",
        "parameters": {it.name: {"description": it.description} for it in socket.parameters if it.in_path},
        "messages": {
            message.name: {"$ref": f"#/components/messages/{message.name}"}
            for message in [*socket.receives, *socket.sends]
        },
        "bindings": {"ws": {"query": {"type": "object", "properties": query}}},
    }

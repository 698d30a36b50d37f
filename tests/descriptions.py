"""The API's descriptions, as what real traffic is held against."""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from trio_exec.api.asyncapi import asyncapi
from trio_exec.api.metrics import metrics_route
from trio_exec.api.native.rest import Rest
from trio_exec.api.openapi import openapi
from trio_exec.observe.metrics import Metrics

NDJSON = "application/x-ndjson"


@cache
def described() -> dict[str, Any]:
    return _closed(openapi([*_wire().routes, metrics_route(Metrics([]))]))


@cache
def described_sockets() -> dict[str, Any]:
    return _closed(asyncapi(_wire().sockets))


def _wire() -> Rest:
    return Rest(None, None, None)  # type: ignore[arg-type] - what it serves makes no difference to what it describes


def _closed(description: dict[str, Any]) -> dict[str, Any]:
    """The same, but for what it does not tell: a field that we send and don't describe is an error of ours."""
    description = copy.deepcopy(description)
    for schema in description["components"]["schemas"].values():
        if schema["type"] == "object":
            schema.setdefault("additionalProperties", False)
    return description


@cache
def _validator(schema: str, kind: str) -> Validator:
    description = described() if kind == "http" else described_sockets()
    return Draft202012Validator({**json.loads(schema), "components": description["components"]})


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, operations in described()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.partition("?")[0]):
            return operations.get("get" if method == "HEAD" else method.lower())
    return None


def check_answer(method: str, path: str, status: int, media_type: str, body: bytes) -> None:
    """Fails if an answer is none that the description has for the request."""
    operation = _operation(method, path)
    if operation is None:
        assert status in {200, 204, 304, 400, 403, 404, 405, 416}, (method, path, status)
        return
    response = operation["responses"].get(str(status))
    assert response is not None, f"{method} {path}: {status} is not described: {body[:300]!r}"
    if method == "HEAD":
        return
    content = response["content"].get(media_type)
    assert content is not None, f"{method} {path}: {status} with {media_type} is not described"
    if content["schema"] == {"type": "string"}:
        return
    validator = _validator(json.dumps(content["schema"]), "http")
    for text in body.splitlines() if media_type == NDJSON else [body]:
        _validate(validator, json.loads(text), f"{method} {path}: {status}")


def check_message(text: str | bytes, *, sent_by: str) -> None:
    """Fails if a WebSocket's message is none that the description has for the `server`, or for the `client`."""
    message = json.loads(text)
    name = message.get("type", "request")
    payload = described_sockets()["components"]["messages"][name]["payload"]
    direction = "receive" if sent_by == "server" else "send"
    operation = next(it for it in described_sockets()["operations"].values() if it["action"] == direction)
    assert name in {it["$ref"].rpartition("/")[2] for it in operation["messages"]}, (name, sent_by)
    _validate(_validator(json.dumps(payload), "websocket"), message, f"{name} from the {sent_by}")


def _validate(validator: Validator, value: Any, what: str) -> None:
    errors = [f"{it.json_path}: {it.message[:300]}" for it in validator.iter_errors(value)]
    assert not errors, f"{what}: {errors}"

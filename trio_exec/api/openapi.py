"""The API described for machines: OpenAPI 3.1, made of the table of routes and of the models that validate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from trio_exec.api.access import HostError, OriginError
from trio_exec.api.auth import KEY_HEADER
from trio_exec.api.native.parts import ErrorBody
from trio_exec.api.routes import JSON, NDJSON, Audience, Models, Parameter, Route
from trio_exec.api.schemas import Schemas, schemas_of
from trio_exec.errors import ForbiddenError, TrioExecError, UnauthorizedError
from trio_exec.version import __version__

DESCRIPTION = (
    "Runs untrusted code in hardened, single-use containers. What is said here of each path is explained, with "
    "examples, in docs/api.md; the WebSockets are described at /asyncapi.json."
)
_ANY = {
    400: ("bad_request",),
    431: ("headers_too_large",),
    500: ("internal_error",),
    503: ("too_many_connections",),
    505: ("version_not_supported",),
}
"""What any request can meet, by status, beside our own errors: from what is in front of the routes."""
_WITH_A_BODY = {408: ("request_timeout",), 413: ("request_too_large",), 501: ("not_implemented",)}
_OF_AUDIENCES: dict[Audience, Sequence[type[TrioExecError]]] = {
    Audience.ANYBODY: (),
    Audience.OWNERS: (UnauthorizedError,),
    Audience.OPERATORS: (UnauthorizedError, ForbiddenError),
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the server needs one."},
    "apiKey": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same, another way."},
}
_REASONS = {
    400: "The request can't be used; `field` and `error` say what to do.",
    401: "The server needs a key, and there was none, or one that it does not know.",
    403: "Whoever asks, or the page from which they do, may not do that.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "That is not possible now.",
    413: "The body is larger than this server takes.",
    415: "The body is not declared as JSON in UTF-8.",
    422: "What was given can't be formatted; `error`, `file` and `line` say why.",
    426: "The path is that of a WebSocket.",
    429: "There is no room, or you have had your share; try again later.",
    431: "The headers are larger than this server takes.",
    500: "Internal error; see the server's log.",
    501: "The body comes in an encoding that this server does not take.",
    503: "Not possible just now; try again later.",
    505: "The server speaks HTTP/1.1.",
}


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """The description of a table of routes, as of OpenAPI 3.1."""
    schemas = schemas_of(*_models(routes))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "trio-exec", "version": __version__, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": _SCHEMES},
    }


def _models(routes: Iterable[Route]) -> tuple[Models, Models]:
    """All that are asked with, and all that are answered with."""
    requests: dict[type[BaseModel], None] = {}
    answers: dict[type[BaseModel], None] = {ErrorBody: None}
    for route in routes:
        requests.update(dict.fromkeys(route.request))
        for answer in route.answers:
            for models in answer.content.values():
                answers.update(dict.fromkeys(models))
    return list(requests), list(answers)


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    if route.audience is not Audience.ANYBODY:
        operation["security"] = [{name: list[str]()} for name in _SCHEMES] + [{}]  # As the server's settings say.
    if route.parameters:
        operation["parameters"] = [parameter(it) for it in route.parameters]
    if route.request:
        schema = one_of([schemas.of[model] for model in route.request])
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    responses: dict[str, Any] = {}
    for answer in route.answers:
        content = {
            media_type: {"schema": one_of([schemas.of[model] for model in models]) if models else {"type": "string"}}
            for media_type, models in answer.content.items()
        }
        description = answer.description
        if NDJSON in content:
            description += f" As {NDJSON}, the schema is that of a line."
        responses[str(answer.status)] = {"description": description, "content": content}
    for status, codes in _errors_of(route).items():
        _add_error(responses, status, codes, schemas)
    operation["responses"] = dict(sorted(responses.items()))
    return operation


def _errors_of(route: Route) -> dict[int, list[str]]:
    """Codes by status."""
    found: dict[int, list[str]] = {}
    for table in [_ANY, _WITH_A_BODY if route.request else {}]:
        for status, codes in table.items():
            found.setdefault(status, []).extend(codes)
    ours = [*route.errors, *_OF_AUDIENCES[route.audience], OriginError, *([] if route.any_host else [HostError])]
    for error in ours:
        codes = found.setdefault(error.status, [])
        if error.code not in codes:
            codes.append(error.code)
    return found


def _add_error(responses: dict[str, Any], status: int, codes: Sequence[str], schemas: Schemas) -> None:
    schema = {
        "allOf": [schemas.of[ErrorBody], {"properties": {"code": {"enum": sorted(codes)}}}],
    }
    response = responses.setdefault(str(status), {"description": _REASONS[status], "content": {}})
    there = response["content"].get(JSON)
    response["content"][JSON] = {"schema": schema if there is None else one_of([there["schema"], schema])}
    if status in {429, 503}:
        response["headers"] = {
            "Retry-After": {"description": "Seconds until it may be possible.", "schema": {"type": "integer"}}
        }


def one_of(schemas: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A schema for what is like any of these."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def parameter(described: Parameter) -> dict[str, Any]:
    """One of a path or behind it."""
    return {
        "name": described.name,
        "in": "path" if described.in_path else "query",
        "required": described.in_path,
        "description": described.description,
        "schema": dict(described.schema),
    }

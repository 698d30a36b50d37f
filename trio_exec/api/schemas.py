"""JSON schemas of models, for descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from trio_exec.api.routes import Models

_REFERENCE = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Schemas:
    """Schemas of models, and of all that they are made of.

    Attributes:
        of: a model's, which refers to its definition.
        definitions: by name.
    """

    of: Mapping[type[BaseModel], dict[str, Any]]
    definitions: Mapping[str, dict[str, Any]]


def schemas_of(requests: Models, answers: Models) -> Schemas:
    """Schemas of what clients send, and of what they are sent.

    Requests are closed: a field that is not known is refused. Answers are not: clients have to bear new fields.
    """
    asked, asked_definitions = _generate(requests, "validation")
    answered, answered_definitions = _generate(answers, "serialization")
    for definition in answered_definitions.values():
        definition.pop("additionalProperties", None)
    return Schemas({**answered, **asked}, {**answered_definitions, **asked_definitions})


def _generate(
    models: Models, mode: Literal["validation", "serialization"]
) -> tuple[dict[type[BaseModel], dict[str, Any]], dict[str, dict[str, Any]]]:
    keys, schema = models_json_schema([(model, mode) for model in models], ref_template=_REFERENCE)
    return {model: keys[model, mode] for model in models}, schema.get("$defs", {})

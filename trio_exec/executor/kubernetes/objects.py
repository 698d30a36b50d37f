"""Looks into the API's objects, of which any part may be missing, or of another kind than one thinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Object = dict[str, Any]
"""One of the API's objects, as it is parsed from JSON."""

NOTHING: Mapping[str, Any] = {}


def mapping(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that has parts itself; an empty one if there is none."""
    value = of.get(name)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else NOTHING


def entries(of: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A part that is a list of such; an empty one if there is none."""
    value = of.get(name)
    return cast("list[Mapping[str, Any]]", value) if isinstance(value, list) else []


def text(of: Mapping[str, Any], name: str) -> str:
    """A part that is a text; an empty one if there is none."""
    value = of.get(name)
    return value if isinstance(value, str) else ""

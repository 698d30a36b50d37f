"""What settings are made of: kinds of values, and groups of fields."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode


def split(value: object) -> object:
    """The parts of a list that is written as one text; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def sizes(value: object, form: str) -> object:
    """Numbers by names, written as one text: name=number, separated by commas. Anything else as it is.

    Args:
        value: the text.
        form: how it has to look, for whoever wrote it otherwise.

    Raises:
        ValueError: it has another form.
    """
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for part in value.split(","):
        name, equals, size = part.rpartition("=")
        if not equals:
            raise ValueError(f"{part.strip()!r} is not of the form {form}")
        found[name.strip()] = size.strip()
    return found


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split)]
"""A list; in the environment, separated by commas."""


class Group(BaseModel):
    """Settings that are needed together. Whoever needs no others takes the group, and not all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heading: ClassVar[str]
    """What `trio-exec config` writes above them."""

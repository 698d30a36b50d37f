"""What settings are made of: kinds of values, and groups of fields."""

from __future__ import annotations

from typing import Annotated, ClassVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
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

    @field_validator("*", mode="before")
    @classmethod
    def _meant(cls, value: object, info: ValidationInfo) -> object:
        """Refuses what would be taken for something else: true for 1, and settings below the heading of a table."""
        name = str(info.field_name)
        if isinstance(value, bool) and cls.model_fields[name].annotation is not bool:
            raise ValueError(f"{str(value).lower()} is no value for it; write a number or a text")
        if isinstance(value, dict):
            table = cast("dict[str, object]", value)
            if written := [it for it in table if it in cls.model_fields]:
                raise ValueError("; ".join(_misplaced(it, name) for it in written))
            return table
        return value


def _misplaced(name: str, heading: str) -> str:
    return f"{name} is a setting of its own, but stands below [{heading}]; write it above that line"

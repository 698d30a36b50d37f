"""What containers there are, and how they are made."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from trio_exec.defaults import default_pool
from trio_exec.errors import ConfigurationError
from trio_exec.settings.fields import Group, Names, sizes
from trio_exec.variables import none_of

MAX_UID = 65535
"""The last one that an engine with user namespaces can map by default."""
LIMIT_NAMES = ("memory", "swap", "pids", "cpu")
"""What an engine may be unable to limit; see `ExecutorSettings.missing_limits`."""


class ExecutorSettings(Group):
    """What containers there are, and how they are made."""

    heading = "Containers: of which languages, how many in advance, and how they are made"

    # These two come before `pool`, whose default depends on them.
    languages: Names = Field(default=(), description="names of the languages to offer; default: all that there are")
    languages_dir: Path | None = Field(
        default=None,
        description="directory with further languages, each a directory with language.toml and Dockerfile",
    )

    pool: Annotated[dict[str, Annotated[int, Field(ge=0, le=100)]], NoDecode] = Field(
        default_factory=default_pool,
        description="warm containers to keep by language, such as python=4,java=2; 0 for none at all",
    )
    uids: str = Field(
        default="50000-59999",
        pattern=r"^[0-9]{1,5}-[0-9]{1,5}$",
        validate_default=True,
        description="user ids for programs, one for each container; another range for each server on one engine",
    )
    runtime: str | None = Field(
        default=None, description="Docker runtime for the containers, such as runsc; default: the engine's"
    )

    base_registry: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._:-]+/)*$",
        description="what comes before base images' names when images are built, such as mirror.example.org/library/",
    )
    missing_limits: Names = Field(
        default=(),
        description="limits that programs may do without where the engine can't enforce them: memory, swap, pids, cpu",
    )

    @field_validator("missing_limits")
    @classmethod
    def _limits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in LIMIT_NAMES]:
            raise ValueError(none_of(unknown, LIMIT_NAMES))
        return value

    @field_validator("pool", mode="before")
    @classmethod
    def _sizes(cls, value: object) -> object:
        if str(value).strip() == "0":
            return {}
        return sizes(value, "language=size; write python=4,java=2, or 0")

    @field_validator("uids")
    @classmethod
    def _mappable(cls, value: str) -> str:
        ids = uids_of(value)
        if ids.start < 1 or ids.stop - 1 > MAX_UID:
            raise ValueError(f"{value} is not within 1 to {MAX_UID}, which every engine can map")
        return value

    @property
    def uid_range(self) -> range:
        """The user ids for programs."""
        return uids_of(self.uids)

    def check_pool(self, languages: Collection[str]) -> None:
        """Returns if the pool is of languages that there are.

        Raises:
            ConfigurationError: it is not; names those.
        """
        if unknown := sorted(set(self.pool) - set(languages)):
            raise ConfigurationError(f"pool: {none_of(unknown, languages)}")


def uids_of(text: str) -> range:
    """The range that a setting names."""
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1)

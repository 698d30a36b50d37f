"""What a server offers, and whether it takes sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trio_exec.client.fields import (
    Object,
    flag_of,
    integer_of,
    needed_text,
    number_of,
    object_of,
    objects_of,
    strings_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the server offers.

    Attributes:
        source_file: what the main file is called when only `code` is given.
        extensions: what the names of main files end with.
        formats: whether its programs can be formatted.
    """

    name: str
    title: str
    aliases: Sequence[str]
    version: str
    source_file: str
    compiled: bool
    extensions: Sequence[str]
    formats: bool = False


@dataclass(frozen=True, slots=True)
class Languages:
    """What the server offers.

    Attributes:
        languages: in its order.
        limits: the server's limits by their names on the wire, such as `memoryBytes`; None where there is none.
    """

    languages: Sequence[Language]
    limits: dict[str, float | None]

    def find(self, name: str) -> Language | None:
        """The language of a name or an alias, or None."""
        wanted = name.lower()
        return next((it for it in self.languages if wanted in {it.name, *it.aliases}), None)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server takes sessions, and how many more.

    Attributes:
        ready: whether it does.
        reason: why it does not.
        running, queued: sessions that there are.
        free: how many more could start at once.
        room: how many more could be taken, those that would wait included.
        warm: containers that are warm, by language.
        missing: languages that can't be run yet, and why.
    """

    ready: bool
    reason: str | None
    running: int
    queued: int
    free: int
    room: int
    warm: dict[str, int]
    missing: dict[str, str]


def languages_of(data: Object) -> Languages:
    """The answer to `GET /languages`."""
    found = tuple(
        Language(
            name=needed_text(it, "name"),
            title=text_of(it, "title") or "",
            aliases=strings_of(it, "aliases"),
            version=text_of(it, "version") or "",
            source_file=text_of(it, "sourceFile") or "",
            compiled=flag_of(it, "compiled"),
            extensions=strings_of(it, "extensions"),
            formats=flag_of(it, "formats"),
        )
        for it in objects_of(data, "languages")
    )
    limits = object_of(data, "limits")
    return Languages(found, {name: number_of(limits, name) for name in limits})


def readiness_of(data: Object) -> Readiness:
    """The answer to `GET /readyz`."""
    warm = object_of(data, "warm")
    missing = object_of(data, "missing")
    return Readiness(
        ready=flag_of(data, "ready"),
        reason=text_of(data, "reason"),
        running=integer_of(data, "running") or 0,
        queued=integer_of(data, "queued") or 0,
        free=integer_of(data, "free") or 0,
        room=integer_of(data, "room") or 0,
        warm={name: integer_of(warm, name) or 0 for name in warm},
        missing={name: text_of(missing, name) or "" for name in missing},
    )

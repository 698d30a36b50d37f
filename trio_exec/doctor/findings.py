"""What was looked at, and what came of it: values, their order, and the two forms in which they are told."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from trio_exec.version import __version__

WIDTH = 100
_INDENT = " " * 10


class Level(StrEnum):
    """How a finding is to be taken; the worst first."""

    BROKEN = "broken"
    """Sessions can't be run as they should be, or programs can do what they must not."""
    WARNING = "warning"
    """It works, and could be better, or will not work under load."""
    SKIPPED = "skipped"
    """It could not be looked at; says why."""
    OK = "ok"


_COLOURS = {Level.BROKEN: "1;31", Level.WARNING: "1;33", Level.SKIPPED: "2", Level.OK: "32"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was looked at: a stable name, as `area.thing`.
        level: how it is to be taken.
        message: what was found, in one line.
        remedy: what to do about it; None where there is nothing to do.
    """

    check: str
    level: Level
    message: str
    remedy: str | None = None


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, remedy: str | None = None) -> Finding:
    """It works, and could be better."""
    return Finding(check, Level.WARNING, message, remedy)


def broken(check: str, message: str, remedy: str | None = None) -> Finding:
    """It does not work, or is not safe."""
    return Finding(check, Level.BROKEN, message, remedy)


def skipped(check: str, message: str, remedy: str | None = None) -> Finding:
    """It could not be looked at."""
    return Finding(check, Level.SKIPPED, message, remedy)


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The same, such that what matters most is read first; those of one level stay as they are."""
    order = list(Level)
    return sorted(findings, key=lambda it: order.index(it.level))


def worst(findings: Sequence[Finding]) -> Level:
    """The level of them all: what was skipped makes none worse."""
    levels = {it.level for it in findings}
    return next((level for level in (Level.BROKEN, Level.WARNING) if level in levels), Level.OK)


def as_json(findings: Iterable[Finding]) -> str:
    """One object for programs; docs/doctor.md has its shape."""
    listed = worst_first(findings)
    return json.dumps({"version": __version__, "status": worst(listed), "findings": [asdict(it) for it in listed]})


def as_text(findings: Iterable[Finding], *, colour: bool) -> str:
    """Lines for people: a finding each, what to do below it, and a last one that sums up."""
    listed = worst_first(findings)
    lines: list[str] = []
    for it in listed:
        lines.append(f"{_coloured(f'{it.level:8}', it.level, colour=colour)}  {it.check}: {it.message}")
        if it.remedy is not None:
            lines += _indented(it.remedy)
    return "\n".join([*lines, "", _summary(listed)])


def _indented(text: str) -> list[str]:
    """A text below its finding; words stay whole, so that commands can be copied."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{_INDENT}→ ",
        subsequent_indent=f"{_INDENT}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _coloured(text: str, level: Level, *, colour: bool) -> str:
    return f"\x1b[{_COLOURS[level]}m{text}\x1b[0m" if colour else text


def _summary(findings: Sequence[Finding]) -> str:
    counts = {level: sum(it.level is level for it in findings) for level in Level}
    parts = [
        f"{counts[level]} {words}"
        for level, words in (
            (Level.BROKEN, "broken"),
            (Level.WARNING, "with a warning"),
            (Level.SKIPPED, "not looked at"),
            (Level.OK, "well"),
        )
        if counts[level]
    ]
    verdict = {
        Level.BROKEN: "Do what is said above first: as it is, this can't be used.",
        Level.WARNING: "It can be used.",
        Level.OK: "It can be used.",
    }[worst(findings)]
    return f"{', '.join(parts)}. {verdict}"

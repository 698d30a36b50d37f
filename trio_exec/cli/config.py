"""`trio-exec config`: the settings, as a file that could be loaded again."""

from __future__ import annotations

import argparse
import re
from typing import cast

from trio_exec.cli.output import say
from trio_exec.languages import Languages
from trio_exec.settings import GROUPS, PREFIX, Settings


def run(_: argparse.Namespace) -> None:
    """Prints them, if the server can be started with them."""
    settings = Settings.load()
    settings.check_access()
    settings.check_pool(Languages.load(settings.languages_dir, settings.languages))
    say(describe(settings))


def describe(settings: Settings) -> str:
    """All settings with their values, as a TOML file."""
    lines: list[str] = []
    for group in GROUPS:
        lines.append(f"## {group.heading}\n")
        for name, field in group.model_fields.items():
            lines.append(f"# {field.description} ({PREFIX}{name.upper()})")
            value: object = getattr(settings, name)
            lines.append(f"{'# ' if value is None else ''}{name} = {_toml(value)}\n")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in cast('tuple[object, ...]', value))}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return f"{{ {', '.join(f'{_toml_key(name)} = {_toml(item)}' for name, item in pairs.items())} }}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)

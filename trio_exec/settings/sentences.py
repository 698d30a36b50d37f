"""What to say of settings that can't be used: sentences for those who wrote them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

from pydantic_core import ErrorDetails

from trio_exec.variables import no_such, none_of

_FORMS = {
    "dict_type": 'write a table such as { name = 4 }, or a text such as "name=4"',
    "path_type": "write a path, in quotes",
    "string_type": "write a text, in quotes",
    "tuple_type": 'write a list such as ["a", "b"], or a text such as "a,b"',
}
"""By pydantic's name of an error: what it wants, in words of TOML instead of Python's."""


_QUOTED = re.compile(r"'([^']*)'")
"""One of the words that pydantic lists, as in: 'none', 'keys' or 'proxy'."""


def sentence(detail: ErrorDetails, known: Collection[str], prefix: str) -> str:
    """What to say of one error that pydantic found.

    Args:
        detail: the error.
        known: the settings that there are.
        prefix: of their variables.
    """
    name, *within = [str(part) for part in detail["loc"]] or ["settings"]
    if detail["type"] == "extra_forbidden":
        given: object = detail["input"]
        if isinstance(given, dict):
            return _heading(name, cast("Mapping[str, object]", given), known, prefix)
        return no_such(name, known, prefix)
    if detail["type"] in {"enum", "literal_error"}:
        choices = _QUOTED.findall(str(detail.get("ctx", {}).get("expected", "")))
        return f"{name} ({prefix}{name.upper()}): {none_of([str(detail['input'])], choices)}"
    message = _FORMS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    return ": ".join([f"{name} ({prefix}{name.upper()})", *within, message])


def _heading(name: str, inside: Mapping[str, object], known: Collection[str], prefix: str) -> str:
    """A table that is no setting: a heading, mostly, as other programs' files have them."""
    settings = [it for it in inside if it in known]
    others = [no_such(it, known, prefix) for it in inside if it not in known]
    words = f"[{name}]: settings have no headings; take that line away"
    if settings:
        words += f", and write {', '.join(settings)} above any other heading"
    return "\n".join([words, *others])

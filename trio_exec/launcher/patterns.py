"""Patterns for paths below the workspace, as the launcher matches them.

Within one part of a path, `*` stands for any bytes, `?` for one, and `[…]` for one of a set (`[a-z]`, `[!a-z]`, a `]`
that comes first is a member). `**` as a whole part stands for any number of folders, none included, and at a pattern's
end for any file in them. A leading dot is matched by a dot only, as in shells. There is no escaping.
"""

from __future__ import annotations

PATTERNS_MAX = 32
PATTERN_LENGTH_MAX = 512
"""Bytes of UTF-8."""


def check_pattern(pattern: str) -> str:
    """Returns the pattern.

    Raises:
        ValueError: it is none; says why, in a sentence's second half.
    """
    try:
        length = len(pattern.encode())
    except UnicodeEncodeError:
        raise ValueError("holds characters that UTF-8 can't express") from None
    if length > PATTERN_LENGTH_MAX:
        raise ValueError(f"has {length} bytes; at most {PATTERN_LENGTH_MAX} are allowed")
    if "\0" in pattern:
        raise ValueError("holds a NUL character; no file name does")
    if pattern.startswith("/"):
        raise ValueError("is absolute; give a path below the workspace, such as 'out/*.txt'")
    parts = pattern.split("/")
    if "" in parts:
        raise ValueError("is empty or has an empty part; give the names of files, or '**' for all")
    if not {".", ".."}.isdisjoint(parts):
        raise ValueError("has a part '.' or '..'; give a path below the workspace, such as 'out/*.txt'")
    return pattern

"""Formats files in their places, by Black. What can't be is told as FILE:LINE:COLUMN: MESSAGE."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import Any

FOLDER = "/usr/local/lib/trio-exec/formatter"
sys.path.insert(0, FOLDER)
os.environ["BLACK_CACHE_DIR"] = FOLDER  # Tables of the grammar, as the image was built with them.

black: Any = import_module("black")  # It is found only now, and only in the image.
_PLACE = re.compile(r"(?P<why>.*?): (?P<line>[0-9]+):(?P<column>[0-9]+): (?P<text>.*)", re.DOTALL)


def _format(text: str) -> str:
    try:
        return black.format_file_contents(text, fast=False, mode=black.Mode())
    except black.NothingChanged:
        return text


def _place(text: str, error: Exception) -> tuple[int, int, str]:
    """Line and column, from 1, and what is wrong there."""
    place = _PLACE.fullmatch(str(error))
    if place is None:
        return 1, 1, str(error)
    # Black counts from the first character that is no white space.
    before = text[: len(text) - len(text.lstrip())]
    line, column = int(place["line"]), int(place["column"])
    if line == 1:
        column += len(before) - (before.rfind("\n") + 1)
    return line + before.count("\n"), column + 1, place["why"]


def main(names: list[str]) -> int:
    """Formats these files; says whether one of them could not be."""
    failed = 0
    for name in names:
        with open(name, encoding="utf-8", newline="") as file:
            text = file.read()
        try:
            formatted = _format(text)
        except (black.InvalidInput, SyntaxError) as error:
            line, column, words = _place(text, error)
            sys.stderr.write(f"{name}:{line}:{column}: {words}\n")
            failed = 1
            continue
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(formatted)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Settings whose defaults depend on the machine, or on other settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from trio_exec.languages import Languages
from trio_exec.limits import MIB

MEMORY_PER_PLACE = 2048 * MIB
"""Of the machine's memory, for one warm container of each language; one takes 15 to 95 MiB, its supervisor included."""
COMPILE_MEMORY_SHARE = 8
"""One compile stage at once for so many times its default limit of the machine's memory."""


def _memory() -> int:
    """Bytes that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def default_pool(settings: Mapping[str, Any]) -> dict[str, int]:
    """As many warm containers as each language's description says, fewer where memory is short.

    Args:
        settings: those that say which languages there are.

    Raises:
        ConfigurationError: a language can't be used.
    """
    languages = Languages.load(settings.get("languages_dir"), settings.get("languages", ()))
    places = _memory() // MEMORY_PER_PLACE
    return {name: min(language.pool, places) for name, language in languages.items() if language.pool}


def default_compiles() -> int:
    """As many as a part of the machine's memory allows, and at least one."""
    return max(1, min(10, _memory() // (COMPILE_MEMORY_SHARE * 512 * MIB)))

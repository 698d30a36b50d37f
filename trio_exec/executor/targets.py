"""How the pool's places are shared out among what is asked for: arithmetic, without I/O.

Each language has a size. Within the sum of all sizes, places go to where sessions have lately been asked for: a
burst of one language grows its share, and every kind keeps one place for as long as there are enough: each
language's more wanted kind first. Demand fades by half every `HALF_LIFE` seconds, so a pool that nobody uses goes
back to where it began, and after `IDLE_AFTER` seconds shrinks to one place for each kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HALF_LIFE = 60
IDLE_AFTER = 600
DEMAND_WEIGHT = 1.0
"""What one recent session weighs, against one place in a language's size."""


@dataclass(frozen=True, slots=True, order=True)
class PoolKey:
    """What is fixed when a container is warmed: two sessions of one kind can use the same."""

    language: str
    terminal: bool


class Targets:
    """Targets for each kind.

    Args:
        sizes: places by language.
        now: seconds on any clock that only grows.
    """

    def __init__(self, sizes: Mapping[str, int], now: float) -> None:
        self._sizes = _positive(sizes)
        self._dropped: set[str] = set()
        self._demand: dict[PoolKey, tuple[float, float]] = {}
        self._last = now

    @property
    def kinds(self) -> list[PoolKey]:
        """All kinds that there may be places for."""
        return _kinds(self._sizes)

    def resize(self, sizes: Mapping[str, int]) -> None:
        """Takes other sizes; languages that have none any more are still among the targets, with zero."""
        before = set(self._sizes) | self._dropped
        self._sizes = _positive(sizes)
        self._dropped = before - set(self._sizes)
        self._demand = {kind: demand for kind, demand in self._demand.items() if kind.language in self._sizes}

    def ask(self, kind: PoolKey, now: float) -> None:
        """Notes that a session of a kind was asked for."""
        if kind.language in self._sizes:
            self._demand[kind] = (self._faded(kind, now) + 1, now)
            self._last = now

    def _faded(self, kind: PoolKey, now: float) -> float:
        demand, since = self._demand.get(kind, (0.0, now))
        return demand * 0.5 ** ((now - since) / HALF_LIFE)

    def _ranked(self, weights: Mapping[PoolKey, float]) -> list[PoolKey]:
        """All kinds, the first to get a place first: one of each language, then the others."""
        by_weight = sorted(self.kinds, key=lambda kind: (-weights[kind], kind))
        first = {kind.language: kind for kind in reversed(by_weight)}
        return sorted(by_weight, key=lambda kind: kind != first[kind.language])  # A stable sort.

    def targets(self, now: float) -> dict[PoolKey, int]:
        """How many warm containers of each kind there should be."""
        total = sum(self._sizes.values())
        weights = {kind: self._sizes[kind.language] / 2 + DEMAND_WEIGHT * self._faded(kind, now) for kind in self.kinds}
        ranked = self._ranked(weights)
        targets = {kind: 1 if place < total else 0 for place, kind in enumerate(ranked)}
        targets |= dict.fromkeys(_kinds(self._dropped), 0)
        if now - self._last > IDLE_AFTER:
            return targets
        # The rest by weight, largest remainders last: whole places, and exactly as many as there are.
        rest = total - sum(targets.values())
        whole = sum(weights.values())
        for kind in ranked:
            targets[kind] += math.floor(rest * weights[kind] / whole)
        remainders = sorted(ranked, key=lambda kind: -((rest * weights[kind] / whole) % 1))
        for kind in remainders[: total - sum(targets.values())]:
            targets[kind] += 1
        return targets


def _positive(sizes: Mapping[str, int]) -> dict[str, int]:
    return {language: size for language, size in sizes.items() if size > 0}


def _kinds(languages: Iterable[str]) -> list[PoolKey]:
    return [PoolKey(language, terminal) for language in languages for terminal in (False, True)]

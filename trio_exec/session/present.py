"""What is so now of a session, and was never written down: of interest only to a client that has read everything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Present:
    """How things stand.

    Attributes:
        waiting: whether the program waits for its input, as far as is known.
        sleeping: whether nothing of it has run for a second, so that it sleeps, or waits for something else.
        idle_until: when the session ends for want of input and output, by Trio's clock; None unless that is near.
        watchers: how many watch it by its second id, and can do nothing else.
    """

    waiting: bool = False
    sleeping: bool = False
    idle_until: float | None = None
    watchers: int = 0

"""A session's states and the moves between them: a table, without I/O.

Rule 1: everything that says which state may follow which is in this file.
Rule 2: this file knows nothing of containers, clients or clocks.

An illegal move raises and changes nothing. docs/architecture.md shows `diagram()`.
"""

from __future__ import annotations

from trio_exec.model import State

TRANSITIONS: dict[State, frozenset[State]] = {
    # Waiting again: a new place in the queue.
    State.WAITING: frozenset({State.WAITING, State.COMPILING, State.RUNNING, State.TERMINATED}),
    # A compile that fails ends the session by itself, so it is finished.
    State.COMPILING: frozenset({State.RUNNING, State.FINISHED, State.TERMINATED}),
    State.RUNNING: frozenset({State.FINISHED, State.TERMINATED}),
    State.FINISHED: frozenset(),
    State.TERMINATED: frozenset(),
}


class IllegalTransitionError(Exception):
    """A move that the table does not have: a bug of ours."""


class Lifecycle:
    """The state that a session is in."""

    def __init__(self) -> None:
        self._state = State.WAITING

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    def move(self, to: State) -> None:
        """Goes on to another state.

        Raises:
            IllegalTransitionError: it can't follow the present one, which stays.
        """
        if to not in TRANSITIONS[self._state]:
            raise IllegalTransitionError(f"a session can't go from {self._state} to {to}")
        self._state = to


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.WAITING}"]
    for state in State:
        lines += [f"    {state} --> {to}" for to in State if to in TRANSITIONS[state]]
        if state.final:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)

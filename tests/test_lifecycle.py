"""The table of states, bare."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from trio_exec.model import State
from trio_exec.session.lifecycle import IllegalTransitionError, Lifecycle, diagram

PATHS = {
    State.WAITING: [],
    State.COMPILING: [State.COMPILING],
    State.RUNNING: [State.COMPILING, State.RUNNING],
    State.FINISHED: [State.RUNNING, State.FINISHED],
    State.TERMINATED: [State.TERMINATED],
}


ALLOWED = {
    (State.WAITING, State.WAITING),  # A new place in the queue.
    (State.WAITING, State.COMPILING),
    (State.WAITING, State.RUNNING),
    (State.WAITING, State.TERMINATED),
    (State.COMPILING, State.RUNNING),
    (State.COMPILING, State.FINISHED),
    (State.COMPILING, State.TERMINATED),
    (State.RUNNING, State.FINISHED),
    (State.RUNNING, State.TERMINATED),
}


def at(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    for step in PATHS[state]:
        lifecycle.move(step)
    assert lifecycle.state is state
    return lifecycle


@pytest.mark.parametrize(("start", "to"), sorted(ALLOWED))
def test_every_move_that_is_allowed(start: State, to: State) -> None:
    lifecycle = at(start)
    lifecycle.move(to)

    assert lifecycle.state is to


@pytest.mark.parametrize(("start", "to"), sorted(set(product(State, State)) - ALLOWED))
def test_any_other_move_raises_and_changes_nothing(start: State, to: State) -> None:
    lifecycle = at(start)
    with pytest.raises(IllegalTransitionError, match=f"from {start} to {to}"):
        lifecycle.move(to)

    assert lifecycle.state is start


def test_the_final_states() -> None:
    assert {state for state in State if state.final} == {State.FINISHED, State.TERMINATED}


def test_the_documentation_shows_the_table() -> None:
    text = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()

    assert diagram() in text

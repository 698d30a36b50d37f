"""The table of states, bare."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from trio_exec.session.lifecycle import TRANSITIONS, IllegalTransitionError, Lifecycle, State, diagram

PATHS = {
    State.WAITING: [],
    State.COMPILING: [State.COMPILING],
    State.RUNNING: [State.COMPILING, State.RUNNING],
    State.FINISHED: [State.RUNNING, State.FINISHED],
    State.TERMINATED: [State.TERMINATED],
}


@pytest.mark.parametrize(("start", "to"), list(product(State, State)))
def test_every_move_is_allowed_or_raises_and_changes_nothing(start: State, to: State) -> None:
    lifecycle = Lifecycle()
    for state in PATHS[start]:
        lifecycle.move(state)
    assert lifecycle.state is start

    if to in TRANSITIONS[start]:
        lifecycle.move(to)
        assert lifecycle.state is to
    else:
        with pytest.raises(IllegalTransitionError, match=f"from {start} to {to}"):
            lifecycle.move(to)
        assert lifecycle.state is start


def test_every_state_is_reachable_and_exactly_two_are_final() -> None:
    reachable = {State.WAITING}
    while more := {to for state in reachable for to in TRANSITIONS[state]} - reachable:
        reachable |= more

    assert reachable == set(State)
    assert {state for state in State if state.final} == {State.FINISHED, State.TERMINATED}


def test_every_state_but_the_final_ones_can_be_terminated() -> None:
    assert all(State.TERMINATED in TRANSITIONS[state] for state in State if not state.final)


def test_the_documentation_shows_the_table() -> None:
    text = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()

    assert diagram() in text

"""How the pool's places are shared out, as arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_exec.executor.targets import HALF_LIFE, IDLE_AFTER, PoolKey, Targets

PYTHON, PYTHON_TTY = PoolKey("python", terminal=False), PoolKey("python", terminal=True)
JAVA, JAVA_TTY = PoolKey("java", terminal=False), PoolKey("java", terminal=True)


def test_without_demand_places_go_by_size() -> None:
    targets = Targets({"python": 4, "java": 2, "cpp": 0}, now=0).targets(1)

    assert targets == {PYTHON: 2, PYTHON_TTY: 2, JAVA: 1, JAVA_TTY: 1}


def test_a_burst_grows_its_share_and_then_fades() -> None:
    shares = Targets({"python": 4, "java": 4}, now=0)
    before = shares.targets(0)
    for _ in range(20):
        shares.ask(JAVA_TTY, now=10)

    assert shares.targets(10)[JAVA_TTY] > before[JAVA_TTY] + 1
    assert min(shares.targets(10).values()) == 1
    assert shares.targets(10 + 9 * HALF_LIFE) == before


def test_an_idle_pool_shrinks_to_one_of_each() -> None:
    shares = Targets({"python": 6, "java": 4}, now=0)
    shares.ask(PYTHON, now=5)

    assert sum(shares.targets(5 + IDLE_AFTER).values()) == 10
    assert set(shares.targets(6 + IDLE_AFTER).values()) == {1}


def test_with_fewer_places_than_kinds_the_wanted_ones_get_them() -> None:
    shares = Targets({"python": 1}, now=0)
    assert shares.targets(0) == {PYTHON: 1, PYTHON_TTY: 0}

    shares.ask(PYTHON_TTY, now=1)
    assert shares.targets(1) == {PYTHON: 0, PYTHON_TTY: 1}


def test_one_place_for_each_language_goes_to_each_language() -> None:
    shares = Targets({"java": 1, "python": 1}, now=0)
    assert shares.targets(0) == {JAVA: 1, JAVA_TTY: 0, PYTHON: 1, PYTHON_TTY: 0}

    for _ in range(9):
        shares.ask(JAVA, now=1)
        shares.ask(JAVA_TTY, now=2)
    assert shares.targets(2) == {JAVA: 0, JAVA_TTY: 1, PYTHON: 1, PYTHON_TTY: 0}


@given(
    st.dictionaries(st.sampled_from(["python", "java", "cpp"]), st.integers(0, 9)),
    st.lists(st.tuples(st.sampled_from([PYTHON, PYTHON_TTY, JAVA, JAVA_TTY]), st.integers(0, 20)), max_size=50),
)
def test_never_more_and_never_fewer_than_the_sum(sizes: dict[str, int], asked: list[tuple[PoolKey, int]]) -> None:
    shares = Targets(sizes, now=0)
    now = 0
    for kind, later in asked:
        now += later
        shares.ask(kind, now)
    targets = shares.targets(now)

    assert sum(targets.values()) == sum(sizes.values())
    assert all(target >= 0 for target in targets.values())
    sized = {language for language, size in sizes.items() if size}
    assert {kind.language for kind in targets} == sized
    # However much one is asked for, no language that has places goes without any.
    assert {kind.language for kind, target in targets.items() if target} == sized

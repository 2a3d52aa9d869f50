"""The choice under both caps against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broadcast.choice import best_first, best_per, first_per

rows = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([0.2, 0.25, 0.5, 0.5 + 2**-50, 0.9, 1.0])),
    max_size=60,
)
limits = st.lists(st.integers(1, 5), min_size=7, max_size=7)


@given(rows, limits)
def test_the_best_of_each_group_stay_in_and_none_that_scores_lower(
    pairs: list[tuple[int, float]], limits: list[int]
) -> None:
    """Everybody who is among the best is kept; who is kept beyond them ties with the last of them."""
    group = np.array([g for g, _ in pairs], np.intp)
    score = np.array([s for _, s in pairs], np.float64)
    kept = best_per(group, score, np.array(limits)[group] if pairs else np.empty(0, np.int64))
    for number in range(7):
        own = sorted((s for g, s in pairs if g == number), reverse=True)
        if not own:
            continue
        last = own[: limits[number]][-1]
        for (g, s), is_kept in zip(pairs, kept.tolist(), strict=True):
            if g == number and s >= last:
                assert is_kept
            if g == number and is_kept:
                assert s >= last - 2**-42


@given(rows, limits)
def test_the_first_of_each_group_fill_its_limit(
    pairs: list[tuple[int, float]], limits: list[int]
) -> None:
    """In the order given."""
    group = np.array([g for g, _ in pairs], np.intp)
    most = np.array(limits)[group] if pairs else np.empty(0, np.int64)
    taken: dict[int, int] = {}
    expected = []
    for number in group.tolist():
        taken[number] = taken.get(number, 0) + 1
        expected.append(taken[number] <= limits[number])
    assert first_per(group, most).tolist() == expected


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.integers(0, 3)), max_size=30))
def test_equal_scores_are_ordered_by_the_whole_ranking(pairs: list[tuple[float, int]]) -> None:
    """Sorting by score alone, and then what ties, is sorting by everything."""
    score = np.array([s for s, _ in pairs], np.float64)
    distance = np.array([d for _, d in pairs], np.float64)
    order = best_first(score, lambda tied: tied[np.lexsort((tied, distance[tied], -score[tied]))])
    expected = sorted(range(len(pairs)), key=lambda n: (-pairs[n][0], pairs[n][1], n))
    assert order.tolist() == expected

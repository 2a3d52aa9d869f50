"""The hx-1.0 score: its published formulas, its order, and that nothing can upset it."""

from __future__ import annotations

import math
from dataclasses import fields
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.matching import score as scoring
from engine.matching.score import HX_1_0, Profile, ScoreInputs, breakdown, ranking, score

COLUMNS = [field.name for field in fields(ScoreInputs)]

BEST = {
    "trust_tier": 4.0,
    "completion_rate": 1.0,
    "approval_rate": 1.0,
    "distance_miles": 0.5,
    "category_preferred": 1.0,
    "category_count": 10.0,
    "price_cents": 9000.0,
    "minimum_price_cents": 2000.0,
    "market_price_cents": 5000.0,
    "hours_to_deadline": 48.0,
    "available_hours": 4.0,
}
WORST = {
    "trust_tier": 1.0,
    "completion_rate": 0.0,
    "approval_rate": 0.0,
    "distance_miles": 11.0,
    "category_preferred": 0.0,
    "category_count": 0.0,
    "price_cents": 1500.0,
    "minimum_price_cents": 2000.0,
    "market_price_cents": 5000.0,
    "hours_to_deadline": 1.0,
    "available_hours": 4.0,
}

anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 12),
    st.sampled_from([0.0, 1.0, 3.0, 5.0, 10.0, 24.0, 1500.0]),
)
pairs = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, anything)), min_size=1, max_size=8)


def total(**values: float) -> float:
    """The score of one pair."""
    return float(score(ScoreInputs.one(**values)).total[0])


def columns(rows: list[dict[str, float]]) -> ScoreInputs:
    """Rows as the columns that the vector path takes."""
    return ScoreInputs(**{name: np.array([row[name] for row in rows]) for name in COLUMNS})


def test_the_best_pair_scores_one_and_the_worst_the_published_minimum() -> None:
    """The range of hx-1.0 is 0.246..1, so its 0.20 rule can hide nobody."""
    assert total(**BEST) == pytest.approx(1.0)
    assert total(**WORST) == pytest.approx(0.246)
    assert total(**WORST) >= scoring.HIDDEN_BELOW


@pytest.mark.parametrize(
    ("miles", "value"),
    [(0.0, 1.0), (1.0, 1.0), (2.0, 0.85), (3.0, 0.7), (4.0, 0.5), (5.0, 0.3), (10.0, 0.1)],
)
def test_distance_follows_the_published_knots(miles: float, value: float) -> None:
    """Linear between 1, 3, 5 and 10 miles."""
    assert scoring.distance_component(np.array([miles]))[0] == pytest.approx(value)


def test_distance_is_worth_nothing_beyond_ten_miles_or_when_unknown() -> None:
    """An unknown place is far away, never a perfect match."""
    far = scoring.distance_component(np.array([10.000001, 1e300, math.inf, math.nan]))
    assert far.tolist() == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("left", "window", "value"),
    [(4, 4, 1.0), (3.9, 4, 0.7), (2, 4, 0.7), (1.9, 4, 0.3), (24, None, 1.0), (12, None, 0.7)],
)
def test_time_compares_the_deadline_with_the_window(
    left: float, window: float | None, value: float
) -> None:
    """Full, half or less of the hustler's window; without one, of a day."""
    available = np.array([math.nan if window is None else window])
    assert scoring.time_component(np.array([float(left)]), available)[0] == value


def test_no_deadline_is_neutral() -> None:
    """Neither tight nor roomy."""
    assert scoring.time_component(np.array([math.nan]), np.array([4.0]))[0] == 0.5


def test_an_unknown_market_is_never_beaten() -> None:
    """A task is above market only when there is a market to compare with."""
    price = np.array([9000.0])
    own = np.array([math.nan])
    unknown = scoring.price_component(price, own, np.array([math.nan]))[0]
    assert unknown == pytest.approx(0.6 + 0.4 * 0.7)
    assert unknown < scoring.price_component(price, own, np.array([5000.0]))[0]


@given(pairs)
def test_a_score_lies_between_zero_and_one_whatever_comes_in(rows: list[dict[str, float]]) -> None:
    """NaN, infinities and nonsense are clamped or defaulted; NaN never escapes."""
    scored = score(columns(rows))
    assert np.all((scored.total >= 0.0) & (scored.total <= 1.0))
    assert np.all((scored.components >= 0.0) & (scored.components <= 1.0))


@given(pairs)
def test_one_pair_scores_bit_for_bit_as_in_a_batch(rows: list[dict[str, float]]) -> None:
    """The scalar path is the vector path with n = 1."""
    batch = score(columns(rows)).total
    alone = np.array([total(**row) for row in rows])
    assert batch.tobytes() == alone.tobytes()


@given(pairs, st.randoms())
def test_the_order_of_rows_never_changes_a_score(
    rows: list[dict[str, float]], random: Random
) -> None:
    """A permutation of rows permutes the scores and nothing else."""
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = score(columns([rows[index] for index in order])).total
    assert shuffled.tobytes() == score(columns(rows)).total[order].tobytes()


RISING = [
    "trust_tier",
    "completion_rate",
    "approval_rate",
    "category_preferred",
    "category_count",
    "price_cents",
    "hours_to_deadline",
]
FALLING = ["distance_miles", "minimum_price_cents", "market_price_cents", "available_hours"]
finite = st.one_of(st.floats(0, 20), st.floats(0, 1e5), st.floats(allow_nan=False))


@given(
    st.fixed_dictionaries(dict.fromkeys(COLUMNS, anything)),
    st.sampled_from(RISING + FALLING),
    finite,
    finite,
)
def test_the_score_is_monotone_in_every_known_input(
    row: dict[str, float], name: str, one: float, other: float
) -> None:
    """More trust, money or time never lowers it; more distance or demands never raise it."""
    low, high = sorted((one, other))
    before, after = total(**row | {name: low}), total(**row | {name: high})
    assert before <= after if name in RISING else before >= after


def test_weights_must_sum_to_exactly_one() -> None:
    """A profile that doesn't add up can't be made."""
    assert math.fsum(HX_1_0.weights) == 1.0
    with pytest.raises(ValueError, match="sum to"):
        Profile("off", trust=0.30, distance=0.25, category=0.20, price=0.15, time=0.11)
    with pytest.raises(ValueError, match="not negative"):
        Profile("off", trust=1.30, distance=-0.30, category=0.0, price=0.0, time=0.0)
    with pytest.raises(ValueError, match="finite"):
        Profile("off", trust=math.nan, distance=0.25, category=0.20, price=0.15, time=0.10)


def test_visibility_is_decided_on_the_unrounded_score() -> None:
    """0.1999 would round to 0.20 and is hidden all the same; 0.20 itself is shown."""
    only_distance = Profile("distance", trust=0, distance=1, category=0, price=0, time=0)
    edge = 5.0 + (0.3 - 0.2) / 0.04
    scored = score(columns([WORST | {"distance_miles": d} for d in (edge + 0.01, edge)]))
    by_distance = score(
        columns([WORST | {"distance_miles": d} for d in (edge + 0.01, edge - 1e-9)]), only_distance
    )
    assert round(float(by_distance.total[0]), 2) == 0.20
    assert by_distance.visible.tolist() == [False, True]
    assert scored.visible.tolist() == [True, True]


def test_the_breakdown_adds_up_to_the_score() -> None:
    """Each component appears once, with its weight, value and points."""
    scored = score(columns([WORST, BEST]))
    parts = list(breakdown(scored, 1))
    assert [part.component for part in parts] == [name for name, _ in scoring.COMPONENTS]
    assert sum(part.points for part in parts) == pytest.approx(float(scored.total[1]))


def test_ties_break_by_distance_then_price_then_age_then_id() -> None:
    """Score desc, distance asc, price desc, created_at, id."""
    ids = np.array([UUID(int=n).bytes for n in (6, 5, 4, 3, 2, 1 << 120)], "S16")
    order = ranking(
        np.array([0.9, 0.8, 0.8, 0.8, 0.8, 0.8]),
        np.array([5.0, 1.0, 1.0, 1.0, 2.0, 1.0]),
        np.array([1.0, 9.0, 9.0, 8.0, 9.0, 9.0]),
        np.array([0.0, 7.0, 7.0, 7.0, 7.0, 7.0]),
        ids,
    )
    assert order.tolist() == [0, 2, 1, 5, 3, 4]
    older_first = ranking(np.full(2, 0.5), np.ones(2), np.ones(2), np.array([8.0, 7.0]), ids[:2])
    assert older_first.tolist() == [1, 0]


def test_the_knots_of_the_distance_score_are_exact() -> None:
    """Not 0.29999999999999993 at five miles; and no step of one bit over a knot raises anything."""
    knots = np.array([1.0, 3.0, 5.0, 10.0])
    assert scoring.distance_component(knots).tolist() == [1.0, 0.7, 0.3, 0.1]
    for knot in knots:
        miles = np.array([np.nextafter(knot, 0.0), knot, np.nextafter(knot, 99.0)])
        assert np.all(np.diff(scoring.distance_component(miles)) <= 0.0)

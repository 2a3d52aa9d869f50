"""The score: the published formulas of its profiles, its order, and that nothing can upset it."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import partial
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.micro import scoring as scoring_bench
from engine.matching import hx_1_0
from engine.matching import score as scoring
from engine.matching.profile import NAMES
from engine.matching.score import (
    HX_1_0,
    HX_CAL_1,
    PROFILES,
    Profile,
    ScoreInputs,
    breakdown,
    ranking,
    score,
)

COLUMNS = [field.name for field in fields(ScoreInputs)]

BEST = {
    "trust_tier": 4.0,
    "completion_rate": 1.0,
    "approval_rate": 1.0,
    "distance_miles": 0.5,
    "category_preferred": 1.0,
    "category_count": 10.0,
    "price_cents": 10000.0,
    "minimum_price_cents": 2000.0,
    "market_price_cents": 5000.0,
    "hours_to_deadline": 48.0,
    "available_hours": 4.0,
    "tasks_taken": 1e9,
    "trade_verified": 1.0,
    "expected_hours": 2.0,
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
    "hours_to_deadline": 0.25,
    "available_hours": 4.0,
    "tasks_taken": 1e9,
    "trade_verified": 0.0,
    "expected_hours": 2.0,
}

profiles = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 12),
    st.sampled_from([0.0, 1.0, 3.0, 5.0, 10.0, 24.0, 1500.0]),
)
pairs = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, anything)), min_size=1, max_size=4)


def total(profile: Profile = HX_1_0, /, **values: float) -> float:
    """The score of one pair."""
    return float(score(ScoreInputs.one(**values), profile).total[0])


def columns(rows: list[dict[str, float]]) -> ScoreInputs:
    """Rows as the columns that the vector path takes."""
    return ScoreInputs(**{name: np.array([row[name] for row in rows]) for name in COLUMNS})


def many(count: int, seed: int = 7) -> ScoreInputs:
    """Random pairs, some of their inputs missing."""
    random = np.random.default_rng(seed)
    drawn = {name: random.uniform(0.0, 1.5 * BEST[name] + 5.0, count) for name in COLUMNS}
    for column in drawn.values():
        column[random.random(count) < 0.1] = math.nan
    return ScoreInputs(**drawn)


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
    assert hx_1_0.distance_component(np.array([miles]))[0] == pytest.approx(value)


def test_distance_is_worth_nothing_beyond_ten_miles_or_when_unknown() -> None:
    """An unknown place is far away, never a perfect match."""
    far = hx_1_0.distance_component(np.array([10.000001, 1e300, math.inf, math.nan]))
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
    assert hx_1_0.time_component(np.array([float(left)]), available)[0] == value


def test_no_deadline_is_neutral() -> None:
    """Neither tight nor roomy."""
    assert hx_1_0.time_component(np.array([math.nan]), np.array([4.0]))[0] == 0.5


def test_an_unknown_market_is_never_beaten() -> None:
    """A task is above market only when there is a market to compare with."""
    price = np.array([9000.0])
    own = np.array([math.nan])
    unknown = hx_1_0.price_component(price, own, np.array([math.nan]))[0]
    assert unknown == pytest.approx(0.6 + 0.4 * 0.7)
    assert unknown < hx_1_0.price_component(price, own, np.array([5000.0]))[0]


@profiles
@given(rows=pairs)
def test_a_score_lies_between_zero_and_one_whatever_comes_in(
    profile: Profile, rows: list[dict[str, float]]
) -> None:
    """NaN, infinities and nonsense are clamped or defaulted; NaN never escapes."""
    scored = score(columns(rows), profile)
    assert np.all((scored.total >= 0.0) & (scored.total <= 1.0))
    components = scored.components()
    assert np.all((components >= 0.0) & (components <= 1.0))


@profiles
@given(rows=pairs)
def test_one_pair_scores_bit_for_bit_as_in_a_batch(
    profile: Profile, rows: list[dict[str, float]]
) -> None:
    """The scalar path is the vector path with n = 1."""
    batch = score(columns(rows), profile).total
    alone = np.array([total(profile, **row) for row in rows])
    assert batch.tobytes() == alone.tobytes()


@profiles
def test_blocks_score_bit_for_bit_as_one_go(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a block ends, the last one short included."""
    inputs = many(3 * 1_000 + 17)
    in_one_go = score(inputs, profile).total
    for block in (1_000, 1, 3_017, 3_016):
        monkeypatch.setattr(scoring, "BLOCK_PAIRS", block)
        assert score(inputs, profile).total.tobytes() == in_one_go.tobytes(), block
    assert scoring.score(inputs.rows(0, 0), profile).total.shape == (0,)


def test_hx_1_0_is_what_a_loop_over_pairs_makes_of_the_published_formulas() -> None:
    """The benchmark's loop is written from the specification, pair by pair."""
    inputs = scoring_bench.draw(5_000, seed=3)
    assert score(inputs).total == pytest.approx(scoring_bench.loop(inputs), abs=1e-12)


@profiles
@given(rows=pairs, random=st.randoms())
def test_the_order_of_rows_never_changes_a_score(
    profile: Profile, rows: list[dict[str, float]], random: Random
) -> None:
    """A permutation of rows permutes the scores and nothing else."""
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = score(columns([rows[index] for index in order]), profile).total
    assert shuffled.tobytes() == score(columns(rows), profile).total[order].tobytes()


@profiles
def test_a_score_leaves_its_inputs_as_they_are(profile: Profile) -> None:
    """The columns are the caller's, and may be scored again."""
    inputs, before = many(50), many(50)
    score(inputs, profile).components()
    for name in COLUMNS:
        assert getattr(inputs, name).tobytes() == getattr(before, name).tobytes(), name


RISING = [
    "trust_tier",
    "completion_rate",
    "approval_rate",
    "category_preferred",
    "category_count",
    "price_cents",
    "hours_to_deadline",
    "trade_verified",
]
FALLING = [
    "distance_miles",
    "minimum_price_cents",
    "market_price_cents",
    "available_hours",
    "expected_hours",
]
finite = st.one_of(st.floats(0, 20), st.floats(0, 1e5), st.floats(allow_nan=False))


@profiles
@given(
    row=st.fixed_dictionaries(dict.fromkeys(COLUMNS, anything)),
    name=st.sampled_from(RISING + FALLING),
    one=finite,
    other=finite,
)
def test_the_score_is_monotone_in_every_known_input(
    profile: Profile, row: dict[str, float], name: str, one: float, other: float
) -> None:
    """More trust, money or time never lowers it; more distance or demands never raise it.

    Over how many tasks a rate was counted says which of two rates counts more, so not that.
    """
    low, high = sorted((one, other))
    before, after = total(profile, **row | {name: low}), total(profile, **row | {name: high})
    assert before <= after if name in RISING else before >= after


def test_weights_must_sum_to_exactly_one() -> None:
    """A profile that doesn't add up can't be made."""
    for known in PROFILES.values():
        assert math.fsum(known.weights) == 1.0
    off = partial(Profile, "off", hx_1_0.COMPONENTS)
    with pytest.raises(ValueError, match="sum to"):
        off(trust=0.30, distance=0.25, category=0.20, price=0.15, time=0.11)
    with pytest.raises(ValueError, match="not negative"):
        off(trust=1.30, distance=-0.30, category=0.0, price=0.0, time=0.0)
    with pytest.raises(ValueError, match="finite"):
        off(trust=math.nan, distance=0.25, category=0.20, price=0.15, time=0.10)


def test_visibility_is_decided_on_the_unrounded_score() -> None:
    """0.1999 would round to 0.20 and is hidden all the same; 0.20 itself is shown."""
    only_distance = replace(HX_1_0, trust=0, distance=1, category=0, price=0, time=0)
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
    assert [part.component for part in parts] == list(NAMES)
    assert [part.weight for part in parts] == [0.30, 0.25, 0.20, 0.15, 0.10]
    assert [part.value for part in parts] == scored.components()[:, 1].tolist()
    assert sum(part.points for part in parts) == pytest.approx(float(scored.total[1]))


def test_hx_cal_1_reaches_from_nothing_to_one_so_some_are_hidden() -> None:
    """Its worst pair, of everything known, is worth nothing; of the same pair hx-1.0 makes 0.246."""
    assert total(HX_CAL_1, **BEST) == pytest.approx(1.0)
    assert total(HX_CAL_1, **WORST) == pytest.approx(0.0, abs=1e-6)
    assert not score(columns([WORST]), HX_CAL_1).visible[0]
    parts = score(columns([WORST, BEST]), HX_CAL_1).components()
    assert parts[:, 0] == pytest.approx(0.0, abs=1e-6)
    assert parts[:, 1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({}, 0.30 * 0.36 + 0.25 * 0.0 + 0.20 * 0.2 + 0.15 * 0.5 + 0.10 * 0.5),
        ({"trust_tier": 4.0}, 0.30 * 0.96 + 0.20 * 0.2 + 0.15 * 0.5 + 0.10 * 0.5),
        ({"completion_rate": 0.5, "tasks_taken": 8.0}, 0.273 - 0.30 * 0.30 * 0.2),
        ({"distance_miles": 7.5}, 0.273 + 0.25 * 0.15),
        ({"distance_miles": 4.0}, 0.273 + 0.25 * 0.5),
        ({"category_count": 0.0}, 0.273 - 0.20 * 0.2),
        ({"category_count": 5.0}, 0.273 + 0.20 * 0.3),
        ({"category_preferred": 1.0}, 0.273 + 0.20 * 0.6),
        ({"trade_verified": 1.0, "category_count": 9.0}, 0.273 + 0.20 * 0.8),
        ({"price_cents": 5000.0, "market_price_cents": 5000.0}, 0.273 - 0.15 * (0.5 - 1 / 3)),
        ({"price_cents": 3000.0, "minimum_price_cents": 4000.0}, 0.273 - 0.15 * 0.5 * 0.25),
        (
            {"hours_to_deadline": 1.5, "expected_hours": 2.0, "distance_miles": 12.5},
            0.273 - 0.10 * 0.0,
        ),
    ],
)
def test_hx_cal_1_follows_its_table(changed: dict[str, float], value: float) -> None:
    """Of a pair of which only the price is known: each null, and each formula at one point."""
    assert total(HX_CAL_1, **{"price_cents": 4000.0} | changed) == pytest.approx(value)


def test_columns_that_nobody_loads_count_as_unknown_for_every_pair() -> None:
    """Left out or NaN throughout, the score is the same."""
    full = many(20)
    loaded = {name: getattr(full, name) for name in COLUMNS}
    unknown = {name: np.full(20, math.nan) for name in COLUMNS[-3:]}
    left_out = {name: loaded[name] for name in COLUMNS[:-3]}
    assert COLUMNS[-3:] == ["tasks_taken", "trade_verified", "expected_hours"]
    for profile in PROFILES.values():
        without = score(ScoreInputs(**left_out), profile).total
        assert without.tobytes() == score(ScoreInputs(**loaded | unknown), profile).total.tobytes()


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
    assert hx_1_0.distance_component(knots).tolist() == [1.0, 0.7, 0.3, 0.1]
    for knot in knots:
        miles = np.array([np.nextafter(knot, 0.0), knot, np.nextafter(knot, 99.0)])
        assert np.all(np.diff(hx_1_0.distance_component(miles)) <= 0.0)

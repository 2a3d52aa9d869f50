from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from bench.load.places import CORNER, CORNER_M, SPREAD_M, place
from bench.load.shapes import hot_district, morning_ramp, storm_after_outage
from bench.load.shapes.catalogue import SHAPES
from bench.simulator.projection import Spot, apart_m, to_spot

LENGTH_S = 90.0
PEAK = 50


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_keeps_within_its_peak_and_reaches_it(name: str) -> None:
    """At every half second, from the first to the last."""
    users = [SHAPES[name].users_at(half / 2, PEAK, LENGTH_S) for half in range(181)]
    assert min(users) >= 0
    assert max(users) == users[-1] == PEAK
    assert users[0] >= 1


def test_the_morning_only_rises() -> None:
    """Half are there at half of the rise."""
    users = [morning_ramp.users_at(second, PEAK, LENGTH_S) for second in range(91)]
    assert all(later >= sooner for sooner, later in pairwise(users))
    assert users[30] == PEAK / 2


def test_a_storm_takes_all_away_and_lets_all_back_at_once() -> None:
    """Nobody from 45 % on, everybody from 55 % on."""
    at = [storm_after_outage.users_at(percent, PEAK, 100.0) for percent in range(101)]
    assert at[44] == PEAK
    assert set(at[45:55]) == {0}
    assert set(at[55:]) == {PEAK}


def test_four_of_five_places_of_a_hot_district_are_at_its_corner() -> None:
    """The others are all over the city; without a district they all are."""
    draw = Random(1)
    hot = [to_spot(*place(draw, hot_district.HOT_SHARE)) for _ in range(1_000)]
    cold = [to_spot(*place(draw, 0.0)) for _ in range(1_000)]
    assert 750 < sum(apart_m(CORNER, spot) <= CORNER_M + 1 for spot in hot) < 860
    assert sum(apart_m(CORNER, spot) <= CORNER_M + 1 for spot in cold) < 30
    assert all(apart_m(Spot(0, 0), spot) <= SPREAD_M + 1 for spot in hot + cold)

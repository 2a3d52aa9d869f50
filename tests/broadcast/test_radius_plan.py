"""How the radius of a broadcast grows, at each border."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.radius_plan import RadiusPlan

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
PLAN = RadiusPlan(START, START + timedelta(seconds=600))
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("second", "before", "after"), [(60, 3, 5), (120, 5, 7), (180, 7, 9), (240, 9, 10)]
)
def test_the_radius_grows_exactly_at_its_border(second: int, before: float, after: float) -> None:
    """One microsecond before a border the old radius holds, at the border the new one."""
    border = START + timedelta(seconds=second)
    assert PLAN.radius_miles(border - TICK) == before
    assert PLAN.next_expansion_at(border - TICK) == border
    assert PLAN.radius_miles(border) == after


def test_it_starts_at_three_and_stays_at_ten() -> None:
    """From 240 s to the end nothing grows any more."""
    assert PLAN.radius_miles(START) == 3
    assert PLAN.radius_miles(START - timedelta(seconds=5)) == 3
    assert PLAN.radius_miles(START + timedelta(seconds=599)) == 10
    assert PLAN.next_expansion_at(START + timedelta(seconds=240)) is None


def test_it_is_over_exactly_at_its_end() -> None:
    """LIVE-5: the first instant that is too late is `ends_at`; the reached radius remains."""
    assert not PLAN.over(PLAN.ends_at - TICK)
    assert PLAN.over(PLAN.ends_at)
    assert PLAN.radius_miles(PLAN.ends_at) == 10
    assert PLAN.next_expansion_at(PLAN.ends_at) is None


def test_a_near_deadline_cuts_the_plan_short() -> None:
    """An end at 120 s: the step that would fall on it never happens."""
    short = RadiusPlan(START, START + timedelta(seconds=120))
    assert short.next_expansion_at(START + timedelta(seconds=60)) is None
    assert short.radius_miles(START + timedelta(seconds=500)) == 5


@given(st.integers(0, 700_000_000), st.integers(0, 700_000_000))
def test_the_radius_never_shrinks(one: int, other: int) -> None:
    """Later is never nearer, and always within 3 and 10 miles (LIVE-4)."""
    early, late = sorted((one, other))
    radii = [PLAN.radius_miles(START + timedelta(microseconds=us)) for us in (early, late)]
    assert 3 <= radii[0] <= radii[1] <= 10


@given(st.integers(0, 599_999_999))
def test_the_next_expansion_is_where_the_radius_changes(microseconds: int) -> None:
    """The announced instant changes the radius; no instant before it does."""
    at = START + timedelta(microseconds=microseconds)
    due = PLAN.next_expansion_at(at)
    now = PLAN.radius_miles(at)
    if due is None:
        assert PLAN.radius_miles(PLAN.ends_at - TICK) == now
    else:
        assert PLAN.radius_miles(due - TICK) == now < PLAN.radius_miles(due)


def test_an_interval_that_never_ends_is_refused() -> None:
    """Zero or less would grow for ever at once."""
    with pytest.raises(ValueError, match="positive"):
        RadiusPlan(START, PLAN.ends_at, interval=timedelta(0))

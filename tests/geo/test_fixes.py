from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.fixes import Fix, FixRejection, FixResult, Track, check_fix
from geo.points import LatLng
from tests.geo.sphere import CITIES, EDGES, PENTAGONS, reached
from tests.oracles import fixes as plain

NOW_S = 1_763_000_000.0
HERE = Fix(37.7749, -122.4194, NOW_S, 5.0)
_DEGREE_M = 111_195.08  # of latitude, on the sphere


def north(fix: Fix, metres: float, seconds: float, accuracy_m: float | None = None) -> Fix:
    """The fix so far north and so much later."""
    return Fix(fix.lat + metres / _DEGREE_M, fix.lng, fix.at_s + seconds, accuracy_m)


def accepted(fix: Fix) -> Track:
    """The track after a session's first fix."""
    track = check_fix(None, fix, fix.at_s).track
    assert track is not None
    return track


@pytest.mark.parametrize(
    ("fix", "rejection"),
    [
        (HERE._replace(lat=math.nan), FixRejection.NOT_FINITE),
        (HERE._replace(lng=math.inf), FixRejection.NOT_FINITE),
        (HERE._replace(accuracy_m=math.nan), FixRejection.NOT_FINITE),
        (HERE._replace(at_s=math.inf), FixRejection.NOT_FINITE),
        (HERE._replace(lat=90.1), FixRejection.OUT_OF_RANGE),
        (HERE._replace(lng=-540.0), FixRejection.OUT_OF_RANGE),
        (HERE._replace(lat=1e30), FixRejection.OUT_OF_RANGE),
        (HERE._replace(accuracy_m=-1.0), FixRejection.OUT_OF_RANGE),
        (HERE._replace(lat=0.0, lng=-0.0), FixRejection.NULL_ISLAND),
        (HERE._replace(at_s=NOW_S + 6), FixRejection.FUTURE),
        (HERE._replace(accuracy_m=100.1), FixRejection.INACCURATE),
    ],
)
def test_a_fix_that_cannot_be_believed_is_refused_by_name(
    fix: Fix, rejection: FixRejection
) -> None:
    """Refused whether or not something came before; what was known stays known."""
    assert check_fix(None, fix, NOW_S) == FixResult(None, rejection)
    track = accepted(HERE._replace(at_s=NOW_S - 60))
    assert check_fix(track, fix, NOW_S) == FixResult(track, rejection)


@pytest.mark.parametrize(
    "fix",
    [
        HERE._replace(accuracy_m=100.0),
        HERE._replace(accuracy_m=None),
        HERE._replace(accuracy_m=0.0),
        HERE._replace(lat=0.0),
        HERE._replace(lat=90.0, lng=180.0),
        HERE._replace(at_s=NOW_S - 3600),
    ],
)
def test_the_first_fix_of_a_session_is_checked_alone(fix: Fix) -> None:
    """Limits are inclusive, and there is no previous fix to be too far from."""
    result = check_fix(None, fix, NOW_S)
    assert result.rejection is None
    assert result.track == Track(LatLng(fix.lat, fix.lng), fix.at_s, fix.accuracy_m or 0.0)


def test_a_clock_slightly_ahead_counts_as_now() -> None:
    """Phones run a little ahead; the track never holds a time to come."""
    track = check_fix(None, HERE._replace(at_s=NOW_S + 4), NOW_S).track
    assert track is not None
    assert track.at_s == NOW_S


def test_an_older_fix_is_refused_and_an_equal_one_is_not() -> None:
    """Late packets must not move a hustler back; a repeated one does no harm."""
    track = accepted(HERE)
    assert (
        check_fix(track, HERE._replace(at_s=NOW_S - 0.001), NOW_S).rejection
        is FixRejection.OLDER_THAN_LAST
    )
    assert check_fix(track, HERE, NOW_S).rejection is None


def test_a_jump_over_320_kmh_is_refused_and_the_last_position_stands() -> None:
    """889 m in 10 s are 320.04 km/h; at 888 m the fix is good."""
    track = accepted(HERE._replace(accuracy_m=None))
    too_far = check_fix(track, north(HERE, 889.5, 10), NOW_S + 10)
    assert too_far.rejection is FixRejection.IMPOSSIBLE_SPEED
    assert too_far.suspect
    assert not too_far.ends_session
    assert too_far.track is not None
    assert too_far.track.point == track.point
    assert check_fix(track, north(HERE, 888, 10), NOW_S + 10).rejection is None


def test_both_accuracies_shorten_the_way() -> None:
    """A fix that dances within its accuracy is no journey."""
    track = accepted(HERE._replace(accuracy_m=60.0))
    assert check_fix(track, north(HERE, 150, 1, 20.0), NOW_S + 1).rejection is None
    assert (
        check_fix(track, north(HERE, 150, 1, 0.0), NOW_S + 1).rejection
        is FixRejection.IMPOSSIBLE_SPEED
    )


def test_a_step_takes_at_least_a_second() -> None:
    """Two fixes in a hundredth of a second do not divide by it."""
    track = accepted(HERE._replace(accuracy_m=None))
    assert check_fix(track, north(HERE, 40, 0.01), NOW_S + 0.01).rejection is None
    assert check_fix(track, north(HERE, 100, 0.01), NOW_S + 0.01).rejection is not None


def test_twice_in_a_row_over_160_kmh_marks_a_suspect_and_is_accepted() -> None:
    """Once may be a glitch; a motorway at 70 mph is never suspect."""
    fix, track, marks = HERE._replace(accuracy_m=None), accepted(HERE._replace(accuracy_m=None)), []
    for speed_kmh in (113, 170, 113, 170, 170, 170, 113):
        fix = north(fix, speed_kmh / 3.6 * 10, 10)
        result = check_fix(track, fix, fix.at_s)
        assert result.rejection is None
        assert result.track is not None
        track = result.track
        marks.append(result.suspect)
    assert marks == [False, False, False, False, True, False, False]


def test_three_suspects_within_ten_minutes_end_the_session() -> None:
    """By refusals alike; the third decides."""
    track, ends = accepted(HERE), []
    for minute in (1, 5, 10):
        result = check_fix(track, north(HERE, 500_000, 60 * minute), NOW_S + 60 * minute)
        assert result.track is not None
        track = result.track
        ends.append(result.ends_session)
    assert ends == [False, False, True]


def test_good_fixes_in_between_do_not_wash_a_session_clean() -> None:
    """Three suspects within ten minutes count however the others look."""
    track, ends = accepted(HERE), []
    for minute in (1, 2, 3):
        for metres in (500_000, 0):
            result = check_fix(track, north(HERE, metres, 60 * minute), NOW_S + 60 * minute)
            assert result.track is not None
            track = result.track
            ends.append(result.ends_session)
    assert ends == [False, False, False, False, True, False]


def test_suspects_are_forgotten_after_ten_minutes() -> None:
    """Three spread over more than that end nothing."""
    track = accepted(HERE)
    for minute in (1, 5, 11, 16):
        result = check_fix(track, north(HERE, 900_000, 60 * minute), NOW_S + 60 * minute)
        assert result.track is not None
        assert result.suspect
        assert not result.ends_session
        track = result.track


def test_a_session_with_a_wrong_first_fix_frees_itself() -> None:
    """Were refusals no suspects, it would stand in the wrong city for as long as the drive takes."""
    track = accepted(HERE._replace(lat=40.7))
    for second in (30, 60, 90):
        result = check_fix(track, HERE._replace(at_s=NOW_S + second), NOW_S + second)
        assert result.track is not None
        track = result.track
    assert result.ends_session


@given(
    st.lists(st.tuples(st.floats(), st.floats(), st.floats(), st.none() | st.floats()), max_size=12)
)
def test_whatever_a_device_sends_the_track_stays_sound(
    claims: list[tuple[float, float, float, float | None]],
) -> None:
    """No input raises, time never runs backwards, memory stays bounded."""
    track: Track | None = None
    for claim in claims:
        before = track
        result = check_fix(before, Fix(*claim), NOW_S)
        track = result.track
        if result.rejection is not None and before is not None:
            assert track is not None
            assert track.point == before.point
        if track is not None:
            assert track.at_s <= NOW_S
            assert before is None or track.at_s >= before.at_s
            assert 0.0 <= track.accuracy_m <= 100.0
            assert len(track.suspects_s) <= 3


def test_a_clock_that_was_set_back_leaves_nothing_to_guard_by() -> None:
    """The last fix is from the future then: the next is believed, and what was suspect stays so."""
    track = accepted(HERE)._replace(suspects_s=(NOW_S,))
    here = north(HERE, 900, -3_600)
    result = check_fix(track, here, NOW_S - 3_600)
    assert result.rejection is None
    assert result.track is not None
    assert (result.track.at_s, result.track.suspects_s) == (NOW_S - 3_600, (NOW_S,))


_STEP = st.tuples(
    st.floats(-0.05, 0.05) | st.floats(-180, 180),  # degrees from the fix before
    st.floats(-0.05, 0.05) | st.floats(-360, 360),
    st.floats(-5, 40) | st.floats(-1e5, 1e5),  # seconds of the server's clock
    st.floats(-10, 10)
    | st.sampled_from([0.0, 5.0, math.nan, math.inf, -math.inf]),  # and the phone's
    st.none() | st.sampled_from([0.0, 100.0, -0.0, math.nan]) | st.floats(-1, 110),
)


@given(st.lists(_STEP, max_size=14))
def test_the_quick_rules_decide_as_the_plain_ones(
    steps: list[tuple[float, float, float, float, float | None]],
) -> None:
    """Whole tracks, over every rule: bit by bit the same answers and memories."""
    track: Track | None = None
    lat, lng, now_s = HERE.lat, HERE.lng, NOW_S
    for north_, east, seconds, ahead_s, accuracy_m in steps:
        now_s += seconds
        fix = Fix(lat + north_, lng + east, now_s + ahead_s, accuracy_m)
        result = check_fix(track, fix, now_s)
        assert result == plain.check_fix(track, fix, now_s)
        track = result.track
        if track is not None:
            lat, lng = track.point.lat, track.point.lng


@pytest.mark.parametrize("places", [CITIES, PENTAGONS[:4], EDGES])
def test_the_quick_rules_decide_as_the_plain_ones_at_their_limits(places: list[LatLng]) -> None:
    """Steps of just about 160 and 320 km/h in all directions, across poles and the antimeridian."""
    rng = np.random.default_rng(21)
    found = Counter[tuple[FixRejection | None, bool, int]]()
    for place in places:
        for kmh in (159.0, 161.0, 319.0, 321.0):
            lat, lng = reached(place, rng.uniform(0, 2 * np.pi, 40), np.full(40, kmh / 3.6 * 30))
            for at in zip(lat.tolist(), lng.tolist(), strict=True):
                for fast in (0, 1):
                    track = Track(place, NOW_S, 0.0, fast)
                    fix = Fix(*at, NOW_S + 30)
                    result = check_fix(track, fix, NOW_S + 30)
                    assert result == plain.check_fix(track, fix, NOW_S + 30)
                    assert result.track is not None
                    found[result.rejection, result.suspect, result.track.fast_in_a_row] += 1
    assert len(found) == 5
    assert min(found.values()) >= 40 * len(places)

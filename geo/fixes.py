"""Plausibility checks of positions: pure rules over one session's fixes (design §4).

A fix is refused when it is not finite, out of range, (0, 0), from the future, older than the last,
worse than 100 m, or reached faster than 320 km/h; the last good position then stands.
A suspect is noted for every refusal by speed and for every second fix in a row over 160 km/h
(which is accepted); three suspects within ten minutes end the session.

The last accepted fix outlives its session: the first of the next one is checked against it like any
other, so switching off and on allows no jump. It is ignored after six hours, since people fly; so a
hustler whose first fix was wrong waits until the right one is plausible, and no longer.
A previous fix from the future was taken before this server's clock was set back, and is ignored.

Jitter: a standing phone's fixes dance by their accuracy, often several within a second.
So the way travelled is shortened by both accuracies, and the time it took is never taken as less
than a second. A fix that comes without accuracy is taken at its word.
"""

from __future__ import annotations

from enum import StrEnum
from math import degrees, isfinite
from typing import Final, NamedTuple

from geo.distance import distance_m
from geo.points import LatLng
from geo.units import EARTH_RADIUS_M, metres_per_second

WORST_ACCURACY_M: Final = 100.0
FUTURE_SLACK_S: Final = 5.0  # phones' clocks run ahead; within this a fix counts as now
FAST_M_PER_S: Final = metres_per_second(160.0)
IMPOSSIBLE_M_PER_S: Final = metres_per_second(320.0)
SHORTEST_STEP_S: Final = 1.0
FAST_IN_A_ROW: Final = 2
SUSPECTS_TO_END: Final = 3
SUSPECT_WINDOW_S: Final = 600.0
REMEMBERED_S: Final = 6 * 3600.0  # how long a session that has ended says where its hustler can be


class FixRejection(StrEnum):
    """Why a fix was rejected."""

    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    NULL_ISLAND = "null_island"
    FUTURE = "future"
    OLDER_THAN_LAST = "older_than_last"
    INACCURATE = "inaccurate"
    IMPOSSIBLE_SPEED = "impossible_speed"


class Fix(NamedTuple):
    """A position as a device claims it: degrees, metres of accuracy, Unix seconds."""

    lat: float
    lng: float
    at_s: float
    accuracy_m: float | None = None


class Track(NamedTuple):
    """What a session remembers of its fixes: the last good one, and its suspects."""

    point: LatLng
    at_s: float
    accuracy_m: float = 0.0
    fast_in_a_row: int = 0
    suspects_s: tuple[float, ...] = ()


class FixResult(NamedTuple):
    """The result of checking one fix: the track to remember, and the refusal if there is one.

    `track` is None only when a fix was refused and no other is known.
    """

    track: Track | None
    rejection: FixRejection | None = None
    suspect: bool = False
    ends_session: bool = False


def check_fix(previous: Track | None, fix: Fix, now_s: float) -> FixResult:
    """Checks a fix at `now_s` (Unix s) against the session's track, None where nothing is known."""
    lat, lng, at_s, claimed_accuracy_m = fix
    accuracy_m = 0.0 if claimed_accuracy_m is None else claimed_accuracy_m
    # One comparison for the usual case; NaN fails each, and the reason is sought afterwards.
    if not (
        -90.0 <= lat <= 90.0
        and -180.0 <= lng <= 180.0
        and -_EVER_S < at_s <= now_s + FUTURE_SLACK_S
        and 0.0 <= accuracy_m <= WORST_ACCURACY_M
        and (lat or lng)
    ):
        return FixResult(previous, _why_rejected(fix, accuracy_m, now_s))
    track = Track(LatLng(lat, lng), min(at_s, now_s), accuracy_m)
    if previous is None:
        return FixResult(track)
    if at_s < previous.at_s or previous.at_s > now_s:
        return _check_order(previous, track, now_s)

    # A bound that nearly every heartbeat keeps to, by plain arithmetic: degrees north, then east.
    before = previous.point
    way_m = (abs(lat - before.lat) + abs(lng - before.lng)) * _METRES_PER_DEGREE
    took_s = max(track.at_s - previous.at_s, SHORTEST_STEP_S)
    if way_m - previous.accuracy_m - accuracy_m > FAST_M_PER_S * took_s * _CERTAIN:
        return _check_speed(previous, track, took_s, now_s)
    if previous.suspects_s:
        track = track._replace(suspects_s=previous.suspects_s)
    return FixResult(track)


def _check_order(previous: Track, track: Track, now_s: float) -> FixResult:
    """Checks a fix that is older than the last, or whose last one is from the future."""
    if previous.at_s > now_s:
        return FixResult(track._replace(suspects_s=previous.suspects_s))
    return FixResult(previous, FixRejection.OLDER_THAN_LAST)


def _check_speed(previous: Track, track: Track, took_s: float, now_s: float) -> FixResult:
    """Checks the way from one good fix to the next by its exact length."""
    way_m = distance_m(previous.point, track.point)
    blurred_m = previous.accuracy_m + track.accuracy_m
    if way_m > IMPOSSIBLE_M_PER_S * took_s + blurred_m:
        stays, ends = _suspected(previous, now_s)
        return FixResult(stays, FixRejection.IMPOSSIBLE_SPEED, suspect=True, ends_session=ends)
    track = track._replace(suspects_s=previous.suspects_s)
    if way_m <= FAST_M_PER_S * took_s + blurred_m:
        return FixResult(track)
    if previous.fast_in_a_row + 1 < FAST_IN_A_ROW:
        return FixResult(track._replace(fast_in_a_row=previous.fast_in_a_row + 1))
    track, ends = _suspected(track, now_s)
    return FixResult(track, suspect=True, ends_session=ends)


def _why_rejected(fix: Fix, accuracy_m: float, now_s: float) -> FixRejection:
    """Returns what is wrong with a fix regardless of earlier ones."""
    if not (isfinite(fix.lat) and isfinite(fix.lng) and isfinite(fix.at_s)):
        return FixRejection.NOT_FINITE
    if not isfinite(accuracy_m):
        return FixRejection.NOT_FINITE
    if abs(fix.lat) > 90.0 or abs(fix.lng) > 180.0 or accuracy_m < 0.0:
        return FixRejection.OUT_OF_RANGE
    if fix.lat == 0.0 and fix.lng == 0.0:
        return FixRejection.NULL_ISLAND
    if fix.at_s > now_s + FUTURE_SLACK_S:
        return FixRejection.FUTURE
    return FixRejection.INACCURATE


def _suspected(track: Track, now_s: float) -> tuple[Track, bool]:
    """Returns the track with one suspect more, and whether that ends the session."""
    recent = tuple(at for at in track.suspects_s if now_s - at < SUSPECT_WINDOW_S)
    suspects = (*recent, now_s)[-SUSPECTS_TO_END:]
    return track._replace(suspects_s=suspects), len(suspects) >= SUSPECTS_TO_END


_CERTAIN: Final = 1.0 - 1e-9  # what rounding may hide, so that the exact length decides
_EVER_S: Final = float("inf")
_METRES_PER_DEGREE: Final = EARTH_RADIUS_M / degrees(1.0) * (1.0 + 1e-9)

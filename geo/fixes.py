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

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from geo.distance import at_most_m, distance_m
from geo.points import LatLng
from geo.units import metres_per_second

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


@dataclass(frozen=True, slots=True)
class Fix:
    """A position as a device claims it: degrees, metres of accuracy, Unix seconds."""

    lat: float
    lng: float
    at_s: float
    accuracy_m: float | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """What a session remembers of its fixes: the last good one, and its suspects."""

    point: LatLng
    at_s: float
    accuracy_m: float = 0.0
    fast_in_a_row: int = 0
    suspects_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FixResult:
    """The result of checking one fix: the track to remember, and the refusal if there is one.

    `track` is None only when a fix was refused and no other is known.
    """

    track: Track | None
    rejection: FixRejection | None = None
    suspect: bool = False
    ends_session: bool = False


def check_fix(previous: Track | None, fix: Fix, now_s: float) -> FixResult:
    """Checks a fix at `now_s` (Unix s) against the session's track, None where nothing is known."""
    rejection = _rejection_alone(fix, now_s)
    if rejection is not None:
        return FixResult(previous, rejection)
    track = Track(LatLng(fix.lat, fix.lng), min(fix.at_s, now_s), fix.accuracy_m or 0.0)
    return FixResult(track) if previous is None else _check_step(previous, track, now_s)


def _check_step(previous: Track, track: Track, now_s: float) -> FixResult:
    """Checks the way from one good fix to the next."""
    if previous.at_s > now_s:
        return FixResult(replace(track, suspects_s=previous.suspects_s))
    if track.at_s < previous.at_s:
        return FixResult(previous, FixRejection.OLDER_THAN_LAST)
    if _is_over(previous, track, IMPOSSIBLE_M_PER_S):
        stays, ends = _suspected(previous, now_s)
        return FixResult(stays, FixRejection.IMPOSSIBLE_SPEED, suspect=True, ends_session=ends)
    track = replace(track, suspects_s=previous.suspects_s)
    if not _is_over(previous, track, FAST_M_PER_S):
        return FixResult(track)
    if previous.fast_in_a_row + 1 < FAST_IN_A_ROW:
        return FixResult(replace(track, fast_in_a_row=previous.fast_in_a_row + 1))
    track, ends = _suspected(track, now_s)
    return FixResult(track, suspect=True, ends_session=ends)


def _rejection_alone(fix: Fix, now_s: float) -> FixRejection | None:
    """Returns what is wrong with a fix regardless of earlier ones, or None."""
    accuracy_m = 0.0 if fix.accuracy_m is None else fix.accuracy_m
    if not all(map(math.isfinite, (fix.lat, fix.lng, fix.at_s, accuracy_m))):
        return FixRejection.NOT_FINITE
    if abs(fix.lat) > 90.0 or abs(fix.lng) > 180.0 or accuracy_m < 0.0:
        return FixRejection.OUT_OF_RANGE
    if fix.lat == 0.0 and fix.lng == 0.0:
        return FixRejection.NULL_ISLAND
    if fix.at_s > now_s + FUTURE_SLACK_S:
        return FixRejection.FUTURE
    if accuracy_m > WORST_ACCURACY_M:
        return FixRejection.INACCURATE
    return None


def _is_over(before: Track, after: Track, speed_m_per_s: float) -> bool:
    """Returns whether the way between two fixes needs more than this speed."""
    reach_m = speed_m_per_s * max(after.at_s - before.at_s, SHORTEST_STEP_S)
    reach_m += before.accuracy_m + after.accuracy_m
    # Nearly every heartbeat is settled by the cheap bound.
    if at_most_m(before.point, after.point) <= reach_m:
        return False
    return distance_m(before.point, after.point) > reach_m


def _suspected(track: Track, now_s: float) -> tuple[Track, bool]:
    """Returns the track with one suspect more, and whether that ends the session."""
    recent = tuple(at for at in track.suspects_s if now_s - at < SUSPECT_WINDOW_S)
    suspects = (*recent, now_s)[-SUSPECTS_TO_END:]
    return replace(track, suspects_s=suspects), len(suspects) >= SUSPECTS_TO_END

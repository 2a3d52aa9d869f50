"""The rules of fixes one by one, as `geo/fixes.py` had them before it was made quick.

Its constants and types are those of the rules; how it decides is not.
"""

from __future__ import annotations

import math

from geo.distance import distance_m
from geo.fixes import (
    FAST_IN_A_ROW,
    FAST_M_PER_S,
    FUTURE_SLACK_S,
    IMPOSSIBLE_M_PER_S,
    SHORTEST_STEP_S,
    SUSPECT_WINDOW_S,
    SUSPECTS_TO_END,
    WORST_ACCURACY_M,
    Fix,
    FixRejection,
    FixResult,
    Track,
)
from geo.points import LatLng


def check_fix(previous: Track | None, fix: Fix, now_s: float) -> FixResult:
    """Check a fix at `now_s` (Unix s) against the session's track, None where nothing is known."""
    rejection = _rejection_alone(fix, now_s)
    if rejection is not None:
        return FixResult(previous, rejection)
    track = Track(LatLng(fix.lat, fix.lng), min(fix.at_s, now_s), fix.accuracy_m or 0.0)
    return FixResult(track) if previous is None else _check_step(previous, track, now_s)


def _check_step(previous: Track, track: Track, now_s: float) -> FixResult:
    """Check the way from one good fix to the next."""
    if previous.at_s > now_s:
        return FixResult(track._replace(suspects_s=previous.suspects_s))
    if track.at_s < previous.at_s:
        return FixResult(previous, FixRejection.OLDER_THAN_LAST)
    if _is_over(previous, track, IMPOSSIBLE_M_PER_S):
        stays, ends = _suspected(previous, now_s)
        return FixResult(stays, FixRejection.IMPOSSIBLE_SPEED, suspect=True, ends_session=ends)
    track = track._replace(suspects_s=previous.suspects_s)
    if not _is_over(previous, track, FAST_M_PER_S):
        return FixResult(track)
    if previous.fast_in_a_row + 1 < FAST_IN_A_ROW:
        return FixResult(track._replace(fast_in_a_row=previous.fast_in_a_row + 1))
    track, ends = _suspected(track, now_s)
    return FixResult(track, suspect=True, ends_session=ends)


def _rejection_alone(fix: Fix, now_s: float) -> FixRejection | None:
    """What is wrong with a fix regardless of earlier ones, or None."""
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
    """Whether the way between two fixes needs more than this speed."""
    reach_m = speed_m_per_s * max(after.at_s - before.at_s, SHORTEST_STEP_S)
    reach_m += before.accuracy_m + after.accuracy_m
    return distance_m(before.point, after.point) > reach_m


def _suspected(track: Track, now_s: float) -> tuple[Track, bool]:
    """The track with one suspect more, and whether that ends the session."""
    recent = tuple(at for at in track.suspects_s if now_s - at < SUSPECT_WINDOW_S)
    suspects = (*recent, now_s)[-SUSPECTS_TO_END:]
    return track._replace(suspects_s=suspects), len(suspects) >= SUSPECTS_TO_END

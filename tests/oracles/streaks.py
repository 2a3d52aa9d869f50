"""Days in a row with a completed task. Twin of `streak_after` in sql/schema/progress/functions.sql."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Streak(NamedTuple):
    """So many days, the last of them `last_on`, a day of the user's time zone."""

    days: int = 0
    last_on: date | None = None


def streak_ends_at(last_on: date, zone: ZoneInfo, grace: timedelta) -> datetime:
    """The last instant (UTC) at which a completion keeps the streak.

    The end of the day after the last one, plus the grace in hours that pass: a day with a change of
    clocks has 23 or 25 of them. Where clocks change at midnight, the later reading counts.
    """
    midnight = datetime.combine(last_on + timedelta(days=2), time(), zone)
    return max(midnight.replace(fold=fold).astimezone(UTC) for fold in (0, 1)) + grace


def streak_after(
    before: Streak, completed_at: datetime, zone: ZoneInfo, grace: timedelta
) -> Streak:
    """The streak after a completion at an aware instant.

    The next day raises it; within the grace it is kept, not raised. A completion on a day before
    the last one, which was booked late or is seen from another time zone, changes nothing.
    """
    day = completed_at.astimezone(zone).date()
    if before.last_on is None:
        return Streak(1, day)
    if day <= before.last_on:
        return before
    if day == before.last_on + timedelta(days=1):
        return Streak(before.days + 1, day)
    if completed_at <= streak_ends_at(before.last_on, zone, grace):
        return Streak(before.days, day)
    return Streak(1, day)

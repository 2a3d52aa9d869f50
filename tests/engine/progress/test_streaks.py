"""Streaks: days of the user's own time zone, with a grace, by when the work was done."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from tests.engine.progress.history_builder import HistoryBuilder, ask, refused
from tests.oracles.streaks import Streak, streak_after, streak_ends_at
from tests.support.market import Market

DAY = timedelta(days=1)
AUCKLAND, NEW_YORK = "Pacific/Auckland", "America/New_York"
ZONES = (
    "UTC",
    AUCKLAND,
    NEW_YORK,
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "America/Havana",  # clocks change at midnight, both ways
    "Atlantic/Azores",
)


async def in_sql(
    market: Market, before: Streak, at: datetime, zone: str, grace: timedelta
) -> Streak:
    """`streak_after` by the database."""
    row = await market.app.fetchrow(
        "select (s).days, (s).last_on"
        " from (select streak_after(row($1::int, $2::date)::streak, $3, $4, $5) as s) as x",
        before.days,
        before.last_on,
        at,
        zone,
        grace,
    )
    return Streak(row["days"], row["last_on"])


def local(zone: str, *when: int) -> datetime:
    """An instant by the clock on the wall there."""
    year, month, day, hour, minute, second, micro = (*when, *(0,) * (7 - len(when)))
    return datetime(year, month, day, hour, minute, second, micro, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "last_on", "at", "days"),
    [
        # the same day, the next, and the borders between them, by the wall clock there
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 10, 23, 59, 59), 5),
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 11, 0, 0, 0), 6),
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 11, 23, 59, 59), 6),
        # within the grace, 24 h behind the end of the day after: kept, not raised
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 12, 0, 0, 0), 5),
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 13, 0, 0, 0), 5),
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 13, 0, 0, 0, 1), 1),
        # clocks go forward on 8 March 2026: the day of grace has 23 hours, the grace still 24
        (NEW_YORK, date(2026, 3, 6), (2026, 3, 9, 1, 0, 0), 5),
        (NEW_YORK, date(2026, 3, 6), (2026, 3, 9, 1, 0, 0, 1), 1),
        # and back on 1 November: that day has 25
        (NEW_YORK, date(2026, 10, 30), (2026, 11, 1, 23, 0, 0), 5),
        (NEW_YORK, date(2026, 10, 30), (2026, 11, 1, 23, 0, 0, 1), 1),
        (NEW_YORK, date(2026, 3, 7), (2026, 3, 8, 23, 59, 59), 6),
        # Auckland leaves summer time on 5 April 2026
        (AUCKLAND, date(2026, 4, 3), (2026, 4, 5, 23, 0, 0), 5),
        (AUCKLAND, date(2026, 4, 3), (2026, 4, 5, 23, 0, 0, 1), 1),
        # a day before the last one: booked late
        (AUCKLAND, date(2026, 1, 10), (2026, 1, 9, 12), 5),
    ],
)
async def test_the_borders_of_a_streak(
    market: Market, zone: str, last_on: date, at: tuple[int, ...], days: int
) -> None:
    """Five days before; SQL and Python say the same."""
    before = Streak(5, last_on)
    instant = local(zone, *at)
    after = streak_after(before, instant, ZoneInfo(zone), DAY)
    assert after.days == days
    assert await in_sql(market, before, instant, zone, DAY) == after


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    zone=st.sampled_from(ZONES),
    last_on=st.dates(date(2024, 1, 1), date(2026, 12, 31)),
    seconds=st.integers(-100_000, 400_000) | st.sampled_from([86_400 * n for n in range(5)]),
    grace_h=st.sampled_from([0, 12, 24, 48]),
    days=st.integers(1, 50),
)
async def test_sql_and_python_count_the_same_days(
    market: Market, *, zone: str, last_on: date, seconds: int, grace_h: int, days: int
) -> None:
    """Around every kind of border, in zones with odd clocks."""
    grace = timedelta(hours=grace_h)
    at = datetime(last_on.year, last_on.month, last_on.day, tzinfo=ZoneInfo(zone)).astimezone(
        UTC
    ) + timedelta(seconds=seconds)
    before = Streak(days, last_on)
    after = streak_after(before, at, ZoneInfo(zone), grace)
    assert await in_sql(market, before, at, zone, grace) == after
    ends_at = await market.app.fetchval("select streak_ends_at($1, $2, $3)", last_on, zone, grace)
    assert ends_at == streak_ends_at(last_on, ZoneInfo(zone), grace)
    assert after.last_on is not None
    assert after.last_on >= last_on
    # a day more only by the very next day; whatever else continues it keeps it
    if after.days == days + 1:
        assert after.last_on == last_on + DAY
    else:
        assert after.days == days or (after.days == 1 and at > ends_at)


async def test_every_second_day_keeps_a_streak_and_does_not_raise_it(market: Market) -> None:
    """1, 1, 1; two days in a row raise it; a grace of two days keeps it over two idle ones."""
    hustler = await market.user("hustler")
    noon = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in range(1, 12)]
    assert await award(market, hustler, noon[0], noon[2], noon[4], noon[5], noon[7]) == [
        1, 1, 1, 2, 2,
    ]  # fmt: skip
    before = Streak(7, date(2026, 3, 1))
    assert streak_after(before, noon[3], ZoneInfo("UTC"), 2 * DAY) == Streak(7, date(2026, 3, 4))
    assert await in_sql(market, before, noon[3], "UTC", 2 * DAY) == Streak(7, date(2026, 3, 4))


async def award(market: Market, hustler: UserId, *at: datetime) -> list[int]:
    """The streak after each completion, booked in this order."""
    streaks = []
    for instant in at:
        done = (await HistoryBuilder(market, hustler).completed(at=instant))[0]
        received = await ask(market, "award_xp", done.escrow)
        streaks.append(received[0][1]["streak_days"])
    return streaks


async def test_a_streak_goes_by_the_work_not_by_the_booking(market: Market) -> None:
    """An older completion that is booked later changes nothing, and takes the streak that stands."""
    hustler = await market.user("hustler")
    noon = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in range(1, 12)]
    assert await award(market, hustler, noon[0], noon[1], noon[1]) == [1, 2, 2]
    assert await award(market, hustler, noon[3], noon[2], noon[0], noon[4]) == [2, 2, 2, 3]
    # the 5th, then the 8th: two whole days between
    assert await award(market, hustler, noon[7]) == [1]
    row = await market.app.fetchrow("select * from progress where user_id = $1", hustler)
    assert (row["streak_days"], row["longest_streak_days"]) == (1, 3)
    assert row["last_completed_on"] == date(2026, 3, 8)


async def test_a_change_of_time_zone_gives_no_day_twice(market: Market) -> None:
    """Who hops around the globe between two tasks gains a day at most when the date moves on."""
    hustler = await market.user("hustler")
    start = datetime(2026, 3, 10, 9, tzinfo=UTC)
    zones = (AUCKLAND, "Pacific/Pago_Pago", "Pacific/Kiritimati", NEW_YORK, "UTC") * 3
    streaks = []
    for hour, zone in enumerate(zones):
        await market.commands.people.set_time_zone(hustler, zone)
        streaks += await award(market, hustler, start + timedelta(hours=hour))
    assert streaks == sorted(streaks)
    assert streaks[-1] <= 3
    await market.commands.people.set_time_zone(hustler, AUCKLAND)
    assert await award(market, hustler, local(AUCKLAND, 2026, 3, 12, 8)) == [streaks[-1] + 1]


async def test_a_shown_streak_ends_when_it_is_lost(own_market: Market) -> None:
    """streak_days and streak_ends_at until the last instant, then 0 and null."""
    market = own_market
    hustler = await market.user("hustler")
    now = await market.queries.clock.now()
    assert (await market.queries.progress.progress(hustler)).streak_ends_at is None
    await award(market, hustler, now - DAY, now)

    ends_at = datetime(now.year, now.month, now.day, tzinfo=UTC) + 3 * DAY
    shown = await market.queries.progress.progress(hustler)
    assert (shown.streak_days, shown.streak_ends_at) == (2, ends_at)
    await market.advance(f"{(ends_at - now).total_seconds() - 10} seconds")
    assert (await market.queries.people.me(hustler)).streak_days == 2
    await market.advance("10 seconds")
    shown = await market.queries.progress.progress(hustler)
    assert (shown.streak_days, shown.streak_ends_at) == (0, None)
    assert await award(market, hustler, await market.queries.clock.now()) == [1]


async def test_the_grace_is_a_setting_of_the_owner(own_market: Market) -> None:
    """With none, a missed day ends the streak; the service cannot change it."""
    market = own_market
    statement = "update progress_settings set grace = $1"
    assert (await refused(market, "app", statement, timedelta()))[0] == "42501"
    await market.owner.execute(statement, timedelta())
    hustler = await market.user("hustler")
    noon = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in range(1, 6)]
    assert await award(market, hustler, noon[0], noon[1], noon[3]) == [1, 2, 1]


async def test_the_service_writes_no_streak(market: Market) -> None:
    """42501 for anything of progress but the time zone."""
    for change in ("streak_days = 30", "last_completed_on = now()", "longest_streak_days = 9"):
        assert (await refused(market, "app", f"update progress set {change}"))[0] == "42501"
    assert (await refused(market, "app", "delete from progress"))[0] == "42501"


@pytest.mark.parametrize("wrong", ["Mars/Olympus", "utc+25", "EST5EDT6", "'", ""])
async def test_a_time_zone_is_one_the_server_knows(market: Market, wrong: str) -> None:
    """VALIDATION_ERROR for the command, 23514 for psql."""
    user = await market.user("hustler")
    with pytest.raises(Refusal) as caught:
        await market.commands.people.set_time_zone(user, wrong)
    assert caught.value.kind.code == "VALIDATION_ERROR"
    for role in ("app", "owner"):
        got = await refused(
            market, role, "update progress set time_zone = $2 where user_id = $1", user, wrong
        )
        assert got == ("23514", "progress_time_zone")
    await market.commands.people.set_time_zone(user, "Asia/Tokyo")
    assert (await market.queries.people.me(user)).time_zone == "Asia/Tokyo"

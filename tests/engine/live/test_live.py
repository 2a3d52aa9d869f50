"""What time makes of LIVE mode: shifts and rests, and every border told as it comes.

The clock stands still in here until it is moved.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from tests.engine.money import clock
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase

MINUTE, HOUR, DAY = 60, 3_600, 86_400


@pytest.fixture
async def still_market(own_market: Market) -> Market:
    """A market whose clock is moved by hand alone."""
    await clock.stop(own_market.owner)
    return own_market


async def after(market: Market, seconds: float) -> None:
    """Time passes, and what is due then happens."""
    await clock.advance(market.owner, seconds)
    await market.timers.fire_due()


async def state(market: Market, hustler: UserId) -> tuple[str, str | None]:
    """The LIVE state and its reason."""
    live = await market.queries.live.state(hustler)
    return live.state, live.reason


def received(market: Market, hustler: UserId) -> list[Any]:
    """What the hustler heard of LIVE mode since the last look: states with reasons, and nudges."""
    heard = [
        event.data.get("kind") or (event.data["state"], event.data.get("reason"))
        for applied in market.effects.committed
        for event in applied.events
        if event.user_id == hustler and event.type in ("LIVE_MODE_STATE_CHANGE", "NUDGE")
    ]
    market.effects.committed.clear()
    return heard


def withdrawn(market: Market) -> list[UserId]:
    """Whose cards left the screens since the last look."""
    return [UserId(user) for applied in market.effects.committed for user in applied.withdrawn]


async def off_and_on(market: Market, hustler: UserId, seconds: float) -> None:
    """LIVE mode off for a while."""
    await market.commands.live.end(hustler, "MANUAL")
    await after(market, seconds)
    await market.commands.live.go_live(hustler, None, None)


async def test_a_shift_warns_after_three_hours_and_rests_after_four(still_market: Market) -> None:
    """Each border is told once: nothing a second before, at once when it comes."""
    market = still_market
    hustler = await market.live_hustler()
    for seconds, at_the_border in (
        (3 * HOUR, ["LIVE_3H"]),
        (1 * HOUR, [("COOLDOWN", "FATIGUE")]),
        (30 * MINUTE, [("ACTIVE", None)]),
        (3 * HOUR, ["LIVE_3H"]),
        (1 * HOUR, [("COOLDOWN", "FATIGUE")]),
    ):
        await after(market, seconds - 1)
        assert received(market, hustler) == []
        await after(market, 1)
        assert withdrawn(market) == ([hustler] if ("COOLDOWN", "FATIGUE") in at_the_border else [])
        assert received(market, hustler) == at_the_border
    assert (
        await market.queries.live.state(hustler)
    ).ends_at == await market.queries.clock.now() + timedelta(minutes=30)


async def test_a_rest_outlives_off_and_on(still_market: Market) -> None:
    """Ten minutes into it off, five later on: it ends when it would have ended, and is told."""
    market = still_market
    hustler = await market.live_hustler()
    await after(market, 4 * HOUR + 10 * MINUTE)
    ends_at = (await market.queries.live.state(hustler)).ends_at
    await off_and_on(market, hustler, 5 * MINUTE)
    live = await market.queries.live.state(hustler)
    assert (live.state, live.reason, live.ends_at) == ("COOLDOWN", "FATIGUE", ends_at)
    received(market, hustler)
    await after(market, 15 * MINUTE - 1)
    assert (await state(market, hustler), received(market, hustler)) == (
        ("COOLDOWN", "FATIGUE"),
        [],
    )
    await after(market, 1)
    assert received(market, hustler) == [("ACTIVE", None)]
    # and the next shift is a whole one
    await after(market, 4 * HOUR - 1)
    assert await state(market, hustler) == ("ACTIVE", None)


@pytest.mark.parametrize(
    ("off_s", "left_s"),
    [(5 * MINUTE, 60), (30 * MINUTE - 1, 60), (30 * MINUTE, 4 * HOUR)],
)
async def test_only_half_an_hour_off_begins_a_new_shift(
    still_market: Market, off_s: int, left_s: int
) -> None:
    """Off at 3:59, for less than half an hour: one minute is left; what was off does not count."""
    market = still_market
    hustler = await market.live_hustler()
    await after(market, 3 * HOUR + 59 * MINUTE)
    await off_and_on(market, hustler, off_s)
    received(market, hustler)
    await after(market, left_s - 1)
    assert await state(market, hustler) == ("ACTIVE", None)
    await after(market, 1)
    assert received(market, hustler)[-1] == ("COOLDOWN", "FATIGUE")


async def test_off_and_on_again_and_again_is_one_shift(still_market: Market) -> None:
    """Twelve times twenty minutes with five between: the rest comes after four hours of LIVE time."""
    market = still_market
    hustler = await market.live_hustler()
    for _ in range(11):
        await after(market, 20 * MINUTE)
        await off_and_on(market, hustler, 5 * MINUTE)
    assert await state(market, hustler) == ("ACTIVE", None)
    await after(market, 20 * MINUTE)
    assert await state(market, hustler) == ("COOLDOWN", "FATIGUE")


async def test_who_rests_with_live_mode_off_comes_back_active(still_market: Market) -> None:
    """The rest runs while LIVE mode is off, and nobody is told of what they cannot see."""
    market = still_market
    hustler = await market.live_hustler()
    await after(market, 4 * HOUR)
    await market.commands.live.end(hustler, "OFFLINE")
    received(market, hustler)
    await after(market, 30 * MINUTE)
    assert received(market, hustler) == []
    await market.commands.live.go_live(hustler, None, None)
    assert await state(market, hustler) == ("ACTIVE", None)


async def test_a_border_that_passed_while_the_service_was_down_is_told_after_it(
    still_market: Market, fresh_database: TestDatabase
) -> None:
    """Another process fires it; what began and ended meanwhile is no news."""
    market = still_market
    resting, rested = await market.live_hustler(), await market.live_hustler()
    await clock.advance(market.owner, 10 * MINUTE)
    await market.commands.live.end(resting, "OFFLINE")
    await clock.advance(market.owner, 30 * MINUTE)
    await market.commands.live.go_live(resting, None, None)
    await clock.advance(market.owner, 4 * HOUR)
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as restarted:
        await restarted.timers.fire_due()
        heard = [received(restarted, user) for user in (resting,)]
        await restarted.timers.fire_due()
        assert heard == [[("COOLDOWN", "FATIGUE")]]
        assert (await state(restarted, rested)) == ("ACTIVE", None)
        assert received(restarted, rested) == []


async def second_accept(market: Market) -> UserId:
    """A hustler whose second accept of the session brought a cooldown, free again."""
    hustler = await market.live_hustler()
    for _ in range(2):
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.live.accept(hustler, task)
        await market.commands.tasks.release(hustler, task, None)
    return hustler


async def declined(market: Market) -> UserId:
    """A hustler who declined five in a row."""
    hustler = await market.live_hustler()
    for _ in range(5):
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.live.respond(hustler, await market.broadcast_of(task), "DECLINE")
    return hustler


@pytest.mark.parametrize(
    ("make", "seconds", "before", "event"),
    [
        (second_accept, 15 * MINUTE, ("COOLDOWN", "ACCEPTS"), ("ACTIVE", None)),
        (declined, 30 * MINUTE, ("PAUSED", "DECLINES"), ("ACTIVE", None)),
    ],
)
async def test_the_end_of_a_cooldown_and_of_a_pause_is_told(
    still_market: Market, make: Any, seconds: int, before: Any, event: Any
) -> None:
    """Nothing a second before; a session that has ended meanwhile hears nothing."""
    market = still_market
    hustler, gone = await make(market), await make(market)
    await market.commands.live.end(gone, "OFFLINE")
    received(market, hustler)
    await after(market, seconds - 1)
    assert (await state(market, hustler), received(market, hustler)) == (before, [])
    await after(market, 1)
    heard = list(market.effects.committed)
    assert received(market, hustler) == [event]
    assert not any(e.user_id == gone and "LIVE" in e.type for a in heard for e in a.events)


async def test_the_end_of_a_ban_is_told(still_market: Market) -> None:
    """OFF without a reason: LIVE mode may be switched on again."""
    market = still_market
    hustler, admin = await market.user("hustler"), await market.user("admin")
    until = await market.queries.clock.now() + timedelta(days=1)
    await market.app.fetchval("select live_ban($1, $2, $3, 'Seen.')", admin, hustler, until)
    await after(market, DAY - 1)
    assert received(market, hustler) == []
    await after(market, 1)
    assert received(market, hustler) == [("OFF", None)]


async def impossible(market: Market, hustler: UserId, seconds: float = 0) -> Any:
    """A session that ends for its positions, `seconds` after the one before."""
    await clock.advance(market.owner, seconds)
    await market.commands.live.go_live(hustler, None, None)
    market.effects.committed.clear()
    await market.commands.live.end_impossible(hustler)
    return received(market, hustler)


@pytest.mark.parametrize(("days", "is_banned"), [(30 * DAY - 1, True), (30 * DAY, False)])
async def test_the_third_impossible_session_in_thirty_days_bans_until_an_admin_lifts_it(
    still_market: Market, days: int, *, is_banned: bool
) -> None:
    """An item asks a person to look; the lift forgives what came before it."""
    market = still_market
    hustler, admin = await market.user("hustler"), await market.user("admin")
    for event in (await impossible(market, hustler), await impossible(market, hustler)):
        assert event == [("OFF", "FORCED")]
    third = await impossible(market, hustler, days)
    assert third == [("OFF", "BANNED" if is_banned else "FORCED")]
    items = "select count(*) from admin_items where kind = 'IMPOSSIBLE_POSITIONS'"
    opened = f"{items} and subject = $1 and closed_at is null"
    assert await market.app.fetchval(opened, str(hustler)) == int(is_banned)
    if not is_banned:
        return
    await clock.advance(market.owner, 3_650 * DAY)
    with pytest.raises(Refusal) as refused:
        await market.commands.live.go_live(hustler, None, None)
    assert (refused.value.kind.code, refused.value.retry_after_s) == ("HX905", None)
    assert (await market.queries.live.state(hustler)).ends_at is None
    await market.app.fetchval("select lift_live_ban($1, $2, 'A broken phone.')", admin, hustler)
    assert await market.app.fetchval(opened, str(hustler)) == 0
    assert await impossible(market, hustler, 1) == [("OFF", "FORCED")]


async def test_no_rest_is_shortened_by_hand(still_market: Market) -> None:
    """HX601 for the app role and for the owner alike."""
    market = still_market
    hustler = await market.live_hustler()
    await after(market, 4 * HOUR)
    for db in (market.app, market.owner):
        for change in ("shift_since = hx_clock()", "off_since = hx_clock()"):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await db.execute(f"update live_status set {change} where user_id = $1", hustler)
            assert (refused.value.sqlstate, refused.value.constraint_name) == (
                "HX601",
                "LIVE-REST",
            )
        await db.execute(
            "update live_status set active_since = hx_clock() where user_id = $1", hustler
        )
    assert await state(market, hustler) == ("COOLDOWN", "FATIGUE")


async def test_shifts_agree_with_time_worked(still_market: Market) -> None:
    """A long day of odd sessions: the state is what adding up the minutes says."""
    market = still_market
    hustler = await market.live_hustler()
    worked, minutes_off = 0, (7, 29, 12, 31, 6, 44, 9, 5)
    for turn, off in enumerate(minutes_off):
        on = 37 + 11 * turn
        await after(market, on * MINUTE)
        worked += on
        expected = "COOLDOWN" if worked % 270 >= 240 else "ACTIVE"
        assert (await state(market, hustler))[0] == expected, (turn, worked)
        if expected == "COOLDOWN":
            worked = 0
            await after(market, 30 * MINUTE)
            await off_and_on(market, hustler, 31 * MINUTE)
            continue
        await off_and_on(market, hustler, off * MINUTE)
        worked = 0 if off >= 30 else worked


async def test_a_row_that_somebody_holds_keeps_nobody_else_from_going_live(
    market: Market, owner_dsn: str
) -> None:
    """The holder is not waited for, however long the session would wait; each has the own outcome."""
    held, banned, free = [await market.user("hustler") for _ in range(3)]
    await market.owner.execute(
        "update live_status set banned_until = 'infinity' where user_id = $1", banned
    )
    holder = await asyncpg.connect(owner_dsn)
    try:
        async with holder.transaction(), market.app.transaction(), asyncio.timeout(5.0):
            await holder.execute("select from live_status where user_id = $1 for update", held)
            await market.app.execute("set local lock_timeout = 0")
            answers = json.loads(
                await market.app.fetchval(
                    "select go_live_together($1, $2, $3)",
                    [held, banned, free],
                    [None, None, 4.0],
                    '[null, null, ["moving"]]',
                )
            )
    finally:
        await holder.close()
    assert answers[:2] == [None, None]
    live = await market.queries.live.state(free)
    assert (str(live.session_id), live.radius_miles) == (answers[2]["subject_id"], 4.0)
    assert live.categories == ["moving"]

"""Trust: points and tiers by written rules, every change on a ledger that only grows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.kernel.ids import TaskId, UserId
from engine.kernel.states import Mode
from tests.engine.progress.history_builder import HistoryBuilder, ask, points, refused, tier
from tests.support.market import Market

ROLES = ("app", "owner")
TIER = ("HX010", "TRUST-TIER")


async def rookie(market: Market, *, verified: bool = True, insured: bool = False) -> UserId:
    """A hustler at the beginning."""
    hustler = await market.user("hustler", trust_tier=1)
    await market.owner.execute(
        "update users set identity_verified_at = case when $2 then hx_clock() end where id = $1",
        hustler,
        verified,
    )
    await market.owner.execute(
        "update hustler_profiles set insurance_valid = $2 where user_id = $1", hustler, insured
    )
    return hustler


async def ledger(market: Market, user: UserId) -> list[tuple[Any, ...]]:
    """Reason, tiers and points of each row, oldest first."""
    rows = await market.app.fetch(
        "select reason, old_tier, new_tier, points::float8 from trust_ledger where user_id = $1"
        " order by created_at, points desc",
        user,
    )
    return [tuple(row) for row in rows]


async def note_last(market: Market, hustler: UserId) -> dict[str, Any] | None:
    """Complete one more task; the change of tier that it brings."""
    done = (await HistoryBuilder(market, hustler).completed())[0]
    received = await ask(market, "record_completed", done.task)
    changes = [data for kind, data in received if kind == "TRUST_TIER_CHANGED"]
    return changes[0] if changes else None


# ── Points ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("mode", "gained"), [("STANDARD", 1.5), ("LIVE", 2.5)])
async def test_a_quick_completion_gives_points_once(
    market: Market, mode: Mode, gained: float
) -> None:
    """+1 and +0.5, LIVE +1.5 and +1; a second note changes nothing."""
    task, hustler = await market.completed(mode)
    assert await points(market, hustler) == 0
    await market.settle(task)
    assert await points(market, hustler) == gained
    assert await ask(market, "record_completed", task) == []
    assert await points(market, hustler) == gained
    assert [row[0] for row in await ledger(market, hustler)][-2:] == [
        "COMPLETION",
        "QUICK_COMPLETION",
    ]


@pytest.mark.parametrize(("minutes", "gained"), [(29, 1.5), (30, 1.0)])
async def test_quick_is_under_half_an_hour_of_the_hustlers_own(
    own_market: Market, minutes: int, gained: float
) -> None:
    """From the start code to the proof; the poster's day of silence is not counted."""
    market = own_market
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.advance(f"{minutes} minutes")
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    await market.advance("1 day")
    await market.commands.proofs.approve(await market.poster_of(task), task)
    await market.settle(task)
    assert await points(market, hustler) == gained


@pytest.mark.parametrize(("mode", "lost"), [("STANDARD", -2.0), ("LIVE", -4.0)])
async def test_an_abandonment_costs_points_once(market: Market, mode: Mode, lost: float) -> None:
    """−2 and −4; giving back at once is free; nothing is noted twice."""
    hustler = await rookie(market)
    now = await market.queries.clock.now()
    quick, late = await HistoryBuilder(market, hustler).held(2, mode)
    await ask(market, "record_given_up", quick, "QUICK", now)
    assert await points(market, hustler) == 0
    await ask(market, "record_given_up", late, "RELEASED", now)
    await ask(market, "record_given_up", late, "NO_SHOW", now)
    assert await points(market, hustler) == lost


async def test_nothing_is_noted_of_a_task_in_another_state(market: Market) -> None:
    """A running task is neither completed nor lost nor given up; an approved one is not paid yet."""
    task, hustler = await market.submitted("STANDARD")
    now = await market.queries.clock.now()
    assert await ask(market, "record_completed", task) == []
    assert await ask(market, "record_lost", task) == []
    assert await ask(market, "record_given_up", task, "RELEASED", now) == []
    await market.commands.proofs.approve(await market.poster_of(task), task)
    assert await ask(market, "record_completed", task) == []
    assert await points(market, hustler) == 0


@pytest.mark.parametrize("role", ROLES)
async def test_the_trust_ledger_only_grows(market: Market, role: str) -> None:
    """HX801 TRUST-LEDGER for update, delete and truncate; rows of the service's own are 42501."""
    expected = ("HX801", "TRUST-LEDGER")
    for statement in ("delete from trust_ledger", "update trust_ledger set points = 9"):
        assert await refused(market, role, statement) == expected
    gone = await refused(market, role, "truncate trust_ledger")
    assert gone == (("42501", "") if role == "app" else expected)
    user = await market.user("hustler")
    insert = (
        "insert into trust_ledger (user_id, old_tier, new_tier, reason, points)"
        " values ($1, 1, 1, 'COMPLETION', 100)"
    )
    assert await refused(market, "app", insert, user) == ("42501", "")
    forged = "update users set trust_points = 100 where id = $1"
    assert await refused(market, "owner", forged, user) == expected
    assert (await refused(market, "app", forged, user))[0] == "42501"


@pytest.mark.parametrize("role", ROLES)
async def test_the_record_of_abandonments_only_grows(market: Market, role: str) -> None:
    """HX801 AUDIT-5."""
    for statement in ("delete from abandonments", "update abandonments set kind = 'QUICK'"):
        assert await refused(market, role, statement) == ("HX801", "AUDIT-5")


# ── Promotion ────────────────────────────────────────────────────────────────────────────────────


async def test_verified_takes_five_tasks_and_an_identity(market: Market) -> None:
    """Not at 4, and not at 5 without the papers; the ledger says why."""
    hustler, nobody = await rookie(market), await rookie(market, verified=False)
    for user in (hustler, nobody):
        await HistoryBuilder(market, user).completed(3)
        assert await note_last(market, user) is None
    assert await note_last(market, nobody) is None
    assert await note_last(market, hustler) == {
        "tier": 2,
        "name": "VERIFIED",
        "reason": "PROMOTION",
    }
    assert (await tier(market, hustler), await tier(market, nobody)) == (2, 1)
    assert ("PROMOTION", 1, 2, 0.0) in await ledger(market, hustler)


async def test_trusted_takes_twenty_tasks(market: Market) -> None:
    """VERIFIED at 19, TRUSTED at 20, with its badge."""
    hustler = await rookie(market)
    await HistoryBuilder(market, hustler).completed(18)
    changed = await note_last(market, hustler)
    assert changed is not None
    assert changed["tier"] == 2
    done = (await HistoryBuilder(market, hustler).completed())[0]
    received = await ask(market, "record_completed", done.task)
    assert [kind for kind, _ in received] == ["TRUST_TIER_CHANGED", "BADGE_UNLOCKED"]
    assert received[1][1]["badge_type"] == "TRUSTED"


@pytest.mark.parametrize(
    ("completed", "rejected", "lost", "expected"),
    [
        (38, 2, 1, 2),  # 36 of 39: 92.3 %
        (39, 2, 0, 2),  # 37 of 39: 94.9 %
        (20, 1, 0, 3),  # 19 of 20: 95 %
        (40, 2, 0, 3),
        (39, 1, 1, 3),  # 38 of 40
        (39, 2, 1, 2),  # 37 of 40
    ],
)
async def test_trusted_takes_95_percent_approval(
    market: Market, completed: int, rejected: int, lost: int, expected: int
) -> None:
    """A rejected proof and a lost dispute both count against it."""
    hustler = await rookie(market)
    history = HistoryBuilder(market, hustler)
    await history.lost(lost, at=await market.queries.clock.now() - timedelta(days=200))
    await history.completed(completed - 1, rejected=rejected)
    await note_last(market, hustler)
    assert await tier(market, hustler) == expected


@pytest.mark.parametrize(
    ("completed", "rejected", "insured", "expected"),
    [(49, 0, True, 3), (50, 1, True, 4), (50, 2, True, 3), (50, 0, False, 3)],
)
async def test_elite_takes_fifty_98_percent_and_insurance(
    market: Market, completed: int, rejected: int, *, insured: bool, expected: int
) -> None:
    """Straight to the highest tier whose every criterion holds."""
    hustler = await rookie(market, insured=insured)
    await HistoryBuilder(market, hustler).completed(completed - 1, rejected=rejected)
    changed = await note_last(market, hustler)
    assert changed is not None
    assert changed["tier"] == expected


async def test_the_money_checks_again(market: Market) -> None:
    """Papers that came between completion and payout count with the payout."""
    hustler = await rookie(market, verified=False)
    *_, last = await HistoryBuilder(market, hustler).completed(5)
    assert await ask(market, "record_completed", last.task) == []
    await market.owner.execute(
        "update users set identity_verified_at = hx_clock() where id = $1", hustler
    )
    received = await ask(market, "award_xp", last.escrow)
    assert "TRUST_TIER_CHANGED" in [kind for kind, _ in received]


@pytest.mark.parametrize("role", ROLES)
async def test_a_tier_changes_only_by_its_rules(market: Market, role: str) -> None:
    """HX010 TRUST-TIER for a reason that does not hold; the service has no road but the rules."""
    hustler = await rookie(market)
    connection = market.app if role == "app" else market.owner
    for reason in ("PROMOTION", "DECAY", "PENALTY", "ADMIN_OVERRIDE", "BECAUSE"):
        async with connection.transaction():
            await connection.execute("select set_config('hx.trust_reason', $1, true)", reason)
            savepoint = connection.transaction()
            await savepoint.start()
            got = await refused(
                market, role, "update users set trust_tier = 4 where id = $1", hustler
            )
            await savepoint.rollback()
        assert got == (("42501", "") if role == "app" else TIER)
    assert await tier(market, hustler) == 1
    forged = "select change_tier($1, 4, 'ADMIN_OVERRIDE')"
    assert await refused(market, "app", forged, hustler) == ("42501", "")
    assert await refused(market, "app", "select check_promotion($1)", hustler) == ("", "")
    assert await tier(market, hustler) == 1


async def test_the_owners_own_change_is_logged_as_an_override(market: Market) -> None:
    """Who owns the database may, and it stays on record; 1 to 4 only."""
    hustler = await rookie(market)
    statement = "update users set trust_tier = $2 where id = $1"
    assert await refused(market, "owner", statement, hustler, 3) == ("", "")
    assert await ledger(market, hustler) == [("ADMIN_OVERRIDE", 1, 3, 0.0)]
    assert await refused(market, "owner", statement, hustler, 5) == ("23514", "users_trust_tier")


async def test_an_admin_sets_a_tier_on_record(market: Market) -> None:
    """With a reason, told to the hustler; nobody else can, and a lowered tier is not undone."""
    admin, hustler = await market.user("admin"), await rookie(market)
    statement = "select set_trust_tier($1, $2, $3, $4)"
    got = await refused(market, "app", statement, hustler, hustler, 4, "me")
    assert got == ("HX503", "PERMISSION")
    assert (await refused(market, "app", statement, admin, hustler, 4, " "))[0] != ""
    assert await refused(market, "app", statement, admin, hustler, 5, "far too good") == (
        "23514",
        "users_trust_tier",
    )
    await HistoryBuilder(market, hustler).completed(20)
    await market.app.execute(statement, admin, hustler, 2, "Papers seen in person")
    assert await tier(market, hustler) == 2
    event = await market.app.fetchrow(
        "select type, data from user_events where user_id = $1 order by seq desc limit 1", hustler
    )
    assert event["type"] == "TRUST_TIER_CHANGED"
    row = await market.app.fetchrow(
        "select actor_id, reason from trust_ledger where user_id = $1", hustler
    )
    assert tuple(row) == (admin, "ADMIN_OVERRIDE")

    await market.app.execute(statement, admin, hustler, 1, "Complaints")
    assert await note_last(market, hustler) is None


# ── Decay and penalty ────────────────────────────────────────────────────────────────────────────


async def test_ninety_idle_days_cost_a_tier(own_market: Market) -> None:
    """Not a second earlier; again after ninety more; never below ROOKIE, where no timer waits."""
    market = own_market
    hustler = await rookie(market)
    await HistoryBuilder(market, hustler).completed(
        19, at=await market.queries.clock.now() - timedelta(days=3)
    )
    task = await completed_now(market, hustler)
    assert await tier(market, hustler) == 3
    due = await market.app.fetchval(
        "select due_at - completed_at from timers, tasks"
        " where kind = 'TRUST_REVIEW' and subject = $1 and id = $2",
        hustler,
        task,
    )
    assert due == timedelta(days=90)

    await market.advance("89 days 23 hours 59 minutes 50 seconds")
    assert await review(market, hustler) == []
    assert await tier(market, hustler) == 3
    await market.advance("10 seconds")
    received = await review(market, hustler)
    assert received == [("TRUST_TIER_CHANGED", {"tier": 2, "name": "VERIFIED", "reason": "DECAY"})]
    assert await review(market, hustler) == []

    await market.advance("90 days")
    assert [data["tier"] for _, data in await review(market, hustler)] == [1]
    assert not await market.app.fetchval(
        "select exists(select from timers where kind = 'TRUST_REVIEW' and subject = $1)", hustler
    )
    await market.advance("90 days")
    assert await review(market, hustler) == []
    assert [row[0] for row in await ledger(market, hustler)].count("DECAY") == 2


async def test_work_puts_the_decay_off_and_brings_the_tier_back(own_market: Market) -> None:
    """A task on day 60 moves the review to day 150; one after a decay is checked like any other."""
    market = own_market
    hustler = await rookie(market)
    await HistoryBuilder(market, hustler).completed(5)
    await completed_now(market, hustler)
    await market.advance("60 days")
    await completed_now(market, hustler)
    await market.advance("89 days")
    assert await review(market, hustler) == []
    await market.advance("1 day 1 second")
    assert len(await review(market, hustler)) == 1
    changed = await note_last(market, hustler)
    assert changed is not None
    assert changed["tier"] == 2


async def review(market: Market, hustler: UserId) -> list[tuple[str, dict[str, Any]]]:
    """The timer fires: its row is taken away first."""
    await market.app.execute(
        "delete from timers where kind = 'TRUST_REVIEW' and subject = $1", hustler
    )
    return await ask(market, "fire_trust_review", hustler)


async def completed_now(market: Market, hustler: UserId) -> TaskId:
    """A task done through the commands."""
    task = await market.funded("STANDARD")
    await market.commands.live.accept(hustler, task)
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    await market.commands.proofs.approve(await market.poster_of(task), task)
    await market.settle(task)
    return task


async def give_up(market: Market, hustler: UserId, days_ago: float) -> list[str]:
    """An abandonment; the reasons of the changes that it brings."""
    at = await market.queries.clock.now() - timedelta(days=days_ago)
    task = (await HistoryBuilder(market, hustler).held(at=at))[0]
    received = await ask(market, "record_given_up", task, "RELEASED", at)
    return [data["reason"] for kind, data in received if kind == "TRUST_TIER_CHANGED"]


async def test_three_abandonments_in_thirty_days_cost_a_tier(market: Market) -> None:
    """Not the second, not one of 31 days ago; each counts for one penalty."""
    hustler = await market.user("hustler", trust_tier=4)
    assert await give_up(market, hustler, 31) == []
    assert await give_up(market, hustler, 29) == []
    assert await give_up(market, hustler, 1) == []
    assert await give_up(market, hustler, 0) == ["PENALTY"]
    assert await tier(market, hustler) == 3
    assert await give_up(market, hustler, 0) == []
    assert await give_up(market, hustler, 0) == []
    assert await give_up(market, hustler, 0) == ["PENALTY"]
    assert await tier(market, hustler) == 2


async def test_two_lost_disputes_in_ninety_days_cost_a_tier(market: Market) -> None:
    """Not the first, not with one of 91 days ago."""
    hustler = await market.user("hustler", trust_tier=3)
    now = await market.queries.clock.now()
    reasons = []
    for days in (91, 89, 0):
        task = (await HistoryBuilder(market, hustler).lost(at=now - timedelta(days=days)))[0]
        received = await ask(market, "record_lost", task)
        reasons.append([data["reason"] for _, data in received])
    assert reasons == [[], [], ["PENALTY"]]
    assert await tier(market, hustler) == 2
    row = await market.app.fetchrow(
        "select task_id from trust_ledger where user_id = $1 and reason = 'PENALTY'", hustler
    )
    assert row["task_id"] == task


async def test_a_penalty_never_goes_below_rookie_and_bars_promotion(own_market: Market) -> None:
    """The ledger tells of it all the same; 30 days later the criteria are looked at again."""
    market = own_market
    hustler = await rookie(market)
    await HistoryBuilder(market, hustler).completed(10)
    for _ in range(3):
        assert await give_up(market, hustler, 0) == []
    assert await tier(market, hustler) == 1
    assert ("PENALTY", 1, 1, 0.0) in await ledger(market, hustler)

    assert await note_last(market, hustler) is None
    await market.advance("29 days 23 hours")
    assert await note_last(market, hustler) is None
    await market.advance("1 hour")
    assert await note_last(market, hustler) is not None


# ── What matching knows ──────────────────────────────────────────────────────────────────────────


async def test_the_profile_follows_the_record(market: Market) -> None:
    """Completed / (completed + abandoned + lost), approved / (completed + lost), the categories."""
    hustler = await market.user("hustler")
    history = HistoryBuilder(market, hustler)
    old = await market.queries.clock.now() - timedelta(days=200)
    await history.completed(4, rejected=1)
    await history.completed(2, category="moving")
    await history.abandoned(2)
    await history.abandoned(5, kind="QUICK")
    await history.lost(1, at=old)
    profile = await refreshed(market, hustler)
    assert profile["completion_rate"] == pytest.approx(6 / 9)
    assert profile["approval_rate"] == pytest.approx(5 / 7)
    assert profile["counts"] == {"handyman": 4, "moving": 2}
    assert profile["version"] == 2
    assert (await refreshed(market, hustler))["version"] == 2


async def test_without_work_there_is_no_rate(market: Market) -> None:
    """Null, for which the score has its own default."""
    profile = await refreshed(market, await market.user("hustler"))
    assert (profile["completion_rate"], profile["approval_rate"]) == (None, None)
    assert profile["version"] == 1


async def refreshed(market: Market, hustler: UserId) -> dict[str, Any]:
    """The profile after a refresh."""
    await market.app.execute("select refresh_profile($1)", hustler)
    row = await market.app.fetchrow("select * from hustler_profiles where user_id = $1", hustler)
    counts = await market.app.fetch(
        "select key, value::text::int as n from hustler_profiles, jsonb_each(category_counts)"
        " where user_id = $1",
        hustler,
    )
    return dict(row) | {"counts": {c["key"]: c["n"] for c in counts}}

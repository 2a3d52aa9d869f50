"""XP: earned by released money alone, once per escrow, by the formula, for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernel.states import Mode
from tests.engine.progress.history_builder import HistoryBuilder, ask, refused, resolved
from tests.oracles import xp
from tests.support.market import Market

ROLES = ("app", "owner")
AWARD = (
    "insert into xp_ledger (user_id, task_id, escrow_id)"
    " select t.assigned_hustler_id, t.id, e.id from escrows as e"
    " join tasks as t on t.id = e.task_id where e.id = $1"
)


async def ledger(market: Market, escrow: UUID) -> Any:
    """The row of an escrow."""
    return await market.app.fetchrow("select * from xp_ledger where escrow_id = $1", escrow)


async def escrow_of(market: Market, task: UUID) -> UUID:
    """The current escrow of a task."""
    found: UUID = await market.app.fetchval(
        "select id from escrows where task_id = $1 and is_current", task
    )
    return found


@pytest.mark.parametrize("role", ROLES)
async def test_xp_needs_a_released_escrow(market: Market, role: str) -> None:
    """HX101 INV-1 while the money is held, after a refund, and for a stranger's or other task."""
    task, hustler = await market.submitted("STANDARD")
    escrow = await escrow_of(market, task)
    assert await refused(market, role, AWARD, escrow) == ("HX101", "INV-1")
    gone = await market.funded("STANDARD")
    await market.commands.tasks.cancel(await market.poster_of(gone), gone, None)
    await market.worker.settle_waiting()
    insert = "insert into xp_ledger (user_id, task_id, escrow_id) values ($1, $2, $3)"
    expected = ("HX101", "INV-1")
    assert (
        await refused(market, role, insert, hustler, gone, await escrow_of(market, gone))
        == expected
    )

    done = (await HistoryBuilder(market, hustler).completed())[0]
    stranger = await market.user("hustler")
    for user, work, money in (
        (stranger, done.task, done.escrow),
        (hustler, task, done.escrow),
        (None, done.task, done.escrow),
        (hustler, None, done.escrow),
        (hustler, done.task, None),
        (hustler, done.task, UUID(int=7)),
    ):
        assert await refused(market, role, insert, user, work, money) == expected
    assert await refused(market, role, insert, hustler, done.task, done.escrow) == ("", "")


@pytest.mark.parametrize("role", ROLES)
async def test_the_ledger_fills_in_every_figure_itself(market: Market, role: str) -> None:
    """A row from psql is right, whatever its writer said."""
    hustler = await market.user("hustler", trust_tier=2)
    done = (await HistoryBuilder(market, hustler).completed(mode="LIVE", price_cents=3_333))[0]
    got = await refused(
        market,
        role,
        "insert into xp_ledger (user_id, task_id, escrow_id, amount, base_xp, streak_multiplier,"
        " trust_multiplier, live_multiplier, effective_xp, user_xp_before, user_xp_after,"
        " user_level_before, user_level_after, user_streak_at_award, streak_on, created_at)"
        " values ($1, $2, $3, 999999, 9999, 2, 2, 1, 19998, 0, 19998, 1, 10, 99, '2000-01-01',"
        " '2000-01-01')",
        hustler,
        done.task,
        done.escrow,
    )
    assert got == ("", "")
    row = await ledger(market, done.escrow)
    assert (row["amount"], row["base_xp"], row["effective_xp"]) == (3_333, 33, 65)
    assert [str(row[f"{name}_multiplier"]) for name in ("streak", "trust", "live")] == [
        "1.05",
        "1.5",
        "1.25",
    ]
    assert (row["user_xp_before"], row["user_xp_after"]) == (0, 65)
    assert (row["user_level_before"], row["user_level_after"]) == (1, 1)
    assert row["user_streak_at_award"] == 1
    assert row["created_at"].year > 2000
    me = await market.queries.people.me(hustler)
    assert (me.total_xp, me.level, me.level_title, me.streak_days) == (65, 1, "Rookie", 1)


@pytest.mark.parametrize("role", ROLES)
async def test_an_escrow_gives_xp_once(market: Market, role: str) -> None:
    """INV-5: 23505 for a second row with any subset of columns; award_xp answers nothing."""
    done = (await HistoryBuilder(market, await market.user("hustler")).completed())[0]
    assert (await ask(market, "award_xp", done.escrow))[0][0] == "XP_AWARDED"

    again = ("23505", "xp_ledger_once_per_escrow")
    assert await refused(market, role, AWARD, done.escrow) == again
    only = "insert into xp_ledger (escrow_id) values ($1)"
    assert await refused(market, role, only, done.escrow) == again
    some = "insert into xp_ledger (escrow_id, user_id, base_xp) values ($1, $2, 5)"
    assert await refused(market, role, some, done.escrow, await market.user("hustler")) == again
    assert await ask(market, "award_xp", done.escrow) == []


@pytest.mark.parametrize("role", ROLES)
async def test_the_xp_ledger_only_grows(market: Market, role: str) -> None:
    """HX102 for update, delete and truncate, even where no row matches."""
    done = (await HistoryBuilder(market, await market.user("hustler")).completed())[0]
    await ask(market, "award_xp", done.escrow)
    for statement in (
        f"delete from xp_ledger where escrow_id = '{done.escrow}'",
        f"update xp_ledger set effective_xp = 1 where escrow_id = '{done.escrow}'",
        "delete from xp_ledger where false",
        "update xp_ledger set amount = amount where false",
    ):
        assert await refused(market, role, statement) == ("HX102", "XP-LEDGER")
    expected = ("42501", "") if role == "app" else ("HX102", "XP-LEDGER")
    assert await refused(market, role, "truncate xp_ledger") == expected
    assert await ledger(market, done.escrow) is not None


async def test_the_total_is_what_the_ledger_says_whoever_writes_it(market: Market) -> None:
    """HX102 for the owner's plain UPDATE and a forged birth; 42501 for the service."""
    hustler = await market.user("hustler")
    done = (await HistoryBuilder(market, hustler).completed(price_cents=10_000))[0]
    await ask(market, "award_xp", done.escrow)
    total = (await market.queries.people.me(hustler)).total_xp
    assert total == 157

    statement = "update users set total_xp = $2 where id = $1"
    for wrong in (total + 1, total - 1, 0, 1_000_000):
        assert await refused(market, "owner", statement, hustler, wrong) == ("HX102", "XP-LEDGER")
    assert await refused(market, "owner", statement, hustler, total) == ("", "")
    assert await refused(market, "app", statement, hustler, total) == ("42501", "")
    born = (
        "insert into users (issuer, subject, role, total_xp) values ('x', 'born rich', 'dual', 9)"
    )
    assert await refused(market, "owner", born) == ("HX102", "XP-LEDGER")


@pytest.mark.parametrize(
    ("released", "days", "trust", "mode", "expected"),
    [
        (10_000, 1, 1, "STANDARD", 105),
        (10_000, 19, 1, "STANDARD", 195),
        (10_000, 20, 1, "STANDARD", 200),
        (10_000, 21, 1, "STANDARD", 200),
        (10_000, 1, 2, "STANDARD", 157),
        (10_000, 1, 3, "STANDARD", 210),
        (10_000, 1, 4, "STANDARD", 210),
        (10_000, 1, 1, "LIVE", 131),
        (10_000, 20, 4, "LIVE", 500),
        (4_000, 1, 2, "LIVE", 78),
        (1_999, 1, 1, "STANDARD", 20),
        (99, 1, 1, "STANDARD", 1),
        (95, 1, 1, "STANDARD", 0),
        (2_000, 3, 2, "STANDARD", 34),
    ],
)
async def test_the_formula_by_hand(
    market: Market, *, released: int, days: int, trust: int, mode: Mode, expected: int
) -> None:
    """floor(cents/100 × streak × trust × LIVE), worked out on paper; SQL and Python agree."""
    assert xp.effective_xp(released, days, trust, mode) == expected
    assert await in_sql(market, released, days, trust, mode) == expected


async def in_sql(market: Market, released: int, days: int, trust: int, mode: Mode) -> int:
    """The same by the database."""
    found: int = await market.app.fetchval(
        "select effective_xp($1, streak_multiplier($2), trust_multiplier($3), live_multiplier($4))",
        released,
        days,
        trust,
        mode,
    )
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    released=st.integers(1, 10_000_000),
    days=st.integers(1, 40),
    trust=st.integers(1, 4),
    mode=st.sampled_from(["STANDARD", "LIVE"]),
)
async def test_sql_and_python_award_the_same(
    market: Market, released: int, days: int, trust: int, mode: Mode
) -> None:
    """To the last point, whatever the figures."""
    expected = xp.effective_xp(released, days, trust, mode)
    assert await in_sql(market, released, days, trust, mode) == expected
    assert expected >= xp.base_xp(released)


async def test_levels_begin_at_their_xp(market: Market) -> None:
    """At each border: one below, on it, one above; the table and its twin are the same."""
    rows = await market.app.fetch("select level, xp_required, title from levels order by level")
    assert [xp.Level(*row) for row in rows] == list(xp.LEVELS)
    for level in xp.LEVELS:
        for total in (level.xp_required - 1, level.xp_required, level.xp_required + 1):
            of = await market.app.fetchval("select level_of($1)", total)
            assert (
                of == xp.level_of(total).level == max(level.level - (total < level.xp_required), 1)
            )
    assert await market.app.fetchval("select level_of(2000000000)") == 10


async def test_a_split_gives_xp_for_what_was_released(market: Market) -> None:
    """REFUND_PARTIAL: proportional XP, in the transaction that ends the escrow."""
    task, hustler = await market.submitted("STANDARD", price_cents=10_000)
    await resolved(market, task, "SPLIT", 4_050)
    assert await market.escrow_state(task) == "REFUND_PARTIAL"
    row = await ledger(market, await escrow_of(market, task))
    assert (row["base_xp"], row["amount"], row["effective_xp"]) == (40, 4_050, 63)
    received = [e for a in market.effects.committed for e in a.events if e.user_id == hustler]
    assert [e.data for e in received if e.type == "XP_AWARDED"] == [
        {
            "task_id": str(task),
            "xp": 63,
            "total_xp": 63,
            "level": 1,
            "level_title": "Rookie",
            "streak_days": 1,
        }
    ]


async def test_a_lost_dispute_gives_no_xp(market: Market) -> None:
    """REFUNDED in full: HX101 for psql, nothing from the commands."""
    task, hustler = await market.submitted("STANDARD")
    await resolved(market, task, "POSTER", None)
    escrow = await escrow_of(market, task)
    assert await market.escrow_state(task) == "REFUNDED"
    assert await ledger(market, escrow) is None
    assert await refused(market, "owner", AWARD, escrow) == ("HX101", "INV-1")
    assert "XP_AWARDED" not in market.effects.types_for(hustler)


async def test_several_awards_in_one_statement_build_on_one_another(market: Market) -> None:
    """An INSERT … SELECT from psql counts totals and streak as one after the other."""
    hustler = await market.user("hustler", trust_tier=1)
    days = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
    work = await HistoryBuilder(market, hustler).completed(at=days, price_cents=10_000)
    await market.app.execute(
        AWARD.replace("= $1", "= any($1)") + " order by t.completed_at",
        [done.escrow for done in work],
    )
    rows = [await ledger(market, done.escrow) for done in work]
    assert [row["user_streak_at_award"] for row in rows] == [1, 2, 3]
    assert [row["effective_xp"] for row in rows] == [105, 110, 115]
    assert [row["user_xp_after"] for row in rows] == [105, 215, 330]
    assert (await market.queries.people.me(hustler)).total_xp == 330


async def consume(market: Market, dsn: str, users: int, releases: int) -> None:
    """Eight consumers, each release delivered twice, in two orders."""
    hustlers = [await market.user("hustler", trust_tier=1) for _ in range(users)]
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    work = []
    for hustler in hustlers:
        times = [at + timedelta(seconds=n) for n in range(releases // users)]
        work += await HistoryBuilder(market, hustler).completed(at=times, price_cents=10_000)
    queue = [done.escrow for done in work] + [done.escrow for done in reversed(work)]

    async def consumer() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            while queue:
                await connection.execute("select award_xp($1)", queue.pop())
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(consumer())

    rows = await market.app.fetch(
        "select user_id, count(*) as n, sum(effective_xp) as xp, max(user_xp_after) as last,"
        " count(distinct user_xp_after) as steps from xp_ledger where user_id = any($1) group by 1",
        hustlers,
    )
    share = releases // users
    assert len(rows) == users
    for row in rows:
        assert (row["n"], row["steps"]) == (share, share)
        assert row["xp"] == row["last"] == share * 105
        assert (await market.queries.people.me(row["user_id"])).total_xp == share * 105


async def test_eight_consumers_award_each_release_once(market: Market, database_dsn: str) -> None:
    """100 releases, each delivered twice: 100 rows and the right totals."""
    await consume(market, database_dsn, users=5, releases=100)


@pytest.mark.long
async def test_eight_consumers_award_a_thousand_releases_once(
    market: Market, database_dsn: str
) -> None:
    """The same with 1,000."""
    await consume(market, database_dsn, users=10, releases=1_000)

"""Every way a held task ends, through the commands: what it leaves with the hustler."""

from __future__ import annotations

from typing import Any

from engine.kernel.ids import TaskId, UserId
from engine.kernel.states import Mode
from tests.engine.progress.history_builder import HistoryBuilder, points, resolved, tier
from tests.support.market import Market


async def record(market: Market, hustler: UserId) -> list[tuple[str, str, bool]]:
    """Ending, mode and whether it was approved, of each task in the record of work."""
    rows = await market.app.fetch(
        "select ending, mode, was_approved from work_record where hustler_id = $1 order by at",
        hustler,
    )
    return [tuple(row) for row in rows]


async def profile(market: Market, hustler: UserId) -> tuple[Any, ...]:
    """Completion rate, approval rate, version."""
    return tuple(
        await market.app.fetchrow(
            "select completion_rate, approval_rate, version from hustler_profiles"
            " where user_id = $1",
            hustler,
        )
    )


async def released(market: Market, hustler: UserId, after: str, mode: Mode = "LIVE") -> TaskId:
    """A task that the hustler accepted and gave back so long after it."""
    task = await market.funded(mode)
    if mode == "LIVE":
        await market.offer(task, hustler)
    await market.commands.live.accept(hustler, task)
    await market.advance(after)
    await market.commands.tasks.release(hustler, task, None)
    return task


async def test_an_approved_task(market: Market) -> None:
    """XP, points, record and rates with the money, and not before."""
    task, hustler = await market.submitted()
    await market.commands.proofs.approve(await market.poster_of(task), task)
    assert (await market.queries.people.me(hustler)).total_xp == 0
    assert await points(market, hustler) == 0
    assert await profile(market, hustler) == (None, None, 1)
    assert await record(market, hustler) == []

    await market.worker.settle_waiting()
    await market.worker.settle_waiting()
    assert (await market.queries.people.me(hustler)).total_xp == 78
    assert await points(market, hustler) == 2.5
    assert await profile(market, hustler) == (1.0, 1.0, 2)
    received = market.effects.types_for(hustler)
    assert received.count("XP_AWARDED") == 1
    assert received.count("BADGE_UNLOCKED") == 2
    assert await record(market, hustler) == [("COMPLETED", "LIVE", True)]


async def test_a_task_approved_at_the_second_try(market: Market) -> None:
    """Completed, but not without a rejected proof."""
    task, hustler = await market.submitted("STANDARD")
    poster = await market.poster_of(task)
    await market.commands.proofs.reject(poster, task, "blurred")
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    await market.commands.proofs.approve(poster, task)
    await market.settle(task)
    assert await record(market, hustler) == [("COMPLETED", "STANDARD", False)]
    assert await profile(market, hustler) == (1.0, 0.0, 2)


async def test_a_task_given_back_at_once_costs_nothing(own_market: Market) -> None:
    """At 60 seconds still free; it stands in no rate."""
    market = own_market
    hustler = await market.live_hustler()
    task = await released(market, hustler, "58 seconds")
    kind = await market.app.fetchval("select kind from abandonments where task_id = $1", task)
    assert kind == "QUICK"
    assert await points(market, hustler) == 0
    assert await record(market, hustler) == []
    assert await profile(market, hustler) == (None, None, 1)


async def test_a_task_given_back_later_is_an_abandonment(own_market: Market) -> None:
    """−4 for a LIVE one; the second within 30 days bans, and is told to the hustler."""
    market = own_market
    hustler = await market.live_hustler()
    await released(market, hustler, "61 seconds")
    assert await points(market, hustler) == -4
    assert await record(market, hustler) == [("ABANDONED", "LIVE", False)]
    assert await profile(market, hustler) == (0.0, None, 2)
    assert "LIVE_MODE_STATE_CHANGE" not in market.effects.types_for(hustler)

    await released(market, hustler, "61 seconds")
    live = await market.queries.live.state(hustler)
    assert (live.state, live.reason) == ("OFF", "BANNED")
    assert "LIVE_MODE_STATE_CHANGE" in market.effects.types_for(hustler)


async def test_a_hustler_who_does_not_come(own_market: Market) -> None:
    """The poster reports it a quarter of an hour after the ETA."""
    market = own_market
    task, hustler = await market.accepted()
    await market.advance("30 minutes")
    await market.commands.tasks.cancel(await market.poster_of(task), task, "NO_SHOW")
    assert await points(market, hustler) == -4
    assert await record(market, hustler) == [("ABANDONED", "LIVE", False)]


async def test_a_poster_who_cancels_is_not_the_hustlers_fault(market: Market) -> None:
    """No row, no points, no rate."""
    task, hustler = await market.accepted()
    await market.commands.tasks.cancel(await market.poster_of(task), task, "changed my mind")
    assert await record(market, hustler) == []
    assert await points(market, hustler) == 0


async def test_a_lost_dispute(market: Market) -> None:
    """Counts against both rates; two of them cost a tier."""
    hustler = await market.user("hustler", trust_tier=3)
    for expected in (3, 2):
        task = await market.funded("STANDARD")
        await market.commands.live.accept(hustler, task)
        await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
        await resolved(market, task, "POSTER", None)
        assert await tier(market, hustler) == expected
    assert await record(market, hustler) == [("LOST", "STANDARD", False)] * 2
    assert (await profile(market, hustler))[:2] == (0.0, 0.0)
    received = (await market.queries.events.after(hustler, 0)).events
    assert [e.data["reason"] for e in received if e.type == "TRUST_TIER_CHANGED"] == ["PENALTY"]


async def test_a_won_dispute_is_a_completed_task(market: Market) -> None:
    """With XP; quick only if a proof was handed in quickly, which the decision is not."""
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await resolved(market, task, "HUSTLER", None)
    assert await record(market, hustler) == [("COMPLETED", "STANDARD", True)]
    assert await points(market, hustler) == 1
    assert (await market.queries.people.me(hustler)).total_xp > 0


async def test_the_timer_of_a_review_fires_by_itself(own_market: Market) -> None:
    """Armed by a completion, fired 90 days later, told to the hustler."""
    market = own_market
    _, hustler = await market.paid("STANDARD")
    await market.advance("90 days")
    while await market.timers.fire_due():
        pass
    assert await tier(market, hustler) == 1
    assert market.effects.types_for(hustler)[-1] == "TRUST_TIER_CHANGED"


async def test_who_is_banned_by_a_release_sees_no_cards_any_more(own_market: Market) -> None:
    """The second abandonment within 30 days takes the cards off the screen with the session."""
    market = own_market
    hustler = await market.live_hustler()
    await released(market, hustler, "2 minutes")
    assert not market.effects.committed[-1].withdrawn

    await market.advance("1 hour")
    await released(market, hustler, "2 minutes")
    assert market.effects.committed[-1].withdrawn == (hustler,)
    assert (await market.queries.live.state(hustler)).reason == "BANNED"


async def test_the_task_that_earns_a_tier_is_paid_by_the_tier_from_before(market: Market) -> None:
    """The fifth of a verified ROOKIE: XP × 1.0, then VERIFIED, in one transaction, with the money."""
    hustler = await market.user("hustler", trust_tier=1)
    await market.owner.execute(
        "update users set identity_verified_at = hx_clock() where id = $1", hustler
    )
    await HistoryBuilder(market, hustler).completed(4)
    task = await market.funded("STANDARD")
    await market.commands.live.accept(hustler, task)
    await market.commands.tasks.start(hustler, task, market.codes.code(task, "START", 1))
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    await market.commands.proofs.approve(await market.poster_of(task), task)
    assert await tier(market, hustler) == 1
    await market.settle(task)
    assert await tier(market, hustler) == 2
    multiplier = await market.app.fetchval(
        "select trust_multiplier from xp_ledger where task_id = $1", task
    )
    assert multiplier == 1
    assert await points(market, hustler) == 1.5

"""The accept path: one winner, a definite answer for each, the same for every road."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from engine.kernel.states import Mode
from tests.support.market import Market


async def refused(market: Market, hustler: UserId, task: TaskId) -> str:
    """The code an accept is refused with."""
    with pytest.raises(Refusal) as caught:
        await market.commands.live.accept(hustler, task)
    return caught.value.kind.code


async def test_first_accept_wins_and_both_sides_are_told(market: Market) -> None:
    """The winner holds the task; poster and hustler get the transition and JOB_ASSIGNED."""
    task = await market.funded()
    hustler = await market.offered(task)

    applied = await market.commands.live.accept(hustler, task)

    assert applied.outcome == "WON"
    assert await market.state(task) == "ACCEPTED"
    assert [c.reason for c in applied.closed] == ["CLAIMED"]
    assert applied.withdrawn == (hustler,)
    assert market.effects.types_for(hustler) == ["TASK_STATUS_UPDATE", "JOB_ASSIGNED"]
    assert market.effects.types_for(await market.poster_of(task)) == [
        "LIVE_BROADCAST_UPDATE",
        "TASK_STATUS_UPDATE",
        "JOB_ASSIGNED",
        "LIVE_BROADCAST_UPDATE",
    ]


async def test_of_many_at_once_exactly_one_wins_and_nobody_is_left_undecided(
    market: Market,
) -> None:
    """Forty contenders: one WON, the others TAKEN or asked to try again, no other answer."""
    task = await market.funded()
    hustlers = [await market.offered(task) for _ in range(40)]

    async def attempt(hustler: UserId) -> str:
        try:
            return (await market.commands.live.accept(hustler, task)).outcome
        except Refusal as refusal:
            return refusal.kind.code

    outcomes = Counter(await asyncio.gather(*map(attempt, hustlers)))

    assert outcomes["WON"] == 1
    assert outcomes["WON"] + outcomes["TAKEN"] + outcomes["HX017"] == 40


async def test_repeating_a_won_accept_answers_the_same_and_tells_nobody_again(
    market: Market,
) -> None:
    """An accept whose answer was lost may be repeated."""
    task, hustler = await market.accepted()
    before = len(market.effects.types_for(hustler))

    assert (await market.commands.live.accept(hustler, task)).outcome == "WON"
    assert len(market.effects.types_for(hustler)) == before


async def test_a_second_hustler_is_told_it_is_taken(market: Market) -> None:
    """TAKEN, by task and by broadcast alike."""
    task = await market.funded()
    first, second = await market.offered(task), await market.offered(task)
    await market.commands.live.accept(first, task)

    assert (await market.commands.live.accept(second, task)).outcome == "TAKEN"
    answered = await market.commands.live.respond(second, await market.broadcast_of(task), "ACCEPT")
    assert answered.outcome == "TAKEN"


async def test_one_hustler_accepting_many_tasks_at_once_wins_one(market: Market) -> None:
    """The partial unique index and the early check give the same refusal, HX014."""
    tasks = [await market.funded() for _ in range(8)]
    hustler = await market.live_hustler()
    for task in tasks:
        await market.offer(task, hustler)

    async def attempt(task: TaskId) -> str:
        try:
            return (await market.commands.live.accept(hustler, task)).outcome
        except Refusal as refusal:
            return refusal.kind.code

    outcomes = Counter(await asyncio.gather(*map(attempt, tasks)))

    assert outcomes == {"WON": 1, "HX014": 7}


async def test_accepting_while_off_is_refused(market: Market) -> None:
    """HX903: LIVE work is for those who opted in."""
    task = await market.funded()
    hustler = await market.offered(task)
    await market.commands.live.end(hustler, "MANUAL")

    assert await refused(market, hustler, task) == "HX903"


async def test_accepting_without_an_offer_is_refused(market: Market) -> None:
    """HX012, which never says why: LIVE-4 is no decoration."""
    task = await market.funded()

    assert await refused(market, await market.live_hustler(), task) == "HX012"


async def test_a_decline_is_final_for_the_broadcast(market: Market) -> None:
    """HX012 for who declined."""
    task = await market.funded()
    hustler = await market.offered(task)
    await market.commands.live.respond(
        hustler, await market.broadcast_of(task), "DECLINE", "too far"
    )

    assert await refused(market, hustler, task) == "HX012"


async def test_a_skip_is_neutral(market: Market) -> None:
    """Who skipped may still accept."""
    task = await market.funded()
    hustler = await market.offered(task)
    await market.commands.live.respond(hustler, await market.broadcast_of(task), "SKIP")

    assert (await market.commands.live.accept(hustler, task)).outcome == "WON"


async def test_nobody_accepts_an_own_task(market: Market) -> None:
    """HX013, for a dual user too."""
    dual = await market.user("dual")
    await market.commands.live.go_live(dual, None, None)
    task = await market.funded(poster=dual)

    assert await refused(market, dual, task) == "HX013"


async def test_an_unfunded_task_cannot_be_accepted(market: Market) -> None:
    """HX016 in both modes."""
    hustler = await market.live_hustler()

    assert await refused(market, hustler, await market.task("STANDARD")) == "HX016"
    assert await refused(market, hustler, await market.task("LIVE")) == "HX016"


async def test_an_ineligible_hustler_is_refused_without_a_reason(market: Market) -> None:
    """HX012 when the profile changed after the offer."""
    task = await market.task()
    await market.app.execute("update tasks set required_trust_tier = 2 where id = $1", task)
    await market.commands.money.fund(await market.poster_of(task), task)
    hustler = await market.offered(task)
    await market.owner.execute("update users set role = 'poster' where id = $1", hustler)
    with pytest.raises(Refusal) as caught:
        await market.commands.live.accept(hustler, task)
    assert caught.value.kind.code == "HX503"
    await market.owner.execute("update users set role = 'hustler' where id = $1", hustler)
    await market.owner.execute("update users set trust_tier = 1 where id = $1", hustler)

    assert await refused(market, hustler, task) == "HX012"


async def test_an_accept_naming_old_terms_is_refused(market: Market) -> None:
    """HX010 VERSION when the terms changed since the card was shown."""
    task = await market.funded("STANDARD")
    hustler = await market.user("hustler")
    await market.app.execute("update tasks set title = 'Hang two doors' where id = $1", task)

    with pytest.raises(Refusal) as caught:
        await market.commands.live.accept(hustler, task, 1)
    assert caught.value.kind.invariant == "VERSION"
    assert (await market.commands.live.accept(hustler, task, 2)).outcome == "WON"


async def test_the_sixth_open_standard_task_is_refused(market: Market) -> None:
    """At most five at a time (design §2, Live mode)."""
    hustler = await market.user("hustler")
    for _ in range(5):
        assert (
            await market.commands.live.accept(hustler, await market.funded("STANDARD"))
        ).outcome == "WON"

    assert await refused(market, hustler, await market.funded("STANDARD")) == "HX014"


async def test_an_expired_broadcast_cannot_be_accepted_even_unswept(own_market: Market) -> None:
    """Expiry is a fact of the clock: one second before the end WON is possible, at the end not."""
    market = own_market
    first, second = await market.funded(), await market.funded()
    hustler, late = await market.offered(first), await market.offered(second)
    await market.advance("9 minutes 55 seconds")
    assert (await market.commands.live.accept(hustler, first)).outcome == "WON"
    await market.advance("6 seconds")

    assert (await market.commands.live.accept(late, second)).outcome == "EXPIRED"


async def test_a_held_lock_is_waited_for_a_quarter_second_then_retryable(market: Market) -> None:
    """HX017: nobody is told TAKEN while the holder may still roll back."""
    task = await market.funded()
    hustler = await market.offered(task)
    async with market.owner.transaction():
        await market.owner.execute("select from tasks where id = $1 for update", task)
        assert await refused(market, hustler, task) == "HX017"

    assert (await market.commands.live.accept(hustler, task)).outcome == "WON"


async def test_the_second_accept_of_a_session_brings_a_cooldown(market: Market) -> None:
    """COOLDOWN for 15 minutes, told to the hustler (product_spec §3.5)."""
    hustler = await market.live_hustler()
    for _ in range(2):
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.live.accept(hustler, task)
        await market.commands.tasks.cancel(await market.poster_of(task), task, None)

    live = await market.queries.live.state(hustler)
    assert (live.state, live.reason) == ("COOLDOWN", "ACCEPTS")
    assert "LIVE_MODE_STATE_CHANGE" in market.effects.types_for(hustler)


async def test_declining_what_has_ended_turns_nobody_down(market: Market) -> None:
    """Five late taps on dead cards do not pause anybody."""
    hustler = await market.live_hustler()
    for _ in range(5):
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.tasks.cancel(await market.poster_of(task), task, None)
        broadcast = await market.broadcast_of(task)
        assert (
            await market.commands.live.respond(hustler, broadcast, "DECLINE", "no")
        ).outcome == "EXPIRED"

    assert (await market.queries.live.state(hustler)).state == "ACTIVE"


async def test_five_declines_in_a_row_pause_the_hustler(market: Market) -> None:
    """PAUSED after the fifth; an accept in between starts the count anew."""
    hustler = await market.live_hustler()
    for count in range(5):
        assert (await market.queries.live.state(hustler)).state == "ACTIVE", count
        task = await market.funded()
        await market.offer(task, hustler)
        await market.commands.live.respond(
            hustler, await market.broadcast_of(task), "DECLINE", "no"
        )

    assert (await market.queries.live.state(hustler)).state == "PAUSED"


async def test_whoever_released_a_standard_task_cannot_take_its_successor(market: Market) -> None:
    """HX012, as for LIVE work; somebody else can."""
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.release(hustler, task, None)
    successor = await market.app.fetchval("select id from tasks where predecessor_id = $1", task)

    assert await refused(market, hustler, successor) == "HX012"
    assert (
        await market.commands.live.accept(await market.user("hustler"), successor)
    ).outcome == "WON"


async def test_who_may_not_work_is_refused_by_role_whatever_is_asked(market: Market) -> None:
    """HX503 for a poster, on every road to a task."""
    task = await market.funded()
    poster = await market.poster_of(task)
    assert await refused(market, poster, task) == "HX503"
    for response in ("ACCEPT", "DECLINE", "SKIP"):
        with pytest.raises(Refusal) as caught:
            await market.commands.live.respond(poster, await market.broadcast_of(task), response)
        assert caught.value.kind.code == "HX503"


@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
async def test_a_suspension_and_an_accept_do_not_pass_each_other(
    market: Market, mode: Mode
) -> None:
    """Whichever comes first holds the task; the accept that waited is judged by what then stands."""
    task = await market.funded(mode)
    hustler = await market.offered(task) if mode == "LIVE" else await market.user("hustler")
    suspend = "update users set account_status = 'SUSPENDED' where id = $1"
    poster = await market.poster_of(task)
    suspension = market.owner.transaction()
    await suspension.start()
    await market.owner.execute(suspend, poster)
    assert await refused(market, hustler, task) == "HX017"
    await suspension.commit()
    if mode == "LIVE":
        assert (await market.commands.live.accept(hustler, task)).outcome == "EXPIRED"
    else:
        assert await refused(market, hustler, task) == "HX012"

    other = await market.funded("STANDARD")
    acceptance = market.app.transaction()
    await acceptance.start()
    await market.app.fetchval(
        "select accept_task($1, $2, null)", await market.user("hustler"), other
    )
    poster = await market.poster_of(other)
    suspending = asyncio.create_task(market.owner.execute(suspend, poster))
    await asyncio.sleep(0.05)
    assert not suspending.done()
    await acceptance.commit()
    await suspending
    assert await market.state(other) == "ACCEPTED"


async def test_plain_updates_at_once_leave_a_hustler_five_standard_tasks(
    market: Market, database_dsn: str
) -> None:
    """Nine transactions side by side, each with its yes: five are let in, four are HX014."""
    hustler = await market.user("hustler")
    outcomes: Counter[str] = Counter()

    async def take(task: TaskId) -> None:
        connection = await asyncpg.connect(database_dsn)
        try:
            async with connection.transaction():
                await connection.execute(
                    "insert into acceptances (task_id, hustler_id) values ($1, $2)", task, hustler
                )
                await connection.execute(
                    "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1",
                    task,
                    hustler,
                )
            outcomes["ACCEPTED"] += 1
        except asyncpg.PostgresError as refused:
            outcomes[str(refused.sqlstate)] += 1
        finally:
            await connection.close()

    await asyncio.gather(*[take(await market.funded("STANDARD")) for _ in range(9)])
    assert outcomes == {"ACCEPTED": 5, "HX014": 4}

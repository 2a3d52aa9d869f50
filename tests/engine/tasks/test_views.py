"""Who sees what: places, codes, strangers, snapshots, the event log."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from tests.support.market import Market


async def test_the_exact_place_is_for_poster_and_holder_only(market: Market) -> None:
    """An offer's receiver sees the rounded place, before and after somebody else took it."""
    task = await market.funded()
    poster = await market.poster_of(task)
    winner, loser = await market.offered(task), await market.offered(task)
    assert (await market.queries.tasks.view(winner, task)).location.lat == 37.771
    await market.commands.live.accept(winner, task)

    exact = (await market.queries.tasks.view(winner, task)).location
    assert (exact.lat, exact.address) == (37.77, "1 Main St")
    assert (await market.queries.tasks.view(poster, task)).location == exact
    rounded = (await market.queries.tasks.view(loser, task)).location
    assert (rounded.lat, rounded.address) == (37.771, None)


async def test_a_live_task_does_not_exist_for_strangers(market: Market) -> None:
    """NOT_FOUND, not forbidden."""
    task = await market.funded()
    with pytest.raises(Refusal) as caught:
        await market.queries.tasks.view(await market.live_hustler(), task)
    assert caught.value.kind.code == "NOT_FOUND"


async def test_open_standard_work_is_seen_by_whoever_could_accept_it(market: Market) -> None:
    """Funded, within the gate, of an open account; its poster and admins see it always."""
    task = await market.task("STANDARD")
    poster, admin = await market.poster_of(task), await market.user("admin")
    able, another = await market.user("hustler"), await market.user("poster")
    novice = await market.user("hustler", trust_tier=1)
    await market.commands.tasks.edit(poster, task, {"required_trust_tier": 2}, None)

    async def readers() -> list[UserId]:
        seen = []
        for viewer in (poster, admin, able, novice, another):
            with suppress(Refusal):
                await market.queries.tasks.view(viewer, task)
                seen.append(viewer)
        return seen

    assert await readers() == [poster, admin]
    await market.commands.money.fund(poster, task)
    assert await readers() == [poster, admin, able]
    account = "update users set account_status = $2 where id = $1"
    await market.owner.execute(account, poster, "SUSPENDED")
    assert await readers() == [poster, admin]
    await market.owner.execute(account, poster, "ACTIVE")
    await market.commands.live.accept(able, task)
    assert await readers() == [poster, admin, able]


async def test_only_the_poster_sees_the_codes_and_only_while_held(market: Market) -> None:
    """From accept to completion; the event log never holds one."""
    task, hustler = await market.accepted()
    poster = await market.poster_of(task)
    seen = await market.queries.tasks.view(poster, task)
    assert seen.start_code == market.codes.code(task, "START", 1)
    assert seen.completion_code == market.codes.code(task, "COMPLETION", 1)
    hidden = await market.queries.tasks.view(hustler, task)
    assert not isinstance(hidden.start_code, str)
    log = await market.app.fetchval(
        "select string_agg(data::text, ' ') from user_events where user_id = $1", poster
    )
    assert seen.start_code not in log
    await market.commands.proofs.submit(hustler, task, seen.completion_code)
    for step, state in ((None, "PROOF_SUBMITTED"), (market.commands.disputes.open, "DISPUTED")):
        if step is not None:
            await step(poster, task, "It squeaks.")
        waiting = await market.queries.tasks.view(poster, task)
        assert (waiting.state, waiting.start_code) == (state, seen.start_code)
        assert waiting.completion_code == seen.completion_code
    done, _ = await market.submitted()
    await market.commands.proofs.approve(await market.poster_of(done), done)
    over = await market.queries.tasks.view(await market.poster_of(done), done)
    assert not isinstance(over.completion_code, str)


async def test_open_offers_are_derived(market: Market) -> None:
    """Gone when declined, when the hustler is off or busy, when the task is taken."""
    hustler = await market.live_hustler()
    mine, declined, taken = [await market.funded() for _ in range(3)]
    for task in (mine, declined, taken):
        await market.offer(task, hustler)
    assert len(await market.queries.live.offers(hustler)) == 3

    await market.commands.live.respond(
        hustler, await market.broadcast_of(declined), "DECLINE", "no"
    )
    await market.commands.live.accept(await market.offered(taken), taken)
    assert [card.task.id for card in await market.queries.live.offers(hustler)] == [mine]
    await market.commands.live.accept(hustler, mine)
    assert await market.queries.live.offers(hustler) == []


async def test_an_offer_card_shows_pay_and_rounded_place(market: Market) -> None:
    """What the hustler takes home, and no address."""
    task = await market.funded(price_cents=2_001)
    hustler = await market.offered(task)
    (card,) = await market.queries.live.offers(hustler)
    assert (card.task.price_cents, card.task.hustler_pay_cents) == (2_001, 1_701)
    assert card.task.location.lat == 37.771
    assert card.task.location.place == "near 37.77° N, 122.42° W"
    assert card.task.xp_multiplier == 1.25


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("12 Mission St, Apt 3, San Francisco, CA 94105", "San Francisco, CA"),
        ("12 Mission St, St. Paul, MN 55101-1234, USA", "St. Paul, MN"),
        ("1 Market St, Oakland, CA", "Oakland, CA"),
        ("12 Mission St", None),
        ("12 Mission St, CA 94105", None),
        ("12 Mission St, ring for Ann Owner", None),
        ("Mission St 12, San Francisco, CA 94105, ring for Ann", None),
        ("12 Mission St, Unit 4, CA 94105", None),
        ("", None),
        (None, None),
    ],
)
async def test_a_card_says_the_town_of_a_postal_address_and_nothing_else_of_it(
    market: Market, address: str | None, place: str | None
) -> None:
    """What a poster wrote beside it, a name or a bell, stays with the poster."""
    task = await market.task()
    await market.app.execute("update tasks set location_address = $2 where id = $1", task, address)
    received = await market.app.fetchval(
        "select place_words(t) from tasks as t where id = $1", task
    )
    assert received == (place or "near 37.77° N, 122.42° W")


async def test_an_arrival_can_be_told_from_the_accept_before_it(market: Market) -> None:
    """Both are TASK_STATUS_UPDATE ACCEPTED; one says when."""
    task, hustler = await market.accepted()
    await market.arrive(hustler, task)
    for reader in (hustler, await market.poster_of(task)):
        steps = await market.app.fetch(
            "select data ->> 'arrived_at' as at from user_events where user_id = $1"
            " and type = 'TASK_STATUS_UPDATE' and data ->> 'state' = 'ACCEPTED' order by seq",
            reader,
        )
        assert [step["at"] is None for step in steps] == [True, False]


async def test_a_snapshot_fits_its_position_in_the_log(market: Market) -> None:
    """State and last_seq come from one statement, for several users at once."""
    task, hustler = await market.accepted()
    poster = await market.poster_of(task)
    found = await market.queries.events.snapshots([poster, hustler])

    assert found[hustler].tasks[0].state == "ACCEPTED"
    assert found[hustler].last_seq == 2
    assert found[poster].last_seq == 4
    assert isinstance(found[poster].tasks[0].start_code, str)


async def test_the_log_is_gap_free_under_concurrent_writers(market: Market) -> None:
    """Twenty commands of one poster at once: 1, 2, 3 … without a hole."""
    poster = await market.user("poster")
    tasks = [await market.funded(poster=poster) for _ in range(20)]
    await asyncio.gather(*(market.commands.tasks.cancel(poster, task, None) for task in tasks))

    log = await market.queries.events.after(poster, 0)
    assert [event.seq for event in log.events] == list(range(1, log.last_seq + 1))
    # whoever serves the same database may give money back meanwhile
    assert sum(event.type != "PAYMENT_REFUNDED" for event in log.events) == 20 * 4
    tail = await market.queries.events.after(poster, log.last_seq - 2)
    assert [event.seq for event in tail.events] == [log.last_seq - 1, log.last_seq]


async def test_pages_of_own_tasks_are_complete_and_ordered(market: Market) -> None:
    """Newest first, no row twice, none missed."""
    poster = await market.user("poster")
    tasks = [await market.task(poster=poster) for _ in range(5)]
    seen, cursor = [], None
    while True:
        page, cursor = await market.queries.tasks.page(poster, "poster", None, cursor, 2)
        seen += [view.id for view in page]
        if cursor is None:
            break
    assert seen == tasks[::-1]


async def test_time_to_accept_is_kept_for_each_task(own_market: Market) -> None:
    """Median, p95 and no-accept rate per day come from one view."""
    market = own_market
    await market.accepted()
    await market.funded()
    await market.advance("10 minutes")
    await market.timers.fire_due()

    row = await market.app.fetchrow("select * from time_to_accept_daily")
    assert (row["broadcasts"], row["accepted"], row["no_accept_rate"]) == (2, 1, 0.5)
    assert 0 < row["median_s"] <= row["p95_s"] < 60


async def test_a_deadline_in_the_past_is_refused(market: Market) -> None:
    """VALIDATION_ERROR with a plain sentence; nothing is created."""
    with pytest.raises(Refusal, match="between now and a year") as caught:
        await market.task(deadline=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Refusal, match="between now and a year"):
        await market.task(deadline=datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))))
    assert caught.value.kind.code == "VALIDATION_ERROR"


async def test_a_toggle_too_soon_says_how_long_to_wait(market: Market) -> None:
    """HX904 carries the seconds that are left."""
    hustler = await market.live_hustler()
    await market.commands.live.end(hustler, "MANUAL")
    with pytest.raises(Refusal) as caught:
        await market.commands.live.go_live(hustler, None, None)
    assert caught.value.kind.code == "HX904"
    assert caught.value.retry_after_s is not None
    assert 290 < caught.value.retry_after_s <= 300


async def test_one_unreadable_row_is_that_users_trouble_alone(own_market: Market) -> None:
    """The others of the same batch get their snapshots."""
    market = own_market
    task, hustler = await market.accepted()
    poster, other = await market.poster_of(task), await market.user("poster")
    await market.owner.execute("alter table tasks disable trigger user")
    await market.owner.execute("alter table tasks drop constraint tasks_state cascade")
    await market.owner.execute("alter table tasks drop constraint tasks_held cascade")
    await market.owner.execute("update tasks set state = 'SURPRISE' where id = $1", task)

    found = await market.queries.events.snapshots([poster, other])

    assert set(found) == {other}
    assert hustler not in found

"""The wave's SQL: its twin of the radius plan, and the rules that only the database can keep."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import Vocabulary
from broadcast.radius_plan import RadiusPlan
from broadcast.wave_store import Wave, WaveStore
from tests.broadcast.world import World

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def offer(
    world: World, pairs: list[tuple[UUID, UUID, float]], open_max: int = 10
) -> list[tuple[UUID, UUID]]:
    """Insert (broadcast, hustler, score) and say which were made."""
    ones = [1.0] * len(pairs)
    wave = msgspec.json.decode(
        await world.value(
            "select make_offers($1, $2, $3, $3, $4, $5)",
            [broadcast for broadcast, _, _ in pairs],
            [hustler for _, hustler, _ in pairs],
            ones,
            [score for _, _, score in pairs],
            open_max,
        ),
        type=Wave,
    )
    return [(made.broadcast_id, made.hustler_id) for made in wave.offers]


@pytest.fixture(scope="session")
async def connection(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection as the application."""
    opened = await asyncpg.connect(database_dsn)
    yield opened
    await opened.close()


seconds = st.one_of(
    st.sampled_from([0, 60, 120, 180, 240, 600]), st.floats(0, 700).map(lambda s: round(s, 6))
)
nudges = st.sampled_from([-1, 0, 1])


@SHARED
@given(
    at=seconds,
    nudge=nudges,
    ttl=st.sampled_from([45, 60, 120, 121, 600]),
    steps=st.sampled_from([(3, 2, 10, 60), (1, 1, 2, 30), (5, 3, 5, 7), (0.5, 0.3, 25, 1)]),
)
async def test_sql_and_python_follow_the_same_radius_plan(
    connection: Any,
    at: float,
    nudge: int,
    ttl: int,
    steps: tuple[float, float, float, int],
) -> None:
    """Radius and next expansion agree at every instant, the borders to the microsecond."""
    instant = START + timedelta(seconds=at) + timedelta(microseconds=nudge)
    end = START + timedelta(seconds=ttl)
    initial, step, largest, interval = steps
    plan = RadiusPlan(START, end, initial, step, largest, timedelta(seconds=interval))
    row = await connection.fetchrow(
        """
        select broadcast_radius_miles(b, $1), broadcast_next_expansion_at(b, $1)
        from (select row(
            gen_random_uuid(), gen_random_uuid(), 'ACTIVE', $2::timestamptz, $3::timestamptz,
            null, null, $4::double precision, $5::double precision, $6::double precision,
            $7::integer, 0
        )::live_broadcasts as b) as made
        """,
        instant,
        START,
        end,
        initial,
        largest,
        step,
        interval,
    )
    assert row[0] == pytest.approx(plan.radius_miles(instant), abs=1e-9)
    assert row[1] == plan.next_expansion_at(instant)


async def test_the_insert_offers_a_pair_once_however_often_it_is_asked(world: World) -> None:
    """Two broadcasters at once: the primary key decides, and each row is returned to one."""
    broadcast = await world.broadcast()
    pairs = [(broadcast, await world.hustler(1), 0.5) for _ in range(6)]
    answers = await asyncio.gather(
        *(
            world.database.call(
                "make_offers",
                [b for b, _, _ in pairs],
                [h for _, h, _ in pairs],
                [1.0] * 6,
                [1.0] * 6,
                [0.5] * 6,
                10,
            )
            for _ in range(4)
        )
    )
    made = [o.hustler_id for a in answers for o in msgspec.json.decode(a, type=Wave).offers]
    assert sorted(made) == sorted(hustler for _, hustler, _ in pairs)


async def test_the_insert_fills_a_hustlers_free_places_with_the_best(world: World) -> None:
    """The cap is kept by the statement itself, whatever the caller proposes."""
    hustler = await world.hustler(1)
    broadcasts = [await world.broadcast() for _ in range(4)]
    first = await offer(world, [(broadcasts[0], hustler, 0.1)], 3)
    rest = [(b, hustler, score) for b, score in zip(broadcasts[1:], (0.5, 0.9, 0.7), strict=True)]
    assert len(first) == 1
    # the pair that has its offer takes no place from the others
    rest.append((broadcasts[0], hustler, 1.0))
    assert await offer(world, rest, 3) == [(broadcasts[2], hustler), (broadcasts[3], hustler)]


async def test_only_offers_that_are_open_take_a_place(world: World) -> None:
    """Neither an answered one nor one of an ended broadcast, though older broadcasts run on."""
    hustler = await world.hustler(1)
    kept, answered, ended, new, newer = [await world.broadcast() for _ in range(5)]
    assert len(await offer(world, [(b, hustler, 0.5) for b in (kept, answered, ended)])) == 3
    await world.value("select respond_to_offer($1, $2, 'SKIP', null)", hustler, answered)
    await world.value(
        "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1", ended
    )
    still_open = await world.value(
        "select array_agg(o.broadcast_id) from open_offers(array[$1::uuid], hx_clock()) as o",
        hustler,
    )
    assert still_open == [kept]
    assert await offer(world, [(new, hustler, 0.5)], 2) == [(new, hustler)]
    assert await offer(world, [(newer, hustler, 0.5)], 2) == []


async def test_the_insert_refuses_what_the_result_forbids(world: World) -> None:
    """Over by the clock though unswept, ended, not ACTIVE, too far for the hustler: no row."""
    hustler, picky = await world.hustler(1), await world.hustler(1, radius=1.0)
    off = await world.user("hustler")
    ended, running = await world.broadcast(), await world.broadcast()
    await world.value(
        "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1", ended
    )
    assert await offer(world, [(ended, hustler, 0.5), (running, off, 0.5)]) == []
    await world.value("update live_status set radius_miles = 1 where user_id = $1", picky)
    far = await world.value(
        "select make_offers(array[$1::uuid], array[$2::uuid], array[1.001], array[0.9], "
        "array[0.5], 10) -> 'offers'",
        running,
        picky,
    )
    assert far == "[]"
    await world.advance(600)
    assert await offer(world, [(running, hustler, 0.5)]) == []


async def test_a_report_leaves_rows_that_somebody_holds(world: World) -> None:
    """No waiting and so no deadlock with an accept: the card is simply sent again."""
    hustler, other = await world.hustler(1), await world.hustler(1)
    broadcast = await world.broadcast()
    await offer(world, [(broadcast, hustler, 0.5), (broadcast, other, 0.5)])
    async with world.owner.transaction():
        await world.value("select 1 from offers where hustler_id = $1 for update", hustler)
        async with asyncio.timeout(2):
            marked = await world.database.call(
                "offers_sent", [broadcast, broadcast], [hustler, other], [0.0, 0.0]
            )
    assert marked == 1
    sent = await world.value("select hustler_id from offers where sent_at is not null")
    assert sent == other


async def test_a_report_tells_when_the_card_was_written_not_when_it_was_reported(
    world: World,
) -> None:
    """An age moves `sent_at` back, never before the offer itself."""
    broadcast = await world.broadcast()
    hustlers = [await world.hustler(1), await world.hustler(1)]
    await offer(world, [(broadcast, hustler, 0.5) for hustler in hustlers])
    await world.owner.execute("update offers set offered_at = hx_clock() - interval '1 minute'")
    await world.database.call("offers_sent", [broadcast] * 2, hustlers, [20.0, 600.0])
    ages = await world.value(
        "select array_agg(round(extract(epoch from sent_at - offered_at)) order by sent_at)"
        " from offers"
    )
    assert ages == [0, 40]


async def test_a_takeover_learns_who_was_offered_and_whose_card_waits(world: World) -> None:
    """Who answered or was reached waits for nothing; a broadcast without offers has nobody."""
    waits, answered, reached = [await world.hustler(1) for _ in range(3)]
    first, second = await world.broadcast(), await world.broadcast()
    await offer(world, [(first, h, 0.5) for h in (waits, answered, reached)])
    await world.value("update offers set sent_at = offered_at where hustler_id = $1", reached)
    await world.value("select respond_to_offer($1, $2, 'SKIP', null)", answered, first)
    rows = await world.database.rows("offered_hustlers", [first, second])
    given = {row["broadcast_id"]: (row["hustlers"], row["unsent"]) for row in rows}
    everybody = sorted(h.bytes for h in (waits, answered, reached))
    hustlers, unsent = given[first]
    assert sorted(hustlers[n : n + 16] for n in range(0, len(hustlers), 16)) == everybody
    assert unsent == waits.bytes
    assert given[second] == (b"", b"")


@pytest.mark.parametrize("seconds", [5, 7_200])
async def test_an_offer_is_found_whatever_the_clock_did(world: World, seconds: int) -> None:
    """Set back between the broadcast's start and the offer: open, counted, once, and waiting."""
    hustler, broadcast = await world.hustler(1), await world.broadcast()
    await world.advance(-seconds)
    await offer(world, [(broadcast, hustler, 0.5)])
    opened = await world.value(
        "select count(*) from open_offers(array[$1::uuid], hx_clock())", hustler
    )
    assert opened == 1
    (row,) = await world.database.rows("roster", [hustler])
    assert row["open_offers"] == 1
    again = await world.database.call("unsent_offers", [hustler], timedelta(seconds=2), 10)
    assert len(msgspec.json.decode(again)["offers"]) == 1


async def test_the_market_is_the_category_without_the_task_itself(world: World) -> None:
    """Below 20 other tasks there is no market; the own price never counts, made before or after."""
    category = "aquarium_care"
    store = WaveStore(
        world.database, DatabaseClock(time.monotonic), world.counted, Vocabulary.new()
    )
    for price in [2000] * 19:
        await world.task(price=price, category=category)

    async def market(broadcast: UUID) -> float:
        (params,) = await store.broadcasts([broadcast])
        price = (await store.market_prices()).of(params)
        explained = await world.value(
            "select market_price_cents(t) from tasks as t where id = $1", params.task_id
        )
        assert explained == (None if math.isnan(price) else pytest.approx(price))
        return price

    dear = await world.broadcast(price=90_000, category=category)
    assert math.isnan(await market(dear))
    await world.task(price=4000, category=category)
    assert await market(dear) == pytest.approx((19 * 2000 + 4000) / 20)
    before = await store.market_prices()
    late = await world.broadcast(price=50_000, category=category)
    (params,) = await store.broadcasts([late])
    assert before.of(params) == pytest.approx((19 * 2000 + 4000 + 90_000) / 21)


@pytest.mark.parametrize("statistics", ["none", "of few rows", "of all rows"])
async def test_a_question_costs_the_own_offers_whatever_the_statistics(
    world: World, statistics: str
) -> None:
    """Not a look at every broadcast that runs, nor at the offers of others; planned on empty tables, too."""
    hustlers = [await world.hustler(1) for _ in range(12)]
    first = await world.broadcast()
    pair = ([first], [hustlers[3]], [1.0])
    roster = "select * from roster(array[$1::uuid])"
    eligibility = "select result from wave_eligibility($1, $2, $3)"
    await world.owner.fetchrow(roster, hustlers[3])
    assert await world.value(eligibility, *pair) == "OFFER"
    await offer(world, [(first, hustlers[0], 0.5)])
    analyze = "analyze offers, live_broadcasts, tasks, live_status"
    if statistics == "of few rows":
        await world.value(analyze)
    broadcasts = [first, *[await world.broadcast() for _ in range(40)]]
    await offer(world, [(b, h, 0.5) for b in broadcasts for h in hustlers], open_max=100)
    if statistics == "of all rows":
        await world.value(analyze)
    read = (
        "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables"
        " where relname = 'live_broadcasts' or relname like 'offers%'"
    )
    async with world.owner.transaction():
        before = await world.value(read) or 0
        row = await world.owner.fetchrow(roster, hustlers[3])
        counted = await world.value(read)
        result = await world.value(eligibility, *pair)
        decided = await world.value(read)
    assert (row["open_offers"], result) == (41, "OFFERED")
    assert counted - before <= 2 * 41 + 10
    assert decided - counted <= 10


async def test_busy_means_the_same_for_one_hustler_and_for_many(world: World) -> None:
    """`counts_as_busy` is `is_busy` as a condition on tasks, through the life of either kind of task."""
    seen = []
    for mode in ("LIVE", "STANDARD"):
        hustler = await world.hustler(1)
        poster, task = await world.task(mode=mode)
        if mode == "LIVE":
            await offer(world, [(await world.fund(poster, task), hustler, 0.5)])
        else:
            escrow = await world.value("select begin_funding($1, $2) ->> 'id'", poster, task)
            await world.value("select book_funding($1::uuid, 'pay-standard', '{}')", UUID(escrow))
        for step in (
            "accept_task($1, $2, null)",
            "start_task($1, $2, true)",
            "submit_proof($1, $2, 'CODE', true)",
        ):
            await world.value(f"select {step}", hustler, task)
            one, many = await world.owner.fetchrow(
                "select is_busy($1), exists ("
                "select from tasks as t where t.assigned_hustler_id = $1 and counts_as_busy(t))",
                hustler,
            )
            assert one == many
            seen.append(one)
    assert seen == [True, True, False, False, True, False]

"""An offer may come late, and is never lost: what runs beside a change, and calls without an answer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec
import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.broadcaster import Broadcaster
from broadcast.broadcaster_state import FORGET_EVERY_S, BroadcasterState
from broadcast.due import DueInstants
from broadcast.loop_yield import LoopShare, LoopYield
from broadcast.roster import NOBODY, as_ids
from engine.events.changes import Changes
from engine.kernel.applied import Applied, ClosedBroadcast
from engine.kernel.ids import UserId
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.views import ChangedBroadcast
from tests.broadcast.world import QUICK, World, until


@asynccontextmanager
async def without(world: World, function: str) -> AsyncIterator[None]:
    """A function of the database is missing: whoever calls it for the first time fails."""
    name, arguments = function.split("(")
    await world.value(f"alter function {function} rename to {name}_away")
    try:
        yield
    finally:
        await world.value(f"alter function {name}_away({arguments} rename to {name}")


async def offered(world: World, broadcast: UUID, hustler: UUID) -> None:
    """An offer that no broadcaster here has made."""
    await world.value(
        "select make_offers(array[$1::uuid], array[$2::uuid], '{1}', '{1}', '{0.5}', 10)",
        broadcast,
        hustler,
    )


_TERMINATE = """
    select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and query like '%make_offers%' and pid <> pg_backend_pid()
"""


_MAKE_OFFERS = "make_offers(uuid[], uuid[], double precision[], double precision[], double precision[], integer)"
_CANCEL = "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1"


def taken_in(broadcaster: Broadcaster) -> list[ActiveBroadcast]:
    """The broadcasts that run here."""
    return list(broadcaster._state.running)


async def test_a_takeover_that_fails_is_tried_again_by_itself(world: World) -> None:
    """The start was told once, and nobody rings again."""
    hustler = await world.hustler(1)
    async with world.broadcaster():
        async with without(world, "wave_broadcasts(uuid[])"):
            await world.broadcast()
            await until(lambda: "wake" in world.counted.failures)
        await until(lambda: len(world.delivery.of(hustler)) == 1)


async def test_a_broadcast_that_ends_while_it_is_taken_over_leaves_at_once(world: World) -> None:
    """Its end was told before it ran here: what was read of it is older."""
    broadcast = await world.broadcast()
    async with world.broadcaster(replace(QUICK, poll_s=60)) as broadcaster:
        await until(lambda: len(taken_in(broadcaster)) == 1)
        ended = await world.broadcast()
        async with world.owner.transaction():
            # the running broadcasts are read, and then nobody can read whom they were offered to
            await world.value("lock table offers in access exclusive mode")
            calls = world.counted.calls
            broadcaster.wake(ended)
            await until(lambda: world.counted.calls >= calls + 2)
            await world.value(_CANCEL, ended)
            broadcaster.applied(Applied(closed=(ClosedBroadcast(ended, ended, "CANCELLED"),)))
        await until(lambda: len(world.delivery.closings) == 1)
        assert [b.params.id for b in taken_in(broadcaster)] == [broadcast]
    assert world.delivery.closings[0].broadcast_id == ended


async def test_a_place_counts_once_whether_the_roster_or_the_commit_is_heard_first(
    world: World,
) -> None:
    """A hustler who was read between a funding's commit and its answer has room when it ends."""
    hustler = await world.hustler(1)
    limits = replace(QUICK, open_offers=2, poll_s=60)
    async with world.broadcaster(limits) as broadcaster:
        first = await world.broadcast()
        broadcaster.wake(first)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        poster, task = await world.task()
        begun = json.loads(await world.value("select begin_funding($1, $2)", poster, task))
        wave = {
            "version": begun["starting"]["version"], "open_offers_max": 2,
            "hustlers": [str(hustler)], "exact_miles": [1.0], "place_miles": [1.0], "scores": [0.5],
        }  # fmt: skip
        booked = await world.value(
            "select book_funding($1::uuid, 'pay-' || $1::uuid, $2, $3)",
            UUID(begun["id"]),
            msgspec.json.encode(BroadcastPlan()).decode(),
            json.dumps(wave),
        )
        read = world.counted.read
        now = await world.value("select hx_clock()")
        broadcaster.changed(Changes(now, hustlers=(UserId(hustler),)))
        await until(lambda: world.counted.read > read)
        await world.ticks(1)
        broadcaster.applied(msgspec.json.decode(booked, type=Applied))
        await until(lambda: len(world.delivery.of(hustler)) == 2)
        await world.ticks()
        await world.value(_CANCEL, first)
        broadcaster.changed(Changes(now, broadcasts=(ChangedBroadcast(first, task, "CANCELLED"),)))
        await until(lambda: len(world.delivery.closings) == 1)
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(hustler)) == 3)


async def test_what_an_unanswered_insert_has_made_is_shown_though_its_hustler_is_full(
    world: World,
) -> None:
    """Nobody asks about a full hustler again, so no refusal tells of the offer."""
    hustler = await world.hustler(1)
    limits = replace(QUICK, tick_s=3600, open_offers=1)
    async with world.broadcaster(limits) as broadcaster:
        broadcast = await world.broadcast()
        async with world.owner.transaction():
            await world.value("lock table offers in share row exclusive mode")
            broadcaster.wake(broadcast)
            while not await world.value(_TERMINATE):
                await world.value("select pg_stat_clear_snapshot()")
            await until(lambda: "wake" in world.counted.failures)
            # and all the same the call is carried out
            await offered(world, broadcast, hustler)
            await world.value("update live_status set radius_miles = 9 where user_id = $1", hustler)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        await world.reported(1)
    assert await world.value("select count(*) from offers") == 1


async def test_a_look_for_unsent_cards_that_fails_is_made_again(world: World) -> None:
    """After a takeover nothing else remembers that a card may never have been shown."""
    hustlers = [await world.hustler(1) for _ in range(3)]
    broadcast = await world.broadcast()
    for hustler in hustlers:
        await offered(world, broadcast, hustler)
    # one card at each look, so that none of those left over may be forgotten
    async with world.broadcaster(replace(QUICK, resends_per_poll=1)):
        async with without(world, "unsent_offers(uuid[], interval, integer)"):
            await until(lambda: "poll" in world.counted.failures)
        await until(lambda: all(world.delivery.of(hustler) for hustler in hustlers), within_s=15)


async def test_a_card_that_was_due_while_its_hustler_was_busy_is_shown_afterwards(
    world: World,
) -> None:
    """The offer was made elsewhere and not shown; it is open again when the hustler is free."""
    hustler = await world.hustler(1)
    broadcast = await world.broadcast()
    await offered(world, broadcast, hustler)
    pause = "update live_status set paused_until = hx_clock() + $2 where user_id = $1"
    await world.value(pause, hustler, timedelta(seconds=60))
    async with world.broadcaster():
        await until(lambda: world.counted.read > 0)
        await world.polls(8)  # longer than a card waits
        assert not world.delivery.of(hustler)
        await world.advance(60)
        await until(lambda: len(world.delivery.of(hustler)) == 1)


async def test_a_full_hustler_who_is_refused_often_in_one_call_is_not_left_alone(
    world: World,
) -> None:
    """Three offers were made elsewhere, so three pairs at once are refused for one reason."""
    hustler = await world.hustler(1)
    limits = replace(QUICK, tick_s=0.03, open_offers=4, refusals_in_row=3)
    async with world.broadcaster(limits) as broadcaster:
        first = await world.broadcast()
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        others = [await world.broadcast() for _ in range(3)]
        await until(lambda: len(world.delivery.of(hustler)) == 4)
        row = broadcaster._state.roster.rows_of(as_ids([hustler]))
        # too low a count: what others have made was not told
        broadcaster._state.roster.hustlers.open_offers[row] = 0
        more = [await world.broadcast() for _ in range(4)]
        await until(lambda: world.counted.evaluated >= 5)
        await world.ticks(4)
        for ended in (first, *others):
            await world.value(_CANCEL, ended)
        await until(lambda: len(world.delivery.of(hustler)) == 8)
    assert {card.broadcast_id for card in world.delivery.of(hustler)} == {first, *others, *more}


async def test_an_insert_that_fails_gives_the_pair_and_its_place_back(world: World) -> None:
    """To whoever has a single one, as soon as inserts go through again."""
    hustler = await world.hustler(1)
    broadcast = await world.broadcast()
    async with world.broadcaster(replace(QUICK, open_offers=1)):
        async with without(world, _MAKE_OFFERS):
            await until(lambda: bool({"tick", "wake"} & set(world.counted.failures)))
            assert not world.delivery.of(hustler)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
    assert world.delivery.of(hustler)[0].broadcast_id == broadcast


def test_a_row_that_a_round_may_hold_is_given_to_nobody_else() -> None:
    """Though nothing runs any more when rows are given up: the round began before."""
    state = BroadcasterState.new(DueInstants(), 10)
    now_s = state._forgot_at_s + 2 * FORGET_EVERY_S
    held, old = as_ids([UUID(int=1)]), as_ids([UUID(int=2)])
    state.roster.add(np.concatenate((held, old)))
    state.roster.seen(state.roster.rows_of(held), now_s - 5.0)
    state.roster.seen(state.roster.rows_of(old), now_s - FORGET_EVERY_S - 5.0)
    state.forget(now_s)
    assert state.roster.rows_of(held) != NOBODY
    assert state.roster.rows_of(old) == NOBODY


async def test_urgent_rounds_have_most_of_the_turns() -> None:
    """Of a loop that others keep busy; as soon as none is urgent all have their turn alike."""
    share = LoopShare(0.0)
    turns: Counter[str] = Counter()

    async def busy(name: str, loop_yield: LoopYield, until: int) -> None:
        while turns[name] < until:
            turns[name] += 1
            await loop_yield.maybe_yield()

    others = [asyncio.create_task(busy("other", share.loop_yield(), 99_999)) for _ in range(3)]
    with share.urgent() as loop_yield:
        await busy("urgent", loop_yield, 800)
        assert 290 <= turns["other"] <= 310
    turns.clear()
    await busy("alike", share.loop_yield(), 800)
    assert 2_350 <= turns["other"] <= 2_450
    for task in others:
        task.cancel()

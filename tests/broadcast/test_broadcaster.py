"""Waves against real PostgreSQL and Valkey: who gets a card, when, and who never does."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from broadcast.limits import WaveLimits
from deploy.binaries import find_binaries
from engine.kernel.ids import UserId
from engine.live.broadcast_plan import BroadcastPlan
from engine.live.views import OfferCard
from engine.matching.score import HX_1_0
from geo.cells import place_centre
from geo.distance import distance_m
from geo.units import METRES_PER_MILE
from tests.broadcast.world import MIDDLE, QUICK, World, north, open_world, until
from tests.support.servers import TestDatabase


async def test_the_radius_decides_who_is_offered_and_when(world: World) -> None:
    """0.5 and 2.5 miles at once, 4 with the second wave, 12 never; nobody twice."""
    near, within, second, never = [await world.hustler(miles) for miles in (0.5, 2.5, 4, 12)]
    broadcast = await world.broadcast()
    async with world.broadcaster(WaveLimits()) as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 2)
        assert {hustler for hustler, _ in world.delivery.shown} == {near, within}
        await world.advance(60)
        await until(lambda: len(world.delivery.of(second)) == 1)
        await world.advance(480)
        await until(lambda: world.delivery.updates[-1].radius_miles == 10)
        await world.ticks(1)
    assert not world.delivery.of(never)
    assert [len(world.delivery.of(h)) for h in (near, within, second)] == [1, 1, 1]
    assert world.counted.failures == []
    assert len(world.counted.waits_s) == 1
    assert 0 <= world.counted.waits_s[0] < 2


async def test_the_poll_finds_a_broadcast_whose_wake_up_was_lost(world: World) -> None:
    """Nobody rings: the poll is the net, also for tasks funded by another process."""
    hustler = await world.hustler(1)
    async with world.broadcaster():
        await world.broadcast()
        await until(lambda: len(world.delivery.of(hustler)) == 1)


async def test_cards_arrive_best_score_first_and_as_the_database_has_them(world: World) -> None:
    """The score orders a wave; the delivered card equals the one that WELCOME would carry."""
    rookie = await world.hustler(0.5)
    elite = await world.hustler(
        0.5,
        trust_tier=4,
        profile={
            "completion_rate": 1.0,
            "preferred_categories": ["moving"],
            "category_counts": '{"moving": 12}',
        },
    )
    far = await world.hustler(2.9)
    broadcast = await world.broadcast()
    async with world.broadcaster() as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 3)
    assert [hustler for hustler, _ in world.delivery.shown] == [elite, rookie, far]
    for hustler, card in world.delivery.shown:
        stored = await world.value(
            "select offer_card(o) from offers as o where o.broadcast_id = $1 and hustler_id = $2",
            broadcast,
            hustler,
        )
        assert card == msgspec.json.decode(stored, type=OfferCard)
        assert card.task.xp_multiplier == 1.25
        assert card.task.hustler_pay_cents == 3400


async def test_distance_is_measured_to_the_rounded_place_but_the_radius_to_the_exact_one(
    world: World,
) -> None:
    """No trilateration: card and score know the cell's centre; LIVE-4 knows the truth."""
    rounded = place_centre(MIDDLE.lat, MIDDLE.lng)
    edge = await world.hustler(2.99)
    beyond = await world.hustler(3.01)
    # whose own radius lies between the two distances: one is nearer to the truth, one to the centre
    torn = {}
    for miles in (-2.5, 2.5):
        to_centre = distance_m(north(miles), rounded) / METRES_PER_MILE
        own_radius = (2.5 + to_centre) / 2
        torn[await world.hustler(miles, radius=own_radius)] = own_radius > 2.5
    assert sorted(torn.values()) == [False, True]
    async with world.broadcaster() as broadcaster:
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(edge)) == 1)
        await world.ticks()
    assert not world.delivery.of(beyond)
    for hustler, is_within in torn.items():
        assert bool(world.delivery.of(hustler)) == is_within
    shown = world.delivery.of(edge)[0].task
    to_centre = distance_m(north(2.99), rounded) / METRES_PER_MILE
    assert abs(to_centre - 2.99) > 0.005
    assert shown.distance_miles == round(to_centre, 1)
    assert (shown.location.lat, shown.location.lng) == (rounded.lat, rounded.lng)
    stored = await world.value("select distance_miles from offers where hustler_id = $1", edge)
    assert stored == pytest.approx(to_centre, abs=1e-12)


async def test_a_quiet_tick_touches_no_database(world: World) -> None:
    """Neither for who was offered, nor for who would not, is full, busy or off."""
    await world.hustler(1)
    await world.hustler(2, categories=["cleaning"])
    await world.value("select end_live($1, 'MANUAL')", await world.hustler(1))
    broadcast = await world.broadcast()
    async with world.broadcaster(WaveLimits(tick_s=0.02, poll_s=60)) as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 1)
        await world.reported(1)
        before = world.counted.calls
        await world.ticks(5)
        assert world.counted.calls == before
        assert world.counted.evaluated == 1


async def test_nobody_is_asked_about_who_cannot_be_offered(world: World) -> None:
    """The roster knows; what changes it is heard, and the offer comes with it."""
    picky = await world.hustler(2, radius=1.0)
    paused = await world.hustler(1)
    pause = "update live_status set paused_until = hx_clock() + interval '90 s' where user_id = $1"
    await world.value(pause, paused)
    broadcast = await world.broadcast()
    async with world.broadcaster() as broadcaster:
        broadcaster.wake(broadcast)
        await world.ticks()
        assert world.counted.evaluated == 0
        await world.value("update live_status set radius_miles = 3 where user_id = $1", picky)
        await until(lambda: len(world.delivery.of(picky)) == 1)
        assert not world.delivery.of(paused)
        await world.advance(90)
        await until(lambda: len(world.delivery.of(paused)) == 1)
        await world.ticks()
    assert world.counted.evaluated == 2
    async with world.broadcaster():
        await world.ticks(8)
    assert world.counted.evaluated == 2, "a successor knows who was offered"


async def test_a_hustler_whom_the_roster_has_wrong_is_read_again(world: World) -> None:
    """What nobody told is found by the insert, which refuses; the row is right from then on."""
    quiet, other = await world.hustler(1), await world.hustler(1)
    async with world.broadcaster(replace(QUICK, poll_s=60)) as broadcaster:
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.shown) == 2)
        await world.value("select end_live($1, 'MANUAL')", quiet)
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(other)) == 2)
        await world.ticks(4)
        assert world.counted.evaluated == 4
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(other)) == 3)
        await world.ticks(4)
    assert world.counted.evaluated == 5
    assert len(world.delivery.of(quiet)) == 1


async def test_a_hustler_refused_against_the_rosters_word_is_left_alone_for_a_while(
    world: World,
) -> None:
    """Where reading cures nothing, the pair is not asked each tick; its hustler has not lost it."""
    stubborn, other = await world.hustler(1), await world.hustler(1)
    await world.value(
        "create function hx_stubborn(h uuid) returns text language sql immutable "
        f"return case when h = '{stubborn}' then 'NOT_ELIGIBLE' else 'OFFER' end"
    )
    rules = await world.value(
        "select pg_get_functiondef('wave_eligibility(uuid[], uuid[], double precision[])'::regprocedure)"
    )
    await world.value(rules.replace("else 'OFFER'", "else hx_stubborn(a.hustler_id)"))
    try:
        limits = replace(QUICK, refusals_in_row=3, refusal_holds_s=0.5)
        async with world.broadcaster(limits) as broadcaster:
            broadcaster.wake(await world.broadcast())
            await until(lambda: len(world.delivery.of(other)) == 1)
            await until(lambda: world.counted.evaluated == 4)
            await world.ticks(6)
            assert world.counted.evaluated == 4
            await world.value(rules)
            await until(lambda: len(world.delivery.of(stubborn)) == 1)
    finally:
        await world.value(rules)
        await world.value("drop function hx_stubborn")


async def test_a_late_joiner_and_a_drive_in_ring_for_themselves(world: World) -> None:
    """With the next tick an hour away."""
    async with world.broadcaster(WaveLimits(tick_s=3600)) as broadcaster:
        driver = await world.hustler(5)
        broadcaster.wake(await world.broadcast())
        await until(lambda: world.counted.now_running == 1)
        joiner = await world.hustler(1)
        broadcaster.wake_hustlers([joiner])
        await until(lambda: len(world.delivery.of(joiner)) == 1)
        broadcaster.wake_hustlers([driver])
        await world.at(driver, 2)
        broadcaster.wake_hustlers([driver])
        await until(lambda: len(world.delivery.of(driver)) == 1)


async def test_the_tick_finds_who_did_not_ring(world: World) -> None:
    """Presence is read by every tick, so nobody needs a new wave to be found."""
    async with world.broadcaster(WaveLimits(tick_s=0.05, poll_s=60)) as broadcaster:
        driver = await world.hustler(5)
        broadcaster.wake(await world.broadcast())
        await world.ticks()
        joiner = await world.hustler(1)
        await until(lambda: len(world.delivery.of(joiner)) == 1)
        assert not world.delivery.of(driver)
        await world.at(driver, 2)
        await until(lambda: len(world.delivery.of(driver)) == 1)


async def test_radius_steps_and_ends_wake_for_themselves(world: World) -> None:
    """With the next tick an hour away: the second ring at its instant, and the end at its own."""
    second = await world.hustler(4)
    plan = BroadcastPlan(ttl_s=2, expansion_interval_s=1)
    async with world.broadcaster(WaveLimits(tick_s=3600, poll_s=3600)) as broadcaster:
        broadcaster.wake(await world.fund(*await world.task(), plan))
        await until(lambda: len(world.delivery.of(second)) == 1)
        await until(lambda: len(world.delivery.closings) == 1)
    assert world.delivery.closings[0].reason == "EXPIRED"


async def test_a_place_that_becomes_free_is_offered_at_once(world: World) -> None:
    """By an end as by an answer, with the next tick an hour away."""
    hustler = await world.hustler(1)
    limits = WaveLimits(tick_s=3600, poll_s=0.06, open_offers=1)
    async with world.broadcaster(limits) as broadcaster:
        first = await world.broadcast(price=20_000)
        broadcaster.wake(first)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        second, third = await world.broadcast(price=9_000), await world.broadcast(price=1_500)
        await until(lambda: world.counted.now_running == 3)
        await world.value("select respond_to_offer($1, $2, 'DECLINE', 'no')", hustler, first)
        await until(lambda: len(world.delivery.of(hustler)) == 2)
        await world.value(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1",
            second,
        )
        await until(lambda: len(world.delivery.of(hustler)) == 3)
    assert [card.broadcast_id for card in world.delivery.of(hustler)] == [first, second, third]


async def test_who_may_not_or_would_not_gets_no_card(world: World) -> None:
    """Eligibility, the own radius and the own categories are gates; another hustler passes."""
    able = await world.hustler(
        1,
        trust_tier=4,
        profile={
            "verified_trades": ["plumber"],
            "insurance_valid": True,
            "background_check_valid": True,
        },
        radius=3.0,
        categories=["moving"],
    )
    rookie = await world.hustler(1)
    close_by, cleaner, suspended = [
        await world.hustler(2, trust_tier=4, radius=radius, categories=categories)
        for radius, categories in ((1.5, None), (None, ["cleaning"]), (None, None))
    ]
    await world.value("update users set account_status = 'SUSPENDED' where id = $1", suspended)
    demands: list[dict[str, object]] = [
        {},
        {"required_trust_tier": 2},
        {"required_trade": "plumber"},
        {"insurance_required": True},
        {"background_check_required": True},
    ]
    broadcasts = [await world.broadcast(**demand) for demand in demands]
    async with world.broadcaster() as broadcaster:
        for broadcast in broadcasts:
            broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.of(able)) == len(demands))
        await world.ticks()
    assert [card.broadcast_id for card in world.delivery.of(rookie)] == broadcasts[:1]
    for barred in (close_by, cleaner, suspended):
        assert not world.delivery.of(barred)


async def test_only_active_hustlers_who_hold_nothing_are_offered(world: World) -> None:
    """OFF, PAUSED and busy hustlers stand in presence and get no card."""
    off, paused, busy, free = [await world.hustler(1) for _ in range(4)]
    await world.value("select end_live($1, 'MANUAL')", off)
    await world.value(
        "update live_status set paused_until = hx_clock() + interval '1 hour' where user_id = $1",
        paused,
    )
    held = await world.broadcast()
    async with world.broadcaster() as broadcaster:
        broadcaster.wake(held)
        await until(lambda: len(world.delivery.of(busy)) == 1)
        await world.value("select respond_to_offer($1, $2, 'ACCEPT', null)", busy, held)
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(free)) == 2)
        await world.ticks()
    assert not world.delivery.of(off)
    assert not world.delivery.of(paused)
    assert len(world.delivery.of(busy)) == 1


async def test_a_decline_is_final_for_the_broadcast_and_a_new_one_asks_again(world: World) -> None:
    """Another broadcast is another offer, to those who declined the last one too."""
    hustler = await world.hustler(1)
    async with world.broadcaster() as broadcaster:
        first = await world.broadcast()
        broadcaster.wake(first)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        await world.value("select respond_to_offer($1, $2, 'DECLINE', 'far')", hustler, first)
        broadcaster.wake(first)
        await world.ticks()
        assert len(world.delivery.of(hustler)) == 1
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(hustler)) == 2)


async def test_whoever_released_the_task_is_not_offered_its_successor(world: World) -> None:
    """Nor is anyone further up the line of predecessors."""
    first, second = await world.hustler(1), await world.hustler(1)
    poster, task = await world.task()
    broadcast = await world.fund(poster, task)
    async with world.broadcaster() as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 2)
        for hustler in (first, second):
            await world.value("select respond_to_offer($1, $2, 'ACCEPT', null)", hustler, broadcast)
            task = await world.value("select task_id from live_broadcasts where id = $1", broadcast)
            await world.value(
                "select release_task($1, $2, null, $3)",
                hustler,
                task,
                '{"ttl_s": 600, "initial_radius_miles": 3, "max_radius_miles": 10,'
                ' "expansion_step_miles": 2, "expansion_interval_s": 60}',
            )
            broadcast = await world.value("select id from live_broadcasts where state = 'ACTIVE'")
            await until(lambda: len(world.delivery.of(second)) == 2)
        third = await world.hustler(1)
        await until(lambda: len(world.delivery.of(third)) == 1)
        await world.ticks()
    assert len(world.delivery.of(first)) == 1
    assert len(world.delivery.of(second)) == 2


async def test_a_big_wave_goes_out_in_slices_the_best_first_without_waiting(world: World) -> None:
    """What a slice leaves, the next one takes at once, ticks or none; deferral is counted."""
    hustlers = [await world.hustler(miles) for miles in (2.8, 0.5, 2.2, 1.6, 1.1)]
    limits = WaveLimits(tick_s=3600, poll_s=60, offers_per_tick=2, first_offers=2)
    async with world.broadcaster(limits) as broadcaster:
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.shown) == 5)
        assert world.counted.deferred == 3 + 1
    nearest_first = [hustlers[n] for n in (1, 4, 3, 2, 0)]
    assert [hustler for hustler, _ in world.delivery.shown] == nearest_first


async def test_a_hustler_has_at_most_ten_open_offers_the_best_scored(world: World) -> None:
    """More wait until one closes, and are offered then if their broadcast still runs."""
    hustler = await world.hustler(1)
    cheap = await world.broadcast(price=1500)
    broadcasts = [await world.broadcast(price=20_000) for _ in range(10)]
    async with world.broadcaster(replace(QUICK, resend_after_s=30)) as broadcaster:
        for broadcast in (cheap, *broadcasts):
            broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.of(hustler)) == 10)
        await world.ticks(6)
        assert len(world.delivery.of(hustler)) == 10
        assert cheap not in {card.broadcast_id for card in world.delivery.of(hustler)}
        await world.value(
            "select respond_to_offer($1, $2, 'DECLINE', 'no')", hustler, broadcasts[0]
        )
        await until(lambda: world.delivery.of(hustler)[-1].broadcast_id == cheap)


async def test_what_no_socket_took_is_sent_again_until_it_is_reported(world: World) -> None:
    """A lost push is no lost offer; a reported card is never sent again."""
    lost, taken, away = [await world.hustler(1) for _ in range(3)]
    world.delivery.online.discard(UserId(away))
    async with world.broadcaster() as broadcaster:
        world.delivery.takes = lambda hustler: hustler == taken
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.of(lost)) >= 3)
        assert len(world.delivery.of(taken)) == 1
        assert len(world.delivery.of(away)) == 1
        world.delivery.takes = lambda _: True
        seen = len(world.delivery.of(lost))
        await until(lambda: len(world.delivery.of(lost)) > seen)
        await world.reported(2)
        await world.polls(1)
        seen = len(world.delivery.of(lost))
        await world.polls(4)
        assert len(world.delivery.of(lost)) == seen
    sent = await world.value("select count(*) from offers where sent_at is not null")
    assert sent == 2


async def test_whoever_is_away_costs_no_question(world: World) -> None:
    """The card waits for the snapshot of the next session, and is not looked for until then."""
    away, here = await world.hustler(1), await world.hustler(1)
    world.delivery.online.discard(UserId(away))
    async with world.broadcaster() as broadcaster:
        world.delivery.takes = lambda hustler: hustler == here
        broadcaster.wake(await world.broadcast())
        await until(lambda: len(world.delivery.shown) == 2)
        await world.reported(1)
        calls = world.counted.calls
        await world.polls(8)
        assert world.counted.calls == calls
    assert len(world.delivery.of(away)) == 1


async def test_a_restarted_broadcaster_offers_nothing_twice_and_sends_what_was_unsent(
    world: World,
) -> None:
    """Killed between insert and socket: the next one neither repeats nor forgets."""
    reported, unsent = await world.hustler(1), await world.hustler(2)
    broadcast = await world.broadcast()
    async with world.broadcaster() as broadcaster:
        world.delivery.takes = lambda hustler: hustler == reported
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 2)
        await world.reported(1)
    world.delivery.shown.clear()
    offers = world.counted.offers
    async with world.broadcaster():
        await until(lambda: len(world.delivery.of(unsent)) == 1)
        await world.ticks()
    assert world.counted.offers == offers == 2
    assert not world.delivery.of(reported)


async def test_the_end_of_a_broadcast_is_noticed_whoever_ended_it(world: World) -> None:
    """By an accept, by the clock, from psql: `closed` once, with its reason, and the poster told."""
    hustler, late = await world.hustler(1), None
    claimed, expired, cancelled = [await world.broadcast() for _ in range(3)]
    async with world.broadcaster() as broadcaster:
        for broadcast in (claimed, expired, cancelled):
            broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 3)
        await world.value("select respond_to_offer($1, $2, 'ACCEPT', null)", hustler, claimed)
        await world.value(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1",
            cancelled,
        )
        await until(lambda: len(world.delivery.closings) == 2)
        await world.advance(600)
        await until(lambda: len(world.delivery.closings) == 3)
        late = await world.hustler(1)
        await world.polls(3)
    reasons = {closed.broadcast_id: closed.reason for closed in world.delivery.closings}
    assert reasons == {claimed: "CLAIMED", cancelled: "CANCELLED", expired: "EXPIRED"}
    assert len(world.delivery.closings) == 3
    assert not world.delivery.of(late)
    states = {update.broadcast_id: update.state for update in world.delivery.updates}
    assert states == {claimed: "ACCEPTED", cancelled: "CANCELLED", expired: "EXPIRED"}
    assert world.counted.now_running == 0


async def test_no_offer_is_made_after_an_accept_that_nobody_noticed_yet(world: World) -> None:
    """The insert asks the database: no late card is born, and its refusal tells of the end."""
    hustler = await world.hustler(1)
    broadcast = await world.broadcast()
    async with world.broadcaster(WaveLimits(tick_s=0.02, poll_s=60)) as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 1)
        await world.value("select respond_to_offer($1, $2, 'ACCEPT', null)", hustler, broadcast)
        late = await world.hustler(1)
        await until(lambda: world.counted.evaluated == 2)
        await until(lambda: bool(world.delivery.closings))
    assert not world.delivery.of(late)
    assert await world.value("select count(*) from offers") == 1


async def test_the_poster_hears_of_radius_and_count_but_not_too_often(world: World) -> None:
    """An update per change, none without one, and a gap between two of one broadcast."""
    await world.hustler(1)
    limits = WaveLimits(tick_s=0.03, poll_s=0.06, ack_s=0.02, update_gap_s=0.3)
    async with world.broadcaster(limits) as broadcaster:
        poster, task = await world.task()
        broadcaster.wake(await world.fund(poster, task))
        await until(lambda: bool(world.delivery.updates))
        for _ in range(4):
            await world.hustler(1)
            await world.ticks(2)
        await until(lambda: world.delivery.updates[-1].hustlers_notified == 5)
        count = len(world.delivery.updates)
        await world.ticks(12)  # longer than the gap
    assert len(world.delivery.updates) == count
    assert all(later - at >= 0.29 for at, later in pairwise(world.delivery.sent_at_s))
    assert {received for received, _ in world.delivery.received} == {poster}
    first = world.delivery.updates[0]
    assert (first.state, first.radius_miles, first.hustlers_notified) == ("ACTIVE", 3, 1)
    assert first.next_expansion_at is not None


async def test_lost_connections_cost_rounds_and_never_offers(world: World) -> None:
    """Every backend is terminated again and again in mid-broadcast: each hustler one card."""
    dsn_database = await world.value("select current_database()")
    hustlers: list[UUID] = []
    async with world.broadcaster() as broadcaster:
        broadcast = await world.broadcast()
        broadcaster.wake(broadcast)
        for _ in range(8):
            hustlers += [await world.hustler(1) for _ in range(5)]
            await _terminate(world, dsn_database)
            await asyncio.sleep(0.02)
        await until(lambda: all(world.delivery.of(hustler) for hustler in hustlers), within_s=10)
    offers = await world.value("select count(*) from offers")
    assert offers == len(hustlers)


async def _terminate(world: World, database: str) -> None:
    """End every connection of the application, as a crash would."""
    await world.value(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where datname = $1 and pid <> pg_backend_pid() and application_name = 'hustlexp'",
        database,
    )


async def test_a_pair_below_the_threshold_is_hidden(world: World) -> None:
    """Under a profile that can go so low: 0.14 at nine miles is not shown, 0.22 at seven is."""
    by_distance = replace(HX_1_0, trust=0, distance=1, category=0, price=0, time=0)
    shown, hidden = await world.hustler(7), await world.hustler(9)
    broadcast = await world.fund(*await world.task(), BroadcastPlan(initial_radius_miles=10))
    async with world.broadcaster(replace(QUICK, profile=by_distance)) as broadcaster:
        broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.of(shown)) == 1)
        await world.ticks()
    assert not world.delivery.of(hidden)
    assert world.delivery.of(shown)[0].matching_score == pytest.approx(0.22, abs=0.01)


async def test_a_killed_valkey_is_survived(
    world_database: TestDatabase, world: World, tmp_path: Path
) -> None:
    """Killed with -9 in mid-broadcast and back empty: who beats again is offered, nobody twice."""
    del world  # it emptied the database
    socket = tmp_path / "v.sock"
    server = _valkey(socket)
    async with open_world(world_database, f"unix://{socket}") as there:
        before = await there.hustler(1)
        async with there.broadcaster() as broadcaster:
            broadcaster.wake(await there.broadcast())
            await until(lambda: len(there.delivery.of(before)) == 1)
            await there.ticks(1)  # a picture of presence is known
            server.kill()
            server.wait()
            await until(lambda: "presence" in there.counted.failures)
            server = _valkey(socket)
            after = await there.hustler(2)
            await there.at(before, 1)
            await until(lambda: len(there.delivery.of(after)) == 1)
            await there.ticks()
        assert len(there.delivery.of(before)) == 1
    server.kill()
    server.wait()


def _valkey(socket: Path) -> subprocess.Popen[bytes]:
    """A Valkey of this test alone; its clients wait until it listens."""
    program = str(find_binaries().valkey_server)
    return subprocess.Popen(
        [program, "--port", "0", "--unixsocket", str(socket), "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=socket.parent,
    )


async def test_a_deadline_ends_a_broadcast_early(world: World) -> None:
    """min(600 s, deadline): the last radius is the one reached."""
    soon = datetime.now(UTC) + timedelta(seconds=90)
    async with world.broadcaster(QUICK) as broadcaster:
        broadcaster.wake(await world.broadcast(deadline=soon.isoformat()))
        await until(lambda: bool(world.delivery.updates))
        await world.advance(100)
        await until(lambda: bool(world.delivery.closings))
    assert world.delivery.closings[0].reason == "EXPIRED"
    assert world.delivery.updates[-1].radius_miles == 5

"""Several broadcasters on one database: each broadcast is somebody's, and no card comes twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from broadcast.slots import SLOTS, Slots
from tests.broadcast.test_interleavings import taken_in
from tests.broadcast.world import QUICK, World, until

SHARING = replace(QUICK, runs="SHARE", slot_every_s=0.05, slot_lease_s=0.5)
_CANCEL = "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock() where id = $1"


async def hold(world: World, broadcaster: UUID, lease_s: float = 60.0) -> list[int]:
    """The slots that a broadcaster holds after a renewal."""
    lease = timedelta(seconds=lease_s)
    held: list[int] = await world.value("select hold_slots($1, $2)", broadcaster, lease)
    return held


async def test_slots_are_shared_evenly_and_go_on_when_a_lease_runs_out(world: World) -> None:
    """One has all; each that comes gets its share within two renewals of the others."""
    one, two, three = uuid4(), uuid4(), uuid4()
    assert await hold(world, one) == list(range(SLOTS))
    assert await hold(world, two, 0.05) == []
    assert len(await hold(world, one)) == SLOTS // 2
    assert len(await hold(world, two, 0.05)) == SLOTS // 2
    assert set(await hold(world, one)).isdisjoint(await hold(world, two, 0.05))
    await asyncio.sleep(0.06)
    # the lease of `two` has run out: its slots go to whoever is there
    assert len(await hold(world, three)) == SLOTS // 2
    assert sorted(await hold(world, one) + await hold(world, three)) == list(range(SLOTS))
    assert await hold(world, two, 0.05) == []
    await world.value("select release_slots($1)", one)
    await world.value("select release_slots($1)", two)
    assert await hold(world, three) == list(range(SLOTS))


async def test_a_slot_is_never_held_twice_whoever_asks_at_once(world: World) -> None:
    """Eight ask side by side, again and again."""
    ids = [uuid4() for _ in range(8)]
    for _ in range(5):
        found = await asyncio.gather(
            *(world.database.call("hold_slots", one, timedelta(seconds=60)) for one in ids)
        )
        held = [slot for slots in found for slot in slots]
        assert len(held) == len(set(held))
    assert sorted(held) == list(range(SLOTS))
    assert {len(slots) for slots in found} == {SLOTS // 8}


async def test_two_broadcasters_share_what_runs_and_offer_it_once(world: World) -> None:
    """Whoever ends in good order is followed at once, and goes on where the other was."""
    hustlers = [await world.hustler(1.0 + n / 10) for n in range(3)]
    broadcasts = {await world.broadcast(partition=partition) for partition in range(0, 16, 2)}
    async with world.broadcaster(SHARING) as one:
        await until(lambda: len(taken_in(one)) == 8)
        async with world.broadcaster(SHARING) as two:
            await until(lambda: len(taken_in(one)) == len(taken_in(two)) == 4)
            own = [{b.params.id for b in taken_in(each)} for each in (one, two)]
            assert own[0] | own[1] == broadcasts
            late = await world.hustler(2.0)
            one.wake_hustlers([late])
            two.wake_hustlers([late])
            await until(lambda: world.counted.offers == 4 * 8)
        await until(lambda: len(taken_in(one)) == 8)
        more = await world.broadcast(partition=3)
        await until(
            lambda: len([c for _, c in world.delivery.shown if c.broadcast_id == more]) == 4
        )
        everything = {(h, b) for h in (*hustlers, late) for b in (*broadcasts, more)}
        await until(
            lambda: {(h, card.broadcast_id) for h, card in world.delivery.shown} == everything
        )
    assert world.counted.offers == len(everything)


async def test_a_place_that_is_free_again_on_another_broadcaster_is_seen(world: World) -> None:
    """A hustler full with offers of one process is offered another's broadcast when they end."""
    hustler = await world.hustler(1.0)
    limits = replace(SHARING, open_offers=1)
    async with world.broadcaster(limits) as one, world.broadcaster(limits) as two:
        await until(lambda: len(one._slots) == len(two._slots) == SLOTS // 2)
        first = next(n for n in range(SLOTS) if one._slots.has(n))
        second = next(n for n in range(SLOTS) if two._slots.has(n))
        full_with = await world.broadcast(partition=first)
        await until(lambda: len(world.delivery.of(hustler)) == 1)
        waiting = await world.broadcast(partition=second)
        await until(lambda: len(taken_in(two)) == 1)
        await world.ticks(4)
        assert len(world.delivery.of(hustler)) == 1
        await world.value(_CANCEL, full_with)
        await until(lambda: len(world.delivery.of(hustler)) == 2)
    assert world.delivery.of(hustler)[1].broadcast_id == waiting


async def test_a_process_that_runs_no_broadcasts_asks_for_none(world: World) -> None:
    """A gateway: it takes nothing over, and its quiet seconds touch no database."""
    await world.hustler(1.0)
    await world.broadcast()
    async with world.broadcaster(replace(QUICK, runs="NONE")) as gateway:
        await world.polls(3)
        calls = world.counted.calls
        await world.broadcast()
        await world.polls(3)
        assert world.counted.calls == calls
        assert not taken_in(gateway)
    assert not world.delivery.shown


def test_what_is_held_decides_what_is_run() -> None:
    """All, none, or the slots of the last renewal; only a new one needs a look."""
    assert all(Slots("ALL").has(partition) for partition in range(64))
    assert not any(Slots("NONE").has(partition) for partition in range(64))
    slots = Slots("SHARE")
    assert slots.hold([1, 2])
    assert [partition for partition in range(64) if slots.has(partition)] == [
        1, 2, 17, 18, 33, 34, 49, 50,
    ]  # fmt: skip
    assert not slots.hold([1])
    assert slots.hold([1, 3])

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from geo.cells import cell_of, cover, partition_of
from geo.distance import distance_m, distances_m
from geo.points import LatLng
from geo.presence import heartbeat_writes
from geo.presence.heartbeat_writes import (
    CALL_MAX,
    HeartbeatWrite,
    directory_key,
    keys_of,
    slot_of,
)
from geo.presence.presence import CellSlot, Departure, Heartbeat, KeepAlive, Presence
from geo.presence.present_hustlers import RECORD, PresentHustlers
from geo.valkey import Pipeline, Valkey, packed, slot_of_key
from tests.geo.sphere import CITIES, scattered

SF, NEW_YORK, _ = CITIES
# Neighbours in one partition, a few kilometres apart, and one far enough for another partition.
NEAR = LatLng(37.8044, -122.2712)
FAR = LatLng(37.3382, -121.8863)


def at(*places: LatLng) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The cells of these places."""
    return np.array(sorted({cell_of(place) for place in places}), dtype=np.uint64)


async def seen(presence: Presence, *places: LatLng) -> PresentHustlers:
    """Everybody in the cells of these places."""
    return await presence.within(at(*places))


async def heartbeat(
    presence: Presence,
    hustler: UUID,
    point: LatLng,
    order: tuple[int, int],
    slot: CellSlot | None = None,
) -> CellSlot | None:
    """Write one heartbeat of (generation, seq)."""
    (kept,) = await presence.write([Heartbeat(hustler, point, *order, slot)])
    return kept


async def records(valkey: Valkey, hustler: UUID) -> int:
    """In how many cells of the whole server a hustler has a record."""
    found = await valkey.everywhere(b"KEYS", b"hx2:{p*}:cell:*")
    keys = [key for keys in found for key in keys]
    commands = [packed(b"HEXISTS", key, hustler.bytes) for key in keys]
    return sum(await valkey.run(Pipeline(commands, list(map(slot_of_key, keys)))))


async def ask(valkey: Valkey, command: bytes, key: bytes, *arguments: bytes | int) -> Any:
    """The reply of a command to a key, from wherever the key is."""
    return await valkey.one(command, key, *arguments, slot=slot_of_key(key))


def test_the_places_of_these_tests_are_where_they_should_be() -> None:
    """Two of them share a partition and no cell; the third is elsewhere."""
    assert partition_of(cell_of(SF)) == partition_of(cell_of(NEAR))
    assert cell_of(SF) != cell_of(NEAR)
    assert partition_of(cell_of(SF)) != partition_of(cell_of(FAR))


async def test_a_heartbeat_is_read_back_to_the_last_bit(presence: Presence) -> None:
    """Position, order and times; the cell is named."""
    hustler, point = uuid4(), LatLng(37.77491234567891, -122.4194123456789)
    kept = await heartbeat(presence, hustler, point, (7, 3))
    assert kept == slot_of(cell_of(point))
    found = await seen(presence, point)
    assert found.hustlers() == [hustler]
    assert (found.lat[0], found.lng[0]) == (point.lat, point.lng)
    assert (found.generation[0], found.seq[0]) == (7, 3)
    assert found.seen_at_ms[0] == found.fixed_at_ms[0]
    assert abs(found.seen_at_ms[0] / 1000 - time.time()) < 5
    assert await presence.present([hustler, uuid4()]) == {hustler}


async def test_both_keys_of_a_cell_expire_together(presence: Presence, valkey: Valkey) -> None:
    """120 s for the cell, 360 s for the directory, nothing lives for ever."""
    hustler = uuid4()
    await heartbeat(presence, hustler, SF, (1, 1))
    cell, index = keys_of(cell_of(SF))
    lives = [await ask(valkey, b"TTL", key) for key in (cell, index, directory_key(hustler))]
    assert lives == [120, 120, 360]


async def aged(valkey: Valkey, cell: bytes, hustler: UUID, by_ms: int) -> None:
    """Makes a record look as if its last heartbeat had come so much earlier."""
    record = bytearray(await ask(valkey, b"HGET", cell, hustler.bytes))
    record[52:60] = (int.from_bytes(record[52:60], "little") - by_ms).to_bytes(8, "little")
    await ask(valkey, b"HSET", cell, hustler.bytes, bytes(record))


@pytest.mark.parametrize("is_keep_alive", [False, True])
async def test_heartbeats_in_quick_succession_leave_index_and_expiry_alone(
    presence: Presence, valkey: Valkey, *, is_keep_alive: bool
) -> None:
    """The index lags behind the records, by less than 5 s however often they are written."""
    hustler, (cell, index) = uuid4(), keys_of(cell_of(SF))
    kept = await heartbeat(presence, hustler, SF, (1, 1))
    assert kept is not None
    entered = float(await ask(valkey, b"ZSCORE", index, hustler.bytes))
    lags = []
    for seq in range(2, 12):
        await aged(valkey, cell, hustler, 1_100)
        if is_keep_alive:
            await presence.refresh([KeepAlive(hustler, 1, kept)])
        else:
            await heartbeat(presence, hustler, SF, (1, seq), kept)
        record = np.frombuffer(await ask(valkey, b"HGET", cell, hustler.bytes), RECORD)[0]
        lags.append(int(record["index_lag_ms"]))
    assert max(lags) < 5_000
    assert [lag < 1_000 for lag in lags] == ([False] * 4 + [True]) * 2
    assert float(await ask(valkey, b"ZSCORE", index, hustler.bytes)) >= entered


async def test_a_cell_of_steady_heartbeats_never_expires(
    presence: Presence, valkey: Valkey
) -> None:
    """Both keys live on for 95 s after any write, more than the 90 s that count as present."""
    hustler, (cell, index) = uuid4(), keys_of(cell_of(SF))
    kept = await heartbeat(presence, hustler, SF, (1, 1))
    lives = []
    for seq in range(2, 14):  # every 4 s, for 48 s
        for key in (cell, index):
            left_ms = await ask(valkey, b"PTTL", key)
            await ask(valkey, b"PEXPIRE", key, left_ms - 4_000)
        await aged(valkey, cell, hustler, 4_000)
        await heartbeat(presence, hustler, SF, (1, seq), kept)
        lives += [await ask(valkey, b"TTL", key) for key in (cell, index)]
    assert min(lives) >= 95
    assert max(lives[2:]) == 120


async def test_a_clock_that_was_set_back_leaves_the_index_up_to_date(
    presence: Presence, valkey: Valkey
) -> None:
    """The record before is from the future then: a new entry, and a lag of nothing."""
    hustler, (cell, index) = uuid4(), keys_of(cell_of(SF))
    kept = await heartbeat(presence, hustler, SF, (1, 1))
    await ask(valkey, b"ZADD", index, 5, hustler.bytes)
    await aged(valkey, cell, hustler, -3_600_000)
    assert await heartbeat(presence, hustler, SF, (1, 2), kept) == kept
    record = np.frombuffer(await ask(valkey, b"HGET", cell, hustler.bytes), RECORD)[0]
    assert record["index_lag_ms"] == 0
    assert float(await ask(valkey, b"ZSCORE", index, hustler.bytes)) == record["seen_at_ms"]


@pytest.mark.parametrize("older", [(5, 9), (4, 99)])
async def test_an_older_heartbeat_never_overwrites_a_newer(
    presence: Presence, older: tuple[int, int]
) -> None:
    """By (generation, seq), in the same cell and from another, known residence or not."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 10))
    for place in (SF, NEAR, FAR):
        for slot in (kept, None):
            assert await heartbeat(presence, hustler, place, older, slot) is None
    found = await seen(presence, SF, NEAR, FAR)
    assert found.seq.tolist() == [10]
    assert found.lat.tolist() == [SF.lat]


async def test_the_same_heartbeat_twice_is_harmless(presence: Presence) -> None:
    """A retry after a lost answer must succeed."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 10))
    assert await heartbeat(presence, hustler, SF, (5, 10), kept) == kept
    assert await heartbeat(presence, hustler, SF, (5, 10)) == kept


@pytest.mark.parametrize("there", [NEAR, FAR])
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_move_leaves_nothing_behind(
    presence: Presence, valkey: Valkey, there: LatLng, *, is_known: bool
) -> None:
    """Inside a partition and across, by the writer's memory or by the directory."""
    hustler = uuid4()
    here = await heartbeat(presence, hustler, SF, (5, 1))
    moved = await heartbeat(presence, hustler, there, (5, 2), here if is_known else None)
    assert moved == slot_of(cell_of(there))
    assert await records(valkey, hustler) == 1
    assert (await seen(presence, SF, there)).lat.tolist() == [there.lat]
    assert (await presence.counts(at(SF, there))).sum() == 1
    assert await ask(valkey, b"ZSCORE", keys_of(cell_of(SF))[1], hustler.bytes) is None


async def test_a_call_holds_no_more_than_a_millisecond_of_heartbeats(presence: Presence) -> None:
    """A partition's flush is cut, since the server hears nobody else meanwhile; all are written."""
    hustlers = [uuid4() for _ in range(2 * CALL_MAX + 1)]
    heartbeats = [Heartbeat(hustler, SF, 1, 1) for hustler in hustlers]
    calls = heartbeat_writes.heartbeat_calls([HeartbeatWrite(one, 0.0) for one in heartbeats])
    assert [len(call.writes) for call in calls] == [CALL_MAX, CALL_MAX, 1]
    kept = await presence.write(heartbeats)
    assert kept == [slot_of(cell_of(SF))] * len(hustlers)
    found = await presence.refresh(
        [KeepAlive(who, 1, slot) for who, slot in zip(hustlers, kept, strict=True) if slot]
    )
    assert found == kept
    assert len(await seen(presence, SF)) == len(hustlers)


async def test_a_move_within_a_partition_is_one_round_trip(
    presence: Presence, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be lost between two; on a cluster the claim goes elsewhere, and second."""
    here = await heartbeat(presence, hustler := uuid4(), SF, (5, 1))
    sent = []
    run = valkey.run

    async def counting(pipeline: Pipeline) -> list[object]:
        sent.append(len(pipeline))
        return await run(pipeline)

    monkeypatch.setattr(valkey, "run", counting)
    assert await heartbeat(presence, hustler, NEAR, (5, 2), here) is not None
    assert [replies for replies in sent if replies] == ([2] if valkey.is_single else [1, 1])


async def test_a_newer_socket_takes_over_and_the_older_learns_it(
    presence: Presence, valkey: Valkey
) -> None:
    """The latest generation wins wherever it is, and the loser leaves no record."""
    hustler = uuid4()
    (first,) = await presence.new_generations([hustler])
    mine = await heartbeat(presence, hustler, SF, (first, 50))
    (second,) = await presence.new_generations([hustler])
    theirs = await heartbeat(presence, hustler, FAR, (second, 1))
    assert theirs == slot_of(cell_of(FAR))
    assert await records(valkey, hustler) == 1
    # Its record is gone, so the old socket finds that out whether it stays or moves.
    assert await heartbeat(presence, hustler, SF, (first, 51), mine) is None
    assert await heartbeat(presence, hustler, NEAR, (first, 52), mine) is None
    assert await presence.refresh([KeepAlive(hustler, first, mine or slot_of(0))]) == [None]
    assert await records(valkey, hustler) == 1
    assert (await seen(presence, SF, NEAR, FAR)).generation.tolist() == [second]


async def test_two_writers_racing_leave_one_record_of_the_newer(
    presence: Presence, valkey: Valkey
) -> None:
    """Twelve hustlers, two gateways each, all at once, hopping between cells."""
    hustlers = [uuid4() for _ in range(12)]
    places = (SF, NEAR, FAR, NEW_YORK)

    async def drive(hustler: UUID, generation: int) -> None:
        kept: CellSlot | None = None
        for seq in range(12):
            kept = await heartbeat(
                presence, hustler, places[(seq * generation) % 4], (generation, seq), kept
            )

    async with asyncio.TaskGroup() as group:
        for hustler in hustlers:
            group.create_task(drive(hustler, 3))
            group.create_task(drive(hustler, 2))
    found = await seen(presence, *places)
    assert sorted(found.hustlers()) == sorted(hustlers)
    assert set(zip(found.generation.tolist(), found.seq.tolist(), strict=True)) == {(3, 11)}
    assert [await records(valkey, hustler) for hustler in hustlers] == [1] * 12


async def test_an_orphan_does_not_win(presence: Presence, valkey: Valkey) -> None:
    """A writer that died between writing the new cell and clearing the old leaves two records."""
    hustler = uuid4()
    await heartbeat(presence, hustler, SF, (5, 1))
    cell = keys_of(cell_of(SF))[0]
    orphan = await ask(valkey, b"HGET", cell, hustler.bytes)
    await heartbeat(presence, hustler, FAR, (5, 2))
    await ask(valkey, b"HSET", cell, hustler.bytes, orphan)
    assert await records(valkey, hustler) == 2
    assert (await seen(presence, SF, FAR)).lat.tolist() == [FAR.lat]


async def test_a_batch_answers_in_order_and_may_hold_a_hustler_twice(presence: Presence) -> None:
    """The later beat of the two counts."""
    hustlers = [uuid4() for _ in range(50)]
    kept = await presence.write([Heartbeat(hustler, SF, 1, 1) for hustler in hustlers])
    pairs = zip(hustlers, kept, strict=True)
    batch = [Heartbeat(hustler, (SF, NEAR, FAR)[n % 3], 1, 2, was) for n, (hustler, was) in
             enumerate(pairs)]  # fmt: skip
    batch.append(Heartbeat(hustlers[0], FAR, 1, 3, kept[0]))
    answers = await presence.write(batch)
    assert answers == [slot_of(cell_of(b.point)) for b in batch]
    found = await seen(presence, SF, NEAR, FAR)
    assert sorted(found.hustlers()) == sorted(hustlers)
    assert found.lat[found.hustlers().index(hustlers[0])] == FAR.lat
    assert await presence.write([]) == []


async def test_a_sign_of_life_keeps_the_place_and_the_age_of_the_fix(
    presence: Presence, valkey: Valkey
) -> None:
    """Last-seen moves, nothing else does, and both keys live on."""
    hustler = uuid4()
    (kept,) = await presence.write([Heartbeat(hustler, SF, 5, 1, fix_age_ms=200_000)])
    assert kept is not None
    for key in (*keys_of(kept.cell), directory_key(hustler)):
        await ask(valkey, b"EXPIRE", key, 20)
    before = await seen(presence, SF)
    await aged(valkey, keys_of(kept.cell)[0], hustler, 6_000)
    await asyncio.sleep(0.01)
    old = replace(kept, claimed_at=kept.claimed_at - 61)
    alive = [KeepAlive(hustler, 5, old), KeepAlive(uuid4(), 5, old)]
    assert await presence.refresh(alive) == [kept, None]
    others = [KeepAlive(hustler, 4, kept), KeepAlive(hustler, 6, kept)]
    assert await presence.refresh(others) == [None, None]
    after = await seen(presence, SF)
    assert after.seen_at_ms[0] > before.seen_at_ms[0]
    assert after.fixed_at_ms[0] == before.fixed_at_ms[0] <= before.seen_at_ms[0] - 200_000
    assert (after.lat[0], after.seq[0]) == (SF.lat, 1)
    lives = [
        await ask(valkey, b"TTL", key) for key in (*keys_of(kept.cell), directory_key(hustler))
    ]
    assert lives == [120, 120, 360]


async def test_a_position_older_than_five_minutes_is_not_matchable(presence: Presence) -> None:
    """The hustler is present and counted, but nowhere."""
    hustler = uuid4()
    (kept,) = await presence.write([Heartbeat(hustler, SF, 5, 1, fix_age_ms=300_500)])
    assert kept is not None
    assert len(await seen(presence, SF)) == 0
    assert (await presence.counts(at(SF))).tolist() == [1]
    assert await presence.present([hustler]) == {hustler}


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_hustler_who_leaves_is_gone(
    presence: Presence, valkey: Valkey, *, is_known: bool
) -> None:
    """From cell, index and directory, with or without a residence at hand; twice is no harm."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 1))
    for _ in range(2):
        await presence.remove(hustler, kept if is_known else None, generation=5)
    assert sum(await valkey.everywhere(b"DBSIZE")) == 0


async def test_many_who_leave_are_gone_in_two_round_trips(
    presence: Presence, valkey: Valkey
) -> None:
    """Each as if alone: by its slot, by the directory, and not where a newer session stands."""
    hustlers = [uuid4() for _ in range(4)]
    kept = await presence.write(
        [
            Heartbeat(hustler, place, 5, 1)
            for hustler, place in zip(hustlers, (SF, FAR, NEAR, SF), strict=True)
        ]
    )
    await heartbeat(presence, hustlers[3], SF, (6, 1))
    await presence.remove_all(
        [
            Departure(hustlers[0], kept[0], 5),
            Departure(hustlers[1], None, 5),
            Departure(hustlers[3], kept[3], 5),
        ]
    )
    assert set((await seen(presence, SF, NEAR, FAR)).hustlers()) == {hustlers[2], hustlers[3]}
    assert await presence.present(hustlers) == {hustlers[2], hustlers[3]}
    assert [await records(valkey, hustler) for hustler in hustlers] == [0, 0, 1, 1]


async def test_a_late_close_message_does_not_remove_a_newer_session(presence: Presence) -> None:
    """The old socket's end comes after the new one's first beat."""
    hustler = uuid4()
    mine = await heartbeat(presence, hustler, SF, (5, 1))
    await heartbeat(presence, hustler, SF, (6, 1))
    await presence.remove(hustler, mine, generation=5)
    assert (await seen(presence, SF)).generation.tolist() == [6]
    assert await presence.present([hustler]) == {hustler}


async def test_after_a_flush_the_next_heartbeats_put_everything_back(
    presence: Presence, valkey: Valkey
) -> None:
    """Scripts, cells and directory were lost; staying or moving, known residences mislead nobody."""
    stays, moves = uuid4(), uuid4()
    kept = [await heartbeat(presence, hustler, SF, (5, 1)) for hustler in (stays, moves)]
    await valkey.everywhere(b"FLUSHDB")
    await valkey.everywhere(b"SCRIPT", b"FLUSH")
    answers = await presence.write(
        [Heartbeat(stays, SF, 5, 2, kept[0]), Heartbeat(moves, NEAR, 5, 2, kept[1])]
    )
    assert answers == [slot_of(cell_of(SF)), slot_of(cell_of(NEAR))]
    assert len(await seen(presence, SF, NEAR)) == 2
    assert await presence.present([stays, moves]) == {stays, moves}


async def test_a_lost_directory_entry_alone_is_put_back(presence: Presence, valkey: Valkey) -> None:
    """A heartbeat that stays notices once a minute, when it prolongs the entry."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 1))
    assert kept is not None
    await ask(valkey, b"DEL", directory_key(hustler))
    old = replace(kept, claimed_at=kept.claimed_at - 61)
    again = await heartbeat(presence, hustler, SF, (5, 2), old)
    assert again == kept
    assert again.claimed_at > old.claimed_at
    assert await presence.present([hustler]) == {hustler}


async def test_the_directory_hears_of_a_hustler_once_a_minute(
    presence: Presence, valkey: Valkey
) -> None:
    """So an entry lives for 300 s after the last heartbeat at least, and 360 s at most."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 1))
    assert kept is not None
    await ask(valkey, b"EXPIRE", directory_key(hustler), 310)
    for seq, (age_s, lives) in enumerate([(0.0, 310), (59.0, 310), (60.5, 360)], 2):
        slot = replace(kept, claimed_at=kept.claimed_at - age_s)
        again = await heartbeat(presence, hustler, SF, (5, seq), slot)
        assert (again is slot) == (lives == 310)
        assert await ask(valkey, b"TTL", directory_key(hustler)) in (lives, lives - 1)


async def test_a_write_that_trusts_nothing_puts_the_directory_back(
    presence: Presence, valkey: Valkey
) -> None:
    """After the loss of one server of several the records may stand while their entries do not."""
    hustler = uuid4()
    kept = await heartbeat(presence, hustler, SF, (5, 1))
    await ask(valkey, b"DEL", directory_key(hustler))
    again = await presence.write([Heartbeat(hustler, NEAR, 5, 2, kept)], trusting=False)
    assert again == [slot_of(cell_of(NEAR))]
    assert await records(valkey, hustler) == 1
    assert await presence.present([hustler]) == {hustler}


async def test_generations_rise_and_survive_the_loss_of_the_server(
    presence: Presence, valkey: Valkey
) -> None:
    """A counter from 1 would be behind the sessions that live on."""
    hustler = uuid4()
    given = await presence.new_generations([hustler] * 50)
    await valkey.everywhere(b"FLUSHDB")
    given += await presence.new_generations([hustler])
    assert given == sorted(set(given))
    assert given[-1] <= heartbeat_writes.LAST_GENERATION


async def test_a_hot_cell_drops_those_who_fell_silent(presence: Presence, valkey: Valkey) -> None:
    """It never expires, so others clear it, sixty-four at a time, whenever they prolong it."""
    cell, index = keys_of(cell_of(SF))
    for n in range(100):
        await ask(valkey, b"ZADD", index, n, b"silent%010d" % n)
        await ask(valkey, b"HSET", cell, b"silent%010d" % n, b"\0" * RECORD.itemsize)
    left = []
    for n in range(3):
        await ask(valkey, b"EXPIRE", cell, 99)
        await heartbeat(presence, uuid4(), SF, (1, n))
        left.append(await ask(valkey, b"HLEN", cell))
    assert left == [101 - 64, 2, 3]
    assert await ask(valkey, b"ZCARD", index) == 3
    assert (await presence.counts(at(SF, NEAR))).sum() == 3


async def test_a_radius_query_agrees_with_brute_force(presence: Presence) -> None:
    """Presence, cover and distance together find exactly who is inside, of 600 in 12 miles."""
    lat, lng = scattered(np.random.default_rng(12), SF, 600, 19_000)
    hustlers = [uuid4() for _ in range(600)]
    rows = zip(hustlers, lat.tolist(), lng.tolist(), strict=True)
    await presence.write([Heartbeat(hustler, LatLng(*point), 1, 1) for hustler, *point in rows])
    for radius_m in (0.0, 800.0, 4_828.0, 16_093.44):
        found = await presence.within(cover(SF, radius_m))
        found = found.take(distances_m(SF, found.lat, found.lng) <= radius_m)
        inside = distances_m(SF, lat, lng) <= radius_m
        assert set(found.hustlers()) == {hustlers[n] for n in np.flatnonzero(inside)}


async def test_more_cells_than_a_pipeline_takes_are_read_in_several(presence: Presence) -> None:
    """A tick asks for the cells of all its broadcasts at once."""
    hustler = uuid4()
    await heartbeat(presence, hustler, SF, (1, 1))
    many = np.unique(
        np.concatenate([cover(LatLng(lat, SF.lng), 16_000) for lat in np.arange(34, 38.1, 0.25)])
    )
    assert len(many) > 2_000
    assert (await presence.within(many)).hustlers() == [hustler]
    assert (await presence.counts(many)).sum() == 1
    assert len(await presence.within(np.array([], dtype=np.uint64))) == 0


async def test_the_run_id_names_the_running_server(presence: Presence) -> None:
    """Forty hexadecimal digits for each, the same until one restarts."""
    run_id = await presence.run_id()
    assert {len(one) for one in run_id.split()} == {40}
    assert await presence.run_id() == run_id


@pytest.mark.parametrize(
    ("generation", "seq", "age_ms"),
    [(2**53, 0, 0), (0, 2**32, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)],
)
def test_numbers_that_lua_or_the_record_cannot_hold_are_refused(
    generation: int, seq: int, age_ms: int
) -> None:
    """They would wrap around and win or lose wrongly."""
    with pytest.raises(ValueError, match=r"range|age"):
        Heartbeat(uuid4(), SF, generation, seq, fix_age_ms=age_ms)


async def test_the_largest_numbers_keep_their_order(presence: Presence) -> None:
    """Lua compares doubles; up to 2^53 that is exact."""
    hustler, top = uuid4(), heartbeat_writes.LAST_GENERATION
    kept = await heartbeat(presence, hustler, SF, (top - 1, heartbeat_writes.LAST_SEQ))
    assert await heartbeat(presence, hustler, SF, (top, 0), kept) == kept
    assert (
        await heartbeat(presence, hustler, SF, (top - 1, heartbeat_writes.LAST_SEQ), kept) is None
    )
    assert (await seen(presence, SF)).generation.tolist() == [top]


async def test_jitter_over_an_edge_stays_in_one_cell(presence: Presence) -> None:
    """And whoever asks for the point's own cell by a cover finds the record next door."""
    hustler, lng = uuid4(), SF.lng
    inside = SF
    while cell_of(LatLng(SF.lat, lng)) == cell_of(SF):
        inside, lng = LatLng(SF.lat, lng), lng + 1e-4
    outside = LatLng(SF.lat, lng)
    assert distance_m(inside, outside) < 10
    kept = await heartbeat(presence, hustler, inside, (1, 1))
    for seq in range(2, 8):
        assert (
            await heartbeat(presence, hustler, (inside, outside)[seq % 2], (1, seq), kept) == kept
        )
    assert (await presence.within(cover(outside, 1.0))).hustlers() == [hustler]


async def test_a_last_place_is_found_without_knowing_the_cell(presence: Presence) -> None:
    """By the directory and the cell's record; strangers and those who left are not found."""
    here, moved, left, stranger = (uuid4() for _ in range(4))
    kept = await heartbeat(presence, here, SF, (1, 1))
    await heartbeat(presence, moved, SF, (1, 1))
    await heartbeat(presence, moved, FAR, (1, 2))
    await heartbeat(presence, left, SF, (1, 1))
    await presence.remove(left)

    found = await presence.last_positions([here, moved, left, stranger])

    assert set(found) == {here, moved}
    assert (found[here].point, found[here].slot) == (SF, kept)
    assert found[moved].point == FAR
    assert abs(found[here].fixed_at_s - time.time()) < 60

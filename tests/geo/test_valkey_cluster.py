"""What a cluster does while presence goes on: slots move, servers are lost and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import numpy as np
import pytest

from geo.cells import cell_of
from geo.points import LatLng
from geo.presence.heartbeat_writes import PARTITION_SLOTS, slot_of
from geo.presence.presence import Heartbeat, Presence
from geo.valkey import Pipeline, Valkey, ValkeyAway, open_valkey, packed, slot_of_key
from geo.valkey_topology import topology_of
from tests.support.valkey_cluster import Node, ValkeyCluster


@pytest.fixture
async def door(cluster: ValkeyCluster) -> AsyncIterator[Valkey]:
    """A client of the cluster, by the URL of one of its servers."""
    client = open_valkey(cluster.url)
    yield client
    await client.close()


def place_at(cluster: ValkeyCluster, node: Node) -> LatLng:
    """A place whose partition is served by this node."""
    for lng in range(-120, -60):
        place = LatLng(38.0, float(lng))
        slot = PARTITION_SLOTS[slot_of(cell_of(place)).partition]
        if cluster.owner(slot) is node:
            return place
    raise LookupError(node)


async def present_at(presence: Presence, place: LatLng) -> list[UUID]:
    """Who is in the cell of a place."""
    found = await presence.within(np.array([cell_of(place)], dtype=np.uint64))
    return found.hustlers()


async def test_commands_go_to_the_owners_of_their_slots_and_answers_come_in_order(
    cluster: ValkeyCluster, door: Valkey
) -> None:
    """Three servers work at once; none refuses what it is sent."""
    keys = [b"key:%d" % n for n in range(300)]
    slots = list(map(slot_of_key, keys))
    assert len({cluster.owner(slot).port for slot in slots[:20]}) == 3
    await door.run(Pipeline([packed(b"SET", key, key) for key in keys], slots))
    assert await door.run(Pipeline([packed(b"GET", key) for key in keys], slots)) == keys
    assert not door.is_single
    assert sum(await door.everywhere(b"DBSIZE")) == 300


async def test_a_stage_waits_for_the_one_before_on_whatever_server(
    cluster: ValkeyCluster, door: Valkey
) -> None:
    """While the first server is busy, the second has not heard of anything."""
    await door.ping()
    keys = [b"key:%d" % n for n in range(20)]
    first = keys[0]
    busy = cluster.owner(slot_of_key(first))
    then = next(key for key in keys if cluster.owner(slot_of_key(key)) is not busy)
    stages = [Pipeline([packed(b"INCR", key)], [slot_of_key(key)]) for key in (first, then, first)]
    busy.ask("CLIENT", "PAUSE", 200, "WRITE")
    running = asyncio.create_task(door.run_in_order(*stages))
    await asyncio.sleep(0.05)
    assert await door.one(b"EXISTS", then, slot=slot_of_key(then)) == 0
    assert await running == [[1], [1], [2]]


async def test_a_slot_that_has_moved_is_found_again_unnoticed(
    cluster: ValkeyCluster, door: Valkey
) -> None:
    """Its keys go with it; the old owner says MOVED, and the topology is read anew."""
    presence, hustler = Presence(door), uuid4()
    place = place_at(cluster, cluster.nodes[1])
    (kept,) = await presence.write([Heartbeat(hustler, place, 1, 1)])
    slot = PARTITION_SLOTS[slot_of(cell_of(place)).partition]
    before = cluster.owner(slot)
    cluster.move_slot(slot)
    assert cluster.owner(slot) is not before
    assert await presence.write([Heartbeat(hustler, place, 1, 2, kept)]) == [kept]
    assert await present_at(presence, place) == [hustler]


async def test_a_slot_on_its_way_is_asked_for_where_it_goes(
    cluster: ValkeyCluster, door: Valkey
) -> None:
    """ASK for one key; a call with several that are not there yet is tried again till they are."""
    presence, hustler = Presence(door), uuid4()
    source, target = cluster.nodes[2], cluster.nodes[0]
    place = place_at(cluster, source)
    slot = PARTITION_SLOTS[slot_of(cell_of(place)).partition]
    key = b"hx2:{p%02d}:probe" % slot_of(cell_of(place)).partition
    await door.ping()
    names = [node.ask("CLUSTER", "MYID") for node in (source, target)]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
    assert await door.one(b"SET", key, b"1", slot=slot) == b"OK"
    assert target.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
    writing = asyncio.create_task(presence.write([Heartbeat(hustler, place, 1, 1)]))
    await asyncio.sleep(0.1)
    assert not writing.done()
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[1])
    assert await writing == [slot_of(cell_of(place))]
    assert await present_at(presence, place) == [hustler]


async def test_a_lost_server_is_away_for_its_own_slots_alone_and_found_when_it_is_back(
    cluster: ValkeyCluster, door: Valkey
) -> None:
    """One exception in bounded time; the same client goes on when the server is there again."""
    presence, hustler = Presence(door), uuid4()
    lost = cluster.nodes[0]  # that of the URL, too
    here, elsewhere = place_at(cluster, lost), place_at(cluster, cluster.nodes[1])
    await presence.within(np.array([cell_of(here), cell_of(elsewhere)], dtype=np.uint64))
    lost.stop()
    try:
        with pytest.raises(ValkeyAway):
            await presence.write([Heartbeat(hustler, here, 1, 1)])
        assert await present_at(presence, elsewhere) == []
    finally:
        lost.start()
        await asyncio.to_thread(cluster.wait)
    assert await presence.write([Heartbeat(hustler, here, 1, 1)]) == [slot_of(cell_of(here))]
    assert await present_at(presence, here) == [hustler]


def test_a_server_that_does_not_know_its_name_is_where_it_was_asked() -> None:
    """CLUSTER SLOTS then says nothing, or a question mark."""
    ranges = [
        [0, 99, [b"", 7001, b"id"]],
        [100, 199, [None, 7002, b"id", []], [b"replica", 7003, b"id"]],
        [200, 16_383, [b"10.0.0.3", 7004, b"id"]],
    ]
    topology = topology_of(ranges, "db.example")
    assert topology.primaries == (("db.example", 7001), ("db.example", 7002), ("10.0.0.3", 7004))
    assert topology.a_slot_of_each() == [0, 100, 200]
    assert topology_of(ranges[:1], "db.example").owners[100] is None

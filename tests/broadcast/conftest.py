"""A world for each test: no broadcast of one test may run in another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.broadcast.world import World, open_world
from tests.support.servers import RunServers, TestDatabase, clone_of


@pytest.fixture(scope="session")
def world_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """One clone for all worlds of this worker, since a clone for each would cost half their time."""
    with clone_of(run_servers, f"world{worker_number}") as database:
        yield database


@pytest.fixture
async def world(world_database: TestDatabase, fresh_valkey_url: str) -> AsyncIterator[World]:
    """An empty world: no broadcast runs, no offer stands, nobody is present or holds a slot, the clock is right."""
    async with open_world(world_database, fresh_valkey_url) as opened:
        await opened.value("delete from clock_offset")
        await opened.value("truncate offers")
        await opened.value(
            "update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()"
            " where state = 'ACTIVE'"
        )
        await opened.value("delete from broadcasters")
        await opened.value("update broadcaster_slots set owner = null, until = '-infinity'")
        yield opened

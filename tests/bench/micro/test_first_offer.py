"""The first offer's peer serves: that it fits where a broadcaster stands, not how fast it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.micro.first_offer.clients import Arrivals, merge
from bench.micro.first_offer.peer import GEO_KEY, OneByOne
from gateway.server import wiring
from geo.valkey import open_valkey
from tests.support.servers import TestDatabase
from tests.support.service import live, running, somewhere, uuid_of


async def test_the_peer_offers_after_the_commit_what_its_own_index_finds(
    fresh_database: TestDatabase,
    fresh_valkey_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody rides in the funding; the card comes from its GEO set."""
    monkeypatch.setattr(wiring, "Broadcaster", OneByOne)
    monkeypatch.setenv("HX_POSTGRES_DSN", fresh_database.dsn)
    monkeypatch.setenv("HX_REDIS_URL", fresh_valkey_url)
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(*dsns, fresh_valkey_url, tmp_path) as service:
        poster, hustler = await service.user("poster"), await service.user("dual")
        place = somewhere()
        async with live(service, hustler, place) as client:
            valkey = open_valkey(fresh_valkey_url)
            where = (repr(place["lng"]), repr(place["lat"]))
            await valkey.one(b"GEOADD", GEO_KEY, *where, hustler.user_id.bytes)
            await valkey.close()
            task = (await service.funded(poster, place))["id"]
            card = await client.hear_until("LIVE_TASK_BROADCAST")
            assert card["data"]["task"]["id"] == task
            assert card["data"]["matching_score"] == 0.5


def test_arrivals_of_several_processes_are_one() -> None:
    """The first of all, the last of all, and as many as there are."""
    found: dict[object, Arrivals] = {}
    broadcast = uuid_of("00000000-0000-0000-0000-000000000001")
    for arrivals in (Arrivals(2.0, 3.0, 4), Arrivals(1.0, 2.5, 1)):
        merge(found, broadcast, arrivals)  # type: ignore[arg-type]
    assert found == {broadcast: Arrivals(1.0, 3.0, 5)}

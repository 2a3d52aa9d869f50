"""Funded → first card: the offers ride in the commit, and no round of the broadcaster is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.relay import relayed
from tests.support.first_wave import let_nobody_look, notified, present
from tests.support.servers import TestDatabase
from tests.support.service import joined, live, near, running, somewhere


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches a socket rode in a commit."""
    let_nobody_look(monkeypatch)


async def test_a_funding_puts_its_cards_on_the_sockets_by_itself(
    fresh_database: TestDatabase, valkey_url: str, tmp_path: Path, nobody_looks: None
) -> None:
    """To those within the first radius; the event of the same transaction counts them."""
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(*dsns, valkey_url, tmp_path) as service:
        poster, one, other, far = [
            await service.user(role) for role in ("poster", "dual", "dual", "dual")
        ]
        place = somewhere()
        async with (
            joined(service, poster) as posting,
            live(service, one, near(place, 1.0)) as first,
            live(service, other, near(place, 2.9)) as second,
            live(service, far, near(place, 3.1)) as third,
            present(valkey_url, one, other, far),
        ):
            task = (await service.funded(poster, place))["id"]
            card = await first.hear_until("LIVE_TASK_BROADCAST")
            assert card["data"]["task"]["id"] == task
            await second.hear_until("LIVE_TASK_BROADCAST")
            update = await posting.hear_until("LIVE_BROADCAST_UPDATE")
            assert update["data"]["hustlers_notified"] == 2
            await third.nothing_but("LIVE_MODE_STATE_CHANGE", for_s=0.1)
            assert await notified(service, task) == [2]


async def test_a_release_puts_the_successors_cards_on_the_sockets(
    fresh_database: TestDatabase, valkey_url: str, tmp_path: Path, nobody_looks: None
) -> None:
    """On everybody's but the releaser's."""
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(*dsns, valkey_url, tmp_path) as service:
        poster, one, other = [await service.user(role) for role in ("poster", "dual", "dual")]
        place = somewhere()
        async with (
            live(service, one, near(place, 1.0)) as first,
            live(service, other, near(place, 1.5)) as second,
            present(valkey_url, one, other),
        ):
            task = (await service.funded(poster, place))["id"]
            card = (await first.hear_until("LIVE_TASK_BROADCAST"))["data"]
            await second.hear_until("LIVE_TASK_BROADCAST")
            taken = {"broadcast_id": card["broadcast_id"], "response": "ACCEPT"}
            await first.say("RESPOND_TO_BROADCAST", taken)
            await first.hear_until("TASK_STATUS_UPDATE", task_id=task, state="ACCEPTED")
            await service.rest(one, "POST", f"/v1/tasks/{task}/release", {})
            again = (await second.hear_until("LIVE_TASK_BROADCAST"))["data"]
            assert again["task"]["id"] != task
            assert await notified(service, again["task"]["id"]) == [1]


async def test_with_nobody_near_and_with_valkey_away_the_funding_is_the_same(
    fresh_database: TestDatabase, valkey_url: str, tmp_path: Path
) -> None:
    """No wave rides; when Valkey is back the broadcaster makes it."""
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with (
        relayed(valkey_url) as (relay, url),
        running(*dsns, url, tmp_path) as service,
    ):
        poster, one = await service.user("poster"), await service.user("dual")
        lonely, place = somewhere(), somewhere()
        alone = (await service.funded(poster, lonely))["id"]
        assert await notified(service, alone) == [0]
        async with live(service, one, near(place, 1.0)) as client, present(valkey_url, one):
            relay.cut_off()
            task = (await service.funded(poster, place))["id"]
            assert await notified(service, task) == [0]
            failures = (await service.http.get("/metrics")).text
            assert 'hustlexp_wave_failures_total{loop="first_wave"} 1.0' in failures
            relay.cut = False
            card = await client.hear_until("LIVE_TASK_BROADCAST", within_s=15.0)
            assert card["data"]["task"]["id"] == task

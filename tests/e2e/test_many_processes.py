"""Two gateways, a broadcaster and a worker on one database: nobody notices which process has whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.server.roles import ProcessRole
from tests.support.service import Client, Message, Service, joined, live, near, running, somewhere


class Cluster(NamedTuple):
    """Services of one database; `poster_side` and `hustler_side` have the sockets."""

    poster_side: Service
    hustler_side: Service
    broadcaster: Service


@pytest.fixture
async def cluster(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """Each process with the parts of its role alone, and with what a poll finds an hour away."""
    roles = (
        ProcessRole.GATEWAY,
        ProcessRole.GATEWAY,
        ProcessRole.BROADCASTER,
        ProcessRole.WORKER,
    )
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(
                running(database_dsn, owner_dsn, valkey_url, tmp_path, role=role)
            )
            for role in roles
        ]
        for service in services:
            await listening(service)
        yield Cluster(*services[:3])


async def listening(service: Service) -> None:
    """Until a process hears the others."""
    for _ in range(200):
        if service.parts.bus.is_listening and service.parts.bus.has_peers:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the bus is not heard")


async def respond(client: Client, card: Message, response: str) -> Message:
    """Answers a card."""
    offer = {"broadcast_id": card["data"]["broadcast_id"], "response": response}
    return await client.ask("RESPOND_TO_BROADCAST", offer)


async def test_a_task_whose_parties_are_on_different_processes(cluster: Cluster) -> None:
    """Card, closing, position, events and money arrive, each once."""
    at_poster, at_hustler, _ = cluster
    place = somewhere()
    poster = await at_poster.user("poster")
    winner, other = await at_hustler.user(), await at_hustler.user()
    async with (
        joined(at_poster, poster) as posting,
        live(at_hustler, winner, near(place, 1.0)) as winning,
        live(at_poster, other, near(place, 1.5)) as losing,
    ):
        task = await at_poster.funded(poster, place)
        card = await winning.find("LIVE_TASK_BROADCAST")
        await losing.find("LIVE_TASK_BROADCAST")
        assert card["data"]["task"]["id"] == task["id"]
        assert (await respond(winning, card, "ACCEPT"))["data"]["outcome"] == "WON"
        await posting.find("TASK_STATUS_UPDATE", task_id=task["id"], state="ACCEPTED")
        await losing.find("LIVE_TASK_UNAVAILABLE", task_id=task["id"])
        await winning.say("UPDATE_LOCATION", {"location": near(place, 0.99)})
        await posting.find("HUSTLER_LOCATION", location=near(place, 0.99))
        assert [client.types().count("LIVE_TASK_BROADCAST") for client in (winning, losing)] == [
            1,
            1,
        ]


async def test_a_later_ring_is_offered_by_the_broadcaster_alone(cluster: Cluster) -> None:
    """Whoever comes near afterwards gets a card from a process that has no socket."""
    at_poster, at_hustler, _ = cluster
    place = somewhere()
    poster, late = await at_poster.user("poster"), await at_hustler.user()
    await at_poster.funded(poster, place)
    async with live(at_hustler, late, near(place, 1.0)) as client:
        await client.find("LIVE_TASK_BROADCAST")


async def test_a_card_declined_on_one_process_leaves_the_screen_on_the_other(
    cluster: Cluster,
) -> None:
    """A hustler with two devices answers on one of them."""
    one, other, _ = cluster
    place = somewhere()
    poster, hustler = await one.user("poster"), await one.user()
    async with live(one, hustler, near(place, 1.0)) as phone, joined(other, hustler) as tablet:
        await one.funded(poster, place)
        card = await phone.find("LIVE_TASK_BROADCAST")
        await tablet.find("LIVE_TASK_BROADCAST")
        assert (await respond(phone, card, "DECLINE"))["data"]["outcome"] == "DECLINED"
        await tablet.find("LIVE_TASK_UNAVAILABLE", broadcast_id=card["data"]["broadcast_id"])


async def test_a_bus_that_is_cut_costs_time_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cards by who looks for what no socket took, events and closings by what changed; each once."""
    at_poster, at_hustler, _ = cluster
    place = somewhere()
    poster, winner, other = (
        await at_poster.user("poster"), await at_hustler.user(), await at_hustler.user()
    )  # fmt: skip

    async def lost(_messages: object) -> None:
        """Nothing arrives, and nobody is told."""

    async with (
        joined(at_poster, poster) as posting,
        live(at_hustler, winner, near(place, 1.0)) as winning,
        live(at_hustler, other, near(place, 1.5)) as losing,
    ):
        for service in cluster:
            monkeypatch.setattr(service.parts.bus._lanes, "publish", lost)
            monkeypatch.setattr(service.parts.bus._lanes, "is_listening", False)
        task = await at_poster.funded(poster, place)
        card = await winning.hear_until("LIVE_TASK_BROADCAST", 20)
        await losing.hear_until("LIVE_TASK_BROADCAST", 20)
        assert (await respond(winning, card, "ACCEPT"))["data"]["outcome"] == "WON"
        await posting.hear_until("TASK_STATUS_UPDATE", 20, task_id=task["id"], state="ACCEPTED")
        await losing.hear_until("LIVE_TASK_UNAVAILABLE", 20, task_id=task["id"])
        for client in (winning, losing):
            assert client.types().count("LIVE_TASK_BROADCAST") == 1

"""What follows a command follows at once: with every poll an hour away, subscribers do it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from broadcast.limits import WaveLimits
from engine.kernel.ids import UserId
from gateway.contract import limits
from gateway.settings.groups import Broadcast
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from tests.support.servers import TestDatabase
from tests.support.service import joined, live, near, running, somewhere

HOUR_S = 3_600.0


@pytest.fixture
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nets under lost effects look once, at the start, and then an hour later."""
    wave_limits = Broadcast.wave_limits

    def never(settings: Broadcast) -> WaveLimits:
        return replace(wave_limits(settings), tick_s=HOUR_S, poll_s=HOUR_S)

    monkeypatch.setattr(Broadcast, "wave_limits", never)
    monkeypatch.setattr("engine.money.settlements.POLL_S", HOUR_S)
    monkeypatch.setattr(limits, "CATCHUP_EVERY_S", HOUR_S)


@pytest.fixture
async def presence(valkey_url: str) -> AsyncIterator[Presence]:
    """What the service writes of its hustlers."""
    valkey = open_valkey(valkey_url)
    yield Presence(valkey)
    await valkey.close()


async def both_present(presence: Presence, hustlers: set[UserId]) -> None:
    """Their first heartbeats are written: a broadcast that starts now finds them."""
    while await presence.present(hustlers) != hustlers:  # noqa: ASYNC110 - written in the background
        await asyncio.sleep(0.01)


async def test_nothing_waits_for_a_poll(
    fresh_database: TestDatabase,
    valkey_url: str,
    presence: Presence,
    tmp_path: Path,
    nobody_polls: None,
) -> None:
    """Card, taken card, the poster's view of the drive, payout: each has its subscriber."""
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(*dsns, valkey_url, tmp_path) as service:
        poster, winner, other = [await service.user(role) for role in ("poster", "dual", "dual")]
        place = somewhere()
        async with (
            joined(service, poster) as posting,
            live(service, winner, near(place, 1.0)) as winning,
            live(service, other, near(place, 1.5)) as losing,
        ):
            await both_present(presence, {winner.user_id, other.user_id})
            task = (await service.funded(poster, place))["id"]
            card = await winning.hear_until("LIVE_TASK_BROADCAST")
            await losing.hear_until("LIVE_TASK_BROADCAST")
            await winning.say(
                "RESPOND_TO_BROADCAST",
                {"broadcast_id": card["data"]["broadcast_id"], "response": "ACCEPT"},
            )
            await losing.hear_until("LIVE_TASK_UNAVAILABLE", reason="CLAIMED")
            await posting.hear_until("JOB_ASSIGNED", task_id=task)
            await winning.hear_until("TASK_STATUS_UPDATE", task_id=task, state="ACCEPTED")
            await posting.find("HUSTLER_LOCATION", task_id=task)

            codes = await service.rest(poster, "GET", f"/v1/tasks/{task}")
            path = f"/v1/tasks/{task}"
            await service.rest(winner, "POST", f"{path}/start", {"code": codes["start_code"]})
            proof = {"code": codes["completion_code"]}
            await service.rest(winner, "POST", f"{path}/proofs", proof)
            await service.rest(poster, "POST", f"{path}/approve", {})
            await winning.hear_until("PAYMENT_CAPTURED", task_id=task)

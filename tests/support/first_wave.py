"""A service whose broadcaster never looks: what reaches a socket rode in a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broadcast.broadcaster import Broadcaster
from broadcast.limits import WaveLimits
from gateway.settings.groups import Broadcast
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from tests.support.service import Service, User

HOUR_S = 3_600.0


def let_nobody_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broadcaster is never woken, and its loops look once in an hour."""
    wave_limits = Broadcast.wave_limits

    def never(settings: Broadcast) -> WaveLimits:
        return replace(wave_limits(settings), tick_s=HOUR_S, poll_s=HOUR_S)

    monkeypatch.setattr(Broadcast, "wave_limits", never)
    monkeypatch.setattr(Broadcaster, "wake", lambda *_: None)
    monkeypatch.setattr(Broadcaster, "wake_hustlers", lambda *_: None)


@asynccontextmanager
async def present(valkey_url: str, *hustlers: User) -> AsyncIterator[None]:
    """Their first heartbeats are written."""
    valkey = open_valkey(valkey_url)
    wanted = {hustler.user_id for hustler in hustlers}
    async with asyncio.timeout(5.0):
        while await Presence(valkey).present(wanted) != wanted:  # noqa: ASYNC110 - in the background
            await asyncio.sleep(0.01)
    await valkey.close()
    yield


async def notified(service: Service, task: str) -> list[int]:
    """How many hustlers each event of a broadcast counted, from the first on."""
    rows = await service.owner.fetch(
        "select data -> 'hustlers_notified' as n from user_events"
        " where type = 'LIVE_BROADCAST_UPDATE' and data ->> 'task_id' = $1 order by seq",
        task,
    )
    return [int(row["n"]) for row in rows]

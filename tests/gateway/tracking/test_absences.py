"""Sessions of hustlers who are away end, once, by whichever process comes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.contract import limits
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from tests.gateway.tracking.absences import absences_of
from tests.support.service import Service, User, joined, somewhere

LONG_OPEN = (
    "update live_status set active_since = active_since - interval '6 minutes'"
    " where user_id = any($1)"
)


@pytest.fixture
async def presence(valkey_url: str) -> AsyncIterator[Presence]:
    """As another process has it."""
    valkey = open_valkey(valkey_url)
    yield Presence(valkey)
    await valkey.close()


async def left_behind(service: Service, count: int) -> list[User]:
    """Hustlers whose process died six minutes ago: a session, and nobody who keeps it up."""
    users = [await service.user() for _ in range(count)]
    for user in users:
        await service.parts.commands.live.go_live(user.user_id, None, None)
    await service.owner.execute(LONG_OPEN, [user.user_id for user in users])
    return users


async def ends(service: Service, user: User) -> int:
    """How often a hustler was told that their session ended."""
    count: int = await service.owner.fetchval(
        "select count(*) from user_events where user_id = $1 and data ->> 'reason' = 'OFFLINE'",
        user.user_id,
    )
    return count


async def test_two_that_look_at_once_end_each_session_once(
    service: Service, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, by id; each hustler is told once."""
    monkeypatch.setattr(limits, "ORPHAN_BATCH", 2)
    users = await left_behind(service, 5)
    await asyncio.gather(*(absences_of(service, presence).sweep() for _ in range(2)))
    assert [await ends(service, user) for user in users] == [1] * 5


async def test_who_fell_silent_here_is_ended_without_a_look_at_everybody(
    service: Service, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless presence knows that another process hears of them."""
    orphan, here, elsewhere = await left_behind(service, 3)
    place = somewhere()
    absences = absences_of(service, presence)
    tracker = service.parts.location_tracker
    async with joined(service, here) as one, joined(service, elsewhere) as other:
        for session in (one, other):
            await session.say("SUBSCRIBE_LIVE_MODE", {"location": place})
            await session.hear_until("LIVE_MODE_STATE_CHANGE")
        await service.owner.execute(LONG_OPEN, [here.user_id, elsewhere.user_id])
        assert await absences.end_silent() == []
        tracked = {t.user: t for t in tracker._heartbeats.live}
        for user in (here, elsewhere):
            tracked[user.user_id].heard_at -= limits.IDLE_ENDS_SESSION_S
        await presence.remove(here.user_id)
        assert await absences.end_silent() == [here.user_id]
    assert [await ends(service, user) for user in (orphan, here, elsewhere)] == [0, 1, 0]
    assert orphan.user_id in await absences.sweep()

"""A row that somebody else holds delays no absence, and loses no arrival."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.session import LOCK_TIMEOUT_MS
from tests.gateway.tracking.absences import absences_of
from tests.support.service import Service, joined, near, somewhere


@asynccontextmanager
async def held(owner_dsn: str, statement: str, ident: UUID) -> AsyncIterator[None]:
    """The row that a statement locks, in a transaction of somebody else."""
    unauthenticated = await asyncpg.connect(owner_dsn)
    try:
        async with unauthenticated.transaction():
            assert await unauthenticated.execute(statement, ident) == "SELECT 1"
            yield
    finally:
        await unauthenticated.close()


async def test_a_session_that_somebody_holds_delays_no_other_absence(
    service: Service, owner_dsn: str, valkey_url: str
) -> None:
    """It ends with a later sweep; the other ends with this one."""
    parts = service.parts
    one, other = [await service.user() for _ in range(2)]
    for user in (one, other):
        await parts.commands.live.go_live(user.user_id, None, None)
    await service.owner.execute(
        "update live_status set active_since = active_since - interval '6 minutes'"
        " where user_id = any($1)",
        [one.user_id, other.user_id],
    )
    valkey = open_valkey(valkey_url)
    absences = absences_of(service, Presence(valkey))
    statement = "select from live_status where user_id = $1 for update"
    async with held(owner_dsn, statement, one.user_id):
        swept = await absences.sweep()
    assert other.user_id in swept
    assert one.user_id not in swept
    assert one.user_id in await absences.sweep()
    await valkey.close()


async def test_an_arrival_at_a_task_that_somebody_holds_is_recorded_afterwards(
    service: Service, owner_dsn: str
) -> None:
    """The lock was foreign, the arrival happened."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    task = await service.live_task(poster, place, mode="STANDARD")
    await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/fund", {})
    arrived = "select arrived_at is not null from tasks where id = $1"
    async with joined(service, hustler) as driving:
        await service.rest(hustler, "POST", f"/v1/tasks/{task['id']}/accept", {})
        await driving.hear_until("TASK_STATUS_UPDATE", task_id=task["id"], state="ACCEPTED")
        statement = "select from tasks where id = $1 for update"
        async with held(owner_dsn, statement, UUID(task["id"])):
            await driving.say("UPDATE_LOCATION", {"location": near(place, 0.01)})
            # longer than anybody waits for a row
            await asyncio.sleep(2 * LOCK_TIMEOUT_MS / 1_000)
        async with asyncio.timeout(20):
            while True:
                if await service.owner.fetchval(arrived, UUID(task["id"])):
                    return
                await asyncio.sleep(0.05)

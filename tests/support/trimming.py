"""Events that go as retention lets them go: with a month of the log that is over."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg


async def trim(owner: asyncpg.Connection, user: UUID, last: int) -> None:
    """Takes a user's events up to number `last` out of the log, by the job that drops old months."""
    async with owner.transaction():
        await owner.execute("select make_partition('user_events', $1)", date(2020, 1, 1))
        await owner.execute(
            "update user_events set at = $3 where user_id = $1 and seq <= $2",
            user,
            last,
            datetime(2020, 1, 15, tzinfo=UTC),
        )
        dropped = await owner.fetchval("select drop_old_events()")
        assert dropped == '["user_events_2020_01"]', dropped

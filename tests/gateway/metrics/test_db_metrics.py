"""What a scrape reads from the database."""

from __future__ import annotations

from tests.support.market import open_market
from tests.support.servers import TestDatabase


async def test_live_sessions_are_those_that_are_active_now(fresh_database: TestDatabase) -> None:
    """Not who is off, rests, is paused or banned: the state as it is derived everywhere else."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        hustlers = [await market.live_hustler() for _ in range(5)]
        await market.user("hustler")
        changes = ("cooldown_until", "paused_until", "banned_until")
        for hustler, column in zip(hustlers, changes, strict=False):
            await market.owner.execute(
                f"update live_status set {column} = hx_clock() + interval '1 hour',"
                " paused_reason = 'DECLINES' where user_id = $1",
                hustler,
            )
        assert await market.store.value("live_sessions_open") == 2
        await market.advance("59 minutes")
        assert await market.store.value("live_sessions_open") == 2
        await market.advance("2 minutes")
        every = "select count(*) from live_status as s where live_state(s, hx_clock()) = 'ACTIVE'"
        assert (
            await market.store.value("live_sessions_open") == await market.app.fetchval(every) == 5
        )

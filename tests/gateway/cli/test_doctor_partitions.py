"""`hustlexp doctor` on a database whose partitions nobody has made."""

from __future__ import annotations

from gateway.cli.doctor import _partition_finding
from sql.database import Database
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase


async def test_it_names_the_months_that_are_missing_and_the_rows_that_wait(
    fresh_database: TestDatabase,
) -> None:
    """And is content as soon as they are made."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        database = await Database.open(fresh_database.dsn, size=1)
        try:
            await _asks(market, database)
        finally:
            await database.close()


async def _asks(market: Market, database: Database) -> None:
    assert (await _partition_finding(database)).ok
    month = await market.owner.fetchval("select to_char(hx_clock() + interval '1 year', 'YYYY-MM')")
    await market.owner.execute("insert into clock_offset (amount) values ('1 year')")
    reader = await market.user("poster")
    await market.app.fetchval(
        "select append_events(jsonb_build_array(hx_event($1, 'X', '{}')))", reader
    )
    wrong = await _partition_finding(database)
    assert not wrong.ok
    assert f"none for offers {month}; " in wrong.found
    assert "1 rows of user_events are in none" in wrong.found
    assert "`hustlexp migrate`" in wrong.found
    await market.app.fetchval("select ensure_partitions()")
    assert (await _partition_finding(database)).ok

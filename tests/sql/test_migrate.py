"""Migrations: ordered, checksummed, repeatable, one at a time."""

import asyncio

import asyncpg
import pytest

from sql import migrate as migrating
from sql import named
from tests.support.market import Market
from tests.support.servers import TestDatabase


async def test_a_migrated_database_has_nothing_due(fresh_database: TestDatabase) -> None:
    """A second run, a dry run and two at once change nothing."""
    owner = fresh_database.owner_dsn
    assert await migrating.migrate(owner, dry_run=True) == []
    twice = await asyncio.gather(migrating.migrate(owner), migrating.migrate(owner))
    assert list(twice) == [[], []]


async def test_a_changed_migration_is_refused(fresh_database: TestDatabase) -> None:
    """The checksum of what ran must be the checksum of what is there."""
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    await connection.execute(
        "update schema_migrations set checksum = 'other' where name = '0001_foundation.sql'"
    )
    await connection.close()
    with pytest.raises(migrating.MigrationError, match=r"foundation\.sql has changed"):
        await migrating.migrate(fresh_database.owner_dsn)


async def test_a_database_of_a_newer_version_is_refused(fresh_database: TestDatabase) -> None:
    """Old code does not run on a schema it does not know."""
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    await connection.execute("insert into schema_migrations values ('9999_later.sql', 'x')")
    await connection.close()
    with pytest.raises(migrating.MigrationError, match="newer"):
        await migrating.migrate(fresh_database.owner_dsn)


async def test_a_dry_run_names_what_is_due_in_order(fresh_database: TestDatabase) -> None:
    """And applies none of it."""
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    await connection.execute("delete from schema_migrations")
    due = await migrating.migrate(fresh_database.owner_dsn, dry_run=True)
    assert due == sorted(due)
    assert due[0] == "0001_foundation.sql"
    assert await connection.fetchval("select count(*) from schema_migrations") == 0
    await connection.close()


async def test_a_migration_that_fails_is_one_sentence(
    fresh_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves nothing."""
    bad = migrating.Migration("9999_bad.sql", "create table half (); select 1 / 0")
    known = migrating.migrations()
    monkeypatch.setattr(migrating, "migrations", lambda: [*known, bad])
    with pytest.raises(migrating.MigrationError, match="division by zero"):
        await migrating.migrate(fresh_database.owner_dsn)
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    assert await connection.fetchval("select to_regclass('half')") is None
    await connection.close()


@pytest.mark.parametrize("name", sorted(named.queries()))
async def test_every_named_query_is_valid_against_the_schema(market: Market, name: str) -> None:
    """Postgres prepares it as the application's role."""
    await market.app.prepare(named.query(name))

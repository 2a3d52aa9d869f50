"""Migrating: checksummed, repeatable, one at a time, undone wholly where a file fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from sql import named
from sql.migrate import migrate, plan
from sql.schema_files import File, MigrationError, Schema, read_schema
from tests.support.market import Market
from tests.support.servers import RunServers, TestDatabase

SCHEMA = read_schema()
GRANTS = "schema/grants.sql"


def with_migration(text: str) -> Schema:
    """This version and one migration more."""
    return replace(SCHEMA, migrations=(*SCHEMA.migrations, File("9999_later.sql", text)))


def with_routine(name: str, text: str) -> Schema:
    """This version with a routine file that ends otherwise."""
    changed = (
        replace(file, text=file.text + text) if file.name == name else file
        for file in SCHEMA.present
    )
    return replace(SCHEMA, present=tuple(changed))


async def ledger(database: TestDatabase, statement: str = "select") -> dict[str, str]:
    """What it holds, after a statement of the owner."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        await connection.execute(statement)
        rows = await connection.fetch("select name, checksum from schema_migrations")
        return {row["name"]: row["checksum"] for row in rows}
    finally:
        await connection.close()


async def exists(database: TestDatabase, relation: str) -> bool:
    """Whether it has a table of that name."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        return await connection.fetchval("select to_regclass($1)", relation) is not None
    finally:
        await connection.close()


async def test_a_migrated_database_has_nothing_due(fresh_database: TestDatabase) -> None:
    """A second run, a dry run and two at once change nothing."""
    owner = fresh_database.owner_dsn
    assert await migrate(owner, dry_run=True) == []
    twice = await asyncio.gather(migrate(owner), migrate(owner))
    assert list(twice) == [[], []]
    assert await ledger(fresh_database) == SCHEMA.ledger


async def test_two_migrators_of_a_new_database_take_turns(
    run_servers: RunServers, worker_number: int
) -> None:
    """One makes it, as the plan said; the other finds it made, with the migrations in it."""
    name = f"gw{worker_number}_empty"
    run_servers.psql(f'create database "{run_servers.prefix}_{name}" owner hx_owner')
    try:
        database = run_servers.database(name)
        planned = await migrate(database.owner_dsn, dry_run=True)
        assert planned == [file.name for file in SCHEMA.present]
        schema = with_migration("select 1 / 0")
        both = await asyncio.gather(*(migrate(database.owner_dsn, schema=schema) for _ in range(2)))
        assert sorted(both) == [[], planned]
        assert await ledger(database) == schema.ledger
    finally:
        run_servers.drop(name)


async def test_a_changed_migration_is_refused(fresh_database: TestDatabase) -> None:
    """The checksum of what ran must be the checksum of what is there."""
    owner = fresh_database.owner_dsn
    await migrate(owner, schema=with_migration("select 1"))
    with pytest.raises(MigrationError, match=r"9999_later\.sql has changed"):
        await migrate(owner, schema=with_migration("select 2"))


async def test_a_database_of_a_newer_version_is_refused(fresh_database: TestDatabase) -> None:
    """Old code does not run on a schema it does not know."""
    await ledger(fresh_database, "insert into schema_migrations values ('9999_later.sql', 'x')")
    with pytest.raises(MigrationError, match="newer"):
        await migrate(fresh_database.owner_dsn)


async def test_a_database_of_before_the_base_is_refused(fresh_database: TestDatabase) -> None:
    """Its ledger names no file of a schema, and nothing leads from it to this one."""
    await ledger(
        fresh_database,
        "delete from schema_migrations;"
        "insert into schema_migrations values ('0001_foundation.sql', 'x')",
    )
    with pytest.raises(MigrationError, match=r"made by 0001_foundation\.sql, before"):
        await migrate(fresh_database.owner_dsn)


async def test_a_routine_that_changed_is_run_again_with_the_grants(
    fresh_database: TestDatabase,
) -> None:
    """And nothing else is; a dry run says so and changes nothing."""
    owner = fresh_database.owner_dsn
    schema = with_routine("schema/people/guards.sql", "\n-- changed\n")
    due = ["schema/people/guards.sql", GRANTS]
    assert await migrate(owner, dry_run=True, schema=schema) == due
    assert await ledger(fresh_database) == SCHEMA.ledger
    assert await migrate(owner, schema=schema) == due
    assert await ledger(fresh_database) == schema.ledger
    assert await migrate(owner) == due, "the way back is the same"


async def test_a_routine_file_that_is_gone_leaves_the_ledger(fresh_database: TestDatabase) -> None:
    """What it had made goes by a migration; should the file come back, it is run."""
    await ledger(fresh_database, "insert into schema_migrations values ('schema/x/views.sql', 'x')")
    assert await migrate(fresh_database.owner_dsn) == [GRANTS]
    assert await ledger(fresh_database) == SCHEMA.ledger


async def test_the_grants_follow_a_migration(fresh_database: TestDatabase) -> None:
    """They are still due where somebody stopped between the two."""
    schema = with_migration("select 1")
    steps = plan(SCHEMA.ledger, schema)
    assert [[file.name for file in step.run] for step in steps] == [["9999_later.sql"], [GRANTS]]
    assert await migrate(fresh_database.owner_dsn, schema=schema) == ["9999_later.sql", GRANTS]
    stopped = {name: sum_ for name, sum_ in schema.ledger.items() if name != GRANTS}
    assert [step.run[-1].name for step in plan(stopped, schema)] == [GRANTS]


async def test_a_migration_that_fails_is_one_sentence(fresh_database: TestDatabase) -> None:
    """It names the file, and leaves nothing."""
    bad = with_migration("create table half (); select 1 / 0")
    with pytest.raises(MigrationError, match=r"^9999_later\.sql failed .* division by zero"):
        await migrate(fresh_database.owner_dsn, schema=bad)
    assert await ledger(fresh_database) == SCHEMA.ledger
    assert not await exists(fresh_database, "half")


async def test_routines_are_undone_together(fresh_database: TestDatabase) -> None:
    """The last of them fails: none was run."""
    bad = with_routine("schema/people/guards.sql", "create table half ();")
    bad = replace(bad, present=(*bad.present[:-1], File(GRANTS, "select 1 / 0")))
    with pytest.raises(MigrationError, match=r"^schema/grants\.sql failed .* division by zero"):
        await migrate(fresh_database.owner_dsn, schema=bad)
    assert not await exists(fresh_database, "half")
    assert await ledger(fresh_database) == SCHEMA.ledger


@pytest.mark.parametrize(
    "name",
    ["schema/people/rest.sql", "schema/nobody/views.sql", "schema/views.sql", "migrations/1.sql"],
)
def test_a_file_without_a_place_is_refused(tmp_path: Path, name: str) -> None:
    """A subject or kind that nobody knows, no subject, no number."""
    for folder in ("schema/people", "schema/nobody", "migrations"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / name).touch()
    with pytest.raises(MigrationError, match="is named"):
        read_schema(tmp_path)


def test_a_number_is_taken_once(tmp_path: Path) -> None:
    """Two people who write a migration at the same time learn of each other."""
    (tmp_path / "schema").mkdir()
    (tmp_path / "migrations").mkdir()
    for name in ("0007_one.sql", "0007_other.sql"):
        (tmp_path / "migrations" / name).touch()
    with pytest.raises(MigrationError, match="0007 is taken"):
        read_schema(tmp_path)


@pytest.mark.parametrize("name", sorted(named.queries()))
async def test_every_named_query_is_valid_against_the_schema(market: Market, name: str) -> None:
    """Postgres prepares it as the application's role."""
    await market.app.prepare(named.query(name))

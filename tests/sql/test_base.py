"""What migrations and routine files make of an older database is what the schema says."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import asyncpg
import pytest

from sql.migrate import migrate
from sql.schema_files import read_schema
from tests.sql.base import restore
from tests.sql.catalogue import Catalogue, catalogue, differences
from tests.support.servers import RunServers, TestDatabase, clone_of

HINT = (
    "a table was changed without its migration, or a routine is not run again as it stands;"
    " before the first release `python -m tests.sql.base` writes the base anew"
)


async def facts(database: TestDatabase) -> Catalogue:
    """What this database is made of."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        return await catalogue(connection)
    finally:
        await connection.close()


@contextmanager
def empty(run: RunServers, name: str) -> Iterator[TestDatabase]:
    """A database with nothing in it."""
    run.psql(f'create database "{run.prefix}_{name}" owner hx_owner')
    try:
        yield run.database(name)
    finally:
        run.drop(name)


@pytest.fixture(scope="module")
async def base_name(run_servers: RunServers, worker_number: int) -> AsyncIterator[str]:
    """The base, brought to this version; nobody is connected to it."""
    name = f"gw{worker_number}_base"
    with empty(run_servers, name) as database:
        await restore(database.owner_dsn)
        await migrate(database.owner_dsn)
        yield name


@pytest.fixture
def base(run_servers: RunServers, base_name: str) -> Iterator[TestDatabase]:
    """A copy of it for one test."""
    with clone_of(run_servers, f"{base_name}_copy", of=base_name) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of this version's files, to be changed."""
    for name in ("schema", "migrations"):
        with_files = files("sql").joinpath(name)
        assert isinstance(with_files, Path)
        shutil.copytree(with_files, tmp_path / name)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    """One place of a file reads otherwise."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


async def test_running_every_routine_again_changes_nothing(fresh_database: TestDatabase) -> None:
    """Guards keep their protection, functions their rights: the grants run last."""
    before = await facts(fresh_database)
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    await connection.execute(
        "delete from schema_migrations where name like 'schema/%' and name <> 'schema/grants.sql'"
    )
    await connection.close()
    again = await migrate(fresh_database.owner_dsn)
    assert again == [file.name for file in read_schema().routines]
    assert differences(before, await facts(fresh_database)) == []


async def test_a_guard_created_anew_needs_the_grants(fresh_database: TestDatabase) -> None:
    """Without them it would read what a session calls by a table's name: the reader sees it."""
    before = await facts(fresh_database)
    guards = next(f for f in read_schema().routines if f.name == "schema/proofs/guards.sql")
    connection = await asyncpg.connect(fresh_database.owner_dsn)
    await connection.execute(guards.text)
    await connection.close()
    assert "function proof_guard()" in differences(before, await facts(fresh_database))


async def test_the_migrated_base_is_a_new_database(
    base: TestDatabase, fresh_database: TestDatabase
) -> None:
    """Definitions, rights, comments and the rows that a schema brings."""
    assert differences(await facts(fresh_database), await facts(base)) == [], HINT


async def test_a_table_without_its_migration_is_seen(
    run_servers: RunServers, worker_number: int, base: TestDatabase, folder: Path
) -> None:
    """A new database has what the migrated one lacks."""
    change(
        folder / "schema/people/tables.sql",
        "create table hustler_profiles (",
        "create table nicknames (nickname text);\ncreate table hustler_profiles (\n    shoe text,",
    )
    planted = read_schema(folder)
    assert await migrate(base.owner_dsn, schema=planted) == []
    with empty(run_servers, f"gw{worker_number}_planted") as new:
        await migrate(new.owner_dsn, schema=planted)
        seen = differences(await facts(new), await facts(base))
    assert {"column hustler_profiles.shoe", "relation nicknames"} <= set(seen)


async def test_a_migration_and_its_routine_bring_the_base_forward(
    run_servers: RunServers, worker_number: int, base: TestDatabase, folder: Path
) -> None:
    """As the plan says, and to what a new database of that version is."""
    change(
        folder / "schema/people/tables.sql",
        "    first_name text",
        "    nickname text,\n    first_name text",
    )
    functions = folder / "schema/people/functions.sql"
    text = functions.read_text(encoding="utf-8")
    functions.write_text(
        f"{text}\ncreate or replace function nickname(u users) returns text\n"
        "language sql stable return u.nickname;\n",
        encoding="utf-8",
    )
    (folder / "migrations/9999_nicknames.sql").write_text("alter table users add nickname text;")
    planted = read_schema(folder)
    due = ["9999_nicknames.sql", "schema/people/functions.sql", "schema/grants.sql"]
    assert await migrate(base.owner_dsn, dry_run=True, schema=planted) == due
    assert await migrate(base.owner_dsn, schema=planted) == due
    with empty(run_servers, f"gw{worker_number}_planted") as new:
        await migrate(new.owner_dsn, schema=planted)
        assert differences(await facts(new), await facts(base)) == []

"""Migrates a database to the schema of this version, forward only, one migrator at a time.

A new database gets the present schema in one transaction. An older one gets each migration that it
lacks, in a transaction of its own, and then the routine files that have changed, in one. Everything
is run as `hx_owner`; the ledger (`schema_migrations`) records checksums, and `schema_history` which
whole schemas the database had.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from sql.schema_files import ROUTINE, File, MigrationError, Schema, read_schema
from sql.schema_fit import digest

# The project's lock key: two migrators of one database run one after the other.
ADVISORY_LOCK = 0x48584C49  # "HXLI"
LOCK_TIMEOUT_MS = 30_000
FAILURES = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)


class OtherSchema(MigrationError):
    """The ledger has migrations that this version has not, or has with another text."""


@dataclass(frozen=True, slots=True)
class Step:
    """The files run in one transaction, and what the ledger then holds of them."""

    run: tuple[File, ...]
    recorded: tuple[File, ...]


def plan(applied: Mapping[str, str], schema: Schema) -> list[Step]:
    """Returns the steps from a ledger (checksum by name) to a schema; empty when nothing is due.

    Raises OtherSchema for a migration that has changed or is unknown here.
    """
    if not applied:
        return [Step(schema.present, (*schema.migrations, *schema.routines))]
    _refuse_other(applied, schema)
    due = [file for file in schema.migrations if file.name not in applied]
    changed = [file for file in schema.routines if applied.get(file.name) != file.checksum]
    steps = [Step((file,), (file,)) for file in due]
    if due or changed or _gone(applied, schema):
        # The grants apply to every object made before.
        again = tuple(dict.fromkeys((*changed, schema.routines[-1])))
        steps.append(Step(again, again))
    return steps


async def migrate(
    owner_dsn: str, *, dry_run: bool = False, schema: Schema | None = None
) -> list[str]:
    """Migrates the database; returns the files applied (or due, in a dry run), in order.

    Raises MigrationError when the database is not of this version's past, when the server
    cannot be reached or refuses the login, and when a file is refused; its transaction is
    undone.
    """
    schema = schema or read_schema()
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            owner_dsn, timeout=10, statement_cache_size=0
        )
    except FAILURES as error:
        raise MigrationError(f"PostgreSQL lets nobody migrate: {said(error)}") from error
    try:
        steps = plan(await _applied(connection), schema)
        if dry_run:
            return [file.name for step in steps for file in step.run]
        async with _alone(connection):
            await connection.execute(files("sql").joinpath("roles.sql").read_text(encoding="utf-8"))
            await connection.execute("set local role hx_owner")
            await connection.execute(LEDGER)
        names: list[str] = []
        while step := await _take_step(connection, schema):
            names += [file.name for file in step.run]
        async with _alone(connection):
            await connection.execute("set local role hx_owner")
            await connection.fetchval("select ensure_partitions()")
            await _remember(connection)
    except FAILURES as error:
        raise MigrationError(f"A migration failed and was undone: {said(error)}") from error
    else:
        return names
    finally:
        await connection.close()


@asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction that no other migrator shares its time with.

    Everything is set for the transaction alone, so that a pooler between has nothing to lose.
    """
    async with connection.transaction():
        await connection.execute(
            f"set local lock_timeout = {LOCK_TIMEOUT_MS}; set local statement_timeout = 0"
        )
        await connection.execute(f"select pg_advisory_xact_lock({ADVISORY_LOCK})")
        yield


async def _take_step(connection: asyncpg.Connection, schema: Schema) -> Step | None:
    """Runs the first step that is still due, and returns it: another migrator may be quicker."""
    async with _alone(connection):
        await connection.execute("set local role hx_owner")
        applied = await _applied(connection)
        steps = plan(applied, schema)
        if not steps:
            return None
        for file in steps[0].run:
            await _run(connection, file)
        # A migration may have made what the grants have not seen: they are due again.
        unseen = () if steps[0].run[-1].is_routine else (schema.routines[-1].name,)
        await connection.execute(
            "delete from schema_migrations where name = any($1)",
            [*_gone(applied, schema), *unseen],
        )
        await connection.executemany(
            "insert into schema_migrations (name, checksum) values ($1, $2)"
            " on conflict (name) do update set checksum = excluded.checksum,"
            " applied_at = excluded.applied_at",
            [(file.name, file.checksum) for file in steps[0].recorded],
        )
        await _remember(connection)
        return steps[0]


async def _remember(connection: asyncpg.Connection) -> None:
    """Records that the database has the schema of its ledger, once, at its first time."""
    await connection.execute(
        "insert into schema_history (digest) values ($1) on conflict do nothing",
        digest(await _applied(connection)),
    )


async def _run(connection: asyncpg.Connection, file: File) -> None:
    try:
        await connection.execute(file.text)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{file.name} failed and was undone: {said(error)}") from error


def said(error: Exception) -> str:
    """Returns the driver's message, or the error's type where it has none."""
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or str(error) or type(error).__name__


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    if not await connection.fetchval("select to_regclass('schema_migrations') is not null"):
        return {}
    rows = await connection.fetch("select name, checksum from schema_migrations")
    return {row["name"]: row["checksum"] for row in rows}


def _gone(applied: Mapping[str, str], schema: Schema) -> list[str]:
    """Routine files of the ledger that this version has no more: what they made goes by migration."""
    known = {file.name for file in schema.routines}
    return [name for name in applied if name.startswith(ROUTINE) and name not in known]


def _refuse_other(applied: Mapping[str, str], schema: Schema) -> None:
    if not any(name.startswith(ROUTINE) for name in applied):
        raise OtherSchema(
            f"the database was made by {min(applied)}, before the schema that this version begins"
            " with: nothing leads from it to this one"
        )
    known = {file.name: file for file in schema.migrations}
    for name, checksum in applied.items():
        if name.startswith(ROUTINE):
            continue
        if name not in known:
            raise OtherSchema(
                f"the database has {name}, which this version does not know: it was migrated by"
                " a newer one"
            )
        if known[name].checksum != checksum:
            raise OtherSchema(
                f"{name} has changed since it was applied: restore it and write a new one"
            )


LEDGER = """
create table if not exists schema_migrations (
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    constraint schema_migrations_pkey primary key (name)
);
create table if not exists schema_history (
    digest text not null,
    first_at timestamptz not null default clock_timestamp(),
    constraint schema_history_pkey primary key (digest)
);
grant select on schema_migrations, schema_history to hx_app, hx_ai, hx_readonly;
"""

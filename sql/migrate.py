"""Ordered plain-SQL migrations: checksummed, forward only, one at a time in the cluster.

Each file of `sql/migrations/` runs in a transaction of its own as `hx_owner`, together with the
row that remembers its checksum. A file that changed after it ran is an error, never repaired here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
# One number for this project, so that two migrators of one database take turns.
ADVISORY_LOCK = 0x48584C49  # "HXLI"
LOCK_TIMEOUT_MS = 30_000
FAILURES = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)


class MigrationError(Exception):
    """The migrations and the database do not fit together; the message says what to do."""


class OtherSchema(MigrationError):
    """What was applied is not what this version holds."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, in order of its number."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All files in order; raises MigrationError for a bad or doubled name."""
    found: dict[str, Migration] = {}
    for file in files("sql").joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _NAME.match(file.name)
        if match is None:
            raise MigrationError(f"{file.name}: a migration is named NNNN_what.sql")
        if match[1] in found:
            raise MigrationError(f"{file.name}: number {match[1]} is taken")
        found[match[1]] = Migration(file.name, file.read_text(encoding="utf-8"))
    return [found[number] for number in sorted(found)]


async def migrate(owner_dsn: str, *, dry_run: bool = False) -> list[str]:
    """Bring the database up to date; the names of the migrations applied (or due, when dry).

    Raises MigrationError when an applied file has changed or vanished, when the server cannot be
    reached or lets us not in, and when a migration itself is refused.
    """
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            owner_dsn, timeout=10, statement_cache_size=0
        )
    except FAILURES as error:
        raise MigrationError(f"PostgreSQL lets nobody migrate: {said(error)}") from error
    try:
        due = _due(await _applied(connection), migrations())
        if dry_run:
            return [migration.name for migration in due]
        async with _alone(connection):
            await connection.execute(files("sql").joinpath("roles.sql").read_text(encoding="utf-8"))
            await connection.execute("set local role hx_owner")
            await connection.execute(_LEDGER)
        return [migration.name for migration in due if await _run(connection, migration)]
    except FAILURES as error:
        raise MigrationError(f"A migration failed and was undone: {said(error)}") from error
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


async def _run(connection: asyncpg.Connection, migration: Migration) -> bool:
    """Whether it was ours to run: another migrator may have been quicker."""
    async with _alone(connection):
        await connection.execute("set local role hx_owner")
        if migration.name in await _applied(connection):
            return False
        await connection.execute(migration.text)
        await connection.execute(
            "insert into schema_migrations (name, checksum) values ($1, $2)",
            migration.name,
            migration.checksum,
        )
    return True


def said(error: Exception) -> str:
    """What the driver says, or at least what it is."""
    reason = error.strerror if isinstance(error, OSError) else None
    return reason or str(error) or type(error).__name__


async def _applied(connection: asyncpg.Connection) -> dict[str, str]:
    if not await connection.fetchval("select to_regclass('schema_migrations') is not null"):
        return {}
    rows = await connection.fetch("select name, checksum from schema_migrations")
    return {row["name"]: row["checksum"] for row in rows}


def _due(applied: dict[str, str], known: list[Migration]) -> list[Migration]:
    names = {migration.name for migration in known}
    for name in applied:
        if name not in names:
            raise OtherSchema(
                f"the database has {name}, which this version does not know: it was migrated by"
                " a newer one"
            )
    for migration in known:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise OtherSchema(
                f"{migration.name} has changed since it was applied: restore it and write a new one"
            )
    return [migration for migration in known if migration.name not in applied]


_LEDGER = """
create table if not exists schema_migrations (
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    constraint schema_migrations_pkey primary key (name)
);
grant select on schema_migrations to hx_app, hx_ai, hx_readonly;
"""

"""The ledger of the schema: which migrations and routine files a database has, and which it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from engine.kernel.store import Store
from sql.database import DatabaseError, DatabaseUnfit, Record
from sql.schema_fit import Ledger, fit

log = structlog.get_logger(__name__)

NO_TABLE: Final = "42P01"


async def schema_ledger(store: Store) -> Ledger:
    """Returns the ledger of `hustlexp migrate`; empty for a database that nobody has migrated."""
    applied = await _rows(store, "migrations_applied")
    history = await _rows(store, "schema_history")
    return Ledger(
        {row["name"]: row["checksum"] for row in applied},
        tuple(row["digest"] for row in history),
    )


async def demand_schema(store: Store, expected: Mapping[str, str]) -> None:
    """Raises `sql.database.DatabaseUnfit` where a release with the schema `expected` may not serve.

    Its message says which side is newer, and what to do. Newer functions alone are logged.
    """
    found = fit(await schema_ledger(store), expected)
    if not found.serves:
        raise DatabaseUnfit(found.sentence)
    if found.files:
        log.info("schema_newer", sentence=found.sentence)


async def _rows(store: Store, name: str) -> list[Record]:
    """Returns a table of the ledger; none where nobody has migrated, or an older release did."""
    try:
        return await store.rows(name)
    except DatabaseError as error:
        if error.sqlstate != NO_TABLE:
            raise
        return []

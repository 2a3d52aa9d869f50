"""The ledger of the schema: which migrations and routine files this database has."""

from __future__ import annotations

from engine.kernel.store import Store


async def schema_ledger(store: Store) -> dict[str, str]:
    """Returns the ledger of `hustlexp migrate`: checksum by name of migration or routine file."""
    rows = await store.rows("migrations_applied")
    return {row["name"]: row["checksum"] for row in rows}

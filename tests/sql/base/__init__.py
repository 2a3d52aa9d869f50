"""A database as the first release makes it: what every later version must be able to migrate.

`python -m tests.sql.base` writes `base.sql.gz` anew from the schema as it stands. That is right until
the first release is tagged; from then on the file stays, and a change of a table needs a migration.

It holds the very statements that were run: pg_dump writes expressions otherwise than they were given,
so that what it restored would never equal a new database.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path

import asyncpg

from sql.migrate import LEDGER
from sql.schema_files import Schema

BASE = Path(__file__).with_name("base.sql.gz")


def written(schema: Schema) -> bytes:
    """A new database of this version as one text of SQL, its ledger included."""
    rows = ",\n".join(f"('{name}', '{checksum}')" for name, checksum in schema.ledger.items())
    ledger = f"insert into schema_migrations (name, checksum) values\n{rows};\n"
    return "\n".join([LEDGER, *(file.text for file in schema.present), ledger]).encode()


async def restore(owner_dsn: str) -> None:
    """Makes an empty database the base."""
    connection = await asyncpg.connect(owner_dsn)
    try:
        await connection.execute(files("sql").joinpath("roles.sql").read_text(encoding="utf-8"))
        await connection.execute("set role hx_owner")
        await connection.execute(gzip.decompress(BASE.read_bytes()).decode())
    finally:
        await connection.close()

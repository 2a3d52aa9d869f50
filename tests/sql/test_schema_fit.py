"""Which releases may serve which database, and which side is the newer one."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import pytest

from engine.kernel.schema_ledger import demand_schema, schema_ledger
from sql.database import DatabaseUnfit
from sql.migrate import migrate
from sql.schema_files import File, Schema, read_schema
from sql.schema_fit import Ledger, fit
from tests.support.market import Market
from tests.support.servers import TestDatabase

OLD = read_schema()
GUARDS = "schema/people/guards.sql"


def with_functions(schema: Schema, text: str) -> Schema:
    """A release whose functions of one file are others."""
    changed = (
        replace(file, text=file.text + text) if file.name == GUARDS else file
        for file in schema.present
    )
    return replace(schema, present=tuple(changed))


def without_file(schema: Schema, name: str) -> Schema:
    """A release that has given up a file of functions."""
    return replace(schema, present=tuple(file for file in schema.present if file.name != name))


NEW = with_functions(OLD, "\n-- newer\n")
NEWER = without_file(with_functions(OLD, "\n-- newest\n"), "schema/kernel/views_processes.sql")
NEXT = replace(OLD, migrations=(*OLD.migrations, File("9999_later.sql", "select 1")))


async def test_two_releases_with_the_same_migrations_serve_one_database_while_they_roll(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """The newer one only once its functions are there; the older one on, and anew, after that."""
    owner, store = fresh_database.owner_dsn, own_market.store
    with pytest.raises(DatabaseUnfit, match=r"older .* lacks schema/people.* `hustlexp migrate`"):
        await demand_schema(store, NEW.ledger)
    for schema in (NEW, NEWER):
        await migrate(owner, schema=schema)
        found = fit(await schema_ledger(store), OLD.ledger)
        assert (found.side, found.serves) == ("database newer", True)
        await demand_schema(store, OLD.ledger)
        await demand_schema(store, schema.ledger)
    # Back to the first: its functions are there, and those of the others are missing again.
    await migrate(owner, schema=OLD)
    assert fit(await schema_ledger(store), OLD.ledger).side == "same"
    for schema in (NEW, NEWER):
        with pytest.raises(DatabaseUnfit, match="older"):
            await demand_schema(store, schema.ledger)


async def test_another_migration_parts_them(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """Each sentence names the file and what to do."""
    with pytest.raises(
        DatabaseUnfit, match=r"older .* lacks 9999_later\.sql\. Run `hustlexp migrate`"
    ):
        await demand_schema(own_market.store, NEXT.ledger)
    await migrate(fresh_database.owner_dsn, schema=NEXT)
    await demand_schema(own_market.store, NEXT.ledger)
    with pytest.raises(DatabaseUnfit, match=r"newer .* does not know 9999_later\.sql\. Serve with"):
        await demand_schema(own_market.store, OLD.ledger)


async def test_a_database_of_a_release_without_the_second_table_is_read(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """It is older, and said to be."""
    owner = await asyncpg.connect(fresh_database.owner_dsn)
    await owner.execute(
        "drop table schema_history; delete from schema_migrations where name = '0005_claims.sql'"
    )
    await owner.close()
    with pytest.raises(DatabaseUnfit, match=r"lacks 0005_claims\.sql"):
        await demand_schema(own_market.store, OLD.ledger)


def test_a_file_that_was_changed_is_of_another_past_and_many_are_counted() -> None:
    """The first three are named."""
    expected = {f"000{number}.sql": "a" for number in range(1, 6)}
    changed = fit(Ledger({**expected, "0001.sql": "z"}), expected)
    assert (changed.side, changed.files, changed.serves) == ("other", ("0001.sql",), False)
    assert "0001.sql, 0002.sql, 0003.sql and 2 more" in fit(Ledger({}), expected).sentence

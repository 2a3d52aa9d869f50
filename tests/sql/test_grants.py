"""What each role may do with each table: exactly what tests/sql/rules/grants.py says."""

from __future__ import annotations

import asyncpg

from tests.sql.rules.grants import APP, APP_COLUMNS, HIDDEN, READS
from tests.support.market import Market

Granted = set[tuple[str, str, str]]

TABLES = """
select a.grantee::regrole::text, c.relname, lower(a.privilege_type)
from pg_class as c
cross join aclexplode(c.relacl) as a
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p')
    and a.grantee::regrole::text in ('hx_app', 'hx_ai', 'hx_readonly')
"""
COLUMNS = """
select a.grantee::regrole::text, c.relname, k.attname, lower(a.privilege_type)
from pg_attribute as k
inner join pg_class as c on c.oid = k.attrelid
cross join aclexplode(k.attacl) as a
where c.relnamespace = 'public'::regnamespace
"""


async def granted(owner: asyncpg.Connection) -> Granted:
    """Role, table, privilege."""
    return {tuple(row) for row in await owner.fetch(TABLES)}


def expected() -> Granted:
    """The same, as it should be."""
    rights = {("hx_app", table, right) for table, said in APP.items() for right in said.split()}
    for role in ("hx_ai", "hx_readonly"):
        rights |= {(role, table, READS) for table in APP if table not in HIDDEN}
    return rights


async def test_each_role_has_exactly_the_privileges_that_are_written_down(market: Market) -> None:
    """Not one more, and not one less."""
    there = await granted(market.owner)
    assert there - expected() == set()
    assert expected() - there == set()


async def test_the_service_updates_only_these_columns_of_what_it_may_not(market: Market) -> None:
    """The rest of such a row is history, or the database's own."""
    there = {tuple(row) for row in await market.owner.fetch(COLUMNS)}
    assert there == {
        ("hx_app", table, column, "update")
        for table, columns in APP_COLUMNS.items()
        for column in columns
    }

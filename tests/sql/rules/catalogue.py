"""Every rule of every room, and every object that the migrated database judges by."""

from __future__ import annotations

import asyncpg

from tests.sql.rules import (
    admin,
    arrivals,
    changes,
    consent,
    disputes,
    foundation,
    live,
    money,
    own_case,
    people,
    progress,
    proofs,
    tasks,
)
from tests.sql.rules.rule_checker import RULES, Rule

ROOMS = (
    foundation,
    changes,
    people,
    tasks,
    arrivals,
    money,
    proofs,
    disputes,
    admin,
    live,
    consent,
    progress,
    own_case,
)

OBJECTS = """
select c.relname || '.' || t.tgname as name, 'trigger' as kind
from pg_trigger as t inner join pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'public'::regnamespace and not t.tgisinternal
union all
select c.relname || '.' || k.conname, 'constraint'
from pg_constraint as k inner join pg_class as c on c.oid = k.conrelid
where c.relnamespace = 'public'::regnamespace and k.contype in ('c', 'u', 'f', 'x')
union all
select c.relname || '.' || i.relname, 'index'
from pg_index as x
inner join pg_class as c on c.oid = x.indrelid
inner join pg_class as i on i.oid = x.indexrelid
where c.relnamespace = 'public'::regnamespace and x.indisunique
    and not exists (select from pg_constraint as k where k.conindid = x.indexrelid)
order by 1
"""
"""Triggers, constraints but for primary keys, and unique indexes: `table.name` and kind.

Primary keys have no rule of their own: they are the names of rows, and every room leans on them.
"""


async def objects(owner: asyncpg.Connection) -> dict[str, str]:
    """Kind by name."""
    return {row["name"]: row["kind"] for row in await owner.fetch(OBJECTS)}


def rules_of(name: str) -> list[Rule]:
    """The rules that speak for this object."""
    return [rule for rule in RULES if name in rule.guards]

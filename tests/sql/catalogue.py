"""What a database is made of, as facts that can be compared: definitions, owners, rights, rows.

The position of a table's column is left out: a migration adds at the end what the schema has in its
place. That of a composite type's attribute counts, for its values are written column by column.
"""

from __future__ import annotations

import asyncpg

Catalogue = dict[tuple[str, str], str]
"""Definition by kind and name."""

_FACTS = """
select 'function' as kind, p.oid::regprocedure::text as name,
    concat_ws(E'\\n', pg_get_functiondef(p.oid), p.proowner::regrole, rights(p.proacl)) as fact
from pg_proc as p where p.pronamespace = 'public'::regnamespace
union all
select 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text
from pg_trigger as t inner join pg_class as c on c.oid = t.tgrelid
where c.relnamespace = 'public'::regnamespace and not t.tgisinternal
union all
select 'constraint', concat_ws('.', k.conrelid::regclass, k.conname),
    concat_ws(' ', pg_get_constraintdef(k.oid), k.convalidated)
from pg_constraint as k where k.connamespace = 'public'::regnamespace
union all
select 'index', c.relname, pg_get_indexdef(c.oid) || c.relpersistence::text
from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind in ('i', 'I')
union all
select 'column', c.relname || '.' || a.attname, concat_ws(
    ' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
    a.attidentity, a.attgenerated, a.attcollation, a.attstorage, rights(a.attacl),
    case c.relkind when 'c' then a.attnum end
)
from pg_attribute as a
inner join pg_class as c on c.oid = a.attrelid
left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'c')
    and a.attnum > 0 and not a.attisdropped
union all
select 'relation', c.relname, concat_ws(
    ' ', c.relkind, c.relowner::regrole, c.relpersistence, c.reloptions, c.relrowsecurity,
    pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), rights(c.relacl)
)
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'c', 'S')
union all
select 'view', c.relname, pg_get_viewdef(c.oid)
from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
union all
select 'type', t.typname, concat_ws(' ', t.typtype, t.typowner::regrole, rights(t.typacl))
from pg_type as t where t.typnamespace = 'public'::regnamespace
union all
select 'schema', n.nspname, rights(n.nspacl)
from pg_namespace as n where n.nspname = 'public'
union all
select 'default rights', concat_ws(' ', d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype),
    rights(d.defaclacl)
from pg_default_acl as d
union all
select 'comment', concat_ws(' ', o.type, o.identity), d.description
from pg_description as d
cross join pg_identify_object(d.classoid, d.objoid, d.objsubid) as o
where o.schema = 'public'
"""

_RIGHTS = """
create or replace function pg_temp.rights(aclitem[]) returns text language sql stable as
'select string_agg(r::text, '','' order by r::text) from unnest($1) as r'
"""

_TABLES = """
select c.relname from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
    and c.relname not in ('schema_migrations', 'schema_history')
"""


async def catalogue(owner: asyncpg.Connection) -> Catalogue:
    """Every object of the schema and every row of its tables, the ledger's aside."""
    await owner.execute(_RIGHTS)
    facts = await owner.fetch(_FACTS.replace("rights(", "pg_temp.rights("))
    found = {(row["kind"], row["name"]): row["fact"] or "" for row in facts}
    assert len(found) == len(facts)
    for (table,) in await owner.fetch(_TABLES):
        rows = await owner.fetch(f'select to_jsonb(t)::text as row from "{table}" as t')
        found[("rows", table)] = "\n".join(sorted(row["row"] for row in rows))
    return found


def differences(one: Catalogue, other: Catalogue) -> list[str]:
    """Kind and name of everything that only one has, or that differs."""
    return [
        " ".join(key) for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)
    ]

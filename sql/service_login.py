"""Grants the service's login membership of hx_app, and sets its default time-outs.

The settings that the service sends when it connects would do, but a pooler may drop them. A login's
own defaults apply to every connection, whether or not a pooler opened it.
"""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from sql.migrate import FAILURES, said
from sql.schema_files import MigrationError
from sql.session import ROLE, statements


def login_of(dsn: str) -> str | None:
    """Returns the login that a DSN names; None where it leaves that to the environment.

    >>> login_of("postgresql://web%40x:secret@db/hustlexp"), login_of("postgresql:///d?user=web")
    ('web@x', 'web')
    """
    parts = urlsplit(dsn)
    if parts.username:
        return unquote(parts.username)
    return parse_qs(parts.query).get("user", [None])[0]


async def equip(owner_dsn: str, login: str) -> list[str]:
    """Grants the login what it lacks; returns the statements left for an administrator.

    What an operator has set for it stays. The login that migrates, and any that owns the
    schema, is left alone: the service must not use it. Raises MigrationError where the owner
    cannot connect.
    """
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            owner_dsn, timeout=10, statement_cache_size=0
        )
        try:
            return await _equipped(connection, login)
        finally:
            await connection.close()
    except FAILURES as error:
        raise MigrationError(f"The login {login} could not be looked at: {said(error)}") from error


async def _equipped(connection: asyncpg.Connection, login: str) -> list[str]:
    facts = await connection.fetchrow(_FACTS, login)
    if facts["is_more"]:
        return []
    left = []
    has = {*facts["settings"], *([ROLE] if facts["is_member"] else [])}
    for what, statement in statements(login, facts["database"]).items():
        if what in has:
            continue
        try:
            await connection.execute(statement)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError):
            left.append(statement)
    return left


async def equip_itself(dsn: str, left: list[str]) -> list[str]:
    """Sets the login's defaults as itself, as every role may; returns the statements left then.

    The server session is ended: a pooler would go on handing it out with its old settings.
    """
    own = [statement for statement in left if statement.startswith("alter role")]
    if not own:
        return left
    try:
        connection: asyncpg.Connection = await asyncpg.connect(
            dsn, timeout=10, statement_cache_size=0
        )
        try:
            await connection.execute(f"set role none; {' '.join(own)}")
            with suppress(*FAILURES):
                await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        finally:
            connection.terminate()
    except FAILURES:
        return left
    return [statement for statement in left if statement not in own]


_FACTS = """
select
    current_database()::text as database,
    $1::text = session_user or coalesce(pg_has_role(l.oid, o.oid, 'member'), false) as is_more,
    coalesce(pg_has_role(l.oid, a.oid, 'usage'), false) as is_member,
    array(
        select lower(split_part(setting, '=', 1))
        from pg_db_role_setting as d cross join unnest(d.setconfig) as setting
        where d.setrole = l.oid
            and d.setdatabase in (
                0, (select b.oid from pg_database as b where b.datname = current_database())
            )
    ) as settings
from (select 1) as always
left join pg_roles as l on l.rolname = $1::text
left join pg_roles as o on o.rolname = 'hx_owner'
left join pg_roles as a on a.rolname = 'hx_app'
"""

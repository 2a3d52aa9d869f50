"""Opens connections to PostgreSQL, and checks each one's session before its first use."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Final, cast

import asyncpg

from sql import named
from sql.failures import no_statements
from sql.session import ROLE, STATEMENT_TIMEOUT_MS, Session, session_of, startup, tracked

CONNECT_TIMEOUT_S: Final = 5.0
STATEMENT_CACHE: Final = 100
"""Prepared statements kept by each connection: the driver's own default."""
_TRIALS: Final = 3
_PROCESS: Final = secrets.token_hex(4)


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """The driver's connection, with prepared-statement names unique across processes.

    Behind a pooler that shares server sessions, the driver's own `__asyncpg_stmt_7__` could be
    another process's statement, and would run in its place without an error.
    """

    def _get_unique_id(self, prefix: str) -> str:
        return f"{super()._get_unique_id(prefix)}{_PROCESS}"


async def connect(dsn: str, settings: Mapping[str, str]) -> asyncpg.Connection:
    """Returns a connection without a cache of prepared statements; raises as the driver does."""
    connection = await asyncpg.connect(
        dsn,
        connection_class=Connection,
        timeout=CONNECT_TIMEOUT_S,
        server_settings=dict(settings),
        statement_cache_size=0,
    )
    return cast("asyncpg.Connection", connection)


async def connect_app(dsn: str) -> asyncpg.Connection:
    """Returns a connection as hx_app, or as its login where a pooler refuses settings."""
    try:
        return await connect(dsn, startup(ROLE, STATEMENT_TIMEOUT_MS))
    except asyncpg.ProtocolViolationError:
        return await connect(dsn, tracked())


async def session_on(connection: asyncpg.Connection) -> Session:
    """Returns the session of a connection: its rights, and the settings that bound it."""
    facts = await connection.fetchrow(named.query("session_facts"))
    return session_of(facts, connection.get_server_pid())


async def warm_up(connection: asyncpg.Connection) -> None:
    """Plans what first cards and accepts wait for on this connection, in 25 ms; writes nothing.

    The driver learns the types of arrays, which it asks the server for once on each connection.
    Behind a pooler it is the server session of this moment that gains. A database that is older
    than this version, or takes no writes now, is served as it is.
    """
    with suppress(asyncpg.PostgresError):
        await connection.execute(named.function_call("warm_connection", 0))
        await connection.fetch(named.query("roster"), [])
        await connection.fetch(named.function_call("make_offers", 6), [], [], [], [], [], 0)


async def keep_statements(dsn: str, settings: Mapping[str, str]) -> None:
    """Raises DatabaseUnfit where a pooler loses a connection's prepared statements.

    Several connections prepare each another statement under the same name, and ask it twice. A
    pooler that hands its latest server session out first makes the second of them meet the first;
    one that hands them out in turn makes the second question meet a session without the statement.
    """
    kept = True
    with ExitStack() as stack:
        try:
            for number in range(_TRIALS):
                connection = await connect(dsn, settings)
                stack.callback(connection.terminate)
                statement = await connection.prepare(f"select {number}", name="hustlexp_trial")
                # The pooler releases a server session only after an answer.
                answers = [await statement.fetchval(), await statement.fetchval()]
                kept = kept and answers == [number, number]
        except asyncpg.PostgresError:
            kept = False
    if not kept:
        raise no_statements()

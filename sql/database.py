"""The connection pool to PostgreSQL: runs named queries and functions, with two errors.

No module above this one sees the driver. A refused statement is a `DatabaseError` with SQLSTATE and
constraint (for HX codes: the code and the invariant); everything that means "the server is not
there now" is a `DatabaseAway`, and the connection it was met on is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self, cast

import asyncpg

from sql import named
from sql.connecting import (
    CONNECT_TIMEOUT_S,
    STATEMENT_CACHE,
    Connection,
    keep_statements,
    session_on,
    warm_up,
)
from sql.failures import (
    DRIVER_FAILURES,
    DatabaseAway,
    DatabaseError,
    DatabaseUnfit,
    translated,
    unfit,
    unreachable,
)
from sql.pool_use import PoolUse
from sql.session import ROLE, STATEMENT_TIMEOUT_MS, Session, startup, tracked
from sql.sqlstates import STALE_STATES

__all__ = ["Database", "DatabaseAway", "DatabaseError", "DatabaseUnfit", "Record", "Session"]

Record = asyncpg.Record

COMMAND_TIMEOUT_S: Final = 10.0
IDLE_KEPT_S: Final = 900.0
"""A connection that nobody needed for so long is closed: its plans are worth more than its memory."""
_RENEW_EVERY_S: Final = 1.0
"""All connections are replaced at most this often: a server that stays read-only is not worn out."""


class Database:
    """A pool of connections as one role; runs named queries and function calls only."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._renewed_at = float("-inf")
        self._stale = False
        self._inside = 0  # calls that hold a connection or wait for one
        self.waited: Callable[[float], object] = _unheard
        """Told how long each call waited for its connection, in seconds."""

    def use(self) -> PoolUse:
        """Returns how many connections are busy and idle, and how many calls wait for one."""
        idle = self._pool.get_idle_size()
        busy = self._pool.get_size() - idle
        return PoolUse(busy, idle, self._pool.get_max_size(), max(0, self._inside - busy))

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        role: str | None = ROLE,
        size: int = 8,
        statement_cache: int = STATEMENT_CACHE,
        warm: bool = False,
    ) -> Self:
        """Opens a pool and returns it; raises DatabaseAway when the server cannot be reached.

        The login may be another role than `role`. As hx_app every connection is checked
        before its first use, and DatabaseUnfit is raised where it has other rights or no
        time-outs. With `warm` each connection then plans what first cards and accepts wait for.
        """
        settings = startup(role, STATEMENT_TIMEOUT_MS)
        try:
            try:
                pool = await _pool(dsn, settings, role, size, statement_cache, warm=warm)
            except asyncpg.ProtocolViolationError:
                # A pooler that refuses what it does not know: then the login's own defaults count.
                settings = tracked()
                pool = await _pool(dsn, settings, role, size, statement_cache, warm=warm)
        except (ValueError, asyncpg.PostgresError, *DRIVER_FAILURES) as error:
            raise unreachable(error) from error
        database = cls(pool)
        try:
            if statement_cache and (await database._look()).pooled:
                await keep_statements(dsn, settings)
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Closes every connection, by force after two seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), 2.0)
        except (TimeoutError, *DRIVER_FAILURES):
            self._pool.terminate()

    async def session(self) -> Session:
        """Returns a connection's session; replaces read-only ones, for a primary may be back."""
        session = await self._look()
        if session.read_only:
            await self._renew()
        return session

    async def rows(self, name: str, *args: Any) -> list[asyncpg.Record]:
        """Returns all rows of a named query."""
        async with self._connection() as connection:
            return cast("list[asyncpg.Record]", await connection.fetch(named.query(name), *args))

    async def value(self, name: str, *args: Any) -> Any:
        """Returns the first column of the first row, or None."""
        async with self._connection() as connection:
            return await connection.fetchval(named.query(name), *args)

    async def json(self, name: str, *args: Any) -> bytes:
        """Returns the JSON that a named query builds, undecoded; `null` when there is no row."""
        text = await self.value(name, *args)
        return b"null" if text is None else cast("str", text).encode()

    async def call(self, function: str, *args: Any, lock_timeout_ms: int | None = None) -> Any:
        """Returns the answer of an SQL function; JSON as text.

        With `lock_timeout_ms` it waits only so long for a row lock.
        """
        statement = named.function_call(function, len(args), lock_timeout_ms)
        async with self._connection() as connection:
            return await connection.fetchval(statement, *args)

    async def execute(self, name: str, *args: Any) -> str:
        """Runs a named query for its effect; returns the command tag."""
        async with self._connection() as connection:
            return cast("str", await connection.execute(named.query(name), *args))

    async def _look(self) -> Session:
        async with self._connection() as connection:
            return await session_on(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await self._acquired()
        try:
            yield connection
        except (asyncpg.PostgresError, *DRIVER_FAILURES) as error:
            failure = translated(error)
            if isinstance(failure, DatabaseAway):
                with suppress(
                    asyncpg.InterfaceError
                ):  # it broke: the pool has taken it back already
                    connection.terminate()
                await self._renew_if_stale(error)
            raise failure from error
        finally:
            self._inside -= 1
            await self._pool.release(connection, timeout=CONNECT_TIMEOUT_S)

    async def _acquired(self) -> asyncpg.Connection:
        if self._stale:
            await self._renew()
        self._inside += 1
        asked = time.perf_counter()
        try:
            connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT_S)
        except BaseException as error:
            self._inside -= 1
            if isinstance(error, (asyncpg.PostgresError, *DRIVER_FAILURES)):
                raise unreachable(error) from error
            raise
        self.waited(time.perf_counter() - asked)
        return connection

    async def _renew_if_stale(self, error: Exception) -> None:
        """Expires all connections where the error shows the server gone or no longer primary."""
        state = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
        if state in STALE_STATES or isinstance(error, OSError):
            await self._renew()

    async def _renew(self) -> None:
        """Expires all connections before their next use, at most once a second."""
        self._stale = True
        if time.monotonic() - self._renewed_at >= _RENEW_EVERY_S:
            self._stale = False
            self._renewed_at = time.monotonic()
            await self._pool.expire_connections()


async def _pool(
    dsn: str,
    settings: Mapping[str, str],
    role: str | None,
    size: int,
    statement_cache: int,
    *,
    warm: bool,
) -> asyncpg.Pool:
    async def look(connection: asyncpg.Connection) -> None:
        if role == ROLE:
            session = await session_on(connection)
            if session.complaints:
                raise unfit(session)
        if warm:
            await warm_up(connection)

    pool = await asyncpg.create_pool(
        dsn,
        connection_class=Connection,
        min_size=min(2, size),
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=dict(settings),
        statement_cache_size=statement_cache,
        max_inactive_connection_lifetime=IDLE_KEPT_S,
        init=look,
        reset=_leave,
    )
    return cast("asyncpg.Pool", pool)


async def _leave(_: asyncpg.Connection) -> None:
    """Resets nothing: named queries set nothing that outlives their statement.

    The driver's own reset is a round trip after each of them.
    """


def _unheard(_seconds: float) -> None:
    """Ignores the waiting time: the default of `Database.waited`."""

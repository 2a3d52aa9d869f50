"""The door to asyncpg: a pool, the named queries, and two errors.

Nothing above this module sees the driver. A refused statement is a `DatabaseError` with SQLSTATE
and constraint (for HX codes: the code and the invariant); everything that means "the server is not
there now" is a `DatabaseAway`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self, cast

import asyncpg

from sql import named

Record = asyncpg.Record

COMMAND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_MS = 8_000

# Losing the server shows as one of these: the socket went away, it is starting or stopping
# (class 57P), it has no connection left (53300), or our own time-out ran out.
_AWAY_STATES = {"57P01", "57P02", "57P03", "57P05", "53300", "08000", "08003", "08006", "08001"}
_AWAY = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)


class DatabaseError(Exception):
    """Postgres refused: `sqlstate` and `constraint` say which rule, `detail` its figures."""

    def __init__(self, sqlstate: str, constraint: str, message: str, detail: str = "") -> None:
        super().__init__(f"{sqlstate} {constraint}: {message}")
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.message = message
        self.detail = detail


class DatabaseAway(Exception):
    """Postgres does not answer now; nothing is known about the statement's fate."""


def translated(error: Exception) -> Exception:
    """What the driver raised, as one of our two errors."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state in _AWAY_STATES:
            return DatabaseAway(str(error))
        return DatabaseError(
            state,
            getattr(error, "constraint_name", None) or "",
            str(error),
            getattr(error, "detail", None) or "",
        )
    reason = error.strerror if isinstance(error, OSError) else None
    return DatabaseAway(reason or f"{type(error).__name__}: {error}")


def session(role: str | None, statement_timeout_ms: int) -> dict[str, str]:
    """How each of our connections starts; `role` is taken through the start-up packet."""
    settings = {
        "application_name": "hustlexp",
        "statement_timeout": str(statement_timeout_ms),
        "idle_in_transaction_session_timeout": "10000",
        "timezone": "UTC",
        "jit": "off",
    }
    return settings | {"role": role} if role else settings


class Database:
    """A pool of connections acting as one role, speaking named queries only."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, role: str | None = "hx_app", size: int = 8) -> Self:
        """Connect; raises DatabaseAway when the server cannot be reached.

        The login may be another role than `role`.
        """
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=min(2, size),
                max_size=size,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings=session(role, STATEMENT_TIMEOUT_MS),
                max_inactive_connection_lifetime=60.0,
            )
        except ValueError as error:
            raise DatabaseAway(f"its DSN cannot be read ({error})") from error
        except (asyncpg.PostgresError, *_AWAY) as error:
            raise translated(error) from error
        return cls(cast("asyncpg.Pool", pool))

    async def close(self) -> None:
        """Return every connection, by force after two seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), 2.0)
        except (TimeoutError, *_AWAY):
            self._pool.terminate()

    async def rows(self, name: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a named query."""
        async with self._connection() as connection:
            return cast("list[asyncpg.Record]", await connection.fetch(named.query(name), *args))

    async def value(self, name: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        async with self._connection() as connection:
            return await connection.fetchval(named.query(name), *args)

    async def json(self, name: str, *args: Any) -> bytes:
        """The JSON a named query builds, undecoded; `null` when there is no row."""
        text = await self.value(name, *args)
        return b"null" if text is None else cast("str", text).encode()

    async def execute(self, name: str, *args: Any) -> str:
        """Run a named query for its effect; the command tag."""
        async with self._connection() as connection:
            return cast("str", await connection.execute(named.query(name), *args))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except (asyncpg.PostgresError, *_AWAY) as error:
            raise translated(error) from error

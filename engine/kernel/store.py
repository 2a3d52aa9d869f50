"""Calls PostgreSQL's named queries and functions, decodes their JSON, and raises refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from engine.kernel import db_errors, errors
from sql.database import Database, DatabaseError, Record

T = TypeVar("T")
Row = TypeVar("Row", bound=msgspec.Struct)


class Cursor(NamedTuple):
    """The sort key of a page's last item: the next page begins behind it."""

    created_at: datetime
    id: UUID


class Store:
    """Runs named queries and SQL functions, and decodes their JSON.

    Every method raises `engine.kernel.errors.Refusal` for what the database refuses and
    `sql.database.DatabaseAway` when it does not answer; any other `DatabaseError` is a defect and
    passes unchanged.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def call(
        self, shape: type[T], function: str, *args: Any, lock_timeout_ms: int | None = None
    ) -> T:
        """Calls an SQL function and returns its answer, decoded as `shape`."""
        async with _refusals():
            answer = await self._database.call(function, *args, lock_timeout_ms=lock_timeout_ms)
        return msgspec.json.decode(answer or "null", type=shape)

    async def perform(self, function: str, *args: Any, lock_timeout_ms: int | None = None) -> None:
        """Calls an SQL function for its effect; returns nothing."""
        async with _refusals():
            await self._database.call(function, *args, lock_timeout_ms=lock_timeout_ms)

    async def one(self, shape: type[T], name: str, *args: Any) -> T:
        """Returns the one JSON value of a query, decoded as `shape`."""
        return msgspec.json.decode(await self._json(name, *args), type=shape)

    async def found(self, shape: type[T], name: str, *args: Any) -> T:
        """Returns the value as `one` does; NOT_FOUND when the query has no row."""
        answer = await self._json(name, *args)
        if answer == b"null":
            raise errors.refusal("NOT_FOUND")
        return msgspec.json.decode(answer, type=shape)

    async def maybe(self, shape: type[T], name: str, *args: Any) -> T | None:
        """Returns the value as `one` does, or None when the query has no row."""
        answer = await self._json(name, *args)
        return None if answer == b"null" else msgspec.json.decode(answer, type=shape)

    async def page(
        self, shape: type[T], name: str, *args: Any, after: Cursor | None, limit: int
    ) -> tuple[list[T], Cursor | None]:
        """Returns at most `limit` items behind `after`, and the cursor of the next page.

        The query's rows are (item, created_at, id); it takes the cursor and a limit last.
        """
        created_at, last_id = after or (None, None)
        rows = await self.rows(name, *args, created_at, last_id, limit + 1)
        items = [msgspec.json.decode(row["item"], type=shape) for row in rows[:limit]]
        if len(rows) <= limit:
            return items, None
        return items, Cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"])

    async def rows(self, name: str, *args: Any) -> list[Record]:
        """Returns all rows of a query."""
        async with _refusals():
            return await self._database.rows(name, *args)

    async def rows_as(self, shape: type[Row], name: str, *args: Any) -> list[Row]:
        """Returns all rows of a query as `shape`, a Struct with a field for each wanted column."""
        columns = shape.__struct_fields__
        return [shape(*(row[column] for column in columns)) for row in await self.rows(name, *args)]

    async def value(self, name: str, *args: Any) -> Any:
        """Returns the first column of a query's first row, or None."""
        async with _refusals():
            return await self._database.value(name, *args)

    async def execute(self, name: str, *args: Any) -> None:
        """Runs a query for its effect; returns nothing."""
        async with _refusals():
            await self._database.execute(name, *args)

    async def _json(self, name: str, *args: Any) -> bytes:
        async with _refusals():
            return await self._database.json(name, *args)


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    """Database errors that stand for a refusal are raised as it."""
    try:
        yield
    except DatabaseError as error:
        raise db_errors.refusal_of(error) or error from error

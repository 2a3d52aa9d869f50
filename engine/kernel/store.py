"""Named queries as typed values: decode once, translate refusals in one place."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from engine.kernel import db_errors
from sql.database import Database, DatabaseError, Record

T = TypeVar("T")
Row = TypeVar("Row", bound=msgspec.Struct)


class Store:
    """The engine's way to Postgres.

    Raises `engine.kernel.errors.Refusal` for what the database refuses and `sql.database.DatabaseAway`
    when it does not answer; any other `DatabaseError` is a defect and passes unchanged.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, shape: type[T], name: str, *args: Any) -> T:
        """The one JSON value of a query, decoded as `shape`."""
        return msgspec.json.decode(await self._json(name, *args), type=shape)

    async def maybe(self, shape: type[T], name: str, *args: Any) -> T | None:
        """As `one`, or None when the query has no row."""
        found = await self._json(name, *args)
        return None if found == b"null" else msgspec.json.decode(found, type=shape)

    async def rows(self, name: str, *args: Any) -> list[Record]:
        """All rows of a query."""
        try:
            return await self._database.rows(name, *args)
        except DatabaseError as error:
            raise db_errors.refusal_of(error) or error from error

    async def rows_as(self, shape: type[Row], name: str, *args: Any) -> list[Row]:
        """All rows of a query as `shape`, a Struct with a field for each column that is wanted."""
        columns = shape.__struct_fields__
        return [shape(*(row[column] for column in columns)) for row in await self.rows(name, *args)]

    async def value(self, name: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        try:
            return await self._database.value(name, *args)
        except DatabaseError as error:
            raise db_errors.refusal_of(error) or error from error

    async def execute(self, name: str, *args: Any) -> None:
        """Run a query for its effect."""
        try:
            await self._database.execute(name, *args)
        except DatabaseError as error:
            raise db_errors.refusal_of(error) or error from error

    async def _json(self, name: str, *args: Any) -> bytes:
        try:
            return await self._database.json(name, *args)
        except DatabaseError as error:
            raise db_errors.refusal_of(error) or error from error

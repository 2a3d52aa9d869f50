"""Verifies every derived fact by the checks of `sql/queries/invariants_*.sql`.

One repeatable-read, read-only transaction sees one moment of the database, so that a service at
work gives no false alarm.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import asyncpg

from sql import named
from sql.connecting import CONNECT_TIMEOUT_S, connect_app, session_on
from sql.failures import DRIVER_FAILURES, translated, unfit, unreachable

ROWS_SHOWN: Final = 20
"""Most disagreeing rows of one check that are read; the rest are counted."""
STATEMENT_TIMEOUT_MS: Final = 600_000
"""A check reads whole tables: ten minutes each."""
_COUNTED: Final = """
select q.subject, q.found, count(*) over () as total
from ({}
) as q
order by q.subject, q.found
limit $1
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a derived fact: its name, its sentence, and the query for rows that disagree."""

    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row that disagrees with a check, and what was found there."""

    subject: str
    found: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: `count` rows disagree, the first of them are `rows`."""

    check: Check
    count: int
    rows: tuple[Disagreement, ...]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether no row disagrees."""
        return self.count == 0


def checks() -> list[Check]:
    """Returns every check, in the order of the files.

    >>> checks()[0].name
    'journal_holds_the_escrow'
    """
    return [
        Check(name, text.partition("\n")[0].removeprefix("-- "), text.rstrip(";"))
        for file, texts in named.by_file().items()
        if file.startswith("invariants_")
        for name, text in texts.items()
    ]


async def verify(dsn: str, rows_max: int = ROWS_SHOWN) -> AsyncGenerator[CheckResult, None]:
    """Yields each check's result as it is reached, on a connection of its own.

    Raises `sql.database.DatabaseAway` when the server is not there, `DatabaseError` when it
    refuses a check, as before all migrations are applied.
    """
    try:
        connection = await connect_app(dsn)
    except (ValueError, asyncpg.PostgresError, *DRIVER_FAILURES) as error:
        raise unreachable(error) from error
    try:
        session = await session_on(connection)
        if session.complaints:
            raise unfit(session)
        await connection.execute("begin isolation level repeatable read read only")
        # Set for this transaction alone, so that a pooler can neither drop nor leak it.
        await connection.execute(f"set local statement_timeout = {STATEMENT_TIMEOUT_MS}")
        async for result in verify_on(connection, rows_max):
            yield result
    except (asyncpg.PostgresError, *DRIVER_FAILURES) as error:
        raise translated(error) from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def verify_on(
    connection: asyncpg.Connection, rows_max: int = ROWS_SHOWN
) -> AsyncGenerator[CheckResult, None]:
    """Yields results as `verify` does, inside the transaction that the connection is in."""
    for check in checks():
        began = time.perf_counter()
        rows = await connection.fetch(_COUNTED.format(check.query), rows_max)
        yield CheckResult(
            check,
            rows[0]["total"] if rows else 0,
            tuple(Disagreement(row["subject"] or "", row["found"]) for row in rows),
            time.perf_counter() - began,
        )

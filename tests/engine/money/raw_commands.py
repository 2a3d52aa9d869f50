"""The commands of the database, asked over a bare connection, with every answer sorted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from engine.kernel import db_errors
from engine.kernel.applied import Applied
from engine.live.broadcast_plan import BroadcastPlan
from sql.database import DatabaseError

PLAN = msgspec.json.encode(BroadcastPlan()).decode()


class Answer(NamedTuple):
    """What a command did, or the identity of its refusal."""

    applied: Applied | None
    refusal: tuple[str, str] | None = None

    def done(self) -> Applied:
        """What it did; an AssertionError names the refusal."""
        assert self.applied is not None, self.refusal
        return self.applied

    @property
    def received(self) -> bool:
        """Whether it changed what both sides know: it appended events."""
        return self.applied is not None and bool(self.applied.events)


async def ask(app: asyncpg.Connection, function: str, *args: Any) -> Answer:
    """One command. A refusal is an answer; a deadlock and whatever else is a defect and raises.

    A lock that an accept did not get in time is retried until there is an answer (HX017).
    """
    call = f"select {function}({', '.join(f'${n}' for n in range(1, len(args) + 1))})"
    while True:
        try:
            applied = msgspec.json.decode(await app.fetchval(call, *args) or "{}", type=Applied)
        except asyncpg.PostgresError as error:
            if error.sqlstate == "55P03" and function in {"accept_task", "respond_to_offer"}:
                continue
            known = db_errors.refusal_of(
                DatabaseError(
                    error.sqlstate or "", getattr(error, "constraint_name", None) or "", str(error)
                )
            )
            if known is None or known.kind.code == "HX017":
                raise
            return Answer(None, (known.kind.code, known.kind.invariant))
        if applied.refused is not None:
            return Answer(applied, (applied.refused.code, applied.refused.invariant))
        return Answer(applied)


async def fire(app: asyncpg.Connection, kind: str, subject: UUID) -> Answer:
    """One timer, made due now where it is set."""
    await app.execute(
        "update timers set due_at = least(due_at, hx_clock()) where kind = $1 and subject = $2",
        kind,
        subject,
    )
    return await ask(app, "fire_timer", kind, subject)


async def provider_event(app: asyncpg.Connection, event: str, fact: dict[str, Any]) -> Answer:
    """One event of the provider."""
    return await ask(
        app, "book_provider_event", event, "test", msgspec.json.encode(fact).decode(), PLAN
    )


class Lines:
    """Several connections as the application, each used by one asker at a time."""

    def __init__(self, connections: list[asyncpg.Connection]) -> None:
        self._free: asyncio.Queue[asyncpg.Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    @asynccontextmanager
    async def line(self) -> AsyncIterator[asyncpg.Connection]:
        """A free connection; waits for one."""
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)


@asynccontextmanager
async def open_lines(
    dsn: str, count: int, settings: dict[str, str] | None = None
) -> AsyncIterator[Lines]:
    """`count` connections with these settings of their own."""
    connections = list(
        await asyncio.gather(
            *(asyncpg.connect(dsn, server_settings=settings) for _ in range(count))
        )
    )
    try:
        yield Lines(connections)
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))

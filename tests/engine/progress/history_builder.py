"""A hustler's history written straight into the tables: what would take months to live through."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine.kernel.ids import TaskId, UserId
from engine.kernel.states import Mode
from tests.support.market import Market

TASK = """
insert into tasks (
    id, mode, state, title, description, category, price, location_lat, location_lng, place_lat,
    place_lng, partition, poster_id, assigned_hustler_id, cancel_reason, created_at, updated_at, accepted_at,
    started_at, completed_at
)
select
    hx_id(), $3, $4, 'Old work', 'Done.', $5, $6, 1, 1, 1, 1, 0, $1, $2, $7,
    w.at - interval '2 hours', w.at, w.at - interval '1 hour', w.at - interval '50 minutes',
    case $4 when 'COMPLETED' then w.at end
from unnest($8::timestamptz[]) as w (at)
returning id, updated_at as at
"""

ESCROW = """
insert into escrows (
    task_id, amount, state, release_amount, fee_amount, stripe_payment_intent_id,
    stripe_transfer_id, ended_at
)
select
    t.id, t.price, 'RELEASED', t.price, platform_fee_cents(t.price), 'pi_' || t.id, 'tr_' || t.id,
    t.updated_at
from unnest($1::uuid[]) with ordinality as w (id, n) join tasks as t on t.id = w.id
order by w.n
returning id, task_id
"""
REJECTED = """
insert into proofs (task_id, hustler_id, kind, state, reject_reason)
select w.id, $2, 'CODE', 'REJECTED', 'Again, please' from unnest($1::uuid[]) as w (id)
"""
LOST = """
with money as (
    insert into escrows (
        task_id, amount, state, refund_amount, stripe_payment_intent_id, stripe_refund_id, ended_at
    )
    select
        t.id, t.price, 'REFUNDED', t.price, 'pi_' || t.id, 're_' || t.id, t.updated_at
    from tasks as t where t.id = any($1::uuid[])
    returning id, task_id
)
insert into disputes (
    task_id, escrow_id, side, reason, state, outcome, release_amount, refund_amount, resolved_by,
    resolution, evidence_due_at, resolved_at
)
select
    t.id, m.id, 'POSTER', 'Not done', 'RESOLVED', 'POSTER', 0, t.price, $2, 'Not done', t.updated_at,
    t.updated_at
from money as m join tasks as t on t.id = m.task_id
"""


@dataclass(frozen=True)
class Done:
    """One task of the history, with the escrow that paid it."""

    task: UUID
    escrow: UUID


class HistoryBuilder:
    """Writes history as the owner, with the guards off for as long as one transaction."""

    def __init__(self, market: Market, hustler: UserId) -> None:
        self.market = market
        self.hustler = hustler
        self._poster: UserId | None = None

    async def completed(
        self,
        count: int = 1,
        mode: Mode = "STANDARD",
        *,
        rejected: int = 0,
        at: datetime | list[datetime] | None = None,
        price_cents: int = 4_000,
        category: str = "handyman",
    ) -> list[Done]:
        """Tasks that were done and paid, `rejected` of them after a rejected proof."""
        rows = await self._tasks(
            count, mode, "COMPLETED", at, price_cents=price_cents, category=category
        )
        ids = [row["id"] for row in rows]
        async with self._unguarded("escrows"):
            escrows = await self.market.owner.fetch(ESCROW, ids)
        async with self._unguarded("proofs"):
            await self.market.owner.execute(REJECTED, ids[:rejected], self.hustler)
        return [Done(row["task_id"], row["id"]) for row in escrows]

    async def lost(
        self, count: int = 1, mode: Mode = "STANDARD", at: datetime | None = None
    ) -> list[UUID]:
        """Disputes that ended for the poster."""
        rows = await self._tasks(count, mode, "CANCELLED", at, reason="DISPUTE")
        ids = [row["id"] for row in rows]
        async with self._unguarded("disputes"), self._unguarded("escrows"):
            await self.market.owner.execute(LOST, ids, await self.market.user("admin"))
        return ids

    async def held(
        self, count: int = 1, mode: Mode = "STANDARD", at: datetime | None = None
    ) -> list[UUID]:
        """Tasks that ended without work while the hustler held them; nothing noted yet."""
        rows = await self._tasks(count, mode, "CANCELLED", at, reason="HUSTLER_RELEASED")
        return [row["id"] for row in rows]

    async def abandoned(
        self,
        count: int = 1,
        mode: Mode = "STANDARD",
        at: datetime | None = None,
        kind: str = "RELEASED",
    ) -> None:
        """Tasks given back long ago: on record, without consequences."""
        at = at or await self.market.queries.clock.now() - timedelta(days=200)
        tasks = await self.held(count, mode, at)
        await self.market.owner.executemany(
            "insert into abandonments (task_id, hustler_id, kind, mode, at)"
            " values ($1, $2, $3, $4, $5)",
            [(task, self.hustler, kind, mode, at) for task in tasks],
        )

    async def _tasks(
        self,
        count: int,
        mode: Mode,
        state: str,
        at: datetime | list[datetime] | None,
        *,
        reason: str | None = None,
        price_cents: int = 4_000,
        category: str = "handyman",
    ) -> list[Any]:
        self._poster = self._poster or await self.market.user("poster")
        at = at or await self.market.queries.clock.now() - timedelta(days=1)
        async with self._unguarded("tasks"):
            rows = await self.market.owner.fetch(
                TASK,
                self._poster,
                self.hustler,
                mode,
                state,
                category,
                price_cents,
                reason,
                at if isinstance(at, list) else [at] * count,
            )
        return list(rows)

    @asynccontextmanager
    async def _unguarded(self, table: str) -> AsyncIterator[None]:
        """A transaction in which a table has no judges."""
        owner = self.market.owner
        async with owner.transaction():
            await owner.execute(f"alter table {table} disable trigger user")
            yield
            await owner.execute(f"alter table {table} enable trigger user")


HistoryEvents = list[tuple[str, dict[str, Any]]]


async def ask(market: Market, function: str, *args: object) -> HistoryEvents:
    """Type and data of the events that one of the functions answers, called as the service."""
    places = ", ".join(f"${n}" for n in range(1, len(args) + 1))
    events = json.loads(await market.app.fetchval(f"select {function}({places})", *args))
    return [(event["type"], event["data"]) for event in events]


async def resolved(market: Market, task: UUID, outcome: str, release_cents: int | None) -> None:
    """Open a dispute as the poster, have an admin decide it, and move the money."""
    poster = await market.poster_of(TaskId(task))
    await market.commands.disputes.open(poster, TaskId(task), "It leaks")
    await market.app.execute(
        "select resolve_dispute($1, (select id from disputes where task_id = $2), $3, $4, 'Seen')",
        await market.user("admin"),
        task,
        outcome,
        release_cents,
    )
    await market.worker.settle_waiting()


async def tier(market: Market, user: UserId) -> int:
    """The tier as stored."""
    found: int = await market.app.fetchval("select trust_tier from users where id = $1", user)
    return found


async def points(market: Market, user: UserId) -> float:
    """The trust points as stored."""
    return float(await market.app.fetchval("select trust_points from users where id = $1", user))


async def refused(market: Market, role: str, statement: str, *args: object) -> tuple[str, str]:
    """The SQLSTATE and the constraint that a role is refused with; ("", "") when it is not."""
    connection = market.app if role == "app" else market.owner
    try:
        await connection.execute(statement, *args)
    except Exception as error:  # noqa: BLE001
        return (
            str(getattr(error, "sqlstate", error)),
            str(getattr(error, "constraint_name", None) or ""),
        )
    return ("", "")

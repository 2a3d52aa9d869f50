"""The same task_snapshot of a task twice: from the database's rows and from the model."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from tests.engine.money.model import Task

Snapshot = dict[str, Any]

ROWS = """
select jsonb_build_object(
    'state', t.state,
    'price', t.price,
    'version', t.version,
    'hustler', t.assigned_hustler_id,
    'reason', t.cancel_reason,
    'arrived', t.arrived_at is not null,
    'started', t.started_at is not null,
    'rejections', t.rejections,
    'proofs', (
        select coalesce(jsonb_agg(p.state order by p.state), '[]')
        from proofs as p where p.task_id = t.id
    ),
    'codes', (
        select coalesce(
            jsonb_object_agg(c.kind, jsonb_build_array(c.tries, coalesce(c.locked_until > hx_clock(), false))),
            '{}'
        )
        from task_codes as c where c.task_id = t.id
    ),
    'escrows', (
        select coalesce(jsonb_agg(jsonb_build_array(
            e.amount, e.state, e.is_current,
            (
                select coalesce(jsonb_object_agg(m.kind, m.amount), '{}')
                from money_entries as m where m.escrow_id = e.id
            ),
            (
                select jsonb_build_array(s.state, s.release_amount, s.refund_amount)
                from settlements as s where s.escrow_id = e.id
            )
        )), '[]')
        from escrows as e where e.task_id = t.id
    ),
    'proposals', (
        select coalesce(jsonb_agg(jsonb_build_array(p.proposer_id, p.price, p.state)), '[]')
        from price_proposals as p where p.task_id = t.id
    ),
    'dispute', (
        select jsonb_build_array(
            d.state, d.outcome, (select count(*) from evidence as v where v.dispute_id = d.id)
        )
        from disputes as d where d.task_id = t.id
    ),
    'broadcasts', (
        select coalesce(jsonb_agg(b.state order by b.started_at), '[]')
        from live_broadcasts as b where b.task_id = t.id
    ),
    'timers', (
        select coalesce(jsonb_agg(jsonb_build_array(
            w.kind, extract(epoch from w.due_at - $2::timestamptz)::bigint
        )), '[]')
        from timers as w
        where w.subject = t.id
            or w.subject in (select b.id from live_broadcasts as b where b.task_id = t.id)
            or w.subject in (select e.id from escrows as e where e.task_id = t.id)
            or w.subject in (select d.id from disputes as d where d.task_id = t.id)
    )
)
from unnest($1::uuid[]) with ordinality as asked (id, n)
inner join tasks as t on t.id = asked.id
order by asked.n
"""


def _sorted(task_snapshot: Snapshot) -> Snapshot:
    for name in ("proofs", "escrows", "proposals", "timers"):
        task_snapshot[name] = sorted(task_snapshot[name], key=str)
    return task_snapshot


async def of_rows(app: asyncpg.Connection, tasks: list[UUID], epoch: Any) -> list[Snapshot]:
    """As the database has them."""
    return [_sorted(msgspec.json.decode(row[0])) for row in await app.fetch(ROWS, tasks, epoch)]


def of_model(t: Task, ids: dict[str | None, str | None], now: int) -> Snapshot:
    """As the model has it."""
    timers = [[kind, due] for kind, due in t.timers.items()]
    timers += [["BROADCAST_END", b.timer] for b in t.broadcasts if b.timer is not None]
    timers += [[kind, due] for e in t.escrows for kind, due in e.timers.items()]
    if t.dispute is not None and t.dispute.timer is not None:
        timers.append(["DISPUTE_DUE", t.dispute.timer])
    return _sorted({
        "state": t.state,
        "price": t.price,
        "version": t.version,
        "hustler": ids[t.hustler],
        "reason": t.reason,
        "arrived": t.arrived,
        "started": t.started,
        "rejections": t.rejections,
        "proofs": t.proofs,
        "codes": {kind: [lock.tries, lock.until > now] for kind, lock in t.codes.items()},
        "escrows": [
            [e.amount, e.state, e.is_current, e.journal,
             e.settlement and [e.settlement.state, e.settlement.release, e.settlement.refund]]
            for e in t.escrows
        ],
        "proposals": [[ids[p.by], p.price, p.state] for p in t.proposals],
        "dispute": t.dispute and [t.dispute.state, t.dispute.outcome, t.dispute.evidence],
        "broadcasts": [b.state for b in t.broadcasts],
        "timers": timers,
    })  # fmt: skip

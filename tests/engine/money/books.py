"""What must hold in the whole database at any moment, as queries that find what breaks it."""

from __future__ import annotations

import asyncpg

RULES = {
    "an escrow's journal holds its amount while it is held, and nothing before and after": """
        select e.id from escrows as e
        left join money_entries as m on m.escrow_id = e.id
        left join settlements as s on s.escrow_id = e.id
        group by e.id, s.id
        having coalesce(sum(m.amount), 0) <> case
            when e.state in ('FUNDED', 'LOCKED_DISPUTE') then e.amount
            when e.state = 'CANCELLED' and s.state <> 'DONE' then e.amount
            else 0
        end
    """,
    "charges are what was held, and payouts, fees and refunds what was charged, to the cent": """
        select e.id from escrows as e inner join money_entries as m on m.escrow_id = e.id
        where e.state in ('RELEASED', 'REFUNDED', 'REFUND_PARTIAL')
        group by e.id
        having sum(m.amount) filter (where m.kind = 'CHARGE') <> e.amount
            or coalesce(sum(m.amount) filter (where m.kind = 'FEE'), 0)
            <> -platform_fee_cents(coalesce(e.release_amount, 0))
            or coalesce(sum(m.amount) filter (where m.kind = 'REFUND'), 0)
            <> -coalesce(e.refund_amount, 0)
    """,
    "no money is left behind: an ended task's held escrow has a settlement on its way": """
        select t.id from tasks as t inner join escrows as e on e.task_id = t.id
        where (t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') or not e.is_current)
            and e.state in ('FUNDED', 'LOCKED_DISPUTE')
            and not exists (select from settlements as s where s.escrow_id = e.id)
    """,
    "no money moves for a task that goes on": """
        select t.id from tasks as t
        inner join escrows as e on e.task_id = t.id and e.is_current
        inner join settlements as s on s.escrow_id = e.id
        where t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED') and e.state <> 'CANCELLED'
    """,
    "a completed task pays its hustler, and no other does": """
        select t.id from tasks as t
        inner join escrows as e on e.task_id = t.id and e.is_current
        inner join settlements as s on s.escrow_id = e.id and s.payment is null
        where (t.state = 'COMPLETED') <> (s.kind in ('RELEASE', 'SPLIT'))
    """,
    "no payment is waited for once its task has ended": """
        select t.id from tasks as t inner join escrows as e on e.task_id = t.id
        where t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') and e.state = 'PENDING'
    """,
    "a held task costs what its escrow holds": """
        select t.id from tasks as t inner join escrows as e on e.task_id = t.id and e.is_current
        where e.state <> 'CANCELLED' and e.amount <> t.price
    """,
    "who works is paid for: a task under way has its money": """
        select t.id from tasks as t
        where t.state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') and not exists (
            select from escrows as e
            where e.task_id = t.id and e.is_current and e.state = 'FUNDED'
        )
    """,
    "disputed means an open dispute over locked money, and nothing else does": """
        select t.id from tasks as t
        left join disputes as d on d.task_id = t.id and d.state <> 'RESOLVED'
        left join escrows as e on e.id = d.escrow_id and e.state = 'LOCKED_DISPUTE'
        where (t.state = 'DISPUTED') <> (d.id is not null)
            or (t.state = 'DISPUTED') <> (e.id is not null)
    """,
    "one proof waits for its review exactly while the task does": """
        select t.id from tasks as t
        where t.state <> 'DISPUTED' and (t.state = 'PROOF_SUBMITTED')
            <> exists (select from proofs as p where p.task_id = t.id and p.state = 'SUBMITTED')
    """,
    "a broadcast runs only over a waiting, funded task": """
        select b.id from live_broadcasts as b
        inner join tasks as t on t.id = b.task_id
        left join escrows as e on e.task_id = t.id and e.is_current
        where b.state = 'ACTIVE'
            and (t.state <> 'MATCHING' or e.state is distinct from 'FUNDED')
    """,
    "a price is on the table only between accept and start": """
        select p.id from price_proposals as p inner join tasks as t on t.id = p.task_id
        where p.state in ('OPEN', 'AGREED')
            and (t.state <> 'ACCEPTED' or t.started_at is not null)
    """,
    "a replacement waits only where the price may still change": """
        select e.id from escrows as e inner join tasks as t on t.id = e.task_id
        where e.replaces is not null and e.state = 'PENDING'
            and t.state not in ('MATCHING', 'ACCEPTED')
    """,
    "an ended task waits for nothing": """
        select t.id from tasks as t inner join timers as w on w.subject = t.id
        where t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED')
    """,
    "whatever waits has an end": """
        select t.id from tasks as t
        where (t.state = 'PROOF_SUBMITTED' and not exists (
            select from timers as w where w.kind = 'REVIEW' and w.subject = t.id
        )) or (t.state in ('OPEN', 'MATCHING') and not exists (
            select from escrows as e
            where e.task_id = t.id and e.is_current and e.state = 'FUNDED'
        ) and not exists (
            select from timers as w where w.kind = 'UNFUNDED' and w.subject = t.id
        )) or (t.state = 'MATCHING' and exists (
            select from live_broadcasts as b where b.task_id = t.id
        ) and not exists (
            select from timers as w inner join live_broadcasts as b on b.id = w.subject
            where w.kind = 'BROADCAST_END' and b.task_id = t.id
        ) and not exists (
            select from timers as w where w.kind in ('CHOICE', 'DEADLINE') and w.subject = t.id
        )) or (t.state = 'WORKING' and not exists (
            select from timers as w where w.kind = 'WORKING_STALE' and w.subject = t.id
        ) and not exists (
            select from admin_items as i
            where i.kind = 'WORKING_STALE' and i.subject = t.id::text
        ))
    """,
    "history is one unbroken path along the lifecycle, and ends where the task stands": """
        select h.task_id from (
            select
                r.task_id, r.from_state, r.to_state,
                lag(r.to_state) over (partition by r.task_id order by r.id) as before,
                lead(r.to_state) over (partition by r.task_id order by r.id) is null as is_last
            from task_transitions as r
        ) as h
        inner join tasks as t on t.id = h.task_id
        where h.from_state is distinct from h.before
            or (h.from_state is not null and not lifecycle_allows('task', h.from_state, h.to_state))
            or (h.is_last and h.to_state <> t.state)
    """,
    "everybody's events are counted without a gap": """
        select c.user_id from user_counters as c
        where c.last_seq <> (select count(*) from user_events as e where e.user_id = c.user_id)
    """,
}


async def broken(connection: asyncpg.Connection) -> dict[str, int]:
    """The rules that do not hold, and how often."""
    found = {rule: len(await connection.fetch(query)) for rule, query in RULES.items()}
    return {rule: count for rule, count in found.items() if count}

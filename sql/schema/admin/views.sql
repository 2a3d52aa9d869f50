-- What an admin sees: items, actions, what is stuck, where a task's money went.
-- Tasks whose held money waits for something that does not come, one row each, by the first reason
-- that applies; since when it is so:
--   TRAPPED_MONEY     ended or replaced, and no settlement moves what is held: requeue_settlement()
--   MONEY_NOT_MOVED   its settlement is not done an hour after it was made: retry_settlement()
--   HOLDER_SUSPENDED  somebody who cannot sign in holds it
--   WORKING_STALE     at work for a day without a proof
--   ARRIVED_IDLE      arrived a day ago and not started
--   NOT_ARRIVED       two hours past the moment from which it counts as a no-show
--   UNREVIEWED        the proof should have counted as accepted an hour ago
--   NO_CHOICE         no broadcast, and the poster's day for a choice ended ten minutes ago
--   PAST_DEADLINE     the deadline passed ten minutes ago and the task still waits
create or replace function stuck_tasks(at timestamptz)
returns table (task_id uuid, escrow_id uuid, kind text, since timestamptz)
language sql stable
begin atomic
    select t.id, e.id, k.kind, k.since
    from escrows as e
    inner join tasks as t on t.id = e.task_id
    left join settlements as s on s.escrow_id = e.id
    left join users as u on u.id = t.assigned_hustler_id
    cross join lateral (
        select max(h.at) as at from task_transitions as h where h.task_id = t.id
    ) as moved
    cross join lateral (
        select max(b.expires_at) as at from live_broadcasts as b where b.task_id = t.id
    ) as broadcast
    cross join lateral (
        select max(p.review_deadline) as at from proofs as p
        where p.task_id = t.id and p.state = 'SUBMITTED'
    ) as review
    cross join lateral (
        select *
        from (
            values
            (1, 'TRAPPED_MONEY', case when settlement_due(e) is not null then moved.at end),
            (
                2, 'MONEY_NOT_MOVED',
                case when s.created_at < stuck_tasks.at - stuck_settlement_after() then s.created_at end
            ),
            (
                3, 'HOLDER_SUSPENDED',
                case
                    when u.account_status = 'SUSPENDED'
                        and t.state in ('ACCEPTED', 'WORKING') then moved.at
                end
            ),
            (
                4, 'WORKING_STALE',
                case
                    when t.state = 'WORKING' and moved.at < stuck_tasks.at - work_stale_after()
                        then moved.at
                end
            ),
            (
                5, 'ARRIVED_IDLE',
                case
                    when t.state = 'ACCEPTED'
                        and greatest(t.arrived_at, moved.at) < stuck_tasks.at - stuck_arrival_after()
                        and t.arrived_at is not null
                        then greatest(t.arrived_at, moved.at)
                end
            ),
            (
                6, 'NOT_ARRIVED',
                case
                    when t.state = 'ACCEPTED' and t.arrived_at is null
                        and no_show_from(t) < stuck_tasks.at - stuck_no_show_after() then no_show_from(t)
                end
            ),
            (
                7, 'UNREVIEWED',
                case
                    when t.state = 'PROOF_SUBMITTED' and review.at < stuck_tasks.at - stuck_review_after()
                        then review.at
                end
            ),
            (
                8, 'NO_CHOICE',
                case
                    when t.state = 'MATCHING'
                        and coalesce(broadcast.at, e.funded_at)
                        < stuck_tasks.at - (choice_window() + stuck_timer_after())
                        then coalesce(broadcast.at, e.funded_at)
                end
            ),
            (
                9, 'PAST_DEADLINE',
                case
                    when t.state in ('OPEN', 'MATCHING')
                        and t.deadline < stuck_tasks.at - stuck_timer_after() then t.deadline
                end
            )
        ) as reason (n, kind, since)
        where reason.since is not null
        order by reason.n
        limit 1
    ) as k
    where e.state in ('FUNDED', 'LOCKED_DISPUTE');
end;
create or replace function item_view(i admin_items) returns jsonb
language sql stable
return jsonb_build_object(
    'id', i.id, 'kind', i.kind, 'subject', i.subject, 'details', i.details,
    'opened_at', i.opened_at, 'closed_at', i.closed_at, 'closed_by', i.closed_by
);

create or replace function action_view(a admin_actions) returns jsonb
language sql stable
return jsonb_build_object(
    'id', a.id, 'admin_id', a.admin_id, 'action_type', a.action_type,
    'target_type', a.target_type, 'target_id', a.target_id, 'reason', a.reason,
    'metadata', a.metadata, 'created_at', a.created_at
);

-- Every cent of a line of tasks, oldest first.
create or replace function money_timeline(p_task uuid) returns jsonb
language sql stable
return (
    -- worked out once, not again for every row that is looked at
    with l as materialized (select task_lineage(p_task) as ids)

    select jsonb_build_object(
        'task_id', p_task,
        'line', (
            select jsonb_agg(jsonb_build_object(
                'id', t.id, 'state', t.state, 'mode', t.mode, 'price_cents', t.price,
                'cancel_reason', t.cancel_reason, 'created_at', t.created_at
            ) order by t.created_at, t.id)
            from tasks as t where t.id = any(l.ids)
        ),
        'escrows', coalesce(
            (
                select jsonb_agg(jsonb_build_object(
                    'id', e.id, 'task_id', e.task_id, 'state', e.state, 'amount_cents', e.amount,
                    'is_current', e.is_current, 'replaces', e.replaces,
                    'payment', e.stripe_payment_intent_id, 'transfer', e.stripe_transfer_id,
                    'refund', e.stripe_refund_id, 'release_cents', e.release_amount,
                    'refund_cents', e.refund_amount, 'fee_cents', e.fee_amount,
                    'held_cents', coalesce(
                        (select sum(m.amount) from money_entries as m where m.escrow_id = e.id), 0
                    ),
                    'created_at', e.created_at, 'funded_at', e.funded_at, 'ended_at', e.ended_at
                ) order by e.created_at, e.id)
                from escrows as e where e.task_id = any(l.ids)
            ),
            '[]'
        ),
        'settlements', coalesce(
            (
                select jsonb_agg(settlement_view(s) order by s.created_at, s.id)
                from settlements as s inner join escrows as e on e.id = s.escrow_id
                where e.task_id = any(l.ids)
            ),
            '[]'
        ),
        'entries', coalesce(
            (
                select jsonb_agg(jsonb_build_object(
                    'escrow_id', m.escrow_id, 'kind', m.kind, 'amount_cents', m.amount,
                    'reference', m.reference, 'at', m.at
                ) order by m.id)
                from money_entries as m inner join escrows as e on e.id = m.escrow_id
                where e.task_id = any(l.ids)
            ),
            '[]'
        ),
        'chargebacks', coalesce(
            (
                select jsonb_agg(chargeback_view(c) order by c.opened_at, c.id)
                from chargebacks as c inner join escrows as e on e.id = c.escrow_id
                where e.task_id = any(l.ids)
            ),
            '[]'
        ),
        'external_refunds', coalesce(
            (
                select jsonb_agg(jsonb_build_object(
                    'id', r.id, 'escrow_id', r.escrow_id, 'payment', r.payment,
                    'amount_cents', r.amount, 'is_sum', r.is_sum, 'state', r.state,
                    'opened_at', r.opened_at
                ) order by r.opened_at, r.id)
                from external_refunds as r inner join escrows as e on e.id = r.escrow_id
                where e.task_id = any(l.ids)
            ),
            '[]'
        ),
        'xp', coalesce(
            (
                select jsonb_agg(xp_view(x) order by x.created_at, x.id)
                from xp_ledger as x inner join escrows as e on e.id = x.escrow_id
                where e.task_id = any(l.ids)
            ),
            '[]'
        )
    )
    from l
    where l.ids is not null
);

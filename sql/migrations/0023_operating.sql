-- What an operator may do beside deciding disputes (0018), and what they look at: docs/desk.md.
-- Commands as 0012_telling.sql describes them.
--
-- Every command begins with admin_act(): HX503 for who is no admin or has a stake in it, and a row
-- in admin_actions that goes with the transaction.
-- Locks: tasks (by id) → broadcast → escrow → live status → users.

-- Money that is held: few rows of many, and where the desk starts to look.
create index escrows_held on escrows (task_id) where state in ('FUNDED', 'LOCKED_DISPUTE');
create index settlements_late on settlements (created_at) where payment is not null;
create index settlements_by_age on settlements (created_at, id);
create index chargebacks_by_age on chargebacks (opened_at, id);
create index disputes_by_age on disputes (opened_at, id);
create index operator_items_by_age on operator_items (opened_at, id);

-- ── Tasks ──────────────────────────────────────────────────────────────────────────────────────
create function locked_task(p_task uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = p_task for no key update;
    if not found then
        perform hx_not_found();
    end if;
    return t;
end;
$$;

-- A stuck task with somebody at work: an operator opens the dispute, and another decides it.
create function admin_dispute_task(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'DISPUTE_TASK', 'task', p_task::text, p_reason);
    t tasks := locked_task(p_task);
begin
    if t.state not in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED') then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return open_dispute(t, p_admin, 'ADMIN', p_reason, '[]');
end;
$$;

-- Nobody has begun: the poster gets everything back.
create function admin_cancel_task(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'CANCEL_TASK', 'task', p_task::text, p_reason);
    t tasks := locked_task(p_task);
begin
    if t.state in ('COMPLETED', 'CANCELLED', 'EXPIRED') then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    if t.state not in ('OPEN', 'MATCHING', 'ACCEPTED') or t.arrived_at is not null then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return end_task(t, 'CANCELLED', p_admin, 'ADMIN_CANCELLED', p_reason);
end;
$$;

-- A hustler locked out of a code may try again at once.
create function unlock_codes(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'UNLOCK_CODES', 'task', p_task::text, p_reason);
    t tasks := locked_task(p_task);
begin
    update task_codes set tries = 0, locked_until = null where task_id = p_task;
    return jsonb_build_object('task_id', t.id);
end;
$$;

-- ── Money ──────────────────────────────────────────────────────────────────────────────────────
-- Runs a held or delayed settlement again, now. What others took is never given back twice: while that
-- is undecided the refund is refused, and what is gone counts as the refund.
create function retry_settlement(p_admin uuid, p_settlement uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'RETRY_SETTLEMENT', 'settlement', p_settlement::text, p_reason
    );
    s settlements := hold_settlement_rows(p_settlement);
    taken record;
begin
    if s.state = 'DONE' then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    select m.* into taken
    from escrows as e
    cross join lateral money_taken(coalesce(s.payment, e.stripe_payment_intent_id)) as m
    where e.id = s.escrow_id;
    if s.refund_amount > 0 and not s.refund_done then
        if taken.undecided or taken.cents between 1 and s.refund_amount - 1 then
            -- the rest of what was taken is given back at the provider, and is known then
            perform hx_refuse('HX010', 'COVER');
        elsif taken.cents > 0 then
            update settlements set refund_reference = taken.reference, refund_done = true
            where id = p_settlement;
        end if;
    end if;
    update settlements set state = 'PENDING', due_at = hx_clock() where id = p_settlement;
    perform close_item('SETTLEMENT_HELD', p_settlement::text);
    return jsonb_build_object('subject_id', p_settlement, 'settle', true);
end;
$$;

-- A leg that a person carried out at the provider: its reference is booked like the worker's own.
create function book_leg_by_hand(
    p_admin uuid, p_settlement uuid, p_leg text, p_reference text, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'BOOK_LEG', 'settlement', p_settlement::text, p_reason,
        jsonb_build_object('leg', p_leg, 'reference', p_reference)
    );
    s settlements := hold_settlement_rows(p_settlement);
begin
    if p_leg = 'TRANSFER' and s.transfer_done and s.transfer_reference = p_reference
        or p_leg = 'REFUND' and s.refund_done and s.refund_reference = p_reference
    then
        -- the provider's own word about it was quicker
        return jsonb_build_object('subject_id', s.id);
    end if;
    -- only what is held: the worker may be calling the provider for any other this very moment
    if s.state <> 'HELD' or not (
        case p_leg
            when 'TRANSFER' then s.release_amount > 0 and not s.transfer_done
            when 'REFUND' then s.refund_amount > 0 and not s.refund_done
            else false
        end
    ) then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    if exists (
        select from settlements as other
        where other.id <> s.id and p_reference = case p_leg
            when 'TRANSFER' then other.transfer_reference else other.refund_reference
        end
    ) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'reference_used',
            message = 'That reference belongs to another settlement.';
    end if;
    return book_leg(p_settlement, p_leg, p_reference);
end;
$$;

-- What should happen to an escrow that holds money and has no settlement; null while the task runs.
create function settlement_due(e escrows) returns text
language sql stable
return (
    select case
        when e.state not in ('FUNDED', 'LOCKED_DISPUTE') then null
        when exists (select from settlements as s where s.escrow_id = e.id) then null
        when not e.is_current then 'REFUND'
        when e.state = 'LOCKED_DISPUTE' then (
            select case d.outcome
                when 'HUSTLER' then 'RELEASE' when 'POSTER' then 'REFUND' else d.outcome
            end
            from disputes as d where d.task_id = e.task_id and d.state = 'RESOLVED'
        )
        when t.state = 'COMPLETED' then 'RELEASE'
        when t.state in ('CANCELLED', 'EXPIRED') then 'REFUND'
    end
    from tasks as t where t.id = e.task_id
);

-- Trapped money: the task has ended, or the escrow was replaced, and nothing moves what it holds.
-- The settlement that is missing is made; HX010 where none is.
create function requeue_settlement(p_admin uuid, p_task uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(p_admin, 'REQUEUE_SETTLEMENT', 'task', p_task::text, p_reason);
    t tasks := locked_task(p_task);
    e escrows;
    d disputes;
    made uuid;
begin
    for e in
        select * from escrows
        where task_id = p_task and state in ('FUNDED', 'LOCKED_DISPUTE')
        order by id
        for no key update
    loop
        case settlement_due(e)
            when 'RELEASE' then made := queue_settlement(e.id, 'RELEASE', e.amount, 0);
            when 'REFUND' then made := queue_settlement(e.id, 'REFUND', 0, e.amount);
            when 'SPLIT' then
                select * into d from disputes where task_id = p_task;
                made := queue_settlement(e.id, 'SPLIT', d.release_amount, d.refund_amount);
            else
                null;
        end case;
    end loop;
    if made is null then
        perform hx_refuse('HX010', 'ESCROW-TRANSITION');
    end if;
    return jsonb_build_object('task_id', t.id, 'subject_id', made, 'settle', true);
end;
$$;

-- Where a hustler is paid, set by an operator.
create function admin_set_payout_account(
    p_admin uuid, p_user uuid, p_account text, p_enabled boolean, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    acted uuid := admin_act(
        p_admin, 'SET_PAYOUT_ACCOUNT', 'user', p_user::text, p_reason,
        jsonb_build_object('account_id', p_account, 'payouts_enabled', p_enabled)
    );
begin
    if not exists (select from users as u where u.id = p_user) then
        perform hx_not_found();
    end if;
    if exists (
        select from payout_accounts as p where p.account_id = p_account and p.user_id <> p_user
    ) then
        raise exception using
            errcode = 'check_violation',
            constraint = 'payout_account_used',
            message = 'That account belongs to another hustler.';
    end if;
    return set_payout_account(p_user, p_account, p_enabled);
end;
$$;

-- ── People ─────────────────────────────────────────────────────────────────────────────────────
-- An act on somebody's account: the row, locked.
create function account_act(
    p_admin uuid, p_action text, p_user uuid, p_reason text, p_metadata jsonb default '{}'
) returns users
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    acted uuid := admin_act(p_admin, p_action, 'user', p_user::text, p_reason, p_metadata);
    u users;
begin
    -- live status comes before users in the order of locks
    perform from live_status where user_id = p_user for no key update;
    select * into u from users where id = p_user for no key update;
    if not found then
        perform hx_not_found();
    end if;
    return u;
end;
$$;

-- The tasks of a poster that nobody has accepted, locked with their broadcasts and their money: the
-- first of all locks.
create function lock_waiting_tasks(p_poster uuid) returns setof tasks
language plpgsql
as $$
declare
    waiting tasks[] := array(
        select t from tasks as t
        where t.poster_id = p_poster and t.state in ('OPEN', 'MATCHING')
        order by t.id
        for no key update
    );
begin
    perform from live_broadcasts as b
    where b.state = 'ACTIVE' and b.task_id in (select w.id from unnest(waiting) as w)
    order by b.id
    for no key update;
    perform from escrows as e
    where e.is_current and e.task_id in (select w.id from unnest(waiting) as w)
    order by e.id
    for share;
    return query select * from unnest(waiting);
end;
$$;

-- Whatever shuts an account ends what it was offering and being offered: its broadcasts, and its LIVE
-- session. What is held for its tasks waits for a person: no choice of the poster's runs out meanwhile;
-- a deadline still does, with the full refund.
create function suspension_stops() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    at timestamptz;
    b uuid;
begin
    for t in select * from lock_waiting_tasks(new.id) loop
        update live_broadcasts set state = 'CANCELLED', ended_at = hx_clock()
        where task_id = t.id and state = 'ACTIVE'
        returning id into b;
        delete from timers
        where (kind, subject) in (
            ('BROADCAST_END', b), ('CHOICE', t.id), ('CHOICE_REMINDER', t.id)
        );
        if escrow_is_funded(t.id) then
            perform hold_for_operator(t);
        end if;
    end loop;
    perform from live_status where user_id = new.id for no key update;
    at := hx_clock();
    update live_sessions set ended_at = at, end_reason = 'FORCED'
    where user_id = new.id and ended_at is null;
    update live_status set session_id = null, active_since = null, version = version + 1
    where user_id = new.id and session_id is not null;
    return null;
end;
$$;

create trigger suspension_stops after update of account_status on users
for each row when (old.account_status <> 'SUSPENDED' and new.account_status = 'SUSPENDED')
execute function suspension_stops();

-- An account that is open again: its STANDARD tasks may be accepted, and for a LIVE one the poster has
-- the choice that follows every broadcast nobody accepted, with a day to make it.
create function reinstatement_resumes() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    t tasks;
    at timestamptz := hx_clock();
begin
    for t in select * from lock_waiting_tasks(new.id) loop
        perform close_item('POSTER_SUSPENDED', t.id::text);
        if t.state = 'MATCHING' and escrow_is_funded(t.id) and not exists (
            select from live_broadcasts as b where b.task_id = t.id and b.state = 'ACTIVE'
        ) then
            perform hx_timer('CHOICE', t.id, at + interval '24 hours');
            perform hx_timer('CHOICE_REMINDER', t.id, at);
        end if;
    end loop;
    return null;
end;
$$;

create trigger reinstatement_resumes after update of account_status on users
for each row when (old.account_status <> 'ACTIVE' and new.account_status = 'ACTIVE')
execute function reinstatement_resumes();

-- The account is shut: tokens are refused, sockets closed, the LIVE session ends, its waiting tasks are
-- offered to nobody (suspension_stops). What the hustler holds stays theirs, and shows on the desk
-- (HOLDER_SUSPENDED).
create function suspend_user(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    ended live_broadcasts[];
    told jsonb := '[]';
    closed jsonb := '[]';
    session uuid;
    b live_broadcasts;
    u users;
begin
    perform admin_only(p_admin);
    perform from lock_waiting_tasks(p_user);
    select array_agg(a order by a.id) into ended
    from live_broadcasts as a inner join tasks as t on t.id = a.task_id
    where t.poster_id = p_user and t.state = 'MATCHING' and a.state = 'ACTIVE';
    u := account_act(p_admin, 'SUSPEND_USER', p_user, p_reason);
    select s.session_id into session from live_status as s where s.user_id = u.id;
    update users set account_status = 'SUSPENDED' where id = u.id and account_status <> 'SUSPENDED';
    foreach b in array coalesce(ended, '{}') loop
        told := told || broadcast_event(b.id, u.id);
        closed := closed || closed_broadcast(b.id, b.task_id, 'CANCELLED');
    end loop;
    if session is not null then
        told := told || hx_event(u.id, 'LIVE_MODE_STATE_CHANGE', jsonb_build_object(
            'state', 'OFF', 'reason', 'FORCED'
        ));
    end if;
    return jsonb_build_object(
        'subject_id', u.id,
        'events', append_events(told),
        'closed', closed,
        'withdrawn', case when session is null then '[]' else jsonb_build_array(u.id) end
    );
end;
$$;

create function reinstate_user(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    u users;
begin
    perform admin_only(p_admin);
    perform from lock_waiting_tasks(p_user);
    u := account_act(p_admin, 'REINSTATE_USER', p_user, p_reason);
    update users set account_status = 'ACTIVE' where id = u.id and account_status = 'SUSPENDED';
    return jsonb_build_object('subject_id', u.id);
end;
$$;

-- No LIVE mode until then: the session ends, HX905 guards the return. A task that the hustler holds
-- stays theirs. It replaces any ban there is, the rules' own included.
create function live_ban(p_admin uuid, p_user uuid, p_until timestamptz, p_reason text)
returns jsonb
language plpgsql
as $$
declare
    u users := account_act(
        p_admin, 'LIVE_BAN', p_user, p_reason, jsonb_build_object('until', wire_time(p_until))
    );
    s live_status;
    at timestamptz := hx_clock();
begin
    if p_until not between at and at + interval '10 years' then
        raise exception using
            errcode = 'check_violation',
            constraint = 'live_ban_ahead',
            message = 'A ban ends between now and ten years from now.';
    end if;
    update live_sessions set ended_at = at, end_reason = 'FORCED'
    where user_id = u.id and ended_at is null;
    update live_status
    set banned_until = p_until, session_id = null, active_since = null, version = version + 1
    where user_id = u.id
    returning * into s;
    return jsonb_build_object(
        'subject_id', u.id,
        'withdrawn', jsonb_build_array(u.id),
        'events', append_events(jsonb_build_array(live_event(s)))
    );
end;
$$;

create function lift_live_ban(p_admin uuid, p_user uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    u users := account_act(p_admin, 'LIFT_LIVE_BAN', p_user, p_reason);
    s live_status;
begin
    update live_status set banned_until = null, version = version + 1
    where user_id = u.id and banned_until is not null
    returning * into s;
    -- a person has looked at where the account says that it is
    perform close_item('IMPOSSIBLE_POSITIONS', u.id::text);
    delete from last_fixes where user_id = u.id;
    return jsonb_build_object('subject_id', u.id, 'events', case when s.user_id is null then '[]' else
        append_events(jsonb_build_array(live_event(s)))
    end);
end;
$$;

-- One LIVE session or one cooldown, without a ban (architecture §10.6):
--   END_SESSION   the session ends as FORCED; the hustler may go LIVE again at once
--   SET_COOLDOWN  COOLDOWN until then, in this session and the next ones
--   END_COOLDOWN  the one that accepts or an admin brought; HX601 for a forced rest, which nobody ends
-- Nothing here makes anybody ACTIVE who has not switched LIVE mode on (LIVE-3).
create function admin_live(
    p_admin uuid, p_user uuid, p_act text, p_until timestamptz, p_reason text
) returns jsonb
language plpgsql
as $$
declare
    u users := account_act(
        p_admin, 'LIVE_' || p_act, p_user, p_reason,
        jsonb_strip_nulls(jsonb_build_object('until', p_until))
    );
    was live_status;
    s live_status;
    at timestamptz := hx_clock();
begin
    if p_act = 'END_SESSION' then
        return end_live(u.id, 'FORCED') || jsonb_build_object('subject_id', u.id);
    end if;
    select * into was from live_status where user_id = u.id;
    s := was;
    if p_act = 'SET_COOLDOWN' then
        if p_until is null or p_until not between at and at + interval '7 days' then
            raise exception using
                errcode = 'check_violation',
                constraint = 'live_cooldown_ahead',
                message = 'A cooldown ends between now and seven days from now.';
        end if;
        update live_status
        set cooldown_until = p_until, cooldown_reason = 'ADMIN', version = version + 1
        where user_id = u.id
        returning * into s;
    elsif was.cooldown_until > at then
        update live_status set cooldown_until = null, version = version + 1
        where user_id = u.id
        returning * into s;
    elsif rest_ends_at(was, at) is not null then
        perform hx_refuse('HX601', 'LIVE-REST', rest_ends_at(was, at));
    end if;
    return jsonb_build_object(
        'subject_id', u.id,
        'withdrawn', case
            when live_state(was, at) = 'ACTIVE' and live_state(s, at) <> 'ACTIVE'
                then jsonb_build_array(u.id)
            else '[]'
        end,
        'events', case
            when s.session_id is null or s.version = was.version then '[]'
            else append_events(jsonb_build_array(live_event(s)))
        end
    );
end;
$$;

-- ── XP ─────────────────────────────────────────────────────────────────────────────────────────
-- A row of the XP ledger that an operator found wrong. The row stays as it is, and is marked
-- (architecture §8.4). No foreign key to it: a reference would answer a TRUNCATE of the ledger before
-- the ledger's own refusal does.
create table xp_flags (
    ledger_id uuid not null,
    flagged_by uuid not null,
    reason text not null,
    flagged_at timestamptz not null default hx_clock(),
    constraint xp_flags_pkey primary key (ledger_id),
    constraint xp_flags_admin foreign key (flagged_by) references users (id)
);

-- HX503: a mark is an admin's, on an award that is not their own.
create function xp_flag_guard() returns trigger
language plpgsql
as $$
begin
    perform admin_may_decide(new.flagged_by, new.ledger_id::text);
    return new;
end;
$$;

create trigger xp_flag_guard before insert on xp_flags
for each row execute function xp_flag_guard();

-- HX801: a mark stays, too.
create trigger xp_flags_append_only before update or delete or truncate on xp_flags
for each statement execute function append_only('HX801', 'AUDIT-5');

create function flag_xp(p_admin uuid, p_ledger uuid, p_reason text) returns jsonb
language plpgsql security definer
set search_path = public, pg_temp
as $$
declare
    acted uuid := admin_act(p_admin, 'FLAG_XP', 'xp_ledger', p_ledger::text, p_reason);
    x xp_ledger;
begin
    select * into x from xp_ledger where id = p_ledger;
    if not found then
        perform hx_not_found();
    end if;
    insert into xp_flags (ledger_id, flagged_by, reason) values (p_ledger, p_admin, p_reason)
    on conflict on constraint xp_flags_pkey do nothing;
    return jsonb_build_object('task_id', x.task_id, 'subject_id', p_ledger);
end;
$$;

-- ── Items ──────────────────────────────────────────────────────────────────────────────────────
-- A person has looked at it.
create function close_operator_item(p_admin uuid, p_item uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    i operator_items;
    acted uuid;
begin
    select * into i from operator_items where id = p_item;
    acted := admin_act(
        p_admin, 'CLOSE_ITEM', 'operator_item', p_item::text, p_reason,
        jsonb_build_object('kind', i.kind, 'subject', i.subject)
    );
    if i.id is null then
        perform hx_not_found();
    end if;
    update operator_items set closed_at = hx_clock(), closed_by = p_admin
    where id = p_item and closed_at is null;
    return jsonb_build_object('subject_id', p_item);
end;
$$;

-- ── What is stuck ──────────────────────────────────────────────────────────────────────────────
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
create function stuck_tasks(at timestamptz)
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
                case when s.created_at < stuck_tasks.at - interval '1 hour' then s.created_at end
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
                    when t.state = 'WORKING' and moved.at < stuck_tasks.at - interval '24 hours'
                        then moved.at
                end
            ),
            (
                5, 'ARRIVED_IDLE',
                case
                    when t.state = 'ACCEPTED'
                        and greatest(t.arrived_at, moved.at) < stuck_tasks.at - interval '24 hours'
                        and t.arrived_at is not null
                        then greatest(t.arrived_at, moved.at)
                end
            ),
            (
                6, 'NOT_ARRIVED',
                case
                    when t.state = 'ACCEPTED' and t.arrived_at is null
                        and no_show_from(t) < stuck_tasks.at - interval '2 hours' then no_show_from(t)
                end
            ),
            (
                7, 'UNREVIEWED',
                case
                    when t.state = 'PROOF_SUBMITTED' and review.at < stuck_tasks.at - interval '1 hour'
                        then review.at
                end
            ),
            (
                8, 'NO_CHOICE',
                case
                    when t.state = 'MATCHING'
                        and coalesce(broadcast.at, e.funded_at)
                        < stuck_tasks.at - interval '24 hours 10 minutes'
                        then coalesce(broadcast.at, e.funded_at)
                end
            ),
            (
                9, 'PAST_DEADLINE',
                case
                    when t.state in ('OPEN', 'MATCHING')
                        and t.deadline < stuck_tasks.at - interval '10 minutes' then t.deadline
                end
            )
        ) as reason (n, kind, since)
        where reason.since is not null
        order by reason.n
        limit 1
    ) as k
    where e.state in ('FUNDED', 'LOCKED_DISPUTE');
end;

-- ── Views ──────────────────────────────────────────────────────────────────────────────────────
create function item_view(i operator_items) returns jsonb
language sql stable
return jsonb_build_object(
    'id', i.id, 'kind', i.kind, 'subject', i.subject, 'details', i.details,
    'opened_at', i.opened_at, 'closed_at', i.closed_at, 'closed_by', i.closed_by
);

create function settlement_view(s settlements) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', s.id,
        'task_id', e.task_id,
        'escrow_id', e.id,
        'escrow_state', e.state,
        'amount_cents', e.amount,
        'kind', s.kind,
        'state', s.state,
        'late_payment', s.payment,
        'fee_cents', s.fee_amount,
        'legs', array_remove(array[
            case when s.release_amount > 0 then jsonb_build_object(
                'leg', 'TRANSFER', 'amount_cents', s.release_amount - s.fee_amount,
                'reference', s.transfer_reference, 'done', s.transfer_done
            ) end,
            case when s.refund_amount > 0 then jsonb_build_object(
                'leg', 'REFUND', 'amount_cents', s.refund_amount,
                'reference', s.refund_reference, 'done', s.refund_done
            ) end
        ], null),
        'attempts', s.attempts,
        'last_error', s.last_error,
        'due_at', s.due_at,
        'created_at', s.created_at,
        'done_at', s.done_at
    )
    from escrows as e where e.id = s.escrow_id
);

create function chargeback_view(c chargebacks) returns jsonb
language sql stable
return (
    select jsonb_build_object(
        'id', c.id, 'task_id', e.task_id, 'escrow_id', e.id, 'escrow_state', e.state,
        'payment', c.payment, 'amount_cents', c.amount, 'state', c.state,
        'opened_at', c.opened_at, 'closed_at', c.closed_at
    )
    from escrows as e where e.id = c.escrow_id
);

create function action_view(a admin_actions) returns jsonb
language sql stable
return jsonb_build_object(
    'id', a.id, 'admin_id', a.admin_id, 'action_type', a.action_type,
    'target_type', a.target_type, 'target_id', a.target_id, 'reason', a.reason,
    'metadata', a.metadata, 'created_at', a.created_at
);

create function xp_view(x xp_ledger) returns jsonb
language sql stable
return jsonb_build_object(
    'id', x.id, 'user_id', x.user_id, 'task_id', x.task_id, 'escrow_id', x.escrow_id,
    'effective_xp', x.effective_xp, 'total_xp', x.user_xp_after, 'created_at', x.created_at,
    'flag', (
        select jsonb_build_object(
            'flagged_by', f.flagged_by, 'reason', f.reason, 'flagged_at', f.flagged_at
        )
        from xp_flags as f where f.ledger_id = x.id
    )
);

-- A task with those before and behind it: one line of work, one line of money.
create function task_line(p_task uuid) returns uuid[]
language sql stable
return (
    with recursive back as (
        select t.id, t.predecessor_id from tasks as t where t.id = p_task
        union all
        select t.id, t.predecessor_id from back inner join tasks as t on t.id = back.predecessor_id
    ),

    forth as (
        select b.id from back as b where b.predecessor_id is null
        union all
        select t.id from forth inner join tasks as t on t.predecessor_id = forth.id
    )

    select array_agg(f.id) from forth as f
);

-- Every cent of a line of tasks, oldest first.
create function money_timeline(p_task uuid) returns jsonb
language sql stable
return (
    -- worked out once, not again for every row that is looked at
    with l as materialized (select task_line(p_task) as ids)

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

-- ── Grants ─────────────────────────────────────────────────────────────────────────────────────
-- Update and delete are granted so that the table's own refusal answers, not 42501; rows are
-- inserted by flag_xp() alone.
grant update, delete on xp_flags to hx_app;

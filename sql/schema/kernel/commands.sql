-- What happens when a deadline is due.
--
-- Commands of every subject: one function, one transaction, one answer (engine/kernel/applied.py, Applied).
-- Lock order everywhere: tasks (by id) → broadcast → escrow → live status → user counters.
-- Events are collected and appended by one append_events call, last; pushing happens after commit.

-- The task that a timer is about, locked; a timer about a user has none.
create or replace function timer_task(p_kind text, p_subject uuid) returns tasks
language plpgsql
as $$
declare
    t tasks;
begin
    select tasks.* into t
    from tasks
    where tasks.id = case p_kind
        when 'BROADCAST_END' then (select b.task_id from live_broadcasts as b where b.id = p_subject)
        when 'FUNDS_HELD' then (select e.task_id from escrows as e where e.id = p_subject)
        when 'REPLACEMENT' then (select e.task_id from escrows as e where e.id = p_subject)
        when 'DISPUTE_DUE' then (select d.task_id from disputes as d where d.id = p_subject)
        else p_subject
    end
    for no key update;
    return t;
end;
$$;

-- Fires one timer if it is still due. Whoever else fires it at the same time finds nothing to do.
create or replace function fire_timer(p_kind text, p_subject uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks := timer_task(p_kind, p_subject);
    answer jsonb := jsonb_build_object('task_id', t.id);
    due timestamptz;
begin
    if p_kind = 'LIVE_STATE' then
        -- who changes a status has its row before its timer
        perform from live_status where user_id = p_subject for no key update;
    end if;
    select due_at into due from timers where kind = p_kind and subject = p_subject for update;
    if due is null or due > hx_clock() then
        return answer;
    end if;
    delete from timers where kind = p_kind and subject = p_subject;

    case
        when p_kind = 'BROADCAST_END' then
            return answer || end_broadcast(t, p_subject);
        when p_kind = 'UNFUNDED' and t.state in ('OPEN', 'MATCHING') and not exists (
            select from escrows as e where e.task_id = t.id and e.state = 'FUNDED'
        ) then
            return end_task(t, 'CANCELLED', null, 'UNFUNDED');
        when p_kind = 'DEADLINE' and t.state in ('OPEN', 'MATCHING') then
            return end_task(t, 'EXPIRED', null, 'DEADLINE');
        when p_kind = 'DEADLINE' and t.state in ('ACCEPTED', 'WORKING') then
            -- the deadline bounded the acceptance; what was accepted goes on, and both sides know
            return answer || jsonb_build_object('events', append_events(
                jsonb_build_array(
                    reminder(t.poster_id, 'DEADLINE_PASSED', t.id, 'The deadline of your task has passed. The work goes on.'),
                    reminder(t.assigned_hustler_id, 'DEADLINE_PASSED', t.id, 'The deadline of this task has passed. The work goes on.')
                )
            ));
        when p_kind in ('CHOICE', 'CHOICE_REMINDER') and t.state = 'MATCHING' and not exists (
            select from live_broadcasts as r where r.task_id = t.id and r.state = 'ACTIVE'
        ) then
            if p_kind = 'CHOICE' then
                return end_task(t, 'CANCELLED', null, 'NO_CHOICE');
            end if;
            return answer || remind_of_choice(t);
        when p_kind = 'REVIEW_REMINDER' and t.state = 'PROOF_SUBMITTED' then
            return answer || remind_of_review(t);
        when p_kind = 'REVIEW' and t.state = 'PROOF_SUBMITTED' then
            return accept_proof(t, null, 'REVIEW_TIMEOUT');
        when p_kind = 'WORKING_STALE' and t.state = 'WORKING' then
            perform open_item('WORKING_STALE', t.id::text, jsonb_build_object(
                'started_at', wire_time(t.started_at), 'hustler_id', t.assigned_hustler_id
            ));
        when p_kind = 'REPLACEMENT' then
            return answer || jsonb_build_object(
                'events', append_events(lapse_replacement(t, p_subject))
            );
        when p_kind = 'FUNDS_HELD' then
            -- payment providers limit for how long money may be held
            perform open_item('FUNDS_HELD', p_subject::text, answer);
        when p_kind = 'DISPUTE_DUE' then
            perform open_item(
                'DISPUTE_DUE', p_subject::text, jsonb_build_object('task_id', t.id)
            );
        when p_kind = 'TRUST_REVIEW' then
            return jsonb_build_object('events', append_events(fire_trust_review(p_subject)));
        when p_kind = 'LIVE_STATE' then
            return fire_live_state(p_subject, due);
        else
            null;
    end case;
    return answer;
end;
$$;

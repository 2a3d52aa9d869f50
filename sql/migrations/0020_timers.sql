-- What happens when a deadline is due.
-- Commands as 0012_telling.sql describes them.

create function nudge(p_user uuid, p_kind text, p_task uuid, p_text text) returns jsonb
language sql immutable
return hx_event(p_user, 'NUDGE', jsonb_build_object(
    'kind', p_kind, 'text', p_text, 'task_id', p_task
));

-- The task that a timer is about, locked; a timer about a user has none.
create function timer_task(p_kind text, p_subject uuid) returns tasks
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
create function fire_timer(p_kind text, p_subject uuid) returns jsonb
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
                    nudge(t.poster_id, 'DEADLINE_PASSED', t.id, 'The deadline of your task has passed. The work goes on.'),
                    nudge(t.assigned_hustler_id, 'DEADLINE_PASSED', t.id, 'The deadline of this task has passed. The work goes on.')
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

-- A broadcast's time is over. Unless the task's own deadline ended it, the poster has 24 hours to
-- choose, and is told at once, after 1 hour and after 23 (design §2).
create function end_broadcast(t tasks, p_broadcast uuid) returns jsonb
language plpgsql
as $$
declare
    b live_broadcasts;
begin
    select * into b from live_broadcasts where id = p_broadcast for no key update;
    if b.state <> 'ACTIVE' then
        return '{}';
    end if;
    update live_broadcasts set state = 'EXPIRED', ended_at = expires_at where id = b.id;
    if t.deadline <= b.expires_at then
        -- its DEADLINE timer refunds
        return jsonb_build_object(
            'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
        );
    end if;
    perform hx_timer('CHOICE', t.id, b.expires_at + interval '24 hours');
    perform hx_timer('CHOICE_REMINDER', t.id, b.expires_at + interval '1 hour');
    return jsonb_build_object(
        'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id))),
        'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
    );
end;
$$;

create function remind_of_choice(t tasks) returns jsonb
language plpgsql
as $$
declare
    ended timestamptz;
begin
    select max(b.expires_at) into ended from live_broadcasts as b where b.task_id = t.id;
    if hx_clock() < ended + interval '23 hours' then
        perform hx_timer('CHOICE_REMINDER', t.id, ended + interval '23 hours');
    end if;
    return jsonb_build_object('events', append_events(jsonb_build_array(nudge(
        t.poster_id, 'CHOICE', t.id,
        'Nobody has accepted your task. You can list it as a standard task, raise the price, or'
        ' cancel it with a full refund. Without a choice within 24 hours it is cancelled.'
    ))));
end;
$$;

-- 24 and 4 hours before silence counts as an approval (design §2), with what is known of the work.
create function remind_of_review(t tasks) returns jsonb
language plpgsql
as $$
declare
    ends_at timestamptz;
begin
    select p.review_deadline into ends_at
    from proofs as p where p.task_id = t.id and p.state = 'SUBMITTED';
    if hx_clock() >= ends_at then
        return '{}';  -- its REVIEW timer is due
    end if;
    if hx_clock() < ends_at - interval '4 hours' then
        perform hx_timer('REVIEW_REMINDER', t.id, ends_at - interval '4 hours');
    end if;
    return jsonb_build_object('events', append_events(jsonb_build_array(nudge(
        t.poster_id, 'REVIEW', t.id,
        format(
            'The work on your task waits for your answer; it was %s. Without an answer it counts as'
            ' approved on %s, and your hustler is paid.',
            case
                when t.started_at is null then 'not started with your code'
                else 'started with your code'
            end,
            to_char(ends_at at time zone 'UTC', 'FMMonth FMDD "at" HH24:MI "UTC"')
        )
    ))));
end;
$$;

-- A replacement that nobody paid within 15 minutes.
create function lapse_replacement(t tasks, p_escrow uuid) returns jsonb
language plpgsql
as $$
begin
    if not exists (select from escrows as e where e.id = p_escrow and e.state = 'PENDING') then
        return '[]';
    end if;
    return lapse_proposals(t);
end;
$$;

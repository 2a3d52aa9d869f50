-- What happens when a deadline is due.
-- Commands as 0012_telling.sql describes them.

-- Fires one timer if it is still due. Whoever else fires it at the same time finds nothing to do.
create function fire_timer(p_kind text, p_subject uuid) returns jsonb
language plpgsql
as $$
declare
    t tasks;
    b live_broadcasts;
    answer jsonb := jsonb_build_object('task_id', p_subject);
    due timestamptz;
begin
    if p_kind = 'BROADCAST_END' then
        select tasks.* into t
        from live_broadcasts join tasks on tasks.id = live_broadcasts.task_id
        where live_broadcasts.id = p_subject
        for no key update of tasks;
        select * into b from live_broadcasts where id = p_subject for no key update;
    else
        select * into t from tasks where id = p_subject for no key update;
    end if;
    select due_at into due from timers where kind = p_kind and subject = p_subject for update;
    if due is null or due > hx_clock() then
        return answer;
    end if;
    delete from timers where kind = p_kind and subject = p_subject;

    if p_kind = 'BROADCAST_END' and b.state = 'ACTIVE' then
        update live_broadcasts set state = 'EXPIRED', ended_at = expires_at where id = b.id;
        if t.deadline <= b.expires_at then
            -- the task's own deadline ended it; its DEADLINE timer refunds
            return answer || jsonb_build_object(
                'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
            );
        end if;
        perform hx_timer('CHOICE', t.id, b.expires_at + interval '24 hours');
        return jsonb_build_object(
            'task_id', t.id,
            'events', append_events(jsonb_build_array(broadcast_event(b.id, t.poster_id))),
            'closed', jsonb_build_array(closed_broadcast(b.id, t.id, 'EXPIRED'))
        );
    elsif p_kind = 'UNFUNDED' and t.state in ('OPEN', 'MATCHING') and not exists (
        select from escrows as e where e.task_id = t.id and e.state = 'FUNDED'
    ) then
        return end_task(t, 'CANCELLED', null, 'UNFUNDED');
    elsif p_kind = 'DEADLINE' and t.state in ('OPEN', 'MATCHING') then
        return end_task(t, 'EXPIRED', null, 'DEADLINE');
    elsif p_kind = 'CHOICE' and t.state = 'MATCHING' and not exists (
        select from live_broadcasts as r where r.task_id = t.id and r.state = 'ACTIVE'
    ) then
        return end_task(t, 'CANCELLED', null, 'NO_CHOICE');
    elsif p_kind = 'REVIEW' and t.state = 'PROOF_SUBMITTED' then
        return complete_task(t, null, 'REVIEW_TIMEOUT');
    end if;
    return answer;
end;
$$;

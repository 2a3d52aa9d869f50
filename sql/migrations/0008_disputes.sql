-- Disputes: who is right about a task, decided by a person, with the money locked meanwhile.

create table disputes (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    escrow_id uuid not null,
    -- null when a chargeback opened it
    opened_by uuid,
    side text not null,
    reason text not null,
    state text not null default 'OPEN',
    outcome text,
    release_amount integer,
    refund_amount integer,
    resolved_by uuid,
    resolution text,
    opened_at timestamptz not null default hx_clock(),
    evidence_due_at timestamptz not null,
    resolved_at timestamptz,
    constraint disputes_pkey primary key (id),
    constraint disputes_task foreign key (task_id) references tasks (id),
    constraint disputes_escrow foreign key (escrow_id) references escrows (id),
    constraint disputes_resolver foreign key (resolved_by) references users (id),
    -- a task is disputed once: resolving it ends the task
    constraint disputes_one_per_task unique (task_id),
    constraint disputes_side check (side in ('POSTER', 'HUSTLER', 'ADMIN', 'SYSTEM')),
    constraint disputes_reason check (visible_text(reason) and length(reason) <= 2000),
    constraint disputes_state check (
        state in ('OPEN', 'EVIDENCE_REQUESTED', 'ESCALATED', 'RESOLVED')
    ),
    constraint disputes_resolved check (
        (state = 'RESOLVED') = (outcome is not null)
        and (state = 'RESOLVED') = (resolved_at is not null)
        and (state = 'RESOLVED') = (release_amount is not null and refund_amount is not null)
        and (state <> 'RESOLVED' or (resolved_by is not null and visible_text(resolution)))
    ),
    constraint disputes_amounts check (
        (outcome = 'HUSTLER' and release_amount > 0 and refund_amount = 0)
        or (outcome = 'POSTER' and release_amount = 0 and refund_amount > 0)
        or (outcome = 'SPLIT' and release_amount > 0 and refund_amount > 0)
        or outcome is null
    )
);
create index disputes_open on disputes (opened_at) where state <> 'RESOLVED';

create table evidence (
    id uuid not null default gen_random_uuid(),
    dispute_id uuid not null,
    submitted_by uuid not null,
    body text not null,
    upload_ids uuid[] not null default '{}',
    created_at timestamptz not null default hx_clock(),
    constraint evidence_pkey primary key (id),
    constraint evidence_dispute foreign key (dispute_id) references disputes (id),
    constraint evidence_author foreign key (submitted_by) references users (id),
    constraint evidence_body check (visible_text(body) and length(body) <= 5000),
    constraint evidence_photos check (cardinality(upload_ids) <= 5)
);
create index evidence_by_dispute on evidence (dispute_id, created_at);
create index evidence_by_upload on evidence using gin (upload_ids);

-- HX801: evidence stays what it was.
create trigger evidence_append_only before update or delete or truncate on evidence
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX010: evidence comes from the two sides or an admin, while the dispute is open. HX022: with photos
-- of their own that are kept.
create function evidence_guard() returns trigger
language plpgsql
as $$
begin
    if not exists (
        select from disputes as d
        inner join tasks as t on t.id = d.task_id
        where d.id = new.dispute_id and d.state <> 'RESOLVED'
            and (
                new.submitted_by in (t.poster_id, t.assigned_hustler_id)
                or is_admin(new.submitted_by)
            )
    ) then
        perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
    end if;
    if exists (
        select from unnest(new.upload_ids) as photo (id)
        where not exists (
            select from uploads as u
            where u.id = photo.id and u.user_id = new.submitted_by and u.used_at is not null
        )
    ) then
        perform hx_refuse('HX022', 'UPLOAD');
    end if;
    return new;
end;
$$;

create trigger evidence_guard before insert on evidence
for each row execute function evidence_guard();

-- HX010: a dispute is born OPEN over the held money of a task that its hustler works on, in the name
-- of its side, moves along the lifecycle, is decided by an admin for the whole amount, as the act on
-- record says, and stays decided. HX503: no admin opens or decides one of their own (OWN-CASE), nor
-- decides one that they opened.
create function dispute_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'OPEN' or not exists (
            select from tasks as t
            inner join escrows as e on e.task_id = t.id and e.is_current
            where t.id = new.task_id and e.id = new.escrow_id and e.state = 'FUNDED'
                and (
                    t.state in ('WORKING', 'PROOF_SUBMITTED')
                    or t.state = 'ACCEPTED' and (
                        t.arrived_at is not null or t.rejections > 0 or new.side = 'SYSTEM'
                    )
                )
                and case new.side
                    when 'POSTER' then new.opened_by = t.poster_id
                    when 'HUSTLER' then new.opened_by = t.assigned_hustler_id
                    when 'ADMIN' then exists (
                        select from users as u where u.id = new.opened_by and u.role = 'admin'
                    )
                    else new.opened_by is null
                end
        ) then
            perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
        end if;
        if new.side = 'ADMIN' then
            perform refuse_own_case(new.opened_by, new.task_id::text);
        end if;
        return new;
    end if;
    perform refuse_own_case(new.resolved_by, new.id::text);
    if (old.id, old.task_id, old.escrow_id, old.opened_by, old.side, old.reason, old.opened_at)
        is distinct from
        (new.id, new.task_id, new.escrow_id, new.opened_by, new.side, new.reason, new.opened_at)
        or old.state = 'RESOLVED'
        or (old.state <> new.state and not lifecycle_allows('dispute', old.state, new.state))
        or new.state = 'RESOLVED' and (
            not exists (
                select from admin_actions as a
                where a.admin_id = new.resolved_by and a.action_type = 'RESOLVE_DISPUTE'
                    and a.target_id = new.id::text and a.metadata ->> 'outcome' = new.outcome
                    and a.metadata ->> 'release_cents' = new.release_amount::text
            )
            or new.release_amount + new.refund_amount is distinct from (
                select e.amount from escrows as e where e.id = new.escrow_id
            )
        )
    then
        perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger dispute_guard before insert or update on disputes
for each row execute function dispute_guard();

-- HX010: a task is DISPUTED with an open dispute and its money locked, and leaves it as it was
-- decided: COMPLETED for the hustler or a split, CANCELLED (or EXPIRED) for the poster.
create function task_dispute_guard() returns trigger
language plpgsql
as $$
declare
    d disputes;
begin
    select * into d from disputes where task_id = new.id;
    if new.state = 'DISPUTED' and (
        d.id is null or d.state = 'RESOLVED' or not exists (
            select from escrows as e where e.id = d.escrow_id and e.state = 'LOCKED_DISPUTE'
        )
    ) or old.state = 'DISPUTED' and not coalesce(
        case new.state
            when 'COMPLETED' then d.outcome in ('HUSTLER', 'SPLIT') else d.outcome = 'POSTER'
        end,
        false
    ) then
        perform hx_refuse('HX010', 'DISPUTE-TRANSITION');
    end if;
    return new;
end;
$$;

create trigger task_dispute_guard before update of state on tasks
for each row when (
    (old.state = 'DISPUTED') <> (new.state = 'DISPUTED')
    and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_dispute_guard();

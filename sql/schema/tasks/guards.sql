-- Guards of a task: its steps, its terms, its marks, its arrivals.

-- HX801: how it is known that somebody came stays on record.
create or replace trigger arrivals_append_only before update or delete or truncate on arrivals
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX010: only who is on the way arrives, and not ahead of time.
create or replace function arrival_guard() returns trigger
language plpgsql
as $$
begin
    if new.at > hx_clock() or not exists (
        select from tasks as t
        where t.id = new.task_id and t.assigned_hustler_id = new.hustler_id
            and (
                t.state = 'ACCEPTED'
                or t.state = 'WORKING' and new.evidence = 'COMPLETION_CODE'
            )
    ) then
        perform hx_refuse('HX010', 'ARRIVAL');
    end if;
    return new;
end;
$$;

create or replace trigger arrival_guard before insert on arrivals
for each row execute function arrival_guard();

-- HX801: the audit trail only grows (architecture §9.3, AUDIT-5).
create or replace trigger task_transitions_append_only before update or delete or truncate on task_transitions
for each statement execute function append_only('HX801', 'AUDIT-5');

create or replace function task_transition_audit() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into task_transitions (task_id, from_state, to_state, actor_id, reason, at)
    values (
        new.id,
        case tg_op when 'UPDATE' then old.state end,
        new.state,
        nullif(current_setting('hx.actor', true), '')::uuid,
        nullif(current_setting('hx.reason', true), ''),
        hx_clock()
    );
    return null;
end;
$$;

create or replace trigger task_transition_audit_insert after insert on tasks
for each row execute function task_transition_audit();
create or replace trigger task_transition_audit_update after update of state on tasks
for each row when (old.state is distinct from new.state)
execute function task_transition_audit();

-- HX001: a task that has ended is frozen; only updated_at may change (product_spec §3.4).
create or replace function task_terminal_guard() returns trigger
language plpgsql
as $$
declare
    before tasks := old;
begin
    before.updated_at := new.updated_at;
    if before is distinct from new then
        perform hx_refuse('HX001', 'TASK-TERMINAL');
    end if;
    return new;
end;
$$;

create or replace trigger task_terminal_guard before update on tasks
for each row when (old.state in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_terminal_guard();

-- HX010: only the steps of the lifecycle. A task starts as OPEN or MATCHING by its mode, with nothing
-- of a later state; it follows another of its poster's that was cancelled, for the same price.
create or replace function task_transition_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> (case new.mode when 'LIVE' then 'MATCHING' else 'OPEN' end)
            or new.rejections <> 0
            or num_nonnulls(
                new.assigned_hustler_id, new.accepted_at, new.en_route_at, new.eta_at,
                new.arrived_at, new.started_at, new.completed_at, new.cancel_reason
            ) > 0
            or new.predecessor_id is not null and not exists (
                select from tasks as gone
                where gone.id = new.predecessor_id and gone.state = 'CANCELLED'
                    and gone.poster_id = new.poster_id and gone.price = new.price
            )
        then
            perform hx_refuse('HX010', 'TRANSITION');
        end if;
        return new;
    end if;
    if new.state is distinct from old.state
        and not lifecycle_allows('task', old.state, new.state)
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- a deadline bounds the acceptance: nothing expires before it
    if new.state = 'EXPIRED' and old.state <> 'EXPIRED'
        and coalesce(new.deadline > hx_clock(), true)
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- from an arrival on only a dispute takes the task from its hustler
    if old.state = 'ACCEPTED' and new.state = 'CANCELLED' and old.arrived_at is not null
        and new.cancel_reason is distinct from 'HUSTLER_RELEASED'
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    if new.assigned_hustler_id is distinct from old.assigned_hustler_id
        and not (new.state = 'ACCEPTED' and old.state in ('OPEN', 'MATCHING'))
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger task_transition_guard before insert or update on tasks
for each row execute function task_transition_guard();

-- HX503: a task is posted by an account that may post, which an admin's may not. A successor goes on in
-- the name of its predecessor's poster, whatever became of the account.
create or replace function task_poster_guard() returns trigger
language plpgsql
as $$
begin
    if not exists (select from users as u where u.id = new.poster_id and may_post(u.role)) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
    return new;
end;
$$;

create or replace trigger task_poster_guard before insert on tasks
for each row when (new.predecessor_id is null)
execute function task_poster_guard();

-- HX010: what happened is marked by the step that did it, once, and stays; rejections are counted,
-- not claimed; a no-show is none before its time. A task keeps its name and whom it follows, and its
-- version is counted by task_version alone.
create or replace function task_marks_guard() returns trigger
language plpgsql
as $$
begin
    if (old.id, old.created_at, old.predecessor_id, old.version)
        is distinct from (new.id, new.created_at, new.predecessor_id, new.version)
        or (old.accepted_at, old.en_route_at, old.eta_at)
        is distinct from (new.accepted_at, new.en_route_at, new.eta_at)
        and not (old.state in ('OPEN', 'MATCHING') and new.state = 'ACCEPTED')
        or old.arrived_at is distinct from new.arrived_at
        and (old.arrived_at is not null or old.state not in ('ACCEPTED', 'WORKING'))
        or old.started_at is distinct from new.started_at
        and not (old.state = 'ACCEPTED' and new.state = 'WORKING')
        or old.completed_at is distinct from new.completed_at and new.state <> 'COMPLETED'
        or old.cancel_reason is distinct from new.cancel_reason
        and new.state not in ('CANCELLED', 'EXPIRED')
        or old.rejections <> new.rejections and new.rejections <> (
            select count(*) from proofs as p where p.task_id = new.id and p.state = 'REJECTED'
        )
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    -- nobody has come, and no work has begun, on the hustler's word alone
    if old.arrived_at is distinct from new.arrived_at and not exists (
        select from arrivals as a
        where a.task_id = new.id and a.at = new.arrived_at and a.evidence <> 'CLAIM'
    ) or old.started_at is distinct from new.started_at and not exists (
        select from arrivals as a
        where a.task_id = new.id and a.at = new.started_at and a.evidence = 'START_CODE'
    ) then
        perform hx_refuse('HX010', 'ARRIVAL');
    end if;
    if old.state = 'ACCEPTED' and new.cancel_reason = 'NO_SHOW' and hx_clock() < no_show_from(old)
    then
        perform hx_refuse('HX010', 'NO-SHOW', no_show_from(old));
    end if;
    return new;
end;
$$;

create or replace trigger task_marks_guard before update on tasks
for each row when (old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_marks_guard();

-- HX010: mode never changes (product_spec §3.5).
create or replace function task_mode_immutable() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX010', 'MODE-IMMUTABLE');
    return null;
end;
$$;

create or replace trigger task_mode_immutable before update of mode on tasks
for each row when (
    old.mode is distinct from new.mode and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_mode_immutable();

-- HX902 (LIVE-2): a LIVE task has a least price; the CHECK stands behind it.
create or replace function live_price_floor() returns trigger
language plpgsql
as $$
begin
    perform hx_refuse('HX902', 'LIVE-2');
    return null;
end;
$$;

create or replace trigger live_price_floor before insert or update of price on tasks
for each row when (new.mode = 'LIVE' and new.price < live_price_min_cents())
execute function live_price_floor();

-- HX301 (INV-3): COMPLETED needs an ACCEPTED proof.
create or replace function task_completed_requires_accepted_proof() returns trigger
language plpgsql
as $$
begin
    if (old.requires_proof or new.requires_proof) and not exists (
        select from proofs as p where p.task_id = new.id and p.state = 'ACCEPTED'
    ) then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create or replace trigger task_completed_requires_accepted_proof before update of state on tasks
for each row when (
    new.state = 'COMPLETED' and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_completed_requires_accepted_proof();

-- HX301: PROOF_SUBMITTED needs a submitted proof.
create or replace function task_submission_requires_proof() returns trigger
language plpgsql
as $$
begin
    if not exists (
        select from proofs as p where p.task_id = new.id and p.state = 'SUBMITTED'
    ) then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create or replace trigger task_submission_requires_proof before update of state on tasks
for each row when (old.state in ('ACCEPTED', 'WORKING') and new.state = 'PROOF_SUBMITTED')
execute function task_submission_requires_proof();

-- The terms of a task carry a version; an accept may name the one it saw.
create or replace function task_version() returns trigger
language plpgsql
as $$
begin
    if terms_of(old) is distinct from terms_of(new) then
        new.version := old.version + 1;
    end if;
    return new;
end;
$$;

create or replace trigger task_version before update on tasks
for each row when (old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_version();

-- HX019: what a hustler accepts and the escrow pays is fixed once the money is held (design §2).
-- Title and description stay editable until the work begins, but not while cards show them; the
-- price follows its escrow, and the poster never changes.
create or replace function task_terms_guard() returns trigger
language plpgsql
as $$
declare
    before task_terms := terms_of(old);
    after task_terms := terms_of(new);
    e escrows;
begin
    if old.poster_id <> new.poster_id then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    -- most updates are steps of the lifecycle: they need no look at the escrow
    if before is not distinct from after then
        return new;
    end if;
    select * into e from escrows where task_id = old.id and is_current and state <> 'CANCELLED';
    if old.state in ('OPEN', 'MATCHING') and (e.id is null or e.state = 'PENDING') then
        return new;
    end if;
    if old.price <> new.price and not (
        e.state = 'FUNDED' and e.amount = new.price and old.state in ('MATCHING', 'ACCEPTED')
    ) then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    if (old.title, old.description) is distinct from (new.title, new.description)
        and old.state not in ('OPEN', 'ACCEPTED')
    then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    before.price := after.price;
    before.title := after.title;
    before.description := after.description;
    if before is distinct from after then
        perform hx_refuse('HX019', 'EDIT');
    end if;
    return new;
end;
$$;

create or replace trigger task_terms_guard before update on tasks
for each row when (old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED'))
execute function task_terms_guard();

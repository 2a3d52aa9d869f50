-- Guards of disputes and their evidence.

-- HX801: evidence stays what it was.
create or replace trigger evidence_append_only before update or delete or truncate on evidence
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX010: evidence comes from the two sides or an admin, while the dispute is open. HX022: with photos
-- of their own that are kept.
create or replace function evidence_guard() returns trigger
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

create or replace trigger evidence_guard before insert on evidence
for each row execute function evidence_guard();

-- HX010: a dispute is born OPEN over the held money of a task that its hustler works on, in the name
-- of its side, moves along the lifecycle, is decided by an admin for the whole amount, as the act on
-- record says, and stays decided. HX503: no admin opens or decides one of their own (OWN-CASE), nor
-- decides one that they opened.
create or replace function dispute_guard() returns trigger
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

create or replace trigger dispute_guard before insert or update on disputes
for each row execute function dispute_guard();

-- HX010: a task is DISPUTED with an open dispute and its money locked, and leaves it as it was
-- decided: COMPLETED for the hustler or a split, CANCELLED (or EXPIRED) for the poster.
create or replace function task_dispute_guard() returns trigger
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

create or replace trigger task_dispute_guard before update of state on tasks
for each row when (
    (old.state = 'DISPUTED') <> (new.state = 'DISPUTED')
    and old.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')
)
execute function task_dispute_guard();

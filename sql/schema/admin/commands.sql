-- What an admin does with items and cases: docs/admin.md.
--
-- Every command of an admin begins with admin_act(): HX503 for who is no admin or has a stake in it, and a
-- row in admin_actions that goes with the transaction.
-- Locks: tasks (by id) → broadcast → escrow → live status → users.

-- Whether an admin's act on a user is on record in this transaction.
create or replace function acted_on_user(p_user uuid, p_actions text[]) returns boolean
language plpgsql stable
as $$
begin
    return exists (
        select from admin_actions as a
        where a.target_type = 'user' and a.target_id = p_user::text
            and a.action_type = any(p_actions)
            and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())
    );
end;
$$;

-- HX503 for who is no admin.
create or replace function admin_only(p_admin uuid) returns void
language plpgsql
as $$
begin
    if not exists (
        select from users as u
        where u.id = p_admin and u.role = 'admin' and u.account_status = 'ACTIVE'
    ) then
        perform hx_refuse('HX503', 'PERMISSION');
    end if;
end;
$$;

-- Who has a stake in what an act is about, given by its id or the provider's name of it. Of a task, and
-- of all that belongs to one: poster and hustler, also those of the tasks before and behind it, which
-- share its money; of a dispute also who opened it; of an account, a badge and an award whose it is; of
-- an admin's item those of everything that it names.
create or replace function people_of_case(p_about text) returns uuid[]
language plpgsql
as $$
declare
    ids uuid[] := uuids_in(p_about);
    names text[] := array[p_about];
begin
    select
        ids || coalesce(array_agg(i.id), '{}'),
        names || coalesce(array_agg(i.named), '{}')
    into ids, names
    from (
        select u.id, null as named
        from admin_items as o
        cross join unnest(uuids_in(o.subject || ' ' || o.details::text)) as u (id)
        where o.id = any(ids)
        union all
        select null, o.subject from admin_items as o where o.id = any(ids)
        union all
        select null, d.value
        from admin_items as o
        cross join jsonb_each_text(
            case jsonb_typeof(o.details) when 'object' then o.details else '{}' end
        ) as d
        where o.id = any(ids)
    ) as i;
    return (
        with cases (task_id) as (
            select t.id from tasks as t where t.id = any(ids)
            union
            select d.task_id from disputes as d where d.id = any(ids)
            union
            select p.task_id from proofs as p where p.id = any(ids)
            union
            select p.task_id from price_proposals as p where p.id = any(ids)
            union
            select b.task_id from live_broadcasts as b where b.id = any(ids)
            union
            select x.task_id from xp_ledger as x where x.id = any(ids)
            union
            select e.task_id from escrows as e
            where e.id = any(ids) or e.stripe_payment_intent_id = any(names)
            union
            select e.task_id
            from settlements as s inner join escrows as e on e.id = s.escrow_id
            where s.id = any(ids) or s.payment = any(names)
                or s.transfer_reference = any(names) or s.refund_reference = any(names)
            union
            select e.task_id
            from chargebacks as c inner join escrows as e on e.id = c.escrow_id
            where c.id = any(names)
            union
            select e.task_id
            from external_refunds as r inner join escrows as e on e.id = r.escrow_id
            where r.id = any(names)
        ),

        sides (user_id) as (
            select u.id from users as u where u.id = any(ids)
            union all
            select a.user_id from payout_accounts as a where a.account_id = any(names)
            union all
            select b.user_id from badges as b where b.id = any(ids)
            union all
            select d.opened_by from disputes as d where d.id = any(ids)
            union all
            select side.id
            from cases as c
            cross join unnest(task_lineage(c.task_id)) as lineage (id)
            inner join tasks as t on t.id = lineage.id
            cross join unnest(array[t.poster_id, t.assigned_hustler_id]) as side (id)
        )

        select array_agg(distinct s.user_id) from sides as s where s.user_id is not null
    );
end;
$$;

-- HX503 (OWN-CASE): nobody decides where they have a stake, though the account became an admin's since.
create or replace function refuse_own_case(p_admin uuid, p_about text) returns void
language plpgsql strict
as $$
begin
    if is_admin(p_admin) and p_admin = any(people_of_case(p_about)) then
        perform hx_refuse('HX503', 'OWN-CASE');
    end if;
end;
$$;

-- The row that every command of an admin leaves; HX503 for anybody else, and for who has a stake in it.
-- A command that has to look before it knows what to write down asks admin_may_decide() first.
create or replace function admin_may_decide(p_admin uuid, p_about text) returns void
language plpgsql
as $$
begin
    perform admin_only(p_admin);
    perform refuse_own_case(p_admin, p_about);
end;
$$;

create or replace function admin_act(
    p_admin uuid, p_action text, p_target_type text, p_target_id text, p_reason text,
    p_metadata jsonb default '{}'
) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into admin_actions (admin_id, action_type, target_type, target_id, reason, metadata)
    values (p_admin, p_action, p_target_type, p_target_id, p_reason, p_metadata)
    returning id into made;
    return made;
end;
$$;
-- A person has looked at it.
create or replace function close_admin_item(p_admin uuid, p_item uuid, p_reason text) returns jsonb
language plpgsql
as $$
declare
    i admin_items;
    acted uuid;
begin
    select * into i from admin_items where id = p_item;
    acted := admin_act(
        p_admin, 'CLOSE_ITEM', 'admin_item', p_item::text, p_reason,
        jsonb_build_object('kind', i.kind, 'subject', i.subject)
    );
    if i.id is null then
        perform hx_not_found();
    end if;
    update admin_items set closed_at = hx_clock(), closed_by = p_admin
    where id = p_item and closed_at is null;
    return jsonb_build_object('subject_id', p_item);
end;
$$;

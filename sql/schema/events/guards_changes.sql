-- What writes `changes`: triggers, so that every writer counts, psql included (ADR 0027). Each looks at
-- the values before it writes, and none looks whether its row is there already: a reader takes each
-- once, and looking would cost more than the row.

-- The row's own id, under the kind that the trigger names.
create or replace function row_changed() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into changes (slot, kind, id) values (changes_slot(hx_clock()), tg_argv[0], new.id);
    return null;
end;
$$;

create or replace trigger user_suspended after update on users
for each row when (old.account_status <> 'SUSPENDED' and new.account_status = 'SUSPENDED')
execute function row_changed('SUSPENDED');

create or replace trigger user_tokens_revoked after update on users
for each row when (new.tokens_revoked_at is distinct from old.tokens_revoked_at)
execute function row_changed('REVOKED');

create or replace trigger user_changed after update on users
for each row when (
    (old.role, old.account_status, old.trust_tier)
    is distinct from (new.role, new.account_status, new.trust_tier)
)
execute function row_changed('HUSTLER');

create or replace trigger broadcast_began after insert on live_broadcasts
for each row execute function row_changed('BROADCAST');

create or replace trigger broadcast_ended after update on live_broadcasts
for each row when (old.state <> new.state)
execute function row_changed('BROADCAST');

-- What is the hustler's own, and begins with the user: profile, LIVE status.
create or replace function hustler_changed() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into changes (slot, kind, id) values (changes_slot(hx_clock()), 'HUSTLER', new.user_id);
    return null;
end;
$$;

create or replace trigger profile_changed after update on hustler_profiles
for each row when (old is distinct from new)
execute function hustler_changed();

create or replace trigger live_status_changed after update on live_status
for each row when (old is distinct from new)
execute function hustler_changed();

-- An answer frees a place for another offer.
create or replace function offer_answered() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into changes (slot, kind, id) values (changes_slot(hx_clock()), 'HUSTLER', new.hustler_id);
    return null;
end;
$$;

create or replace trigger offer_answered after update on offers
for each row when (old.response is distinct from new.response)
execute function offer_answered();

-- Whoever holds a task is busy with it, or on the way to it, by its state.
create or replace function task_holder_changed() returns trigger
language plpgsql security definer
set search_path = public, pg_temp
as $$
begin
    insert into changes (slot, kind, id)
    select changes_slot(hx_clock()), 'HUSTLER', h.id
    from (values (old.assigned_hustler_id), (new.assigned_hustler_id)) as h (id)
    where h.id is not null
    group by h.id;
    return null;
end;
$$;

create or replace trigger task_holder_changed after update on tasks
for each row when (
    (old.assigned_hustler_id, old.state) is distinct from (new.assigned_hustler_id, new.state)
    and coalesce(old.assigned_hustler_id, new.assigned_hustler_id) is not null
)
execute function task_holder_changed();

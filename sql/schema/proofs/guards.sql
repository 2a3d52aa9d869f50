-- Guards of a proof and its photos.

-- HX801: what was handed in stays what it was.
create or replace trigger proof_photos_append_only before update or delete or truncate on proof_photos
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX010: a photo joins a proof that is still being put together, is its hustler's own, and is told as
-- it was uploaded.
create or replace function proof_photo_guard() returns trigger
language plpgsql
as $$
begin
    if not exists (
        select from proofs as p
        inner join uploads as u on u.user_id = p.hustler_id
        where p.id = new.proof_id and u.id = new.upload_id
            and p.kind = 'PHOTOS' and p.state = 'PENDING'
            and (
                new.storage_url, new.file_size, new.mime_type, new.gps_latitude, new.gps_longitude,
                new.capture_timestamp
            ) is not distinct from (
                u.storage_key, u.bytes, u.content_type, u.gps_latitude, u.gps_longitude,
                coalesce(u.captured_at, u.created_at)
            )
    ) then
        perform hx_refuse('HX010', 'PROOF-TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger proof_photo_guard before insert on proof_photos
for each row execute function proof_photo_guard();

-- HX301: a proof is handed in by the hustler who holds the task, stays what and whose it is, and is
-- complete when it is submitted. A DECISION stands only on a resolved dispute (INV-3).
-- HX010: PENDING → SUBMITTED → ACCEPTED, REJECTED or EXPIRED, along the lifecycle; the time for its
-- review runs from the submission. Photos and NONE are handed in after the start or an arrival.
create or replace function proof_guard() returns trigger
language plpgsql
as $$
declare
    t tasks;
begin
    select * into t from tasks where id = new.task_id;
    if tg_op = 'INSERT' then
        if new.kind = 'DECISION' then
            if new.state <> 'ACCEPTED' or t.assigned_hustler_id is distinct from new.hustler_id
                or not exists (
                    select from disputes as d
                    where d.task_id = new.task_id and d.state = 'RESOLVED'
                        and d.outcome in ('HUSTLER', 'SPLIT')
                )
            then
                perform hx_refuse('HX301', 'INV-3');
            end if;
        elsif new.state not in ('PENDING', 'SUBMITTED')
            or t.assigned_hustler_id is distinct from new.hustler_id
            or t.state not in ('ACCEPTED', 'WORKING')
            or (new.kind = 'NONE' and t.requires_proof)
        then
            perform hx_refuse('HX301', 'INV-3');
        end if;
    else
        if (old.task_id, old.hustler_id, old.kind) is distinct from
            (new.task_id, new.hustler_id, new.kind)
        then
            perform hx_refuse('HX301', 'INV-3');
        end if;
        if old.state in ('ACCEPTED', 'REJECTED', 'EXPIRED')
            or old.state = 'SUBMITTED' and (old.submitted_at, old.review_deadline)
            is distinct from (new.submitted_at, new.review_deadline)
            or (
                old.state <> new.state and not lifecycle_allows('proof', old.state, new.state)
            )
        then
            perform hx_refuse('HX010', 'PROOF-TRANSITION');
        end if;
    end if;
    -- no money for work to which nobody came (design §2): a picture proves nothing from afar
    if new.kind in ('PHOTOS', 'NONE') and new.state = 'SUBMITTED'
        and t.arrived_at is null and t.started_at is null
    then
        perform hx_refuse('HX010', 'ARRIVAL');
    end if;
    if new.kind = 'PHOTOS' and new.state = 'SUBMITTED' and (
        select count(*) from proof_photos as p where p.proof_id = new.id
    ) < t.min_photos then
        perform hx_refuse('HX301', 'INV-3');
    end if;
    return new;
end;
$$;

create or replace trigger proof_guard before insert or update on proofs
for each row execute function proof_guard();

-- HX010: a task goes back to its hustler only with its proof turned down, to where it came from; the
-- last time a person decides.
create or replace function task_reject_guard() returns trigger
language plpgsql
as $$
begin
    if (new.state = 'WORKING') <> (old.started_at is not null)
        or exists (
            select from proofs as p where p.task_id = new.id and p.state = 'SUBMITTED'
        )
        or new.rejections <> old.rejections + 1 or new.rejections >= rejections_max()
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create or replace trigger task_reject_guard before update of state on tasks
for each row when (old.state = 'PROOF_SUBMITTED' and new.state in ('ACCEPTED', 'WORKING'))
execute function task_reject_guard();

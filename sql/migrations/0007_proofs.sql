-- Proofs: what the hustler hands in, and the photos that belong to it.

-- A photo that somebody uploaded; its place in the world is kept here and shown to nobody.
create table uploads (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    storage_key text not null,
    content_type text not null,
    bytes integer not null,
    width integer not null,
    height integer not null,
    sha256 bytea not null,
    gps_latitude double precision,
    gps_longitude double precision,
    -- what the camera says; not proven
    captured_at timestamptz,
    created_at timestamptz not null default hx_clock(),
    -- a proof or a dispute's evidence has it: never used again, never swept
    used_at timestamptz,
    constraint uploads_pkey primary key (id),
    constraint uploads_user foreign key (user_id) references users (id),
    constraint uploads_storage_key unique (storage_key),
    constraint uploads_type check (content_type in ('image/jpeg', 'image/png')),
    constraint uploads_bytes check (bytes between 1 and 10485760),
    constraint uploads_place check (
        (gps_latitude is null) = (gps_longitude is null)
        and gps_latitude between -90 and 90 and gps_longitude between -180 and 180
    )
);
create index uploads_unused on uploads (user_id, created_at) where used_at is null;

create table proofs (
    id uuid not null default gen_random_uuid(),
    task_id uuid not null,
    hustler_id uuid not null,
    -- PHOTOS; CODE: the completion code; NONE: a task that asks for no proof; DECISION: a dispute's
    kind text not null,
    state text not null default 'PENDING',
    created_at timestamptz not null default hx_clock(),
    submitted_at timestamptz,
    review_deadline timestamptz,
    reviewed_at timestamptz,
    reject_reason text,
    constraint proofs_pkey primary key (id),
    constraint proofs_task foreign key (task_id) references tasks (id),
    constraint proofs_kind check (kind in ('PHOTOS', 'CODE', 'NONE', 'DECISION')),
    constraint proofs_state check (
        state in ('PENDING', 'SUBMITTED', 'ACCEPTED', 'REJECTED', 'EXPIRED')
    ),
    constraint proofs_rejected check (state <> 'REJECTED' or visible_text(reject_reason))
);
create index proofs_by_task on proofs (task_id);
-- One proof at a time is under review.
create unique index one_open_proof_per_task on proofs (task_id)
where state in ('PENDING', 'SUBMITTED');

create table proof_photos (
    id uuid not null default gen_random_uuid(),
    proof_id uuid not null,
    upload_id uuid not null,
    storage_url text not null,
    file_size integer not null,
    mime_type text not null,
    gps_latitude double precision,
    gps_longitude double precision,
    capture_timestamp timestamptz,
    upload_order smallint not null,
    constraint proof_photos_pkey primary key (id),
    constraint proof_photos_proof foreign key (proof_id) references proofs (id),
    constraint proof_photos_upload foreign key (upload_id) references uploads (id),
    -- a photo proves one thing, once
    constraint proof_photos_once unique (upload_id),
    constraint proof_photos_order unique (proof_id, upload_order),
    constraint proof_photos_count check (upload_order between 1 and 5),
    constraint proof_photos_type check (mime_type in ('image/jpeg', 'image/png')),
    constraint proof_photos_size check (file_size between 1 and 10485760)
);

-- HX801: what was handed in stays what it was.
create trigger proof_photos_append_only before update or delete or truncate on proof_photos
for each statement execute function append_only('HX801', 'AUDIT-5');

-- HX801: an upload stays what it was; it is used once, and deleted only while unused.
create function upload_guard() returns trigger
language plpgsql
as $$
declare
    before uploads := old;
begin
    if old.used_at is null and tg_op = 'DELETE' then
        return old;
    end if;
    if tg_op = 'UPDATE' then
        before.used_at := new.used_at;
        if old.used_at is null and before is not distinct from new then
            return new;
        end if;
    end if;
    perform hx_refuse('HX801', 'AUDIT-5');
    return null;
end;
$$;

create trigger upload_guard before update or delete on uploads
for each row execute function upload_guard();

-- HX010: a photo joins a proof that is still being put together, is its hustler's own, and is told as
-- it was uploaded.
create function proof_photo_guard() returns trigger
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

create trigger proof_photo_guard before insert on proof_photos
for each row execute function proof_photo_guard();

-- HX301: a proof is handed in by the hustler who holds the task, stays what and whose it is, and is
-- complete when it is submitted. A DECISION stands only on a resolved dispute (INV-3).
-- HX010: PENDING → SUBMITTED → ACCEPTED, REJECTED or EXPIRED, along the lifecycle; the time for its
-- review runs from the submission. Photos and NONE are handed in after the start or an arrival.
create function proof_guard() returns trigger
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

create trigger proof_guard before insert or update on proofs
for each row execute function proof_guard();

-- HX010: a task goes back to its hustler only with its proof turned down, to where it came from; the
-- third time a person decides.
create function task_reject_guard() returns trigger
language plpgsql
as $$
begin
    if (new.state = 'WORKING') <> (old.started_at is not null)
        or exists (
            select from proofs as p where p.task_id = new.id and p.state = 'SUBMITTED'
        )
        or new.rejections <> old.rejections + 1 or new.rejections > 2
    then
        perform hx_refuse('HX010', 'TRANSITION');
    end if;
    return new;
end;
$$;

create trigger task_reject_guard before update of state on tasks
for each row when (old.state = 'PROOF_SUBMITTED' and new.state in ('ACCEPTED', 'WORKING'))
execute function task_reject_guard();

-- Registers a stored photo. At most 20 wait unused per user (HX022).
create function add_upload(p_user uuid, p_facts jsonb) returns jsonb
language plpgsql
as $$
declare
    made uuid;
begin
    -- two uploads at once count each other
    perform pg_advisory_xact_lock(hashtextextended('uploads:' || p_user, 0));
    if (select count(*) >= 20 from uploads where user_id = p_user and used_at is null) then
        perform hx_refuse('HX022', 'UPLOAD');
    end if;
    insert into uploads (
        user_id, storage_key, content_type, bytes, width, height, sha256,
        gps_latitude, gps_longitude, captured_at
    )
    select
        p_user, f.storage_key, f.content_type, f.bytes, f.width, f.height,
        decode(f.sha256, 'hex'), f.gps_latitude, f.gps_longitude, f.captured_at
    from jsonb_to_record(p_facts) as f (
        storage_key text, content_type text, bytes integer, width integer, height integer,
        sha256 text, gps_latitude double precision, gps_longitude double precision,
        captured_at timestamptz
    )
    returning id into made;
    return jsonb_build_object('upload_id', made);
end;
$$;

-- Marks a user's own unused uploads of the last 24 hours as used; HX022 for any other.
-- Older ones are about to be swept: first their bytes go, then their rows.
create function use_uploads(p_user uuid, p_uploads uuid[]) returns void
language plpgsql
as $$
begin
    perform from uploads where id = any(p_uploads) and user_id = p_user order by id for update;
    if (
        select count(*) from uploads
        where id = any(p_uploads) and user_id = p_user and used_at is null
            and created_at > hx_clock() - interval '24 hours'
    ) <> cardinality(p_uploads) then
        perform hx_refuse('HX022', 'UPLOAD');
    end if;
    update uploads set used_at = hx_clock() where id = any(p_uploads);
end;
$$;

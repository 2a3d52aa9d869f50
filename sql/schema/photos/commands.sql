-- Photos, kept and used once.

-- Registers a stored photo. A user has only so many unused ones (HX022).
create or replace function add_upload(p_user uuid, p_facts jsonb) returns jsonb
language plpgsql
as $$
declare
    made uuid;
begin
    -- two uploads at once count each other
    perform pg_advisory_xact_lock(hashtextextended('uploads:' || p_user, 0));
    if (select count(*) >= unused_photos_max() from uploads where user_id = p_user and used_at is null) then
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

-- Marks a user's own unused uploads as used while they are usable; HX022 for any other.
-- Older ones are about to be swept: first their bytes go, then their rows.
create or replace function use_uploads(p_user uuid, p_uploads uuid[]) returns void
language plpgsql
as $$
begin
    perform from uploads where id = any(p_uploads) and user_id = p_user order by id for update;
    if (
        select count(*) from uploads
        where id = any(p_uploads) and user_id = p_user and used_at is null
            and created_at > hx_clock() - photo_usable_for()
    ) <> cardinality(p_uploads) then
        perform hx_refuse('HX022', 'UPLOAD');
    end if;
    update uploads set used_at = hx_clock() where id = any(p_uploads);
end;
$$;

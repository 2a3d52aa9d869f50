-- Photos that wait for their use.

-- A photo that somebody uploaded; its place in the world is kept here and shown to nobody.
create table uploads (
    id uuid not null default hx_id(),
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
    constraint uploads_bytes check (bytes between 1 and photo_bytes_max()),
    constraint uploads_place check (
        (gps_latitude is null) = (gps_longitude is null)
        and gps_latitude between -90 and 90 and gps_longitude between -180 and 180
    )
);
create index uploads_unused on uploads (user_id, created_at) where used_at is null;

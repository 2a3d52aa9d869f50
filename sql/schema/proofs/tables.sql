-- Proofs: what the hustler hands in, and the photos that belong to it.

create table proofs (
    id uuid not null default hx_id(),
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
    id uuid not null default hx_id(),
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
    constraint proof_photos_count check (upload_order between 1 and photos_max()),
    constraint proof_photos_type check (mime_type in ('image/jpeg', 'image/png')),
    constraint proof_photos_size check (file_size between 1 and photo_bytes_max())
);

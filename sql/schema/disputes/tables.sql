-- Disputes: who is right about a task, decided by a person, with the money locked meanwhile.

create table disputes (
    id uuid not null default hx_id(),
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
    constraint disputes_reason check (visible_text(reason) and length(reason) <= reason_chars_max()),
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
create index disputes_by_age on disputes (opened_at, id);

create table evidence (
    id uuid not null default hx_id(),
    dispute_id uuid not null,
    submitted_by uuid not null,
    body text not null,
    upload_ids uuid[] not null default '{}',
    created_at timestamptz not null default hx_clock(),
    constraint evidence_pkey primary key (id),
    constraint evidence_dispute foreign key (dispute_id) references disputes (id),
    constraint evidence_author foreign key (submitted_by) references users (id),
    constraint evidence_body check (visible_text(body) and length(body) <= evidence_chars_max()),
    constraint evidence_photos check (cardinality(upload_ids) <= photos_max())
);
create index evidence_by_dispute on evidence (dispute_id, created_at);
create index evidence_by_upload on evidence using gin (upload_ids);

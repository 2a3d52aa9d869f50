-- Price proposals.

-- The other side's, or one's own, wish for another price, before the work has begun.
create table price_proposals (
    id uuid not null default hx_id(),
    task_id uuid not null,
    proposer_id uuid not null,
    price integer not null,
    state text not null default 'OPEN',
    escrow_id uuid,
    created_at timestamptz not null default hx_clock(),
    updated_at timestamptz not null default hx_clock(),
    constraint price_proposals_pkey primary key (id),
    constraint price_proposals_task foreign key (task_id) references tasks (id),
    constraint price_proposals_escrow foreign key (escrow_id) references escrows (id),
    constraint price_proposals_price check (price >= task_price_min_cents()),
    constraint price_proposals_state check (
        state in ('OPEN', 'AGREED', 'DECLINED', 'LAPSED', 'APPLIED')
    ),
    constraint price_proposals_agreed check (
        (state in ('AGREED', 'APPLIED')) <= (escrow_id is not null)
    )
);
-- One price at a time is on the table.
create unique index one_open_proposal_per_task on price_proposals (task_id)
where state in ('OPEN', 'AGREED');
create index price_proposals_by_task on price_proposals (task_id, created_at);

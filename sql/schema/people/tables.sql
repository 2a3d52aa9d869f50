-- Users and what matching knows about hustlers.

-- Ledgers and events carry ids only; names and places live in rows that erasure can empty.
create table users (
    id uuid not null default hx_id(),
    issuer text not null,
    subject text not null,
    role text not null,
    first_name text not null default 'Someone',
    account_status text not null default 'ACTIVE',
    -- when somebody checked who this is
    identity_verified_at timestamptz,
    trust_tier smallint not null default 1,
    -- caches of xp_ledger and trust_ledger, which win
    total_xp integer not null default 0,
    trust_points numeric(8, 1) not null default 0,
    created_at timestamptz not null default hx_clock(),
    -- tokens issued until then are refused; by the time of the world, as tokens are
    tokens_revoked_at timestamptz,
    constraint users_pkey primary key (id),
    constraint users_identity unique (issuer, subject),
    constraint users_role check (role in ('poster', 'hustler', 'dual', 'admin')),
    constraint users_account_status check (account_status in ('ACTIVE', 'PAUSED', 'SUSPENDED')),
    -- 1 ROOKIE, 2 VERIFIED, 3 TRUSTED, 4 ELITE (architecture §4.1)
    constraint users_trust_tier check (trust_tier between 1 and 4),
    constraint users_total_xp check (total_xp >= 0),
    constraint users_first_name check (length(first_name) between 1 and 80),
    constraint users_subject check (length(subject) between 1 and 255)
);

create table hustler_profiles (
    user_id uuid not null,
    version integer not null default 1,
    verified_trades text[] not null default '{}',
    insurance_valid boolean not null default false,
    background_check_valid boolean not null default false,
    completion_rate double precision,
    approval_rate double precision,
    preferred_categories text[] not null default '{}',
    category_counts jsonb not null default '{}',
    minimum_price_cents integer,
    available_minutes integer,
    home_lat double precision,
    home_lng double precision,
    constraint hustler_profiles_pkey primary key (user_id),
    constraint hustler_profiles_user foreign key (user_id) references users (id),
    constraint hustler_profiles_completion_rate check (completion_rate between 0 and 1),
    constraint hustler_profiles_approval_rate check (approval_rate between 0 and 1)
);

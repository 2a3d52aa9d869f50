-- XP, levels, streaks, badges, trust. Definitions: docs/progress.md.

-- ── Levels ──────────────────────────────────────────────────────────────────────────────────────
-- product_spec §5.4, the table; twin of tests/oracles/xp.py.
create table levels (
    level smallint not null,
    xp_required integer not null,
    title text not null,
    constraint levels_pkey primary key (level),
    constraint levels_xp unique (xp_required)
);

insert into levels (level, xp_required, title) values
(1, 0, 'Rookie'),
(2, 100, 'Beginner'),
(3, 300, 'Apprentice'),
(4, 600, 'Journeyman'),
(5, 1000, 'Skilled'),
(6, 1500, 'Expert'),
(7, 2100, 'Master'),
(8, 2800, 'Grandmaster'),
(9, 3600, 'Legend'),
(10, 4500, 'Mythic');

-- ── Streaks ─────────────────────────────────────────────────────────────────────────────────────
-- Only the owner sets the grace.
create table progress_settings (
    singleton boolean not null default true,
    grace interval not null default interval '24 hours',
    constraint progress_settings_pkey primary key (singleton),
    constraint progress_settings_one_row check (singleton),
    constraint progress_settings_grace check (grace >= interval '0')
);
insert into progress_settings default values;

-- One row per user, made with the user. The streak is a copy of xp_ledger's newest row, as of
-- last_completed_on; whether it is alive at an instant is streak_now()'s answer.
create table progress (
    user_id uuid not null,
    time_zone text not null default 'UTC',
    streak_days integer not null default 0,
    longest_streak_days integer not null default 0,
    -- a day of the user's time zone at that time; it never goes back
    last_completed_on date,
    constraint progress_pkey primary key (user_id),
    constraint progress_user foreign key (user_id) references users (id),
    constraint progress_streak check (
        streak_days between 0 and longest_streak_days
        and (streak_days = 0) = (last_completed_on is null)
    )
);

create type streak as (days integer, last_on date);

-- ── XP ──────────────────────────────────────────────────────────────────────────────────────────
create table xp_ledger (
    id uuid not null default hx_id(),
    user_id uuid not null,
    task_id uuid not null,
    escrow_id uuid not null,
    -- cents that were released: what the XP stands on
    amount integer not null,
    base_xp integer not null,
    streak_multiplier numeric(3, 2) not null,
    trust_multiplier numeric(2, 1) not null,
    live_multiplier numeric(3, 2) not null,
    effective_xp integer not null,
    user_xp_before integer not null,
    user_xp_after integer not null,
    user_level_before smallint not null,
    user_level_after smallint not null,
    user_streak_at_award integer not null,
    -- the last day that counts in that streak
    streak_on date not null,
    created_at timestamptz not null,
    constraint xp_ledger_pkey primary key (id),
    constraint xp_ledger_user foreign key (user_id) references users (id),
    constraint xp_ledger_task foreign key (task_id) references tasks (id),
    constraint xp_ledger_escrow foreign key (escrow_id) references escrows (id),
    -- INV-5: at most one row per escrow (23505)
    constraint xp_ledger_once_per_escrow unique (escrow_id),
    constraint xp_ledger_sum check (user_xp_after = user_xp_before + effective_xp),
    constraint xp_ledger_earned check (amount > 0 and base_xp >= 0 and effective_xp >= base_xp)
);
-- A user's newest row, which says the total and the streak: one look into this index.
create index xp_ledger_by_user on xp_ledger (user_id, user_xp_after desc, created_at desc);

-- ── Badges ──────────────────────────────────────────────────────────────────────────────────────
-- A badge is earned when its measure has reached at_least; see measures_of().
create table badge_types (
    badge_type text not null,
    title text not null,
    measure text not null,
    at_least integer not null,
    constraint badge_types_pkey primary key (badge_type),
    constraint badge_types_measure check (
        measure in ('TASKS', 'LIVE_TASKS', 'STREAK_DAYS', 'LEVEL', 'TRUST_TIER')
    )
);

insert into badge_types (badge_type, title, measure, at_least) values
('FIRST_TASK', 'First task', 'TASKS', 1),
('FIRST_LIVE_TASK', 'First LIVE task', 'LIVE_TASKS', 1),
('TASKS_10', '10 tasks', 'TASKS', 10),
('TASKS_50', '50 tasks', 'TASKS', 50),
('TASKS_100', '100 tasks', 'TASKS', 100),
('STREAK_7', '7 days in a row', 'STREAK_DAYS', 7),
('STREAK_30', '30 days in a row', 'STREAK_DAYS', 30),
('LEVEL_5', 'Level 5: Skilled', 'LEVEL', 5),
('LEVEL_10', 'Level 10: Mythic', 'LEVEL', 10),
('TRUSTED', 'Trusted', 'TRUST_TIER', 3),
('ELITE', 'Elite', 'TRUST_TIER', 4);

create table badges (
    id uuid not null default hx_id(),
    user_id uuid not null,
    badge_type text not null,
    granted_at timestamptz not null,
    -- the admin who granted it; null where it was earned
    granted_by uuid,
    -- when its owner saw the unlock animation: once, on one device (architecture §5.4)
    animation_shown_at timestamptz,
    -- granted in error: hidden, never deleted (architecture §5.2)
    revoked_at timestamptz,
    revoked_by uuid,
    constraint badges_pkey primary key (id),
    constraint badges_user foreign key (user_id) references users (id),
    constraint badges_type foreign key (badge_type) references badge_types (badge_type),
    constraint badges_granted_by foreign key (granted_by) references users (id),
    constraint badges_revoked_by foreign key (revoked_by) references users (id),
    constraint badges_once unique (user_id, badge_type),
    constraint badges_revoked check ((revoked_at is null) = (revoked_by is null))
);

-- ── Tiers ───────────────────────────────────────────────────────────────────────────────────────
-- What each tier asks for (architecture §4.1). A tier asks for all that the one below it does.
create table trust_tiers (
    tier smallint not null,
    name text not null,
    completed_tasks integer not null,
    approval_rate numeric(3, 2) not null,
    identity_verified boolean not null,
    insurance_valid boolean not null,
    constraint trust_tiers_pkey primary key (tier)
);

insert into trust_tiers (
    tier, name, completed_tasks, approval_rate, identity_verified, insurance_valid
) values
(1, 'ROOKIE', 0, 0, false, false),
(2, 'VERIFIED', 5, 0, true, false),
(3, 'TRUSTED', 20, 0.95, true, false),
(4, 'ELITE', 50, 0.98, true, true);

-- ── Ledger ──────────────────────────────────────────────────────────────────────────────────────
-- Every change of a tier, every point and every penalty, with its cause (architecture §4.5, INV-TRUST-2).
create table trust_ledger (
    id uuid not null default hx_id(),
    user_id uuid not null,
    old_tier smallint not null,
    new_tier smallint not null,
    reason text not null,
    points numeric(6, 1) not null default 0,
    task_id uuid,
    -- what the change stands on beside the task: a dispute, a document
    evidence_id uuid,
    actor_id uuid,
    created_at timestamptz not null default hx_clock(),
    constraint trust_ledger_pkey primary key (id),
    constraint trust_ledger_user foreign key (user_id) references users (id),
    constraint trust_ledger_task foreign key (task_id) references tasks (id),
    -- until when a ban or a pause was set; null where it has no end, or none of its own
    until timestamptz,
    constraint trust_ledger_reason check (
        reason in (
            'PROMOTION', 'DECAY', 'PENALTY', 'ADMIN_OVERRIDE',
            'COMPLETION', 'QUICK_COMPLETION', 'ABANDONMENT',
            'SUSPENSION', 'PAUSE', 'REINSTATEMENT',
            'LIVE_BAN', 'LIVE_BAN_LIFTED', 'LIVE_PAUSE'
        )
    ),
    -- a task counts once for each reason
    constraint trust_ledger_once_per_task unique (task_id, reason)
);
create index trust_ledger_by_user on trust_ledger (user_id, created_at desc);

-- ── The record of work ──────────────────────────────────────────────────────────────────────────
-- Tasks that a hustler gave back or did not come to. QUICK: within 60 s of the accept, free.
create table abandonments (
    task_id uuid not null,
    hustler_id uuid not null,
    kind text not null,
    mode text not null,
    at timestamptz not null,
    constraint abandonments_pkey primary key (task_id),
    constraint abandonments_task foreign key (task_id) references tasks (id),
    constraint abandonments_hustler foreign key (hustler_id) references users (id),
    constraint abandonments_kind check (kind in ('RELEASED', 'QUICK', 'NO_SHOW'))
);
create index abandonments_by_hustler on abandonments (hustler_id, at desc);

create type work_counts as (completed integer, approved integer, abandoned integer, lost integer);

-- ── Flags ───────────────────────────────────────────────────────────────────────────────────────
-- A row of the XP ledger that an admin found wrong. The row stays as it is, and is marked
-- (architecture §8.4). No foreign key to it: a reference would answer a TRUNCATE of the ledger before
-- the ledger's own refusal does.
create table xp_flags (
    ledger_id uuid not null,
    flagged_by uuid not null,
    reason text not null,
    flagged_at timestamptz not null default hx_clock(),
    constraint xp_flags_pkey primary key (ledger_id),
    constraint xp_flags_admin foreign key (flagged_by) references users (id)
);

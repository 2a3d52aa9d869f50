"""People: who they are, and what the service may not write about them."""

from __future__ import annotations

from tests.sql.rules.judge import Judge, rule
from tests.sql.rules.shapes import checks, references, uniques

checks(
    "users",
    ("users_role", "role = 'king'", "role = 'dual'"),
    ("users_account_status", "account_status = 'GONE'", "account_status = 'PAUSED'"),
    ("users_trust_tier", "trust_tier = 5", "trust_tier = 4"),
    ("users_total_xp", "total_xp = -1", "total_xp = 0"),
    ("users_first_name", "first_name = ''", "first_name = repeat('x', 80)"),
    ("users_subject", "subject = ''", "subject = subject || '!'"),
    writer="owner",
)
uniques(
    "users",
    ("users_identity", "issuer = 'i', subject = 's'", "issuer = 'i'"),
    writer="owner",
)
checks(
    "hustler_profiles",
    ("hustler_profiles_completion_rate", "completion_rate = 1.01", "completion_rate = 1"),
    ("hustler_profiles_approval_rate", "approval_rate = -0.01", "approval_rate = 0"),
    writer="owner",
)
references("hustler_profiles", ("hustler_profiles_user", "user_id"), writer="owner")
checks(
    "clock_offset",
    (
        "clock_offset_one_row",
        "insert into clock_offset (singleton, amount) values (false, '1 s')",
        "insert into clock_offset (amount) values ('1 s')",
    ),
    writer="owner",
)


@rule("users.user_rows")
async def a_user_has_a_counter_a_profile_and_a_status_from_the_start(judge: Judge) -> None:
    """Whoever inserts the row."""
    if judge.role == "app":
        user = await judge.value("select id from user_for('i', 'by hand', 'hustler', 'Ada')")
    else:
        user = await judge.value(
            "insert into users (issuer, subject, role) values ('i', 'owner', 'dual') returning id"
        )
    for table in ("user_counters", "hustler_profiles", "live_status"):
        await judge.holds(f"select exists (select from {table} where user_id = $1)", user)

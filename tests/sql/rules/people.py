"""People: who they are, and what the service may not write about them."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
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
async def a_user_has_a_counter_a_profile_and_a_status_from_the_start(checker: RuleChecker) -> None:
    """Whoever inserts the row."""
    if checker.role == "app":
        user = await checker.value(
            "select id from users_for(array['i'], array['by hand'], array['hustler'], array['Ada'])"
        )
    else:
        user = await checker.value(
            "insert into users (issuer, subject, role) values ('i', 'owner', 'dual') returning id"
        )
    for table in ("user_counters", "hustler_profiles", "live_status"):
        await checker.holds(f"select exists (select from {table} where user_id = $1)", user)


async def _status(checker: RuleChecker, user: object, status: str) -> None:
    """The account's status, written by hand where the role may, else by an admin's command."""
    if checker.role == "owner":
        await checker.does("update users set account_status = $2 where id = $1", user, status)
        return
    command = "suspend_user" if status == "SUSPENDED" else "reinstate_user"
    await checker.does(f"select {command}({{admin}}, $1, 'Seen.')", user)


@rule("users.suspension_stops")
async def a_suspension_ends_what_the_account_offers_and_is_offered(checker: RuleChecker) -> None:
    """Whatever shuts it: the broadcast, the LIVE session; held money waits for a person."""
    market = checker.market
    person = await market.user("dual")
    live = await market.funded("LIVE", poster=person)
    standard = await market.funded("STANDARD", poster=person)
    bare = await market.task("LIVE", poster=person)
    await market.commands.live.go_live(person, None, None)
    await _status(checker, person, "SUSPENDED")
    await checker.holds("select state = 'CANCELLED' from live_broadcasts where task_id = $1", live)
    await checker.holds("select session_id is null from live_status where user_id = $1", person)
    await checker.holds(
        "select end_reason = 'FORCED' from live_sessions where user_id = $1", person
    )
    item = (
        "select exists (select from admin_items where kind = 'POSTER_SUSPENDED'"
        " and subject = $1::text and closed_at is null)"
    )
    for task, has_item in ((live, True), (standard, True), (bare, False)):
        await checker.holds(f"{item} = $2", str(task), has_item)
    await checker.refuses(
        ("HX012", "ELIGIBILITY"),
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = {hustler} where id = $1",
        standard,
    )


@rule("users.reinstatement_resumes")
async def an_account_that_is_open_again_has_its_choice_back(checker: RuleChecker) -> None:
    """The items close; a LIVE task waits a day for the poster, a STANDARD one for a hustler."""
    market = checker.market
    person = await market.user("poster")
    live = await market.funded("LIVE", poster=person)
    standard = await market.funded("STANDARD", poster=person)
    await _status(checker, person, "SUSPENDED")
    await checker.holds("select not exists (select from timers where subject = $1)", live)
    await _status(checker, person, "ACTIVE")
    await checker.holds(
        "select not exists (select from admin_items where kind = 'POSTER_SUSPENDED'"
        " and closed_at is null and subject = any($1))",
        [str(live), str(standard)],
    )
    await checker.holds(
        "select due_at > hx_clock() + interval '23 hours' from timers"
        " where kind = 'CHOICE' and subject = $1",
        live,
    )
    await checker.holds("select not exists (select from timers where subject = $1)", standard)

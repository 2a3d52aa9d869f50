"""XP, badges and trust: earned, counted by the database, and kept."""

from __future__ import annotations

from tests.sql.rules.rule_checker import NO_PRIVILEGE, RuleChecker, rule
from tests.sql.rules.shapes import (
    FOREIGN_KEY_VIOLATION,
    UNIQUE_VIOLATION,
    checks,
    references,
    shape,
    uniques,
)

TIER = ("HX010", "TRUST-TIER")
XP = ("HX102", "XP-LEDGER")
TRUST = ("HX801", "TRUST-LEDGER")
BADGE = ("HX401", "BADGE")
GROWS = ("HX801", "AUDIT-5")

checks("abandonments", ("abandonments_kind", "kind = 'LATE'", "kind = 'NO_SHOW'"))
references("abandonments", ("abandonments_task", "task_id"), ("abandonments_hustler", "hustler_id"))
checks(
    "badge_types",
    ("badge_types_measure", "measure = 'LUCK'", "measure = 'TASKS'"),
    writer="owner",
)
references("badges", ("badges_user", "user_id"), ("badges_granted_by", "granted_by"))
shape(
    "badges",
    (FOREIGN_KEY_VIOLATION, "badges_revoked_by"),
    "revoked_at = hx_clock(), revoked_by = gen_random_uuid()",
    "revoked_at = hx_clock(), revoked_by = {admin}",
)
shape(
    "badges",
    (FOREIGN_KEY_VIOLATION, "badges_type"),
    "badge_type = badge_type || '!'",
    "badge_type = badge_type",
)
uniques(
    "badges",
    (
        "badges_once",
        "user_id = {paid_hustler}, badge_type = 'FIRST_TASK'",
        "badge_type = badge_type",
    ),
)
checks(
    "badges",
    (
        "badges_revoked",
        "revoked_at = hx_clock()",
        "revoked_at = hx_clock(), revoked_by = {admin}",
    ),
)
uniques("levels", ("levels_xp", "xp_required = 0", "xp_required = xp_required"), writer="owner")
checks(
    "live_status",
    ("live_status_paused_reason", "paused_reason = 'MOOD'", "paused_reason = 'DECLINES'"),
)
checks(
    "progress",
    (
        "progress_streak",
        "streak_days = longest_streak_days + 1",
        "longest_streak_days = longest_streak_days + 1",
    ),
    writer="owner",
)
references("progress", ("progress_user", "user_id"), writer="owner")
checks(
    "progress_settings",
    ("progress_settings_grace", "grace = '-1 s'", "grace = '0 s'"),
    (
        "progress_settings_one_row",
        "insert into progress_settings (singleton) values (false)",
        "grace = grace",
    ),
    writer="owner",
)
checks("trust_ledger", ("trust_ledger_reason", "reason = 'WHIM'", "reason = reason"))
references("trust_ledger", ("trust_ledger_task", "task_id"), ("trust_ledger_user", "user_id"))
uniques(
    "trust_ledger",
    (
        "trust_ledger_once_per_task",
        "task_id = {paid}, reason = 'COMPLETION'",
        "reason = reason",
    ),
)
references("xp_flags", ("xp_flags_admin", "flagged_by"))
checks(
    "xp_ledger",
    ("xp_ledger_sum", "user_xp_before = user_xp_before + 1", "user_xp_before = user_xp_before"),
    ("xp_ledger_earned", "amount = 0", "amount = amount"),
)
references(
    "xp_ledger",
    ("xp_ledger_user", "user_id"),
    ("xp_ledger_task", "task_id"),
    ("xp_ledger_escrow", "escrow_id"),
)
shape(
    "xp_ledger",
    (UNIQUE_VIOLATION, "xp_ledger_once_per_escrow"),
    "escrow_id = {paid_escrow}",
    "escrow_id = escrow_id",
)


async def only_grows(
    checker: RuleChecker, table: str, column: str, identity: tuple[str, str]
) -> None:
    """Update and delete are refused by name, where no row is touched too, and so is truncate."""
    await checker.refuses(identity, f"delete from {table}")
    await checker.refuses(identity, f"delete from {table} where false")
    await checker.refuses(identity, f"update {table} set {column} = {column}")
    if checker.role == "owner":
        await checker.refuses(identity, f"truncate {table}")
    await checker.allows(f"select from {table}")


@rule("xp_ledger.xp_ledger_no_delete")
async def the_xp_ledger_only_grows(checker: RuleChecker) -> None:
    """HX102 (product_spec §5.3)."""
    await only_grows(checker, "xp_ledger", "effective_xp", XP)


@rule("trust_ledger.trust_ledger_append_only")
async def the_trust_ledger_only_grows(checker: RuleChecker) -> None:
    """HX801 (architecture §4.5)."""
    await only_grows(checker, "trust_ledger", "points", TRUST)


@rule("abandonments.abandonments_append_only")
async def what_was_given_up_stays_on_record(checker: RuleChecker) -> None:
    """HX801."""
    await only_grows(checker, "abandonments", "kind", GROWS)


@rule("xp_flags.xp_flags_append_only")
async def a_marked_award_stays_marked(checker: RuleChecker) -> None:
    """HX801."""
    await only_grows(checker, "xp_flags", "reason", GROWS)


@rule("badges.badge_no_delete")
async def a_badge_is_for_good(checker: RuleChecker) -> None:
    """HX401, also where no row would have been touched (architecture §5.2)."""
    await checker.refuses(BADGE, "delete from badges")
    await checker.refuses(BADGE, "delete from badges where false")
    if checker.role == "owner":
        await checker.refuses(BADGE, "truncate badges")
    await checker.allows("select from badges")


@rule("badges.badge_guard")
async def of_a_badge_only_its_showing_is_written(checker: RuleChecker) -> None:
    """HX401 for any other change, and for a revocation that is on no record."""
    await checker.refuses(BADGE, "update badges set granted_at = hx_clock()")
    await checker.refuses(BADGE, "update badges set revoked_at = hx_clock(), revoked_by = {admin}")
    await checker.allows("update badges set animation_shown_at = hx_clock()")


@rule("badges.badge_grant_guard")
async def a_badge_is_earned_or_granted_on_record(checker: RuleChecker) -> None:
    """HX401 for one that is neither."""
    grant = "insert into badges (user_id, badge_type%s) values ({hustler}, 'TASKS_50'%s)"
    await checker.refuses(BADGE, grant % ("", ""))
    await checker.refuses(BADGE, grant % (", granted_by", ", {admin}"))
    await checker.allows_commit(
        "insert into admin_actions"
        " (admin_id, action_type, target_type, target_id, reason, metadata)"
        " values ({admin}, 'GRANT_BADGE', 'user', {hustler}, 'Won a bet.',"
        " jsonb_build_object('badge_type', 'TASKS_50'))",
        grant % (", granted_by", ", {admin}"),
    )


@rule("xp_ledger.xp_requires_released_escrow")
async def xp_is_only_for_released_money(checker: RuleChecker) -> None:
    """HX101 (INV-1): not while it is held, not for who did not do it, not a second time."""
    award = "insert into xp_ledger (user_id, task_id, escrow_id) values ({%s}, {%s}, {%s_escrow})"
    for task in ("held", "submitted", "completed", "disputed", "refunded", "late"):
        await checker.refuses(("HX101", "INV-1"), award % ("hustler", task, task))
    await checker.refuses(
        (UNIQUE_VIOLATION, "xp_ledger_once_per_escrow"), award % ("paid_hustler", "paid", "paid")
    )


@rule("xp_ledger.xp_ledger_applies")
async def a_total_follows_the_ledger(checker: RuleChecker) -> None:
    """In the transaction of the award."""
    _, hustler = await checker.market.paid("STANDARD")
    await checker.holds(
        "select u.total_xp = x.user_xp_after and u.total_xp > 0 and p.streak_days = 1"
        " from users as u inner join progress as p on p.user_id = u.id"
        " inner join xp_ledger as x on x.user_id = u.id where u.id = $1",
        hustler,
    )


@rule("users.total_xp_guard_update")
async def nobody_writes_a_total_that_the_ledger_does_not_say(checker: RuleChecker) -> None:
    """HX102; the service has no privilege to try."""
    change = "update users set total_xp = total_xp + %d where id = {paid_hustler}"
    await checker.refuses(NO_PRIVILEGE if checker.role == "app" else XP, change % 1)
    if checker.role == "owner":
        await checker.allows(change % 0)


NEWCOMER = (
    "insert into users (issuer, subject, role, %s) values ('i', gen_random_uuid(), 'dual', %s)"
)


@rule("users.total_xp_guard_insert")
async def nobody_is_born_with_xp(checker: RuleChecker) -> None:
    """HX102."""
    await checker.refuses(
        NO_PRIVILEGE if checker.role == "app" else XP, NEWCOMER % ("total_xp", "100")
    )
    if checker.role == "owner":
        await checker.allows(NEWCOMER % ("total_xp", "0"))


@rule("users.trust_points_guard_insert", "users.trust_points_guard_update")
async def trust_points_are_what_the_ledger_says(checker: RuleChecker) -> None:
    """HX801."""
    identity = NO_PRIVILEGE if checker.role == "app" else TRUST
    await checker.refuses(identity, "update users set trust_points = 9 where id = {hustler}")
    await checker.refuses(identity, NEWCOMER % ("trust_points", "9"))
    if checker.role == "owner":
        await checker.allows("update users set trust_points = trust_points")


@rule("trust_ledger.trust_ledger_applies")
async def trust_points_follow_the_ledger(checker: RuleChecker) -> None:
    """In the transaction of the entry."""
    _, hustler = await checker.market.paid()
    await checker.holds("select trust_points > 0 from users where id = $1", hustler)


@rule("users.trust_tier_guard")
async def a_tier_changes_as_its_reason_allows(checker: RuleChecker) -> None:
    """HX010: no promotion that was not earned, no decay before its time, no penalty undeserved."""
    for reason, tier in (
        ("PROMOTION", 4),
        ("DECAY", 1),
        ("PENALTY", 1),
        ("ADMIN_OVERRIDE", 4),
        ("WHIM", 4),
    ):
        await checker.refuses(
            NO_PRIVILEGE if checker.role == "app" else TIER,
            f"do $$ begin perform set_config('hx.trust_reason', '{reason}', true);"
            f" update users set trust_tier = {tier} where id = {{held_hustler}}; end $$",
        )
    if checker.role == "owner":
        await checker.allows("update users set trust_tier = 3 where id = {held_hustler}")


@rule("users.trust_tier_audit", "users.trust_tier_audit_insert")
async def every_tier_stands_in_the_ledger(checker: RuleChecker) -> None:
    """A change from psql and a user who is born with one, as ADMIN_OVERRIDE."""
    if checker.role == "app":
        await checker.refuses(NO_PRIVILEGE, "update users set trust_tier = 3")
        return
    logged = (
        "select exists (select from trust_ledger where user_id = $1 and new_tier = 3"
        " and reason = 'ADMIN_OVERRIDE')"
    )
    born = await checker.value(NEWCOMER % ("trust_tier", "3") + " returning id")
    await checker.holds(logged, born)
    changed = await checker.value(NEWCOMER % ("trust_tier", "1") + " returning id")
    await checker.does("update users set trust_tier = 3 where id = $1", changed)
    await checker.holds(logged, changed)


@rule("progress.progress_time_zone")
async def a_time_zone_is_one_that_the_server_knows(checker: RuleChecker) -> None:
    """23514."""
    zone = "update progress set time_zone = '%s' where user_id = {hustler}"
    await checker.refuses(("23514", "progress_time_zone"), zone % "Mars/Olympus")
    await checker.allows(zone % "Pacific/Auckland")


RECORDED = (
    "select array_agg(l.reason || ' ' || coalesce(round(extract(epoch from l.until - hx_clock())"
    " / 86400)::text, '-') order by l.created_at) = $2::text[]"
    " from trust_ledger as l where l.user_id = $1 and l.old_tier = l.new_tier and l.points = 0"
)


@rule("live_status.live_penalty_audit")
async def every_ban_and_pause_of_live_mode_stands_in_the_ledger(checker: RuleChecker) -> None:
    """INV-TRUST-2, whoever writes it; its lifting before its time too, and no row for one run out."""
    hustler = await checker.market.user("hustler")
    change = "update live_status set %s where user_id = $1"
    for until in ("banned_until = hx_clock() + interval '7 days'", "version = version + 1"):
        await checker.does(change % until, hustler)
    for days in (1, 3):
        await checker.does(
            change
            % f"paused_until = hx_clock() + interval '{days} days', paused_reason = 'DECLINES'",
            hustler,
        )
    await checker.does(change % "banned_until = banned_until + interval '1 day'", hustler)
    rows = ["LIVE_BAN 7", "LIVE_PAUSE 1", "LIVE_PAUSE 3", "LIVE_BAN 8"]
    await checker.holds(RECORDED, hustler, rows)
    await checker.market.app.execute(
        "select live_ban($1, $2, hx_clock() + interval '2 days', 'Half of it was right.'),"
        " lift_live_ban($1, $2, 'None of it was.')",
        await checker.market.user("admin"),
        hustler,
    )
    await checker.holds(RECORDED, hustler, [*rows, "LIVE_BAN 2", "LIVE_BAN_LIFTED -"])


@rule("users.user_penalty_audit", "users.user_penalty_audit_insert")
async def every_suspension_and_reinstatement_stands_in_the_ledger(checker: RuleChecker) -> None:
    """By an admin with the act it stands on; by the owner's hand without one."""
    market = checker.market
    user, admin = await market.user("hustler"), await market.user("admin")
    await market.app.execute("select suspend_user($1, $2, 'Two faces.')", admin, user)
    await checker.holds(
        "select l.actor_id = $2 and l.evidence_id = a.id and l.old_tier = l.new_tier"
        " from trust_ledger as l inner join admin_actions as a on a.target_id = $1::uuid::text"
        " where l.user_id = $1 and l.reason = 'SUSPENSION'",
        user,
        admin,
    )
    await market.app.execute("select reinstate_user($1, $2, 'Twins.')", admin, user)
    rows = ["SUSPENSION -", "REINSTATEMENT -"]
    await checker.holds(RECORDED, user, rows)
    if checker.role == "app":
        await checker.refuses(NO_PRIVILEGE, "update users set account_status = 'SUSPENDED'")
        return
    change = "update users set account_status = '%s', trust_tier = 3 where id = $1"
    await checker.does(change % "PAUSED", user)
    await checker.does(change % "ACTIVE", user)
    await checker.holds(RECORDED, user, [*rows, "PAUSE -", "REINSTATEMENT -"])
    await checker.holds(
        "select bool_and(l.old_tier = l.stood) from (select n.*, lag(n.new_tier, 1, 1::smallint)"
        " over (order by n.created_at) as stood from trust_ledger as n where n.user_id = $1) as l",
        user,
    )
    born = await checker.value(NEWCOMER % ("account_status", "'SUSPENDED'") + " returning id")
    await checker.holds(RECORDED, born, ["SUSPENSION -"])


@rule("trust_ledger.trust_ledger_guard")
async def trust_comes_with_the_money_and_from_nobody_oneself(checker: RuleChecker) -> None:
    """HX101 for points of a task that is not paid, or not theirs; HX503 for a change of one's own."""
    entry = (
        "insert into trust_ledger (user_id, old_tier, new_tier, reason, points, task_id%s)"
        " values ({%s}, 2, 2, '%s', 0, {%s}%s)"
    )
    if checker.role == "app":
        await checker.refuses(NO_PRIVILEGE, entry % ("", "hustler", "COMPLETION", "paid", ""))
        return
    for reason in ("COMPLETION", "QUICK_COMPLETION"):
        for task in ("submitted", "completed", "stopped"):
            await checker.refuses(
                ("HX101", "INV-1"), entry % ("", f"{task}_hustler", reason, task, "")
            )
        await checker.refuses(("HX101", "INV-1"), entry % ("", "hustler", reason, "paid", ""))
    paid, hustler = await checker.market.paid("STANDARD")
    await checker.holds(
        "select count(*) = 2 from trust_ledger where task_id = $1 and user_id = $2", paid, hustler
    )
    await checker.allows(entry % ("", "hustler", "ABANDONMENT", "live", ""))
    act = entry % (", actor_id", "hustler", "ABANDONMENT", "live", ", {%s}")
    await checker.refuses(("HX503", "OWN-CASE"), act % "hustler")
    await checker.allows(act % "admin")

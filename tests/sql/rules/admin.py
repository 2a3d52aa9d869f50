"""The admin API: what was done stays on record, and only admins act."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references, uniques

checks(
    "admin_actions",
    ("admin_actions_type", "action_type = 'a b'", "action_type = 'A_B'"),
    ("admin_actions_reason", r"reason = E'\u200b'", "reason = 'Seen.'"),
)
references("admin_actions", ("admin_actions_admin", "admin_id"))
checks("admin_items", ("admin_items_kind", "kind = 'stuck'", "kind = 'STUCK'"))
references("admin_items", ("admin_items_closer", "closed_by"))
uniques(
    "admin_items",
    (
        "one_open_item_per_subject",
        "kind = 'STUCK', subject = 'b', closed_at = null",
        "kind = 'STUCK', subject = 'b', closed_at = hx_clock()",
    ),
)
checks(
    "idempotency_keys",
    ("idempotency_keys_state", "state = 'LOST'", "state = 'ANSWERED'"),
    ("idempotency_keys_key", "key = ''", "key = repeat('k', 255)"),
)
checks("timers", ("timers_kind", "kind = 'ALARM'", "kind = kind"))

ACT = (
    "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
    " values ({%s}, 'LOOK', 'task', 'x', 'Why not.')"
)


@rule("admin_actions.admin_actions_no_delete")
async def what_an_admin_did_stays_on_record(checker: RuleChecker) -> None:
    """HX801, also where no row would have been touched."""
    identity = ("HX801", "ADMIN-AUDIT")
    await checker.refuses(identity, "delete from admin_actions")
    await checker.refuses(identity, "delete from admin_actions where false")
    await checker.refuses(identity, "update admin_actions set reason = 'other'")
    if checker.role == "owner":
        await checker.refuses(identity, "truncate admin_actions")
    await checker.allows(ACT % "admin")


@rule("admin_actions.admin_action_guard")
async def only_an_admin_leaves_an_admin_s_act(checker: RuleChecker) -> None:
    """HX503: nobody forges the act that a decision stands on in another's name."""
    for nobody in ("poster", "hustler"):
        await checker.refuses(("HX503", "PERMISSION"), ACT % nobody)
    await checker.allows(ACT % "admin")


@rule("admin_items.admin_item_guard")
async def a_closed_item_stays_closed_and_every_item_what_it_was(checker: RuleChecker) -> None:
    """HX801: an item is about what it was opened for, and is closed by an admin or by itself."""
    identity = ("HX801", "AUDIT-5")
    closed, opened = "where subject = 'a'", "where subject = 'b'"
    await checker.refuses(identity, f"update admin_items set closed_at = null {closed}")
    await checker.refuses(identity, f"update admin_items set details = '[]' {closed}")
    await checker.refuses(identity, f"update admin_items set kind = 'OTHER' {opened}")
    await checker.refuses(
        identity,
        f"update admin_items set closed_at = hx_clock(), closed_by = {{hustler}} {opened}",
    )
    await checker.allows(
        f"update admin_items set closed_at = hx_clock(), closed_by = {{admin}} {opened}"
    )
    await checker.allows(f"update admin_items set closed_at = hx_clock() {opened}")

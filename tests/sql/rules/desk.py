"""The operator's desk: what was done stays on record, and only admins act."""

from __future__ import annotations

from tests.sql.rules.judge import Judge, rule
from tests.sql.rules.shapes import checks, references, uniques

checks(
    "admin_actions",
    ("admin_actions_type", "action_type = 'a b'", "action_type = 'A_B'"),
    ("admin_actions_reason", r"reason = E'\u200b'", "reason = 'Seen.'"),
)
references("admin_actions", ("admin_actions_admin", "admin_id"))
checks("operator_items", ("operator_items_kind", "kind = 'stuck'", "kind = 'STUCK'"))
references("operator_items", ("operator_items_closer", "closed_by"))
uniques(
    "operator_items",
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
async def what_an_operator_did_stays_on_record(judge: Judge) -> None:
    """HX801, also where no row would have been touched."""
    verdict = ("HX801", "ADMIN-AUDIT")
    await judge.refuses(verdict, "delete from admin_actions")
    await judge.refuses(verdict, "delete from admin_actions where false")
    await judge.refuses(verdict, "update admin_actions set reason = 'other'")
    if judge.role == "owner":
        await judge.refuses(verdict, "truncate admin_actions")
    await judge.allows(ACT % "admin")


@rule("admin_actions.admin_action_guard")
async def only_an_admin_leaves_an_admin_s_act(judge: Judge) -> None:
    """HX503: nobody forges the act that a decision stands on in another's name."""
    for nobody in ("poster", "hustler"):
        await judge.refuses(("HX503", "PERMISSION"), ACT % nobody)
    await judge.allows(ACT % "admin")


@rule("operator_items.operator_item_guard")
async def a_closed_item_stays_closed_and_every_item_what_it_was(judge: Judge) -> None:
    """HX801: an item is about what it was opened for, and is closed by an admin or by itself."""
    verdict = ("HX801", "AUDIT-5")
    closed, opened = "where subject = 'a'", "where subject = 'b'"
    await judge.refuses(verdict, f"update operator_items set closed_at = null {closed}")
    await judge.refuses(verdict, f"update operator_items set details = '[]' {closed}")
    await judge.refuses(verdict, f"update operator_items set kind = 'OTHER' {opened}")
    await judge.refuses(
        verdict,
        f"update operator_items set closed_at = hx_clock(), closed_by = {{hustler}} {opened}",
    )
    await judge.allows(
        f"update operator_items set closed_at = hx_clock(), closed_by = {{admin}} {opened}"
    )
    await judge.allows(f"update operator_items set closed_at = hx_clock() {opened}")

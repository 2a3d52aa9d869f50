"""What each role may do with each table: exactly this, and nothing by default.

`hx_app` runs the service; `hx_ai` and `hx_readonly` read. Where something only grows, the service
holds update and delete all the same, so that the trigger answers with the ledger's own code.
"""

from __future__ import annotations

READS = "select"
GROWS = "select insert update delete"
"""Append-only, and written by the service."""
KEPT = "select update delete"
"""Append-only, and written by triggers."""

APP: dict[str, str] = {
    "abandonments": KEPT,
    "acceptances": GROWS,
    "admin_actions": GROWS,
    "arrivals": GROWS,
    "badge_types": READS,
    "badges": GROWS,
    "broadcaster_slots": "select update",
    "broadcasters": "select insert update delete",
    "broadcasts_counted": "select update",
    "changes": READS,
    "changes_emptied": READS,
    "chargebacks": "select insert update",
    "clock_offset": READS,
    "disputes": "select insert update",
    "error_catalogue": READS,
    "escrows": "select insert update",
    "evidence": GROWS,
    "external_refunds": "select insert update",
    "hustler_profiles": READS,
    "idempotency_keys": "select insert update delete",
    "last_fixes": "select insert update delete",
    "leases": "select insert update",
    "levels": READS,
    "lifecycle": READS,
    "live_broadcasts": "select insert update",
    "live_sessions": "select insert",
    "live_status": "select insert update",
    "money_entries": KEPT,
    "offers": "select insert update",
    "admin_items": "select insert update",
    "payout_accounts": "select insert update",
    "price_proposals": "select insert update",
    "progress": READS,
    "progress_settings": READS,
    "processed_stripe_events": GROWS,
    "processes": "select insert update delete",
    "proof_photos": GROWS,
    "proofs": "select insert update",
    "schema_history": READS,
    "schema_migrations": READS,
    "settlements": "select insert update",
    "task_codes": "select insert update",
    "task_transitions": KEPT,
    "tasks": "select insert update",
    "time_to_accept": READS,
    "time_to_accept_daily": READS,
    "trust_ledger": KEPT,
    "trust_tiers": READS,
    "timers": "select insert update delete",
    "uploads": "select insert update delete",
    "user_counters": READS,
    "user_events": READS,
    "users": READS,
    "work_record": READS,
    "xp_flags": KEPT,
    "xp_ledger": GROWS,
}

APP_COLUMNS: dict[str, tuple[str, ...]] = {
    # when a session began is history
    "live_sessions": (
        "ended_at",
        "end_reason",
        "impossible_positions",
        "tasks_accepted",
        "tasks_declined",
        "declines_in_row",
    ),
    "progress": ("time_zone",),
}
"""Columns that the service may update of tables that it may not."""

HIDDEN = {"idempotency_keys", "last_fixes", "processes"}
"""Answers to others, where people were, digests of secrets: the reading roles do not see them."""

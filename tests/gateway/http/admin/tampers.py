"""One way to break each derived fact: as the owner, with the table's guards off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Tamper:
    """Changes rows of one table, whose guards are off meanwhile."""

    table: str
    change: str
    """An update without `where`, or DELETE."""
    where: str = "true"
    """What the row is chosen by; the first that fits."""
    before: str = ""
    """What must go first: a constraint or an index that would refuse."""
    all_rows: bool = False

    def statements(self) -> list[str]:
        """What the owner runs, in order."""
        chosen = (
            self.where
            if self.all_rows
            else f"ctid = (select ctid from {self.table} where {self.where} limit 1)"
        )
        change = (
            f"delete from {self.table}"
            if self.change == "DELETE"
            else f"update {self.table} set {self.change}"
        )
        off = f"alter table {self.table} disable trigger user"
        return [off, *([self.before] if self.before else []), f"{change} where {chosen}"]


def one(table: str, change: str, where: str = "true", before: str = "") -> Tamper:
    """Changes one row."""
    return Tamper(table, change, where, before)


def every(table: str, change: str, where: str, before: str = "") -> Tamper:
    """Changes all rows that fit."""
    return Tamper(table, change, where, before, all_rows=True)


RUNNING: Final = (
    "task_id in (select id from tasks where state in ('ACCEPTED', 'WORKING', 'PROOF_SUBMITTED'))"
)

TAMPERS: Final = {
    # ── money ──
    "journal_holds_the_escrow": one("money_entries", "DELETE", "kind = 'REFUND'"),
    "journal_entries_are_the_movements": one(
        "money_entries", "reference = 'tr_other'", "kind = 'TRANSFER'"
    ),
    "held_is_refunded_and_released": one(
        "escrows",
        "refund_amount = refund_amount + 1",
        "state = 'REFUND_PARTIAL'",
        before="alter table escrows drop constraint escrow_partial_sum_check",
    ),
    "released_is_net_and_fee": one(
        "escrows",
        "fee_amount = fee_amount - 1",
        "state = 'RELEASED'",
        before="alter table escrows drop constraint escrows_fee",
    ),
    "settlements_move_their_escrow": one(
        "settlements", "refund_amount = refund_amount - 1", "kind = 'REFUND'"
    ),
    "escrows_end_by_their_settlement": one(
        "settlements", "state = 'PENDING'", "state = 'DONE' and payment is null"
    ),
    "settlements_follow_the_ruling": one(
        "disputes",
        "release_amount = release_amount + 1, refund_amount = refund_amount - 1",
        "outcome = 'SPLIT'",
    ),
    "money_goes_where_the_task_ended": one(
        "tasks",
        "state = 'EXPIRED'",
        "id in (select task_id from escrows where state = 'RELEASED')",
    ),
    "running_tasks_have_their_money": one("escrows", "is_current = false", RUNNING),
    "one_current_escrow": one(
        "escrows",
        "is_current = true",
        "state in ('REFUNDED', 'FUNDED') and not is_current",
        before="drop index one_current_escrow_per_task",
    ),
    "prices_are_held": one("tasks", "price = price + 1", "state = 'WORKING'"),
    "no_money_is_trapped": one("settlements", "DELETE", "state = 'PENDING' and payment is null"),
    "references_are_used_once": one(
        "settlements",
        "payment = (select stripe_payment_intent_id from escrows where state = 'FUNDED' limit 1)",
        "payment is not null",
    ),
    "replacements_take_over": one(
        "escrows", "replaces = null", "replaces is not null and is_current"
    ),
    "proposals_have_their_escrow": one(
        "price_proposals", "price = price + 100", "state = 'APPLIED'"
    ),
    "chargebacks_name_their_payment": one("chargebacks", "payment = 'pi_other'"),
    "external_refunds_name_their_payment": one("external_refunds", "payment = 'pi_other'"),
    "taken_money_rests": one(
        "settlements",
        "state = 'PENDING'",
        "state = 'HELD' and escrow_id in (select escrow_id from chargebacks where state = 'OPEN')",
    ),
    "nobody_works_for_taken_money": one(
        "escrows",
        "stripe_payment_intent_id = (select payment from chargebacks where state = 'OPEN' limit 1)",
        f"is_current and state = 'FUNDED' and {RUNNING}",
        before="drop index escrows_payment",
    ),
    "takings_count_for_what_they_took": one(
        "chargebacks",
        "amount = 1",
        "state = 'LOST' and id in (select refund_reference from settlements)",
    ),
    "provider_events_had_their_effect": every(
        "settlements",
        "transfer_done = false, state = 'PENDING'",
        "id::text in (select result ->> 'settlement_id' from processed_stripe_events)",
    ),
    # ── tasks ──
    "transitions_lead_to_the_state": one(
        "tasks", "state = 'PROOF_SUBMITTED'", "state = 'WORKING' and rejections = 0"
    ),
    "transitions_are_legal": one(
        "task_transitions", "from_state = 'EXPIRED'", "to_state = 'WORKING'"
    ),
    "one_winner": one("task_transitions", "actor_id = gen_random_uuid()", "to_state = 'ACCEPTED'"),
    "nobody_holds_two_live_tasks": every(
        "tasks",
        "assigned_hustler_id = (select max(assigned_hustler_id::text)::uuid from tasks)",
        "mode = 'LIVE' and state in ('ACCEPTED', 'WORKING') and rejections = 0",
        before="drop index one_active_live_task_per_hustler",
    ),
    "successors_follow_cancelled_tasks": one(
        "tasks", "cancel_reason = 'DEADLINE'", "id in (select predecessor_id from tasks)"
    ),
    "nobody_decided_their_own_dispute": one(
        "disputes", "resolved_by = opened_by", "state = 'RESOLVED' and opened_by is not null"
    ),
    "held_tasks_were_accepted": every("acceptances", "DELETE", "true"),
    "completed_tasks_are_proven": one("proofs", "state = 'EXPIRED'", "state = 'ACCEPTED'"),
    "arrivals_are_evident": one("arrivals", "at = at - interval '1 hour'", "evidence <> 'CLAIM'"),
    "open_proofs_are_under_review": one(
        "proofs",
        "state = 'EXPIRED'",
        "state = 'SUBMITTED' and task_id in (select id from tasks where state = 'PROOF_SUBMITTED')",
    ),
    "rejections_are_counted": one("tasks", "rejections = 2", "rejections = 1"),
    "photos_prove_one_thing": one("proof_photos", "DELETE"),
    "disputes_lock_the_money": one(
        "escrows",
        "state = 'FUNDED'",
        "state = 'LOCKED_DISPUTE' and task_id in (select id from tasks where state = 'DISPUTED')",
    ),
    "rulings_end_the_task": one(
        "tasks",
        "state = 'COMPLETED'",
        "id in (select task_id from disputes where outcome = 'POSTER')",
    ),
    "decisions_are_on_record": one("admin_actions", "DELETE", "action_type = 'FLAG_XP'"),
    "timers_have_their_subject": one("timers", "subject = gen_random_uuid()", "kind = 'REVIEW'"),
    "what_waits_has_its_timer": one("timers", "DELETE", "kind = 'BROADCAST_END'"),
    "held_tasks_have_codes": one("task_codes", "DELETE", RUNNING),
    # ── LIVE mode and events ──
    "offers_know_their_task": one("offers", "hustler_id = gen_random_uuid()"),
    "accepted_offers_won": one(
        "offers", "response = 'ACCEPT', responded_at = now()", "response = 'DECLINE'"
    ),
    "broadcasts_know_their_winner": one(
        "live_broadcasts", "accepted_by = gen_random_uuid()", "state = 'ACCEPTED'"
    ),
    "broadcasts_run_for_matching_tasks": one(
        "live_broadcasts", "state = 'ACTIVE', ended_at = null", "state = 'ACCEPTED'"
    ),
    "broadcasts_are_where_their_task_is": one("live_broadcasts", "partition = 63 - partition"),
    "live_sessions_are_open_once": one(
        "live_sessions", "ended_at = now(), end_reason = 'OFFLINE'", "ended_at is null"
    ),
    "suspended_hustlers_are_not_live": one(
        "users",
        "account_status = 'SUSPENDED'",
        "id in (select user_id from live_sessions where ended_at is null)",
    ),
    "suspended_posters_broadcast_nothing": one(
        "users",
        "account_status = 'SUSPENDED'",
        "id in (select poster_id from tasks where state = 'MATCHING' and id in"
        " (select task_id from live_broadcasts where state = 'ACTIVE'))",
    ),
    "users_have_their_rows": one("progress", "DELETE"),
    "events_have_no_gaps": one("user_events", "DELETE", "seq = 2"),
    # ── XP and trust ──
    "total_xp_is_the_ledger": one("users", "total_xp = total_xp + 1", "total_xp > 0"),
    "xp_rows_form_a_chain": one(
        "xp_ledger",
        "user_xp_before = user_xp_before + 1, user_xp_after = user_xp_after + 1",
        "user_xp_before = 0",
    ),
    "xp_levels_fit": one("xp_ledger", "user_level_after = 9"),
    "xp_follows_the_formula": one("xp_ledger", "streak_multiplier = streak_multiplier + 0.05"),
    "xp_multiplies_by_the_tier": one("xp_ledger", "trust_multiplier = 1.2"),
    "xp_stands_on_released_money": one("escrows", "state = 'FUNDED'", "state = 'RELEASED'"),
    "released_money_brings_xp": one(
        "xp_ledger", "DELETE", "id not in (select ledger_id from xp_flags)"
    ),
    "streaks_are_the_last_award": one(
        "progress",
        "longest_streak_days = longest_streak_days + 1, streak_days = streak_days + 1",
        "streak_days > 0",
    ),
    "streaks_rise_by_the_next_day": one("xp_ledger", "user_streak_at_award = 3"),
    "tiers_are_the_ledgers_last": one("users", "trust_tier = 4", "trust_tier = 2"),
    "trust_rows_form_a_chain": one("trust_ledger", "old_tier = 4", "reason = 'COMPLETION'"),
    "trust_points_are_the_ledger": one(
        "users", "trust_points = trust_points + 1", "trust_points > 0"
    ),
    "completed_tasks_count": one(
        "trust_ledger", "reason = 'DECAY', points = 0", "reason = 'COMPLETION'"
    ),
    "penalties_are_on_record": every("trust_ledger", "DELETE", "reason = 'SUSPENSION'"),
    "profiles_follow_the_record": one(
        "hustler_profiles", "completion_rate = 0.123", "completion_rate is not null"
    ),
}

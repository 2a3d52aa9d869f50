"""What is taken away from the judges, one thing at a time, so that a rule must notice.

An object of the catalogue is dropped whole. Of a function with several conditions single ones are
edited out: each patch is a piece of its text and what stands there instead.
"""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

ESCROWS = "escrows.escrow_transition_guard"
TERMS = (
    "title", "description", "category", "price", "location_lat", "location_lng",
    "location_address", "place_lat", "place_lng", "deadline", "requires_proof", "min_photos",
    "estimated_minutes", "required_trade", "required_trust_tier", "insurance_required",
    "background_check_required", "partition",
)  # fmt: skip


class Patch(NamedTuple):
    """One condition of a function gone."""

    function: str
    guard: str
    """The trigger that calls it: whose rules must notice."""
    text: str
    instead: str

    @property
    def name(self) -> str:
        """For the report: function and condition, on one line."""
        return f"{self.function}: {' '.join(self.text.split())}"


def drop(name: str, kind: str) -> str:
    """The statement that takes an object of the catalogue away."""
    table, _, own = name.partition(".")
    return {
        "trigger": f"drop trigger {own} on {table}",
        "constraint": f"alter table {table} drop constraint {own} cascade",
        "index": f"drop index {own}",
    }[kind]


async def source_of(owner: asyncpg.Connection, patch: Patch) -> str:
    """The function as it stands."""
    source: str = await owner.fetchval(
        "select pg_get_functiondef(p.oid) from pg_proc as p"
        " where p.pronamespace = 'public'::regnamespace and p.proname = $1",
        patch.function,
    )
    return source


async def apply(owner: asyncpg.Connection, patch: Patch) -> None:
    """Replaces the function by one without that condition."""
    source = await source_of(owner, patch)
    await owner.execute(source.replace(patch.text, patch.instead))


def _of(function: str, guard: str, *edits: tuple[str, str]) -> list[Patch]:
    return [Patch(function, guard, text, instead) for text, instead in edits]


PATCHES: list[Patch] = [
    *_of(
        "escrow_may_become",
        ESCROWS,
        ("not lifecycle_allows('escrow', e.state, p_state)", "false"),
        ("task_state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')", "true"),
        ("and d.escrow_id = e.id and d.state <> 'RESOLVED'", "and d.escrow_id = e.id"),
        (
            "d.task_id = e.task_id and d.escrow_id = e.id and d.state <> 'RESOLVED'",
            "true",
        ),
    ),
    *_of(
        "escrow_ends_as_settled",
        ESCROWS,
        ("where s.escrow_id = e.id and", "where false and"),
        ("coalesce(e.fee_amount, 0)", "s.fee_amount"),
        ("e.stripe_transfer_id,", "s.transfer_reference,"),
    ),
    *_of(
        "escrow_transition_guard",
        ESCROWS,
        ("new.state <> 'PENDING'\n", "false\n"),
        ("new.is_current <> (new.replaces is null)", "false"),
        ("new.replaces is null and new.amount is distinct from (", "false and new.amount <> ("),
        (
            "where t.id = new.task_id and t.state not in ('COMPLETED', 'CANCELLED', 'EXPIRED')",
            "where t.id = new.task_id",
        ),
        ("new.replaces is not null and not exists", "false and not exists"),
        ("e.id = new.replaces and e.task_id = new.task_id", "e.id = new.replaces"),
        ("and e.is_current and e.state = 'FUNDED'", "and e.state = 'FUNDED'"),
        ("and e.is_current and e.state = 'FUNDED'", "and e.is_current"),
        (
            ("(new.id, new.replaces, new.created_at) is distinct from"
            " (old.id, old.replaces, old.created_at)"),
            "false",
        ),
        ("old.stripe_payment_intent_id is not null or old.state <> 'PENDING'", "false"),
        ("s.payment = new.stripe_payment_intent_id", "false"),
        ("not escrow_may_become(old, new.state)", "false"),
        ("and not escrow_ends_as_settled(new)", "and false"),
        ("old.is_current and not new.is_current and new.state <> 'CANCELLED'", "false"),
        ("where successor.replaces = old.id and successor.state = 'FUNDED'", "where successor.replaces = old.id"),
        ("new.is_current and not old.is_current and not", "false and not"),
        ("new.task_id is distinct from old.task_id and not", "false and not"),
        ("successor.id = new.task_id and gone.id = old.task_id and", "successor.id = new.task_id and"),
        ("and successor.poster_id = gone.poster_id and successor.price = old.amount", ""),
    ),
    *_of(
        "settlement_guard",
        "settlements.settlement_guard",
        ("old.state = 'DONE'\n", "false\n"),
        ("old.id, old.escrow_id, old.kind,", "new.id, new.escrow_id, old.kind,"),
        ("old.refund_amount, old.payment", "new.refund_amount, old.payment"),
        ("old.refund_amount, old.payment", "old.refund_amount, new.payment"),
        ("not new.transfer_done or new.transfer_reference <> old.transfer_reference", "false"),
        ("not new.refund_done or new.refund_reference <> old.refund_reference", "false"),
        ("new.kind <> 'REFUND' and task_state is distinct from 'COMPLETED'", "false"),
        ("new.state <> 'PENDING'\n", "false\n"),
        ("new.transfer_reference is not null or new.refund_reference is not null", "false"),
        ("new.release_amount + new.refund_amount is distinct from e.amount", "false"),
        ("e.state = 'CANCELLED' and new.kind = 'REFUND'", "true"),
        ("other.stripe_payment_intent_id = new.payment and other.id <> e.id", "false"),
        ("when 'COMPLETED' then 'RELEASE'", "when 'COMPLETED' then new.kind"),
        ("else ''", "else new.kind"),
        ("e.state = 'LOCKED_DISPUTE' and d.state = 'RESOLVED'", "e.state = 'LOCKED_DISPUTE'"),
        ("else false", "else true"),
    ),
    *_of(
        "escrow_adds_up",
        "escrows.escrow_adds_up",
        ("e.state in ('FUNDED', 'LOCKED_DISPUTE') then e.amount", "false then e.amount"),
        ("t.price = e.amount and e.is_current", "e.is_current"),
        ("and e.is_current\n", "\n"),
    ),
    *_of(
        "escrow_adds_up",
        "settlements.settlement_adds_up",
        ("s.escrow_id = e.id and s.state = 'DONE'", "false"),
    ),
    *_of(
        "price_is_held",
        "tasks.price_is_held",
        ("e.amount <> t.price", "false"),
        ("and e.state <> 'CANCELLED'", ""),
    ),
    *_of(
        "task_terms_guard",
        "tasks.task_terms_guard",
        ("old.poster_id <> new.poster_id", "false"),
        ("e.id is null or e.state = 'PENDING'", "true"),
        ("old.price <> new.price", "false"),
        ("(old.title, old.description) is distinct from (new.title, new.description)", "false"),
        ("old.state not in ('OPEN', 'ACCEPTED')", "true"),
        ("before is not distinct from after", "true"),
        ("before is distinct from after", "false"),
    ),
    *_of("terms_of", "tasks.task_terms_guard", *((f"(t).{term}", "null") for term in TERMS)),
    *_of("terms_of", "tasks.task_version", *((f"(t).{term}", "null") for term in TERMS)),
    *_of(
        "proof_guard",
        "proofs.proof_guard",
        ("new.state <> 'ACCEPTED' or", "false or"),
        ("and d.outcome in ('HUSTLER', 'SPLIT')", ""),
        ("d.task_id = new.task_id and d.state = 'RESOLVED'", "true"),
        ("new.state not in ('PENDING', 'SUBMITTED')", "false"),
        ("or t.state not in ('ACCEPTED', 'WORKING')", ""),
        ("or (new.kind = 'NONE' and t.requires_proof)", ""),
        ("(old.task_id, old.hustler_id, old.kind)", "(new.task_id, old.hustler_id, old.kind)"),
        ("(old.task_id, old.hustler_id, old.kind)", "(old.task_id, new.hustler_id, old.kind)"),
        ("(old.task_id, old.hustler_id, old.kind)", "(old.task_id, old.hustler_id, new.kind)"),
        ("old.state in ('ACCEPTED', 'REJECTED', 'EXPIRED')", "false"),
        ("old.state = 'SUBMITTED' and (", "false and ("),
        ("not lifecycle_allows('proof', old.state, new.state)", "false"),
        ("< t.min_photos", "< 0"),
        ("new.kind in ('PHOTOS', 'NONE')", "new.kind = 'NONE'"),
        ("new.kind in ('PHOTOS', 'NONE')", "new.kind = 'PHOTOS'"),
        ("and t.arrived_at is null and t.started_at is null", "and false"),
    ),
    *_of(
        "arrival_guard",
        "arrivals.arrival_guard",
        ("new.at > hx_clock() or", ""),
        ("and t.assigned_hustler_id = new.hustler_id", ""),
        ("and new.evidence = 'COMPLETION_CODE'", ""),
    ),
    *_of(
        "dispute_guard",
        "disputes.dispute_guard",
        ("new.state <> 'OPEN' or not exists", "not exists"),
        ("and e.id = new.escrow_id and e.state = 'FUNDED'", "and e.state = 'FUNDED'"),
        ("and e.id = new.escrow_id and e.state = 'FUNDED'", "and e.id = new.escrow_id"),
        ("t.state in ('WORKING', 'PROOF_SUBMITTED')", "true"),
        ("t.arrived_at is not null or t.rejections > 0 or new.side = 'SYSTEM'", "true"),
        ("t.arrived_at is not null or", "false or"),
        ("new.opened_by = t.poster_id", "true"),
        ("new.opened_by = t.assigned_hustler_id", "true"),
        ("else new.opened_by is null", "else true"),
        ("old.task_id, old.escrow_id,", "new.task_id, old.escrow_id,"),
        ("old.opened_by, old.side, old.reason,", "new.opened_by, new.side, new.reason,"),
        ("or old.state = 'RESOLVED'", ""),
        ("not lifecycle_allows('dispute', old.state, new.state)", "false"),
        ("a.admin_id = new.resolved_by and", ""),
        ("perform refuse_own_case(new.opened_by, new.task_id::text)", "null"),
        ("perform refuse_own_case(new.resolved_by, new.id::text)", "null"),
        ("and a.metadata ->> 'release_cents' = new.release_amount::text", ""),
        ("new.release_amount + new.refund_amount is distinct from (", "false and 0 <> ("),
    ),
    *_of(
        "task_dispute_guard",
        "tasks.task_dispute_guard",
        ("e.id = d.escrow_id and e.state = 'LOCKED_DISPUTE'", "e.id = d.escrow_id"),
        ("d.outcome in ('HUSTLER', 'SPLIT')", "false"),
        ("d.outcome = 'POSTER'", "true"),
    ),
    *_of(
        "task_reject_guard",
        "tasks.task_reject_guard",
        ("(new.state = 'WORKING') <> (old.started_at is not null)", "false"),
        ("new.rejections <> old.rejections + 1", "false"),
        ("new.rejections >= rejections_max()", "false"),
    ),
    *_of(
        "task_marks_guard",
        "tasks.task_marks_guard",
        ("(old.id, old.created_at, old.predecessor_id, old.version)",
         "(new.id, old.created_at, old.predecessor_id, old.version)"),
        ("(old.id, old.created_at, old.predecessor_id, old.version)",
         "(old.id, new.created_at, old.predecessor_id, old.version)"),
        ("(old.id, old.created_at, old.predecessor_id, old.version)",
         "(old.id, old.created_at, new.predecessor_id, old.version)"),
        ("(old.id, old.created_at, old.predecessor_id, old.version)",
         "(old.id, old.created_at, old.predecessor_id, new.version)"),
        ("(old.accepted_at, old.en_route_at, old.eta_at)",
         "(new.accepted_at, old.en_route_at, old.eta_at)"),
        ("(old.accepted_at, old.en_route_at, old.eta_at)",
         "(old.accepted_at, old.en_route_at, new.eta_at)"),
        ("old.arrived_at is not null or old.state not in ('ACCEPTED', 'WORKING')", "false"),
        ("not (old.state = 'ACCEPTED' and new.state = 'WORKING')", "false"),
        ("and new.state <> 'COMPLETED'", "and false"),
        ("and new.state not in ('CANCELLED', 'EXPIRED')", "and false"),
        ("p.task_id = new.id and p.state = 'REJECTED'", "p.task_id = new.id"),
        ("hx_clock() < no_show_from(old)", "false"),
        ("and a.at = new.arrived_at and a.evidence <> 'CLAIM'", "and a.evidence <> 'CLAIM'"),
        ("and a.evidence <> 'CLAIM'", ""),
        ("and a.evidence = 'START_CODE'", ""),
    ),
    *_of(
        "task_transition_guard",
        "tasks.task_transition_guard",
        ("new.rejections <> 0", "false"),
        (") > 0", ") > 99"),
        ("and gone.poster_id = new.poster_id and gone.price = new.price",
         "and gone.price = new.price"),
        ("and gone.poster_id = new.poster_id and gone.price = new.price",
         "and gone.poster_id = new.poster_id"),
        ("and gone.state = 'CANCELLED'", ""),
        ("not lifecycle_allows('task', old.state, new.state)", "false"),
        ("coalesce(new.deadline > hx_clock(), true)", "coalesce(new.deadline > hx_clock(), false)"),
        ("coalesce(new.deadline > hx_clock(), true)", "new.deadline is null"),
        ("and old.arrived_at is not null", "and false"),
        ("new.assigned_hustler_id is distinct from old.assigned_hustler_id", "false"),
    ),
    *_of(
        "task_accept_guard",
        "tasks.task_accept_guard",
        ("new.assigned_hustler_id is null", "false"),
        ("new.assigned_hustler_id = new.poster_id", "false"),
        ("not escrow_is_funded(new.id)", "false"),
        ("live_state(own, at) is distinct from 'ACTIVE'", "false"),
        ("b.state = 'ACTIVE' and b.expires_at > at", "true"),
        ("or answer.response = 'DECLINE'", ""),
        ("not found or answer.response", "answer.response"),
        ("elsif new.deadline <= at then", "elsif false then"),
        ("is_busy(new.assigned_hustler_id)\n", "false\n"),
        ("open_standard_tasks(new.assigned_hustler_id) >= standard_tasks_max()", "false"),
        ("or new.mode = 'STANDARD'\n        and", "or"),
        ("answer.response = 'ACCEPT' and", ""),
        ("and just_said(answer.responded_at, at)", ""),
        ("a.task_id = new.id and", ""),
        ("and a.hustler_id = new.assigned_hustler_id", ""),
        ("and just_said(a.said_at, at)", ""),
        ("not eligible(new.id, new.assigned_hustler_id)", "false"),
        ("new.assigned_hustler_id = any(releasers(new.id))", "false"),
    ),
    *_of(
        "trust_ledger_guard",
        "trust_ledger.trust_ledger_guard",
        ("and t.assigned_hustler_id = new.user_id", ""),
        ("and is_paid(t.id)", ""),
        ("new.actor_id = new.user_id", "false"),
    ),
    *_of(
        "user_penalty_audit",
        "users.user_penalty_audit",
        ("act_behind(new.id, '{SUSPEND_USER,REINSTATE_USER}')", "null"),
        ("when 'PAUSED' then 'PAUSE'", ""),
    ),
    *_of(
        "live_penalty_audit",
        "live_status.live_penalty_audit",
        ("new.banned_until is distinct from old.banned_until", "true"),
        ("new.paused_until is distinct from old.paused_until", "true"),
        ("elsif old.banned_until > at then", "elsif false then"),
    ),
    *_of(
        "just_said",
        "tasks.task_accept_guard",
        ("said_at >= (at - consent_window())", "true"),
        ("said_at <= at", "true"),
    ),
    *_of(
        "offer_reach_guard",
        "offers.offer_reach_guard",
        ("m.answered or", ""),
        ("or b.task_id is distinct from m.task_id", ""),
        ("if beyond is not null and", "if false and"),
        ("> broadcast_radius_miles(b, at) * (1 + 1e-9)", "> b.max_radius_miles * (1 + 1e-9)"),
        ("> broadcast_radius_miles(b, at) * (1 + 1e-9)", "> b.initial_radius_miles * (1 + 1e-9)"),
        ("+ miles_between(", "+ 0 * miles_between("),
        ("max(o.distance_miles)", "min(o.distance_miles)"),
    ),
    *_of(
        "proposal_guard",
        "price_proposals.proposal_guard",
        ("new.state <> 'OPEN' or", "false or"),
        ("new.escrow_id is not null or", "false or"),
        ("and t.state = 'ACCEPTED' and t.started_at is null", ""),
        ("and new.proposer_id in (t.poster_id, t.assigned_hustler_id)", ""),
        ("(old.id, old.task_id, old.proposer_id, old.price)",
         "(old.id, new.task_id, old.proposer_id, old.price)"),
        ("(old.id, old.task_id, old.proposer_id, old.price)",
         "(old.id, old.task_id, old.proposer_id, new.price)"),
        ("not lifecycle_allows('proposal', old.state, new.state)", "false"),
        ("old.state = 'AGREED' and old.escrow_id <> new.escrow_id", "false"),
        ("and e.task_id = new.task_id and e.amount = new.price", ""),
        ("case new.state when 'AGREED' then 'PENDING' else 'FUNDED' end", "e.state"),
    ),
    *_of(
        "upload_guard",
        "uploads.upload_guard",
        ("old.used_at is null and tg_op = 'DELETE'", "tg_op = 'DELETE'"),
        ("old.used_at is null and before is not distinct from new",
         "before is not distinct from new"),
        ("old.used_at is null and before is not distinct from new", "old.used_at is null"),
    ),
    *_of(
        "evidence_guard",
        "evidence.evidence_guard",
        ("and d.state <> 'RESOLVED'", ""),
        ("new.submitted_by in (t.poster_id, t.assigned_hustler_id)", "true"),
        ("or is_admin(new.submitted_by)", ""),
        ("and u.user_id = new.submitted_by", ""),
        ("and u.used_at is not null", ""),
    ),
    *_of(
        "proof_photo_guard",
        "proof_photos.proof_photo_guard",
        ("u.user_id = p.hustler_id", "true"),
        ("p.kind = 'PHOTOS' and p.state = 'PENDING'", "p.state = 'PENDING'"),
        ("p.kind = 'PHOTOS' and p.state = 'PENDING'", "p.kind = 'PHOTOS'"),
        ("u.storage_key, u.bytes,", "new.storage_url, u.bytes,"),
    ),
    *_of(
        "live_broadcast_guard",
        "live_broadcasts.live_broadcast_guard",
        ("old.state <> 'ACTIVE' and old is distinct from new", "false"),
        ("(new.state = 'ACCEPTED') <> (new.accepted_by is not null)", "false"),
        ("t.id = new.task_id and t.state = 'ACCEPTED'", "true"),
        ("old.started_at, old.expires_at,", "old.started_at, new.expires_at,"),
    ),
    *_of(
        "live_broadcast_guard",
        "live_broadcasts.live_broadcast_guard",
        ("old.expansion_interval_s, old.partition", "old.expansion_interval_s, new.partition"),
    ),
    *_of(
        "live_broadcast_requires_funded_escrow",
        "live_broadcasts.live_broadcast_requires_funded_escrow",
        ("select t.partition into new.partition", "select 63 into new.partition"),
    ),
    *_of(
        "user_event_guard",
        "user_events.user_event_guard",
        ("and last_seq = own.first - 1", ""),
        ("own.events <> own.numbers or", ""),
        ("or own.last - own.first + 1 <> own.events", ""),
    ),
    *_of(
        "live_status_guard",
        "live_status.live_status_guard",
        ("(new.banned_until < old.banned_until) is not false", "new.banned_until < old.banned_until"),
        ("l.id = new.session_id and l.user_id = new.user_id", "l.id = new.session_id"),
        ("and l.ended_at is null", ""),
        ("(new.cooldown_until < old.cooldown_until) is not false", "false"),
        ("(new.paused_until < old.paused_until) is not false", "false"),
    ),
    *_of(
        "acted_on_user",
        "live_status.live_status_guard",
        ("and a.target_id = p_user::text", ""),
        ("and a.action_type = any(p_actions)", ""),
        ("and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())", ""),
    ),
    *_of(
        "live_status_shift",
        "live_status.live_status_shift",
        ("(old.shift_since, old.off_since) is distinct from (new.shift_since, new.off_since)", "false"),
        ("new.shift_since := shift_resumed(old, at);", "new.shift_since := at;"),
        ("new.off_since := at;", ""),
    ),
    *_of(
        "suspension_stops",
        "users.suspension_stops",
        ("where task_id = t.id and state = 'ACTIVE'", "where false"),
        ("perform hold_for_admin(t);", "null;"),
        ("where user_id = new.id and session_id is not null", "where false"),
    ),
    *_of(
        "reinstatement_resumes",
        "users.reinstatement_resumes",
        ("perform close_item('POSTER_SUSPENDED', t.id::text);", ""),
        ("perform hx_timer('CHOICE', t.id, at + choice_window());", ""),
    ),
    *_of(
        "chargeback_guard",
        "chargebacks.chargeback_guard",
        ("not pays_escrow(new.payment, new.escrow_id)", "false"),
        ("and new.amount > old.amount", "and false"),
        ("coalesce(new.reported_inquiry_at, '-infinity') < old.reported_inquiry_at", "false"),
        ("coalesce(new.reported_closed_at, '-infinity') < old.reported_closed_at", "false"),
        ("coalesce(new.reported_disputed_at, '-infinity') < old.reported_disputed_at", "false"),
        ("coalesce(new.reported_won_at, '-infinity') < old.reported_won_at", "false"),
        ("old.payment, old.opened_at)", "new.payment, old.opened_at)"),
    ),
    *_of(
        "external_refund_guard",
        "external_refunds.external_refund_guard",
        ("not pays_escrow(new.payment, new.escrow_id)", "false"),
        ("new.amount < old.amount\n", "false\n"),
        ("and not old.is_sum", "and false"),
        ("('SUCCEEDED', 'PENDING'), ", ""),
        ("('FAILED', 'PENDING'), ", ""),
        ("old.is_sum, old.opened_at)", "new.is_sum, old.opened_at)"),
    ),
    *_of(
        "taken_money_rests",
        "settlements.settlement_rests",
        ("and settlement_uncovered(s)", "and false"),
        ("and not settlement_forced(s)", ""),
    ),
    *_of(
        "settlement_uncovered",
        "settlements.settlement_rests",
        ("taken.undecided or", "false or"),
        ("taken.cents > 0 and not", "false and not"),
    ),
    *_of(
        "settlement_forced",
        "settlements.settlement_rests",
        ("a.action_type = 'RETRY_SETTLEMENT'", "true"),
        ("and a.target_id = s.id::text", ""),
    ),
    *_of(
        "taken_money_rests",
        "chargebacks.chargeback_rests",
        ("taken.undecided or taken.cents > 0", "false"),
    ),
    *_of(
        "admin_item_guard",
        "admin_items.admin_item_guard",
        ("old.closed_at is not null and old is distinct from new", "false"),
        ("(old.id, old.kind, old.subject, old.details, old.opened_at)",
         "(old.id, new.kind, old.subject, new.details, old.opened_at)"),
        ("u.id = new.closed_by and u.role = 'admin'", "true"),
        ("perform refuse_own_case(new.closed_by, new.id::text)", "null"),
    ),
    *_of(
        "admin_action_guard",
        "admin_actions.admin_action_guard",
        ("perform admin_only(new.admin_id)", "null"),
        ("perform refuse_own_case(new.admin_id, new.target_id)", "null"),
    ),
    *_of(
        "people_of_case",
        "admin_actions.admin_action_guard",
        ("where o.id = any(ids)\n        union all\n        select null, o.subject",
         "where false\n        union all\n        select null, o.subject"),
        ("select null, o.subject from admin_items as o where o.id = any(ids)",
         "select null, null"),
        ("from tasks as t where t.id = any(ids)", "from tasks as t where false"),
        ("from proofs as p where p.id = any(ids)", "from proofs as p where false"),
        ("from live_broadcasts as b where b.id = any(ids)", "from live_broadcasts as b where false"),
        ("from xp_ledger as x where x.id = any(ids)", "from xp_ledger as x where false"),
        ("where e.id = any(ids) or", "where"),
        ("or e.stripe_payment_intent_id = any(names)", ""),
        ("where s.id = any(ids) or", "where"),
        ("or s.transfer_reference = any(names)", ""),
        ("where c.id = any(names)", "where false"),
        ("from users as u where u.id = any(ids)", "from users as u where false"),
        ("where a.account_id = any(names)", "where false"),
        ("from badges as b where b.id = any(ids)", "from badges as b where false"),
        ("from disputes as d where d.id = any(ids)\n            union all",
         "from disputes as d where false\n            union all"),
        ("unnest(task_lineage(c.task_id))", "unnest(array[c.task_id])"),
        ("array[t.poster_id, t.assigned_hustler_id]", "array[t.poster_id]"),
        ("array[t.poster_id, t.assigned_hustler_id]", "array[t.assigned_hustler_id]"),
    ),
    *_of(
        "xp_flag_guard",
        "xp_flags.xp_flag_guard",
        ("perform admin_may_decide(new.flagged_by, new.ledger_id::text)",
         "perform admin_only(new.flagged_by)"),
    ),
    *_of(
        "badge_grant_guard",
        "badges.badge_grant_guard",
        ("perform refuse_own_case(new.granted_by, new.user_id::text)", "null"),
    ),
    *_of(
        "badge_guard",
        "badges.badge_guard",
        ("perform refuse_own_case(new.revoked_by, old.id::text)", "null"),
    ),
]  # fmt: skip

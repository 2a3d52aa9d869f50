"""What is taken away from the judges, one thing at a time, so that a rule must notice.

An object of the catalogue is dropped whole. Of a function with several conditions single ones are
edited out: each patch is a piece of its text and what stands there instead.
"""

from __future__ import annotations

from typing import NamedTuple

import asyncpg

ESCROWS = "escrows.escrow_transition_guard"


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
        ("where heir.replaces = old.id and heir.state = 'FUNDED'", "where heir.replaces = old.id"),
        ("new.is_current and not old.is_current and not", "false and not"),
        ("new.task_id is distinct from old.task_id and not", "false and not"),
        ("heir.id = new.task_id and gone.id = old.task_id and", "heir.id = new.task_id and"),
        ("and heir.poster_id = gone.poster_id and heir.price = old.amount", ""),
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
        ("old.category, old.deadline,", "new.category, old.deadline,"),
        ("old.category, old.deadline,", "old.category, new.deadline,"),
        ("old.insurance_required,", "new.insurance_required,"),
    ),
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
        ("new.rejections > 2", "false"),
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
        ("and o.response is distinct from 'DECLINE'", ""),
        ("not eligible(new.id, new.assigned_hustler_id)", "false"),
        ("new.assigned_hustler_id = any(releasers(new.id))", "false"),
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
        "live_status_guard",
        "live_status.live_status_guard",
        ("(new.banned_until < old.banned_until) is not false", "new.banned_until < old.banned_until"),
        ("l.id = new.session_id and l.user_id = new.user_id", "l.id = new.session_id"),
        ("and l.ended_at is null", ""),
        ("and a.target_id = new.user_id::text", ""),
        ("and a.created_at >= hx_clock() - (clock_timestamp() - transaction_timestamp())", ""),
    ),
    *_of(
        "chargeback_guard",
        "chargebacks.chargeback_guard",
        ("new.payment in (e.stripe_payment_intent_id, s.payment)", "true"),
        ("and new.amount > old.amount", "and false"),
        ("coalesce(new.told_inquiry_at, '-infinity') < old.told_inquiry_at", "false"),
        ("coalesce(new.told_closed_at, '-infinity') < old.told_closed_at", "false"),
        ("coalesce(new.told_disputed_at, '-infinity') < old.told_disputed_at", "false"),
        ("coalesce(new.told_won_at, '-infinity') < old.told_won_at", "false"),
        ("old.payment, old.opened_at)", "new.payment, old.opened_at)"),
    ),
    *_of(
        "external_refund_guard",
        "external_refunds.external_refund_guard",
        ("new.payment in (e.stripe_payment_intent_id, s.payment)", "true"),
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
        "operator_item_guard",
        "operator_items.operator_item_guard",
        ("old.closed_at is not null and old is distinct from new", "false"),
        ("(old.id, old.kind, old.subject, old.details, old.opened_at)",
         "(old.id, new.kind, old.subject, new.details, old.opened_at)"),
        ("u.id = new.closed_by and u.role = 'admin'", "true"),
    ),
    *_of(
        "admin_action_guard",
        "admin_actions.admin_action_guard",
        ("perform admin_only(new.admin_id)", "null"),
    ),
]  # fmt: skip

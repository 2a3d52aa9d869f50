"""Disputes as the operator decides them."""

from __future__ import annotations

from msgspec import Struct

from engine.disputes.admin_views import DisputeFile
from engine.disputes.views import DisputeView
from engine.kernel.ids import DisputeId
from gateway.http.admin.requests import Decision, DisputesQuery, Why
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


class Disputes(Struct, frozen=True):
    """One page of disputes, the oldest first."""

    items: list[DisputeView]
    next_cursor: str | None


async def page(parts: Parts, ask: Ask[Nothing, DisputesQuery]) -> Disputes:
    """Disputes with their deadlines."""
    query = ask.query
    items, end = await parts.admin.disputes.disputes(
        query.state, parts.cursors.after(ask.user_id, query.cursor), query.limit
    )
    return Disputes(items, parts.cursors.next(ask.user_id, end))


async def show(parts: Parts, ask: Ask[Nothing, Nothing]) -> DisputeFile:
    """One dispute with evidence, proofs, the task's steps, and what admins did."""
    return await parts.admin.disputes.dispute(DisputeId(ask.path["dispute_id"]))


async def request_evidence(parts: Parts, ask: Ask[Why, Nothing]) -> DisputeFile:
    """Give both sides another 72 hours for evidence."""
    dispute = DisputeId(ask.path["dispute_id"])
    await parts.admin.disputes.request_evidence(ask.user_id, dispute, ask.body.reason)
    return await parts.admin.disputes.dispute(dispute)


async def escalate(parts: Parts, ask: Ask[Why, Nothing]) -> DisputeFile:
    """Hand the dispute on; what is left is the decision."""
    dispute = DisputeId(ask.path["dispute_id"])
    await parts.admin.disputes.escalate(ask.user_id, dispute, ask.body.reason)
    return await parts.admin.disputes.dispute(dispute)


async def resolve(parts: Parts, ask: Ask[Decision, Nothing]) -> DisputeFile:
    """Decide: for the hustler, for the poster, or a split."""
    dispute = DisputeId(ask.path["dispute_id"])
    body = ask.body
    await parts.admin.disputes.resolve(
        ask.user_id, dispute, body.outcome, body.release_cents, body.reason
    )
    return await parts.admin.disputes.dispute(dispute)

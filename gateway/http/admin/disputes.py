"""Disputes as the admin decides them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from engine.disputes.admin import Outcome
from engine.disputes.admin_views import DisputeFile, DisputeState
from engine.disputes.views import DisputeView
from engine.kernel.ids import DisputeId
from gateway.contract.fields import Cents, Cursor, FieldRefused, Limit, Text
from gateway.http.admin.shapes import Why
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts


class Decision(Sent, frozen=True):
    """POST …/resolve; `release_cents`, the hustler's part before the fee, goes with SPLIT."""

    outcome: Outcome
    reason: Text
    release_cents: Cents | None = None

    def __post_init__(self) -> None:
        if (self.outcome == "SPLIT") != (self.release_cents is not None):
            raise FieldRefused("release_cents", "belongs to SPLIT, and to nothing else")


class DisputesQuery(Sent, frozen=True):
    """GET /v1/admin/disputes?state&cursor&limit; UNRESOLVED is every state but RESOLVED."""

    state: DisputeState | Literal["UNRESOLVED"] = "UNRESOLVED"
    cursor: Cursor | None = None
    limit: Limit = 20


class Disputes(Struct, frozen=True):
    """One page of disputes, the oldest first."""

    items: list[DisputeView]
    next_cursor: str | None


async def page(parts: Parts, context: RequestContext[Nothing, DisputesQuery]) -> Disputes:
    """Disputes with their deadlines."""
    query = context.query
    items, end = await parts.admin.disputes.disputes(
        query.state, parts.cursors.after(context.user_id, query.cursor), query.limit
    )
    return Disputes(items, parts.cursors.next(context.user_id, end))


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> DisputeFile:
    """One dispute with evidence, proofs, the task's steps, and what admins did."""
    return await parts.admin.disputes.dispute(context.id(DisputeId))


async def request_evidence(parts: Parts, context: RequestContext[Why, Nothing]) -> DisputeFile:
    """Give both sides another 72 hours for evidence."""
    dispute = context.id(DisputeId)
    await parts.admin.disputes.request_evidence(context.user_id, dispute, context.body.reason)
    return await parts.admin.disputes.dispute(dispute)


async def escalate(parts: Parts, context: RequestContext[Why, Nothing]) -> DisputeFile:
    """Hand the dispute on; what is left is the decision."""
    dispute = context.id(DisputeId)
    await parts.admin.disputes.escalate(context.user_id, dispute, context.body.reason)
    return await parts.admin.disputes.dispute(dispute)


async def resolve(parts: Parts, context: RequestContext[Decision, Nothing]) -> DisputeFile:
    """Decide: for the hustler, for the poster, or a split."""
    dispute = context.id(DisputeId)
    body = context.body
    await parts.admin.disputes.resolve(
        context.user_id, dispute, body.outcome, body.release_cents, body.reason
    )
    return await parts.admin.disputes.dispute(dispute)

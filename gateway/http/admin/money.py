"""Settlements, chargebacks and late payments, and the money of one task."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from engine.kernel.ids import SettlementId, TaskId, UserId
from engine.money.admin_views import (
    ChargebackState,
    ChargebackView,
    MoneyFile,
    SettlementState,
    SettlementView,
)
from engine.money.provider import LegKind
from engine.people.admin_views import UserFile
from gateway.contract.fields import Cursor, Limit, Text
from gateway.http.admin.shapes import Why, name
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts

Reference = Annotated[
    str, name("A-Za-z0-9_-", 255, "1 to 255 letters, digits, underscores and hyphens")
]


class LegDone(Sent, frozen=True):
    """POST …/book-leg: what a person carried out at the provider, by the provider's name for it."""

    leg: LegKind
    reference: Reference
    reason: Text


class PayoutAccount(Sent, frozen=True):
    """POST …/payout-account."""

    account_id: Reference
    reason: Text
    payouts_enabled: bool = True


class SettlementsQuery(Sent, frozen=True):
    """GET /v1/admin/settlements and /v1/admin/late-payments ?state&cursor&limit."""

    state: SettlementState | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class ChargebacksQuery(Sent, frozen=True):
    """GET /v1/admin/chargebacks?state."""

    state: ChargebackState | None = None


class Settlements(Struct, frozen=True):
    """One page of settlements, the oldest first."""

    items: list[SettlementView]
    next_cursor: str | None


class Chargebacks(Struct, frozen=True):
    """The newest chargebacks, at most 200."""

    items: list[ChargebackView]


async def settlements(
    parts: Parts, context: RequestContext[Nothing, SettlementsQuery]
) -> Settlements:
    """Money on its way, with its legs, attempts and last error."""
    return await _settlements(parts, context, late_only=False)


async def late_payments(
    parts: Parts, context: RequestContext[Nothing, SettlementsQuery]
) -> Settlements:
    """Payments that came after their escrow was cancelled, and go back."""
    return await _settlements(parts, context, late_only=True)


async def _settlements(
    parts: Parts, context: RequestContext[Nothing, SettlementsQuery], *, late_only: bool
) -> Settlements:
    query = context.query
    items, end = await parts.admin.money.settlements(
        query.state,
        parts.cursors.after(context.user_id, query.cursor),
        query.limit,
        late_only=late_only,
    )
    return Settlements(items, parts.cursors.next(context.user_id, end))


async def retry(parts: Parts, context: RequestContext[Why, Nothing]) -> SettlementView:
    """Run a held or delayed settlement again, now."""
    settlement = context.id(SettlementId)
    await parts.admin.money.retry_settlement(context.user_id, settlement, context.body.reason)
    return await parts.admin.money.settlement(settlement)


async def book_leg(parts: Parts, context: RequestContext[LegDone, Nothing]) -> SettlementView:
    """Book a leg of a held settlement that a person carried out at the provider."""
    settlement = context.id(SettlementId)
    body = context.body
    await parts.admin.money.book_leg(
        context.user_id, settlement, body.leg, body.reference, body.reason
    )
    return await parts.admin.money.settlement(settlement)


async def requeue(parts: Parts, context: RequestContext[Why, Nothing]) -> SettlementView:
    """Make the settlement that an ended task's held money lacks."""
    made = await parts.admin.money.requeue_settlement(
        context.user_id, context.id(TaskId), context.body.reason
    )
    return await parts.admin.money.settlement(made)


async def chargebacks(
    parts: Parts, context: RequestContext[Nothing, ChargebacksQuery]
) -> Chargebacks:
    """Payments that posters' banks took back."""
    return Chargebacks(await parts.admin.money.chargebacks(context.query.state))


async def timeline(parts: Parts, context: RequestContext[Nothing, Nothing]) -> MoneyFile:
    """Every cent of a task, its predecessors and successors."""
    return await parts.admin.money.money(context.id(TaskId))


async def payout_account(parts: Parts, context: RequestContext[PayoutAccount, Nothing]) -> UserFile:
    """Say where a hustler is paid; held payouts go on."""
    user = context.id(UserId)
    body = context.body
    await parts.admin.money.set_payout_account(
        context.user_id, user, body.account_id, enabled=body.payouts_enabled, reason=body.reason
    )
    return await parts.admin.people.user(user)

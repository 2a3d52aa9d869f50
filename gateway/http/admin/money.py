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
from gateway.http.endpoint import Ask
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


async def settlements(parts: Parts, ask: Ask[Nothing, SettlementsQuery]) -> Settlements:
    """Money on its way, with its legs, attempts and last error."""
    return await _settlements(parts, ask, late_only=False)


async def late_payments(parts: Parts, ask: Ask[Nothing, SettlementsQuery]) -> Settlements:
    """Payments that came after their escrow was cancelled, and go back."""
    return await _settlements(parts, ask, late_only=True)


async def _settlements(
    parts: Parts, ask: Ask[Nothing, SettlementsQuery], *, late_only: bool
) -> Settlements:
    query = ask.query
    items, end = await parts.admin.money.settlements(
        query.state,
        parts.cursors.after(ask.user_id, query.cursor),
        query.limit,
        late_only=late_only,
    )
    return Settlements(items, parts.cursors.next(ask.user_id, end))


async def retry(parts: Parts, ask: Ask[Why, Nothing]) -> SettlementView:
    """Run a held or delayed settlement again, now."""
    settlement = ask.id(SettlementId)
    await parts.admin.money.retry_settlement(ask.user_id, settlement, ask.body.reason)
    return await parts.admin.money.settlement(settlement)


async def book_leg(parts: Parts, ask: Ask[LegDone, Nothing]) -> SettlementView:
    """Book a leg of a held settlement that a person carried out at the provider."""
    settlement = ask.id(SettlementId)
    body = ask.body
    await parts.admin.money.book_leg(ask.user_id, settlement, body.leg, body.reference, body.reason)
    return await parts.admin.money.settlement(settlement)


async def requeue(parts: Parts, ask: Ask[Why, Nothing]) -> SettlementView:
    """Make the settlement that an ended task's held money lacks."""
    made = await parts.admin.money.requeue_settlement(ask.user_id, ask.id(TaskId), ask.body.reason)
    return await parts.admin.money.settlement(made)


async def chargebacks(parts: Parts, ask: Ask[Nothing, ChargebacksQuery]) -> Chargebacks:
    """Payments that posters' banks took back."""
    return Chargebacks(await parts.admin.money.chargebacks(ask.query.state))


async def timeline(parts: Parts, ask: Ask[Nothing, Nothing]) -> MoneyFile:
    """Every cent of a task, its predecessors and successors."""
    return await parts.admin.money.money(ask.id(TaskId))


async def payout_account(parts: Parts, ask: Ask[PayoutAccount, Nothing]) -> UserFile:
    """Say where a hustler is paid; held payouts go on."""
    user = ask.id(UserId)
    body = ask.body
    await parts.admin.money.set_payout_account(
        ask.user_id, user, body.account_id, enabled=body.payouts_enabled, reason=body.reason
    )
    return await parts.admin.people.user(user)

"""Settlements, chargebacks and late payments, and the money of one task."""

from __future__ import annotations

from msgspec import Struct

from engine.kernel.ids import SettlementId, UserId
from engine.money.admin_views import ChargebackView, MoneyFile, SettlementView
from engine.people.admin_views import UserFile
from gateway.http.admin.requests import (
    ChargebacksQuery,
    LegDone,
    PayoutAccount,
    SettlementsQuery,
    Why,
)
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


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
    settlement = SettlementId(ask.path["settlement_id"])
    await parts.admin.money.retry_settlement(ask.user_id, settlement, ask.body.reason)
    return await parts.admin.money.settlement(settlement)


async def book_leg(parts: Parts, ask: Ask[LegDone, Nothing]) -> SettlementView:
    """Book a leg of a held settlement that a person carried out at the provider."""
    settlement = SettlementId(ask.path["settlement_id"])
    body = ask.body
    await parts.admin.money.book_leg(ask.user_id, settlement, body.leg, body.reference, body.reason)
    return await parts.admin.money.settlement(settlement)


async def requeue(parts: Parts, ask: Ask[Why, Nothing]) -> SettlementView:
    """Make the settlement that an ended task's held money lacks."""
    made = await parts.admin.money.requeue_settlement(ask.user_id, ask.task_id, ask.body.reason)
    return await parts.admin.money.settlement(made)


async def chargebacks(parts: Parts, ask: Ask[Nothing, ChargebacksQuery]) -> Chargebacks:
    """Payments that posters' banks took back."""
    return Chargebacks(await parts.admin.money.chargebacks(ask.query.state))


async def timeline(parts: Parts, ask: Ask[Nothing, Nothing]) -> MoneyFile:
    """Every cent of a task, its predecessors and successors."""
    return await parts.admin.money.money(ask.task_id)


async def payout_account(parts: Parts, ask: Ask[PayoutAccount, Nothing]) -> UserFile:
    """Say where a hustler is paid; held payouts go on."""
    user = UserId(ask.path["user_id"])
    body = ask.body
    await parts.admin.money.set_payout_account(
        ask.user_id, user, body.account_id, enabled=body.payouts_enabled, reason=body.reason
    )
    return await parts.admin.people.user(user)

"""Hustlers' connected accounts at Stripe: opened by us, filled in on Stripe's own pages."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import stripe

from engine.money.accounts import PayoutAccount
from engine.money.stripe_client import translated
from engine.money.stripe_objects import Account, read

COUNTRY: Final = "US"


class StripeAccounts:
    """Implements `PayoutAccounts`."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._api = client.v1

    async def open_account(self, user: UUID) -> PayoutAccount:
        """An Express account that may receive transfers once Stripe knows its holder."""
        with translated():
            answer = await self._api.accounts.create_async(
                {
                    "type": "express",
                    "country": COUNTRY,
                    "business_type": "individual",
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"user_id": str(user)},
                },
                {"idempotency_key": f"account-{user}"},
            )
        return _account(read(answer.to_dict(), Account))

    async def account(self, account_id: str) -> PayoutAccount:
        """An account as Stripe has it now."""
        with translated():
            answer = await self._api.accounts.retrieve_async(account_id)
        return _account(read(answer.to_dict(), Account))

    async def onboarding_url(self, account_id: str, return_url: str) -> str | None:
        """A link for one visit; who comes too late is sent back and asks for another."""
        with translated():
            link = await self._api.account_links.create_async(
                {
                    "account": account_id,
                    "type": "account_onboarding",
                    "return_url": return_url,
                    "refresh_url": return_url,
                }
            )
        return link.url


def _account(account: Account) -> PayoutAccount:
    return PayoutAccount(account.id, payouts_enabled=bool(account.payouts_enabled))

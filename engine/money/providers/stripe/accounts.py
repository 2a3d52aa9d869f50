"""Hustlers' connected accounts at Stripe: opened by us, completed on Stripe's own pages."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import stripe

from engine.money.payout_accounts import PayoutAccount, PayoutAccountClosed
from engine.money.providers.stripe.client import ACCOUNT_GONE, code_of, translated
from engine.money.providers.stripe.objects import Account, read

COUNTRY: Final = "US"
_GONE: Final = frozenset({ACCOUNT_GONE, "resource_missing"})


class StripeAccounts:
    """Implements `PayoutAccounts` with Stripe's Express accounts."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._api = client.v1

    async def open_account(self, user: UUID, *, replaces: str | None = None) -> PayoutAccount:
        """Returns an Express account; it may receive transfers once its holder is verified.

        Stripe repeats its first answer to a key for a day, so replacing an account takes
        another key.
        """
        key = f"account-{user}" if replaces is None else f"account-{user}-{replaces}"
        with translated():
            answer = await self._api.accounts.create_async(
                {
                    "type": "express",
                    "country": COUNTRY,
                    "business_type": "individual",
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"user_id": str(user)},
                },
                {"idempotency_key": key},
            )
        return _account(read(answer.to_dict(), Account))

    async def account(self, account_id: str) -> PayoutAccount:
        """Returns an account as Stripe has it; PayoutAccountClosed for a deleted or revoked one."""
        with translated():
            try:
                answer = await self._api.accounts.retrieve_async(account_id)
            except (stripe.PermissionError, stripe.InvalidRequestError) as error:
                if code_of(error) in _GONE:
                    raise PayoutAccountClosed(f"Stripe has closed {account_id} to us.") from error
                raise
        account = read(answer.to_dict(), Account)
        if account.deleted:
            raise PayoutAccountClosed(f"Stripe has deleted {account_id}.")
        return _account(account)

    async def onboarding_url(self, account_id: str, return_url: str) -> str | None:
        """Returns a link for one visit; an expired one leads back, to ask for another."""
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
    return PayoutAccount(account.id, payouts_enabled=account.can_be_paid)

"""Payout accounts: where a hustler's money goes."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from msgspec import Struct

from engine.applied import Applied, EffectSink
from engine.ids import UserId
from engine.store import Store


class PayoutAccount(Struct, frozen=True):
    """An account at the provider."""

    account_id: str
    payouts_enabled: bool


class PayoutAccounts(Protocol):
    """The provider's accounts. Every method raises PaymentFailed, or PaymentRefused."""

    async def open_account(self, user: UUID) -> PayoutAccount:
        """The user's account, made if need be; repeating within a day makes no second one."""

    async def account(self, account_id: str) -> PayoutAccount:
        """An account as the provider has it now."""

    async def onboarding_url(self, account_id: str, return_url: str) -> str | None:
        """Where the hustler tells the provider who they are; it leads back to `return_url`."""


class Payouts:
    """Keeps each hustler's account in step with the provider's."""

    def __init__(self, store: Store, effects: EffectSink, accounts: PayoutAccounts) -> None:
        self._store = store
        self._effects = effects
        self._accounts = accounts

    async def of(self, user: UserId) -> PayoutAccount | None:
        """The account as we know it; None before it was opened."""
        return await self._store.maybe(PayoutAccount, "payout_account", user)

    async def open(self, user: UserId) -> PayoutAccount:
        """The account as the provider has it now, opened if there is none yet.

        Money that was held for want of one goes on its way.
        """
        known = await self.of(user)
        account = await (
            self._accounts.account(known.account_id) if known else self._accounts.open_account(user)
        )
        if account != known:
            applied = await self._store.one(
                Applied, "set_payout_account", user, account.account_id, account.payouts_enabled
            )
            self._effects.applied(applied)
        return account

    async def onboarding_url(self, account: PayoutAccount, return_url: str) -> str | None:
        """Where the rest of an account that cannot be paid yet is filled in; None for a ready one.

        A link is for one visit and a few minutes.
        """
        if account.payouts_enabled:
            return None
        return await self._accounts.onboarding_url(account.account_id, return_url)

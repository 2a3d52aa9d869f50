"""Payout accounts: the provider accounts that hustlers are paid to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import structlog
from msgspec import Struct

from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.ids import UserId
from engine.kernel.lanes import in_lanes
from engine.kernel.store import Store
from engine.money.provider import (
    PROVIDER_CALLS_AT_ONCE,
    PROVIDER_TIMEOUT_S,
    PaymentFailed,
    PaymentRefused,
)
from sql.database import DatabaseError

log = structlog.get_logger()


def utc_now() -> datetime:
    """Returns this machine's time in UTC; the provider's events are compared with it."""
    return datetime.now(UTC)


class PayoutAccount(Struct, frozen=True):
    """An account at the provider."""

    account_id: str
    payouts_enabled: bool
    closed: bool = False
    """Deleted, or taken from us by its holder: it is never paid again."""


class PayoutAccountClosed(PaymentRefused):
    """The provider has closed this account to us; another one may be opened."""


class PayoutAccounts(Protocol):
    """The port to the provider's accounts; each method raises PaymentFailed or PaymentRefused."""

    async def open_account(self, user: UUID, *, replaces: str | None = None) -> PayoutAccount:
        """Returns the user's account, opened if need be; once only if repeated within a day.

        `replaces` is the account that this user had and that is closed.
        """

    async def account(self, account_id: str) -> PayoutAccount:
        """Returns an account in its present state; PayoutAccountClosed for a closed one."""

    async def onboarding_url(self, account_id: str, return_url: str) -> str | None:
        """Returns the URL of the provider's identity form, or None; it leads to `return_url`."""


class Payouts:
    """Keeps each hustler's account in step with the provider's."""

    def __init__(
        self,
        execution: Execution,
        store: Store,
        accounts: PayoutAccounts,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._execution = execution
        self._store = store
        self._accounts = accounts
        self._clock = clock

    async def of(self, user: UserId) -> PayoutAccount | None:
        """Returns the stored account of a hustler; None before it was opened."""
        return await self._store.maybe(PayoutAccount, "payout_account", user)

    async def open(self, user: UserId) -> PayoutAccount:
        """Returns the account in the provider's present state; opens one if none is usable.

        Payouts that were held for want of an account are released.
        """
        known = await self.of(user)
        asked_at = self._now()
        account = await self._account(user, known)
        if account != known:
            await self._execution.run(
                "set_payout_account",
                user,
                account.account_id,
                account.payouts_enabled,
                asked_at,
            )
        return account

    async def refresh(self, limit: int) -> int:
        """Refreshes the accounts that held payouts wait for; returns how many had changed.

        An account that cannot be looked up now waits for the next call.
        """
        accounts = [
            PayoutAccount(row["account_id"], payouts_enabled=row["payouts_enabled"])
            for row in await self._store.rows("awaited_accounts", limit)
        ]
        return sum(await in_lanes(accounts, self._refresh, lanes=PROVIDER_CALLS_AT_ONCE))

    async def _refresh(self, known: PayoutAccount) -> int:
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                return await self._refreshed(known)
        except (PaymentFailed, TimeoutError, Refusal, DatabaseError) as error:
            log.warning("account_not_asked", account=known.account_id, error=repr(error))
            return 0

    def _now(self) -> datetime:
        """In whole seconds, as the provider's events have it: one of this second is no older."""
        return self._clock().replace(microsecond=0)

    async def _account(self, user: UserId, known: PayoutAccount | None) -> PayoutAccount:
        if known is None:
            return await self._accounts.open_account(user)
        if not known.closed:
            with contextlib.suppress(PayoutAccountClosed):
                return await self._accounts.account(known.account_id)
        return await self._accounts.open_account(user, replaces=known.account_id)

    async def _refreshed(self, known: PayoutAccount) -> int:
        asked_at = self._now()
        try:
            account = await self._accounts.account(known.account_id)
        except PayoutAccountClosed:
            account = PayoutAccount(known.account_id, payouts_enabled=False, closed=True)
        if account == known:
            await self._store.execute("account_unchanged", known.account_id, asked_at)
            return 0
        await self._execution.run(
            "record_payout_account",
            account.account_id,
            account.payouts_enabled,
            account.closed,
            asked_at,
        )
        return 1

    async def onboarding_url(self, account: PayoutAccount, return_url: str) -> str | None:
        """Returns the URL where a hustler completes an account; None for a complete one.

        A link is for one visit and a few minutes.
        """
        if account.payouts_enabled:
            return None
        return await self._accounts.onboarding_url(account.account_id, return_url)

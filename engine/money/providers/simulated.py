"""A payment provider that moves no money: for development, demos and tests."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Literal
from uuid import UUID

from engine.money.payout_accounts import PayoutAccount
from engine.money.provider import Movement, MovementKind, PaymentFailed

SimulatedMode = Literal["immediate", "delayed", "failing"]


class SimulatedPayments:
    """Implements `PaymentProvider` and `PayoutAccounts`.

    References are derived from the keys, so a repeated call after a crash is the same payment.

    - `immediate`: every call succeeds at once.
    - `delayed`: every movement is PENDING for `delay_s` from its first call on.
    - `failing`: PaymentFailed, for the first `failures` calls or, with None, for all.
    """

    def __init__(
        self,
        mode: SimulatedMode = "immediate",
        *,
        delay_s: float = 5.0,
        failures: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._mode = mode
        self._delay_s = delay_s
        self._failures_left = failures
        self._clock = clock
        self._began: dict[str, float] = {}

    async def charge(
        self,
        key: UUID,
        amount_cents: int,  # noqa: ARG002 (the port's)
        poster: UUID,  # noqa: ARG002
        *,
        begun: str | None = None,  # noqa: ARG002
    ) -> Movement:
        """Returns the payment `pi_sim_…` of this key."""
        return self._movement(f"pi_sim_{key.hex}")

    async def transfer(
        self,
        key: UUID,
        account: str | None,  # noqa: ARG002 (the port's)
        hustler: UUID,  # noqa: ARG002
        amount_cents: int,  # noqa: ARG002
        *,
        escrow: UUID,  # noqa: ARG002
        payment: str | None,  # noqa: ARG002
    ) -> Movement:
        """Returns the transfer `tr_sim_…` of this key; needs no account."""
        return self._movement(f"tr_sim_{key.hex}")

    async def refund(
        self,
        key: UUID,
        payment: str,  # noqa: ARG002 (the port's)
        amount_cents: int,  # noqa: ARG002
        *,
        escrow: UUID,  # noqa: ARG002
    ) -> Movement:
        """Returns the refund `re_sim_…` of this key."""
        return self._movement(f"re_sim_{key.hex}")

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:  # noqa: ARG002
        """Returns the movement: SUCCEEDED, or PENDING while its delay lasts.

        A movement that this process never began was begun by an earlier one, and is over
        too.
        """
        began = self._began.get(reference)
        if began is None or self._clock() - began >= self._delay_s:
            return Movement(reference, "SUCCEEDED")
        return Movement(reference, "PENDING")

    async def open_account(self, user: UUID, *, replaces: str | None = None) -> PayoutAccount:
        """Returns an account that can be paid at once; never the one that it replaces."""
        account = f"acct_sim_{user.hex}"
        return PayoutAccount(account if replaces is None else f"{replaces}_2", payouts_enabled=True)

    async def account(self, account_id: str) -> PayoutAccount:
        """Returns the account of this id; it can be paid."""
        return PayoutAccount(account_id, payouts_enabled=True)

    async def onboarding_url(self, account_id: str, return_url: str) -> str | None:  # noqa: ARG002
        """Returns None: a simulated account is complete."""
        return None

    def _movement(self, reference: str) -> Movement:
        if self._mode == "failing" and self._failures_left != 0:
            if self._failures_left is not None:
                self._failures_left -= 1
            raise PaymentFailed("The simulated provider fails on purpose.")
        if self._mode != "delayed":
            return Movement(reference, "SUCCEEDED")
        began = self._began.setdefault(reference, self._clock())
        over = self._clock() - began >= self._delay_s
        return Movement(reference, "SUCCEEDED" if over else "PENDING")

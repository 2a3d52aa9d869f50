"""A provider without money: every call succeeds at once, and the same key has the same reference."""

from __future__ import annotations

from uuid import UUID


class SimulatedPayments:
    """Implements `PaymentProvider` for development, demos and tests.

    References are derived from the keys, so a repeated call after a crash is the same payment.
    """

    async def charge(self, key: UUID, amount_cents: int) -> str:  # noqa: ARG002 (the port's)
        """The reference `pi_sim_…` of this key."""
        return f"pi_sim_{key.hex}"

    async def transfer(self, key: UUID, hustler: UUID, amount_cents: int) -> str:  # noqa: ARG002
        """The reference `tr_sim_…` of this key."""
        return f"tr_sim_{key.hex}"

    async def refund(self, key: UUID, payment: str, amount_cents: int) -> str:  # noqa: ARG002
        """The reference `re_sim_…` of this key."""
        return f"re_sim_{key.hex}"

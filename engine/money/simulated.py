"""A provider without money: every call succeeds at once, and the same key has the same reference."""

from __future__ import annotations

from uuid import UUID

from engine.money.provider import Movement, MovementKind


class SimulatedPayments:
    """Implements `PaymentProvider` for development, demos and tests.

    References are derived from the keys, so a repeated call after a crash is the same payment.
    """

    async def charge(self, key: UUID, amount_cents: int, poster: UUID) -> Movement:  # noqa: ARG002
        """The reference `pi_sim_…` of this key."""
        return Movement(f"pi_sim_{key.hex}", "SUCCEEDED")

    async def transfer(
        self,
        key: UUID,
        account: str | None,  # noqa: ARG002
        hustler: UUID,  # noqa: ARG002
        amount_cents: int,  # noqa: ARG002
    ) -> Movement:
        """The reference `tr_sim_…` of this key."""
        return Movement(f"tr_sim_{key.hex}", "SUCCEEDED")

    async def refund(self, key: UUID, payment: str, amount_cents: int) -> Movement:  # noqa: ARG002
        """The reference `re_sim_…` of this key."""
        return Movement(f"re_sim_{key.hex}", "SUCCEEDED")

    async def look_up(self, kind: MovementKind, reference: str) -> Movement:  # noqa: ARG002
        """Everything has succeeded."""
        return Movement(reference, "SUCCEEDED")

"""The payment provider of this deployment: the simulated one, or Stripe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from engine.money.books import ProviderBooks
from engine.money.payout_accounts import PayoutAccounts
from engine.money.provider import PaymentProvider
from engine.money.providers.simulated import SimulatedPayments
from gateway.settings.groups import Payments
from gateway.settings.loading import SettingsError

SIMULATED_LOOK_S: Final = 0.5
"""A delayed movement is booked at most that much after its time."""


@dataclass(frozen=True, slots=True)
class Money:
    """The three interfaces of the payment provider."""

    payments: PaymentProvider
    accounts: PayoutAccounts
    books: ProviderBooks | None
    """None for a provider without books of its own."""
    look_every_s: float | None = None
    """How often movements under way are looked up, where no webhook tells of them."""


OpenMoney = Callable[[Payments], AbstractAsyncContextManager[Money]]


def demand_sdk(settings: Payments) -> None:
    """Raises SettingsError where the provider's SDK is required and not installed."""
    if settings.provider == "stripe" and find_spec("stripe") is None:
        raise SettingsError(
            "HX_PAYMENTS=stripe needs Stripe's SDK, which is not installed: install "
            "requirements-production.lock, or the extra hustlexp-live[stripe]."
        )


@asynccontextmanager
async def open_money(settings: Payments) -> AsyncIterator[Money]:
    """Opens the provider that the settings name; sends no request."""
    if settings.provider == "simulated":
        simulated = SimulatedPayments(settings.simulated_mode)
        yield Money(simulated, simulated, books=None, look_every_s=_look_every_s(settings))
        return
    demand_sdk(settings)
    # Stripe's SDK is imported only by who uses it: it costs 150 ms.
    from engine.money.providers.stripe.accounts import StripeAccounts  # noqa: PLC0415
    from engine.money.providers.stripe.books import StripeBooks  # noqa: PLC0415
    from engine.money.providers.stripe.client import open_client  # noqa: PLC0415
    from engine.money.providers.stripe.payments import StripePayments  # noqa: PLC0415

    async with open_client(settings.stripe_key, settings.stripe_url or None) as client:
        yield Money(
            StripePayments(client, test_payment_method=settings.test_payment_method or None),
            StripeAccounts(client),
            StripeBooks(client, livemode=settings.livemode),
        )


def _look_every_s(settings: Payments) -> float | None:
    """Returns how often to look for ended delayed movements; None where none are delayed.

    They end by the clock alone: looking often is what books them in time.
    """
    if settings.simulated_mode == "delayed":
        return min(SIMULATED_LOOK_S, settings.reconcile_s)
    return None

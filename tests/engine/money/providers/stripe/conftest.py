"""A fake Stripe for each test, and the official SDK pointed at it."""

from collections.abc import AsyncIterator

import pytest
import stripe

from engine.money.providers.stripe.client import open_client
from engine.money.providers.stripe.payments import StripePayments
from tests.engine.money.providers.stripe.app import API_KEY
from tests.engine.money.providers.stripe.fake import FakeServer, FakeStripe, served


@pytest.fixture(scope="session")
def fake_server() -> FakeServer:
    """Where the fake of each test appears."""
    return FakeServer()


@pytest.fixture(scope="session")
async def fake_url(fake_server: FakeServer) -> AsyncIterator[str]:
    """Where it listens."""
    async with served(fake_server) as url:
        yield url


@pytest.fixture(scope="session")
async def sdk(fake_url: str) -> AsyncIterator[stripe.StripeClient]:
    """The SDK's client."""
    async with open_client(API_KEY, fake_url) as client:
        yield client


@pytest.fixture
def fake(fake_server: FakeServer) -> FakeStripe:
    """A kind one; turn its dial for more."""
    fake_server.fake = FakeStripe()
    return fake_server.fake


@pytest.fixture
def payments(sdk: stripe.StripeClient, fake: FakeStripe) -> StripePayments:
    """The provider as the poster's app knows it: it confirms by itself."""
    return StripePayments(sdk)


@pytest.fixture
def confirming(sdk: stripe.StripeClient, fake: FakeStripe) -> StripePayments:
    """The provider with a test payment method: payments succeed at once."""
    return StripePayments(sdk, test_payment_method="pm_card_visa")

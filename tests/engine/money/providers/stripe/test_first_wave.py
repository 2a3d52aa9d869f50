"""A payment that is confirmed in the poster's app starts its broadcast with the first wave."""

from pathlib import Path

import pytest

from tests.engine.money.providers.stripe.app import API_KEY
from tests.engine.money.providers.stripe.fake import FakeStripe
from tests.engine.money.providers.stripe.webhook_queue import FIRST_SECRET
from tests.support.first_wave import let_nobody_look, notified, present
from tests.support.servers import TestDatabase
from tests.support.service import live, near, running, somewhere


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches a socket rode in a commit."""
    let_nobody_look(monkeypatch)


@pytest.mark.usefixtures("nobody_looks")
@pytest.mark.parametrize("heard", ["by the webhook", "by the reconciler"])
async def test_the_cards_come_with_the_news_of_the_payment(
    heard: str,
    fresh_database: TestDatabase,
    valkey_url: str,
    fake: FakeStripe,
    fake_url: str,
    tmp_path: Path,
) -> None:
    """Nobody funds a second time, and the broadcaster never looks."""
    by_webhook = heard == "by the webhook"
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(
        *dsns,
        valkey_url,
        tmp_path,
        HX_PAYMENTS="stripe",
        HX_STRIPE_KEY=API_KEY,
        HX_STRIPE_URL=fake_url,
        HX_STRIPE_WEBHOOK_SECRETS=FIRST_SECRET,
        HX_RECONCILE_S="3600" if by_webhook else "0.1",
    ) as service:
        poster, hustler = await service.user("poster"), await service.user("dual")
        place = somewhere()
        async with live(service, hustler, near(place, 1.0)) as client, present(valkey_url, hustler):
            task = (await service.funded(poster, place))["id"]
            (intent,) = fake.ledger.listed("payment_intent")
            fake.ledger.confirm(intent["id"], "pm_card_visa")

            async def deliver(body: bytes, signature: str) -> int:
                headers = {"Stripe-Signature": signature}
                page = "/v1/webhooks/stripe"
                answer = await service.http.post(page, content=body, headers=headers)
                return answer.status_code

            if by_webhook:
                await fake.webhooks.everything(deliver)
            card = await client.hear_until("LIVE_TASK_BROADCAST")
            assert card["data"]["task"]["id"] == task
            assert await notified(service, task) == [1]

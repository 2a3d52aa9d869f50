"""The whole service on a fake Stripe, over HTTP in both directions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.dev_accounts import open_dev_accounts
from gateway.server.app import create_app
from gateway.server.wiring import open_parts
from gateway.settings.groups import Settings
from tests.engine.money.providers.stripe.app import API_KEY
from tests.engine.money.providers.stripe.fake import FakeStripe
from tests.engine.money.providers.stripe.webhook_queue import FIRST_SECRET
from tests.support.rest import People, Person
from tests.support.servers import RunServers, TestDatabase, clone_of

RETURN = {"return_url": "https://app.example/payouts"}


@pytest.fixture(scope="module")
def own_database(run_servers: RunServers, worker_number: int) -> Iterator[TestDatabase]:
    """No other test's settlements are in it."""
    with clone_of(run_servers, f"gw{worker_number}_stripe") as database:
        yield database


@pytest.fixture(scope="module")
def settings(
    own_database: TestDatabase,
    valkey_url: str,
    fake_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Settings:
    """A development service with Stripe."""
    return Settings.load(
        {
            "HX_POSTGRES_DSN": own_database.dsn,
            "HX_POSTGRES_OWNER_DSN": own_database.owner_dsn,
            "HX_REDIS_URL": valkey_url,
            "HX_DATA_DIR": str(Path(tmp_path_factory.mktemp("data"))),
            "HX_DEVELOPMENT": "true",
            "HX_PAYMENTS": "stripe",
            "HX_STRIPE_KEY": API_KEY,
            "HX_STRIPE_URL": fake_url,
            "HX_STRIPE_WEBHOOK_SECRETS": f"{FIRST_SECRET},whsec_next",
            "HX_RECONCILE_S": "3600",
        }
    )


@pytest.fixture(scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with open_parts(settings) as parts:
        transport = httpx.ASGITransport(create_app(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://hx") as opened:
            yield opened


@pytest.fixture(scope="module")
async def people(client: httpx.AsyncClient, settings: Settings) -> AsyncIterator[People]:
    """Posters and hustlers."""
    async with open_dev_accounts(settings) as dev_accounts:
        yield People(client, dev_accounts)


@pytest.fixture
def deliver(client: httpx.AsyncClient) -> Callable[[bytes, str], Awaitable[int]]:
    """The road from the fake's post to the service."""

    async def delivering(body: bytes, header: str) -> int:
        answer = await client.post(
            "/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": header}
        )
        return answer.status_code

    return delivering


async def seen(person: Person, path: str, state: str) -> Any:
    """The task once its escrow has a state; the worker takes a moment."""
    async with asyncio.timeout(10):
        while True:
            task = await person.good("GET", path)
            if task["escrow"]["state"] == state:
                return task
            await asyncio.sleep(0.02)


async def test_a_task_is_paid_for_and_paid_out_through_stripe(
    people: People, fake: FakeStripe, deliver: Callable[[bytes, str], Awaitable[int]]
) -> None:
    """Onboarding, client secret, webhook, work, transfer: the hustler has 85 % in the end."""
    hustler, poster = await people.person("hustler"), await people.person("poster")
    unopened = await hustler.good("GET", "/v1/payout-account")
    assert unopened == {"account_id": None, "payouts_enabled": False}
    opened = await hustler.good("POST", "/v1/payout-account", RETURN)
    assert not opened["payouts_enabled"]
    assert opened["onboarding_url"].endswith("?to=https://app.example/payouts")

    task = await people.task(poster, mode="STANDARD", requires_proof=False)
    path = f"/v1/tasks/{task['id']}"
    escrow = await poster.good("POST", f"{path}/fund", {})
    assert escrow["state"] == "PENDING"
    intent = fake.ledger.listed("payment_intent")[0]
    assert escrow["client_secret"] == intent["client_secret"]
    assert (await hustler.call("POST", f"{path}/accept", {})).status == 409

    fake.ledger.confirm(intent["id"], "pm_card_visa")
    await fake.webhooks.everything(deliver)
    again = await poster.call("POST", f"{path}/fund", {})
    assert (again.status, again.body["state"]) == (200, "FUNDED")
    assert "client_secret" not in again.body

    await hustler.good("POST", f"{path}/accept", {})
    await hustler.comes(await hustler.good("GET", path))
    await hustler.good("POST", f"{path}/proofs", {})
    await poster.good("POST", f"{path}/approve", {})

    fake.webhooks.secrets = ["whsec_next"]
    fake.ledger.finish_onboarding(opened["account_id"])
    await fake.webhooks.everything(deliver)
    await seen(poster, path, "RELEASED")
    assert (await hustler.good("GET", "/v1/payout-account"))["payouts_enabled"]
    assert fake.ledger.held[opened["account_id"]] == 3_400
    assert fake.ledger.held["platform"] == 600


async def test_an_account_that_is_ready_needs_no_onboarding(
    people: People, fake: FakeStripe
) -> None:
    """Asking for it again asks Stripe how it stands, though no webhook came."""
    hustler = await people.person("hustler")
    opened = await hustler.good("POST", "/v1/payout-account", RETURN)
    fake.ledger.finish_onboarding(opened["account_id"])
    ready = await hustler.good("POST", "/v1/payout-account", RETURN)
    assert ready == {"account_id": opened["account_id"], "payouts_enabled": True}
    assert len(fake.ledger.objects["account"]) == 1


async def test_a_stripe_that_is_away_is_no_fault_of_the_service(
    people: People, fake: FakeStripe
) -> None:
    """503 and retryable, for an account and for a payment."""
    hustler, poster = await people.person("hustler"), await people.person("poster")
    task = await people.task(poster)
    fake.chaos.turn(error_before=1.0)
    for answer in (
        await hustler.call("POST", "/v1/payout-account", RETURN),
        await poster.call("POST", f"/v1/tasks/{task['id']}/fund", {}),
    ):
        assert answer.refusal() == (503, "UNAVAILABLE", None)
        assert answer.body["retryable"]


async def test_an_account_that_is_gone_is_replaced_and_never_told_as_passing(
    people: People, fake: FakeStripe, deliver: Callable[[bytes, str], Awaitable[int]]
) -> None:
    """Deleted, then the next one revoked; a refusal that stays one is not retryable."""
    hustler = await people.person("hustler")
    first = await hustler.good("POST", "/v1/payout-account", RETURN)
    fake.ledger.delete_account(first["account_id"])
    second = await hustler.good("POST", "/v1/payout-account", RETURN)
    assert second["account_id"] != first["account_id"]
    assert not second["payouts_enabled"]
    assert "onboarding_url" in second

    fake.ledger.disconnect(second["account_id"])
    await fake.webhooks.everything(deliver)
    gone = await hustler.good("GET", "/v1/payout-account")
    assert gone == {"account_id": None, "payouts_enabled": False}
    third = await hustler.good("POST", "/v1/payout-account", RETURN)
    assert third["account_id"] not in (first["account_id"], second["account_id"])

    fake.api.refused = "/account_links"
    answer = await hustler.call("POST", "/v1/payout-account", RETURN)
    assert answer.refusal() == (409, "HX016", "PAYOUT-ACCOUNT")
    assert not answer.body["retryable"]


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "app.example", "https://a b", None])
async def test_onboarding_leads_back_to_a_web_page_only(people: People, url: object) -> None:
    """Anything else is refused before Stripe is asked."""
    hustler = await people.person("hustler")
    answer = await hustler.call("POST", "/v1/payout-account", {"return_url": url})
    assert answer.refusal() == (422, "VALIDATION_ERROR", None)


async def test_a_poster_has_no_payout_account(people: People) -> None:
    """Only who may work is paid."""
    poster = await people.person("poster")
    for method in ("GET", "POST"):
        assert (await poster.call(method, "/v1/payout-account", None)).status == 403

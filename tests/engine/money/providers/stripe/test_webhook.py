import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from engine.kernel.store import Store
from engine.money.provider_events import ProviderEvents
from gateway.http.middleware import RequestMiddleware, exception_handlers
from gateway.http.stripe_webhook import MAX_EVENT_BYTES, StripeWebhook
from gateway.metrics.metrics import Metrics
from sql.database import Database
from tests.engine.money.providers.stripe.webhook_queue import signature
from tests.support.market import execution_on
from tests.support.starts import lone_start

SECRETS = ["whsec_new", "whsec_old"]
PAGE = "/v1/webhooks/stripe"


def page(database: Database, secrets: list[str] | None = None) -> httpx.AsyncClient:
    """A client of the webhook's page alone, inside the service's border."""
    metrics = Metrics()
    store = Store(database)
    webhook = StripeWebhook(
        ProviderEvents(execution_on(store), store, lone_start(store)),
        SECRETS if secrets is None else secrets,
        livemode=False,
        clock=time.time,
    )
    app = Starlette(
        routes=[Route(PAGE, webhook.receive, methods=["POST"])],
        middleware=[Middleware(RequestMiddleware, metrics=metrics.requests)],
        exception_handlers=exception_handlers(metrics.requests),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hx")


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """The worker's database."""
    opened = await Database.open(database_dsn, size=2)
    yield opened
    await opened.close()


@pytest.fixture
async def app(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A look into it."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


def event(kind: str = "payment_intent.succeeded", **thing: Any) -> dict[str, Any]:
    """A new event about a payment that is none of ours."""
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": kind,
        "livemode": False,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", **thing}},
    }


async def sent(
    client: httpx.AsyncClient,
    body: bytes,
    *,
    secrets: list[str] | None = None,
    at: float | None = None,
    header: str | None = None,
) -> httpx.Response:
    """One delivery, signed now with the new secret if nothing else is said."""
    when = int(time.time() if at is None else at)
    signed = signature(body, secrets or SECRETS[:1], when) if header is None else header
    return await client.post(PAGE, content=body, headers={"Stripe-Signature": signed})


def raw(received: dict[str, Any]) -> bytes:
    """As Stripe writes it: with line breaks, which the signature covers."""
    return json.dumps(received, indent=2).encode()


async def test_a_signed_event_is_recorded_before_it_is_acknowledged(
    database: Database, app: asyncpg.Connection
) -> None:
    """By its id, with what it meant; no token is asked for."""
    received = event(amount=1, amount_received=1, currency="usd", status="succeeded")
    async with page(database) as client:
        answer = await sent(client, raw(received))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    result = await app.fetchval(
        "select result ->> 'result' from processed_stripe_events where event_id = $1",
        received["id"],
    )
    assert result == "IGNORED"


async def test_five_deliveries_are_acknowledged_and_recorded_once(
    database: Database, app: asyncpg.Connection
) -> None:
    """Repeats get 200, so that Stripe stops."""
    received = event("invoice.paid")
    async with page(database) as client:
        for _ in range(5):
            assert (await sent(client, raw(received))).status_code == 200
    count = "select count(*) from processed_stripe_events where event_id = $1"
    assert await app.fetchval(count, received["id"]) == 1


async def test_what_is_ours_but_does_not_fit_is_acknowledged_and_lies_in_the_admin_queue(
    database: Database, app: asyncpg.Connection
) -> None:
    """A payment for an escrow that we do not know: repeating it would not help."""
    received = event(
        amount=1, amount_received=1, currency="usd", status="succeeded",
        metadata={"escrow_id": str(uuid4())},
    )  # fmt: skip
    failed = event("refund.failed", amount=1, currency="usd", status="failed")
    failed["data"]["object"] |= {"id": "re_1", "metadata": {"settlement_id": str(uuid4())}}
    async with page(database) as client:
        for each in (received, failed):
            assert (await sent(client, raw(each))).status_code == 200
            item = "select kind from admin_items where subject = $1 and closed_at is null"
            assert await app.fetchval(item, each["id"]) == "PAYMENT_MISMATCH"


async def test_both_secrets_are_good_while_one_is_replaced(database: Database) -> None:
    """Whichever of them Stripe signs with, and when it signs with both."""
    async with page(database) as client:
        for secrets in (SECRETS[:1], SECRETS[1:], SECRETS, ["whsec_next", *SECRETS]):
            answer = await sent(client, raw(event("invoice.paid")), secrets=secrets)
            assert answer.status_code == 200


async def test_what_stripe_did_not_sign_now_is_refused_with_a_problem(
    database: Database, app: asyncpg.Connection
) -> None:
    """Wrong secret, old, changed on the way, unsigned: 400, and nothing is recorded."""
    received = event("invoice.paid")
    body = raw(received)
    async with page(database) as client:
        answers = [
            await sent(client, body, secrets=["whsec_other"]),
            await sent(client, body, at=time.time() - 301),
            await sent(client, body, header=signature(b"{}", SECRETS, int(time.time()))),
            await sent(client, body, header=""),
            await client.post(PAGE, content=body),
        ]
    for answer in answers:
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "VALIDATION_ERROR"
    count = "select count(*) from processed_stripe_events where event_id = $1"
    assert await app.fetchval(count, received["id"]) == 0


async def test_a_signed_body_that_is_no_event_is_refused(database: Database) -> None:
    """It would never become one, and the log has a line about it."""
    async with page(database) as client:
        for body in (b"", b"[]", b"\xff", b'{"id": "evt_1"}'):
            assert (await sent(client, body)).status_code == 400


async def test_a_body_beyond_its_limit_is_refused_unread(database: Database) -> None:
    """256 KiB are read, not one byte more, announced or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (MAX_EVENT_BYTES // 4)

    fits = raw(event("invoice.paid")).ljust(MAX_EVENT_BYTES)
    async with page(database) as client:
        assert (await sent(client, fits)).status_code == 200
        assert (await sent(client, fits + b" ")).status_code == 413
        assert (await client.post(PAGE, content=chunks())).status_code == 413


async def test_without_secrets_there_is_no_such_page(database: Database) -> None:
    """A service with the simulated provider takes nobody's word; GET is never answered."""
    async with page(database, []) as client:
        assert (await sent(client, raw(event()), secrets=[""])).status_code == 404
        assert (await client.get(PAGE)).status_code == 405


async def test_without_postgres_stripe_is_told_to_come_again(database_dsn: str) -> None:
    """503: nothing is acknowledged that was not committed."""
    database = await Database.open(database_dsn, size=2)
    await database.close()
    async with page(database) as client:
        answer = await sent(client, raw(event("invoice.paid")))
    assert answer.status_code == 503
    assert answer.json()["retryable"]

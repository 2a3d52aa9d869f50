import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.cli import main
from tests.engine.money.providers.stripe.app import API_KEY
from tests.engine.money.providers.stripe.fake import FakeStripe
from tests.engine.money.providers.stripe.webhook_queue import FIRST_SECRET
from tests.support.servers import TestDatabase

Command = Callable[..., Awaitable[int]]


@pytest.fixture
def reconcile(
    fresh_database: TestDatabase, fake_url: str, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """`hustlexp reconcile` against the fake and an empty database; its exit code."""
    for name, value in {
        "HX_POSTGRES_DSN": fresh_database.dsn,
        "HX_PAYMENTS": "stripe",
        "HX_STRIPE_KEY": API_KEY,
        "HX_STRIPE_URL": fake_url,
        "HX_STRIPE_WEBHOOK_SECRETS": FIRST_SECRET,
    }.items():
        monkeypatch.setenv(name, value)

    async def command(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, ["reconcile", *words])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return command


def stray_payment(fake: FakeStripe) -> str:
    """A payment of an hour ago for an escrow that we do not have."""
    fake.ahead_s = -3600
    intent: str = fake.ledger.create_payment_intent(
        {
            "amount": "4000",
            "currency": "usd",
            "metadata": {"escrow_id": "7d444840-9dc0-11d1-b245-5ffdce74fad2"},
        }
    )["id"]
    fake.ledger.finish_payment(intent)
    return intent


async def test_books_that_agree_end_with_zero(
    reconcile: Command, fake: FakeStripe, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people and for programs."""
    assert await reconcile() == 0
    assert capsys.readouterr().out == "The books agree.\n"
    assert await reconcile("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


async def test_a_difference_ends_with_one_and_is_named(
    reconcile: Command, fake: FakeStripe, capsys: pytest.CaptureFixture[str]
) -> None:
    """With both amounts; outside of the window it is not looked for."""
    intent = stray_payment(fake)
    assert await reconcile("--since", "2h") == 1
    assert f"UNKNOWN PAYMENT {intent}: ours none, theirs $40.00" in capsys.readouterr().out
    assert await reconcile("--json") == 1
    (received,) = json.loads(capsys.readouterr().out)
    assert (received["what"], received["reference"], received["theirs_cents"]) == (
        "UNKNOWN",
        intent,
        4_000,
    )


async def test_a_repair_needs_somebody_who_answers_for_it(
    reconcile: Command, fake: FakeStripe, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage, before anybody is asked."""
    assert await reconcile("--repair") == 2
    assert await reconcile("--repair", "--admin", "7d444840-9dc0-11d1-b245-5ffdce74fad2") == 2
    assert await reconcile("--since", "yesterday") == 2
    assert not fake.api.calls
    assert "--reason" in capsys.readouterr().err


async def test_who_cannot_be_asked_is_one_sentence(
    reconcile: Command,
    fake: FakeStripe,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Stripe that is away, and a provider without books."""
    fake.chaos.turn(error_before=1.0)
    assert await reconcile() == 1
    assert capsys.readouterr().err.startswith("hustlexp: The payment provider does not answer")
    monkeypatch.setenv("HX_PAYMENTS", "simulated")
    assert await reconcile() == 1
    assert "keeps no books" in capsys.readouterr().err

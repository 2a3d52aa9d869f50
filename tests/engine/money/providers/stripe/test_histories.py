from collections.abc import AsyncIterator
from random import Random

import pytest
import stripe

from tests.engine.money.providers.stripe.chaos import KIND, ROUGH, Dial
from tests.engine.money.providers.stripe.fake import FakeServer
from tests.engine.money.providers.stripe.history import History, ReportedEvent, Terms
from tests.engine.money.providers.stripe.stories import STORIES
from tests.support.market import Market, open_market
from tests.support.servers import TestDatabase

KILLS = 0.05
CHUNK = 100


@pytest.fixture
async def market(fresh_database: TestDatabase) -> AsyncIterator[Market]:
    """A database of this test alone: workers see every settlement in it."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as opened:
        yield opened


class Teller:
    """Tells a story twice, calmly and roughly, and compares the ends."""

    def __init__(self, market: Market, fake_server: FakeServer, sdk: stripe.StripeClient) -> None:
        self._market = market
        self._fake_server = fake_server
        self._sdk = sdk

    async def compare(self, name: str, seed: int) -> None:
        """Raises AssertionError with the seed where the ends differ."""
        random = Random(seed)
        price = random.randrange(1_500, 50_000)
        confirms_here = name != "paid too late" and random.random() < 0.5
        terms = Terms(price, random.randrange(1, price), confirms_here)
        calm = await self._reported(name, terms, seed, KIND, 0.0)
        rough = await self._reported(name, terms, seed, ROUGH, KILLS)
        assert rough == calm, f"{name}, seed {seed}"
        assert (calm.task, *(each.row["state"] for each in calm.escrows)) == STORIES[name][1]
        for escrow in calm.escrows:
            assert max(len(escrow.paid), len(escrow.sent), len(escrow.given_back)) <= 1
            row = escrow.row
            if row["release_amount"]:
                assert sum(escrow.sent) == row["release_amount"] - row["fee_amount"]

    async def _reported(
        self, name: str, terms: Terms, seed: int, dial: Dial, kills: float
    ) -> ReportedEvent:
        history = History(
            self._market, self._fake_server, self._sdk, terms, seed=seed, dial=dial, kills=kills
        )
        try:
            await STORIES[name][0](history)
            await history.rest()
            received = await history.received()
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}") from error
        assert sum(history.fake.ledger.held.values()) == 0
        return received


@pytest.fixture
def teller(market: Market, fake_server: FakeServer, sdk: stripe.StripeClient) -> Teller:
    """On a database of its own."""
    return Teller(market, fake_server, sdk)


async def test_whatever_is_lost_repeated_or_killed_money_ends_where_it_ends_calmly(
    teller: Teller,
) -> None:
    """Each story about twice, with other dice than yesterday's only in the long test."""
    names = list(STORIES)
    for seed in range(2 * len(names)):
        await teller.compare(names[seed % len(names)], seed)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(2_000 // CHUNK))
async def test_two_thousand_histories_end_where_they_end_calmly(teller: Teller, chunk: int) -> None:
    """A hundred in each database; the failing seed is named."""
    names = list(STORIES)
    for seed in range(1_000 + chunk * CHUNK, 1_000 + (chunk + 1) * CHUNK):
        await teller.compare(names[seed % len(names)], seed)

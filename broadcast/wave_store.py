"""The broadcaster's queries, typed and counted.

The rules behind them stand in `sql/schema/matching/`.
Raises what `sql.database` raises; the loops of `broadcast.broadcaster` survive it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import numpy as np
from msgspec import Struct

from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import HustlerColumns, Ids, Vocabulary, hustler_columns
from broadcast.market_prices import MarketPrices
from broadcast.ports import WaveMetrics
from engine.kernel.broadcast_params import BroadcastParams
from engine.kernel.ids import UserId
from engine.live.views import BroadcastState, OfferCard
from sql.database import Database


class Poll(Struct, frozen=True):
    """The active broadcasts, by the database's clock."""

    now: datetime
    running: list[UUID]


class Ending(Struct, frozen=True):
    """How a broadcast ended."""

    id: UUID
    state: BroadcastState
    radius_miles: float
    hustlers_notified: int


class OfferMade(Struct, frozen=True, array_like=True, gc=False):
    """One offer as it stands in the database; the distance as shown."""

    broadcast_id: UUID
    hustler_id: UUID
    distance_miles: float
    matching_score: float


class PairRefused(Struct, frozen=True, array_like=True, gc=False):
    """A pair that the insert turned down, and the rule that did (`wave_eligibility`, or FULL)."""

    broadcast_id: UUID
    hustler_id: UUID
    result: str


class Wave(Struct, frozen=True):
    """Offers to deliver, best first, and the pairs refused."""

    at: datetime | None
    offers: list[OfferMade]
    refused: list[PairRefused] = []

    def deliveries(
        self, card_of: Callable[[UUID], OfferCard | None]
    ) -> Iterator[tuple[UserId, OfferCard]]:
        """Yields each hustler's own card: the shared one with the own distance and score.

        `card_of` returns a broadcast's shared card, or None where nothing is to be shown any more.
        """
        shared: dict[UUID, OfferCard | None] = {}
        for offer in self.offers:
            broadcast_id = offer.broadcast_id
            if broadcast_id not in shared:
                shared[broadcast_id] = card_of(broadcast_id)
            card = shared[broadcast_id]
            if card is not None:
                task = msgspec.structs.replace(card.task, distance_miles=offer.distance_miles)
                yield (
                    UserId(offer.hustler_id),
                    msgspec.structs.replace(card, task=task, matching_score=offer.matching_score),
                )


class _ParamsAnswer(Struct, frozen=True):
    now: datetime
    broadcasts: list[BroadcastParams]


_DECODE_POLL = msgspec.json.Decoder(Poll).decode
_DECODE_PARAMS = msgspec.json.Decoder(_ParamsAnswer).decode
_DECODE_ENDINGS = msgspec.json.Decoder(list[Ending]).decode
_DECODE_PRICES = msgspec.json.Decoder(MarketPrices).decode
_DECODE_CARRIED = msgspec.json.Decoder(Wave | None).decode
_DECODE_WAVE = msgspec.json.Decoder(Wave).decode


@dataclass(frozen=True, slots=True)
class OfferedTo:
    """The hustlers of one broadcast's offers, and those among them whom no socket showed a card."""

    all: Ids
    unsent: Ids


def wave_of(raw: msgspec.Raw) -> Wave | None:
    """Returns the wave that a command's answer carries; None where there is none."""
    wave: Wave | None = _DECODE_CARRIED(raw)
    return wave


class WaveStore:
    """Runs, counts and decodes the queries; answers that bring the time set the clock."""

    def __init__(
        self,
        database: Database,
        clock: DatabaseClock,
        metrics: WaveMetrics,
        vocabulary: Vocabulary,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = clock.monotonic
        self.metrics = metrics
        self._vocabulary = vocabulary

    async def running(self, slots: Sequence[int] | None) -> list[UUID]:
        """Returns the active broadcasts of these slots; of all with None."""
        asked_at_s = self._monotonic()
        poll = _DECODE_POLL(await self._call("wave_poll", slots))
        self._clock.set(poll.now, asked_at_s)
        return poll.running

    async def hold_slots(self, broadcaster: UUID, lease_s: float) -> list[int]:
        """Renews a broadcaster's leases, takes its share, and returns the slots held."""
        self.metrics.database_called()
        held: list[int] = await self._database.call(
            "hold_slots", broadcaster, timedelta(seconds=lease_s)
        )
        return held

    async def release_slots(self, broadcaster: UUID) -> None:
        """Gives up a broadcaster's leases."""
        await self._database.call("release_slots", broadcaster)

    async def broadcasts(self, ids: Collection[UUID]) -> list[BroadcastParams]:
        """Returns the parameters of those that are running; the others are left out."""
        asked_at_s = self._monotonic()
        answer = _DECODE_PARAMS(await self._call("wave_broadcasts", list(ids)))
        self._clock.set(answer.now, asked_at_s)
        return answer.broadcasts

    async def endings(self, ids: Collection[UUID]) -> list[Ending]:
        """Returns how those ended that are no longer running; the others are left out."""
        return _DECODE_ENDINGS(await self._call("wave_endings", list(ids)))

    async def roster(self, hustlers: Sequence[UUID]) -> HustlerColumns:
        """Returns what is known of each hustler, in the order asked; unknown ones are inactive."""
        self.metrics.database_called()
        self.metrics.hustlers_read(len(hustlers))
        rows = await self._database.rows("roster", hustlers)
        return hustler_columns(rows, self._vocabulary)

    async def offered(self, broadcasts: Sequence[UUID]) -> dict[UUID, OfferedTo]:
        """Returns whom each of these broadcasts has been offered to."""
        self.metrics.database_called()
        rows = await self._database.rows("offered_hustlers", broadcasts)
        return {
            row["broadcast_id"]: OfferedTo(
                np.frombuffer(row["hustlers"], "S16"), np.frombuffer(row["unsent"], "S16")
            )
            for row in rows
        }

    async def market_prices(self) -> MarketPrices:
        """Returns what the newest tasks of each category cost."""
        return _DECODE_PRICES(await self._call("market_prices"))

    async def make_offers(
        self,
        *,
        broadcasts: Sequence[UUID],
        hustlers: Sequence[UUID],
        exact_miles: Sequence[float],
        place_miles: Sequence[float],
        scores: Sequence[float],
        open_offers_max: int,
    ) -> Wave:
        """Inserts offers for pairs still eligible; returns what was inserted and what was refused."""
        self.metrics.pairs_evaluated(len(hustlers))
        return _DECODE_WAVE(
            await self._call(
                "make_offers",
                broadcasts,
                hustlers,
                exact_miles,
                place_miles,
                scores,
                open_offers_max,
            )
        )

    async def unsent(self, hustlers: Collection[UUID], age_s: float, limit: int) -> Wave:
        """Returns open offers of these hustlers unsent after `age_s`, oldest first."""
        return _DECODE_WAVE(
            await self._call("unsent_offers", list(hustlers), timedelta(seconds=age_s), limit)
        )

    async def sent(self, taken: Mapping[tuple[UUID, UUID], float]) -> None:
        """Records when the cards of (broadcast, hustler) reached a socket, in monotonic seconds."""
        self.metrics.database_called()
        broadcasts, hustlers = zip(*taken, strict=True)
        now_s = self._monotonic()
        ages_s = [now_s - at_s for at_s in taken.values()]
        await self._database.call("offers_sent", broadcasts, hustlers, ages_s)

    async def _call(self, function: str, *arguments: Any) -> str:
        self.metrics.database_called()
        return cast("str", await self._database.call(function, *arguments))

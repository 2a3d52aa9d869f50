"""Takes over broadcasts that run already: those of before a restart, or another process's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from broadcast.broadcaster_state import BroadcasterState
from broadcast.database_clock import DatabaseClock
from broadcast.loop_yield import LoopYield
from broadcast.market_price_cache import MarketPriceCache
from broadcast.market_prices import MarketPrices
from broadcast.roster import NOBODY, as_ids, as_uuids
from broadcast.slots import Slots
from broadcast.unsent_cards import UnsentCards
from broadcast.wave_store import Wave, WaveStore
from engine.kernel.applied import StartedBroadcast

BROADCASTS_PER_CALL: Final = 250
"""Running broadcasts taken over in one call."""


class Takeover:
    """Reads running broadcasts, whom they have been offered to, and the prices of their market."""

    def __init__(
        self,
        store: WaveStore,
        state: BroadcasterState,
        unsent: UnsentCards,
        clock: DatabaseClock,
        slots: Slots,
        prices: MarketPriceCache,
    ) -> None:
        self._store = store
        self._state = state
        self._unsent = unsent
        self._clock = clock
        self._slots = slots
        self._prices = prices
        self._applied: MarketPrices | None = None

    async def take(self, broadcasts: Collection[UUID], loop_yield: LoopYield) -> list[UUID]:
        """Takes over those of these that run, and returns them; raises what `sql.database` raises."""
        if not broadcasts:
            return []
        await self.refresh_prices(loop_yield)
        ids, taken = list(broadcasts), list[UUID]()
        for start in range(0, len(ids), BROADCASTS_PER_CALL):
            some = ids[start : start + BROADCASTS_PER_CALL]
            taken += await self._take(some, loop_yield)
        return taken

    def started(self, started: StartedBroadcast, wave: Wave | None) -> None:
        """Takes in a broadcast that this process has started, with the wave offered with it.

        Not where what changed was heard before the command's own answer, nor where no market price
        is known yet: the round that it wakes takes it over.
        """
        params, prices = started.params, self._prices.known
        if prices is None or params.id in self._state.running:
            return
        if not self._slots.has(params.partition):
            return
        if not self._clock.is_known:
            self._clock.set(started.now, self._clock.monotonic())
        broadcast = self._state.add(params, prices, self._clock.now())
        if wave is not None:
            hustlers = as_ids(offer.hustler_id for offer in wave.offers)
            self._state.offered_to(broadcast, hustlers, self._clock.monotonic())
            # what was read since the commit counts the new offers already: only a read can tell
            rows = self._state.roster.rows_of(hustlers)
            self._state.roster.outdate(rows[rows != NOBODY])

    async def refresh_prices(self, loop_yield: LoopYield) -> None:
        """Applies the market's prices to all broadcasts when they have been read anew."""
        prices = await self._prices.current()
        if prices is self._applied:
            return
        self._applied = prices
        for broadcast in self._state.running:
            self._state.running.price(prices, broadcast)
            await loop_yield.maybe_yield()

    async def _take(self, ids: list[UUID], loop_yield: LoopYield) -> list[UUID]:
        found = [p for p in await self._store.broadcasts(ids) if self._slots.has(p.partition)]
        if not found:
            return []
        offered = await self._store.offered([params.id for params in found])
        prices = await self._prices.current()
        taken: list[UUID] = []
        for params in found:
            if params.id not in self._state.running and self._slots.has(params.partition):
                taken.append(params.id)
                broadcast = self._state.add(params, prices, self._clock.now())
                hustlers = offered[params.id]
                self._state.offered_to(broadcast, hustlers.all, self._clock.monotonic())
                self._unsent.suspect(as_uuids(hustlers.unsent), self._clock.monotonic())
                await loop_yield.maybe_yield()
        return taken

"""Takes over broadcasts that run already: another process's, or those of before a restart."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from broadcast.broadcaster_state import BroadcasterState
from broadcast.database_clock import DatabaseClock
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.market_prices import MarketPrices
from broadcast.roster import NOBODY, as_ids
from broadcast.wave_store import Wave, WaveStore, wave_of
from engine.kernel.applied import StartedBroadcast


class Takeover:
    """Reads running broadcasts, whom they have been offered to, and the prices of their market."""

    def __init__(
        self,
        store: WaveStore,
        state: BroadcasterState,
        clock: DatabaseClock,
        limits: WaveLimits,
    ) -> None:
        self._store = store
        self._state = state
        self._clock = clock
        self._limits = limits
        self._prices: MarketPrices | None = None
        self._priced_at_s = float("-inf")

    async def take(self, broadcasts: Collection[UUID]) -> None:
        """Takes over those of these that run; raises what `sql.database` raises."""
        if not broadcasts:
            return
        await self.refresh_prices()
        ids = list(broadcasts)
        for start in range(0, len(ids), self._limits.broadcasts_per_call):
            await self._take(ids[start : start + self._limits.broadcasts_per_call])

    def started(self, started: StartedBroadcast) -> Wave | None:
        """Takes in a broadcast that this process has started; returns the wave offered with it.

        None where that must wait for the prices of the market, which are not read yet.
        """
        params = started.params
        if self._prices is None or params.id in self._state.running:
            return None
        if not self._clock.is_known:
            self._clock.set(started.now, self._clock.monotonic())
        broadcast = self._state.add(params, self._prices, self._clock.now())
        wave = wave_of(started.wave)
        if wave is not None:
            hustlers = as_ids(offer.hustler_id for offer in wave.offers)
            self._state.offered_to(broadcast, hustlers, self._clock.monotonic())
            rows = self._state.roster.rows_of(hustlers)
            self._state.roster.offers_opened(rows[rows != NOBODY], 1)
        return wave

    async def refresh_prices(self) -> None:
        """Reads the market's prices when the last are a minute old, and applies them."""
        now_s = self._clock.monotonic()
        if now_s - self._priced_at_s < self._limits.market_s:
            return
        self._prices = await self._store.market_prices()
        self._priced_at_s = now_s
        loop_yield = LoopYield(self._limits.block_s)
        for broadcast in self._state.running:
            self._state.running.price(self._prices, broadcast)
            await loop_yield.maybe_yield()

    async def _take(self, ids: list[UUID]) -> None:
        found = await self._store.broadcasts(ids)
        if not found:
            return
        offered = await self._store.offered([params.id for params in found])
        loop_yield = LoopYield(self._limits.block_s)
        for params in found:
            if params.id not in self._state.running and self._prices is not None:
                broadcast = self._state.add(params, self._prices, self._clock.now())
                self._state.offered_to(broadcast, offered[params.id], self._clock.monotonic())
                await loop_yield.maybe_yield()

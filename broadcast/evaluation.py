"""The evaluation pipeline: presence → new pairs → eligibility → scores → caps → insert → delivery.

Postgres decides every pair twice, when it is asked and again in the insert; what is delivered is
exactly what the insert returned. A quiet evaluation touches presence only.
Any failure leaves what was not inserted unevaluated, so the next tick asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.caps import select
from broadcast.database_clock import DatabaseClock
from broadcast.evaluation_cache import NEVER
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.ports import Delivery, WaveMetrics
from broadcast.presence_snapshot import Pairs, PresenceSnapshot
from broadcast.round import Round
from broadcast.wave_store import EligibilityResult, Wave, WaveStore
from engine.kernel.ids import UserId
from engine.matching import score as scoring
from engine.matching.score import Floats
from geo.cells import Cells, cover
from geo.presence.presence import Presence
from geo.units import METRES_PER_MILE

_FINAL = ("OFFERED", "RELEASED")
"""Results that no later tick can change within a broadcast."""

_CARDS_AT_ONCE = 32


class Evaluation:
    """Evaluates broadcasts; concurrent calls for different broadcasts are safe."""

    def __init__(
        self,
        *,
        store: WaveStore,
        presence: Presence,
        delivery: Delivery,
        metrics: WaveMetrics,
        clock: DatabaseClock,
        limits: WaveLimits,
    ) -> None:
        self._store = store
        self._presence = presence
        self._delivery = delivery
        self._metrics = metrics
        self._clock = clock
        self._limits = limits
        self._monotonic = clock.monotonic
        # Two inserts at once could each fill a hustler's last free place.
        self._inserting = asyncio.Lock()
        self._covered: tuple[frozenset[tuple[UUID, float]], Cells] | None = None

    async def evaluate(self, broadcasts: Sequence[ActiveBroadcast]) -> None:
        """Offers these to every new eligible hustler in radius; skips those in evaluation.

        Raises what `sql.database` and `geo.valkey` raise; what was not inserted stays unevaluated.
        """
        at = self._clock.now()
        due = [b for b in broadcasts if not b.evaluating and not b.plan.over(at)]
        if not due:
            return
        for broadcast in due:
            broadcast.evaluating = True
        try:
            await self._offer(due, at)
        finally:
            for broadcast in due:
                broadcast.evaluating = False
        for broadcast in due:
            broadcast.evaluated = True
        self._notify_posters(due)

    def _notify_posters(self, broadcasts: Sequence[ActiveBroadcast]) -> None:
        at, now_s = self._clock.now(), self._monotonic()
        for broadcast in broadcasts:
            if (
                due_update := broadcast.due_update(at, now_s, self._limits.update_gap_s)
            ) is not None:
                self._delivery.broadcast_update(UserId(broadcast.params.poster_id), due_update)

    async def _offer(self, due: Sequence[ActiveBroadcast], at: datetime) -> None:
        round_ = await self._round(due, at)
        if round_ is not None:
            for part in self._parts(round_):
                await self._offer_pairs(part)

    def _parts(self, round_: Round) -> Iterator[Round]:
        """Yields a new broadcast's nearest few first, so that its first card is early.

        Splits only where the tick's cap lets every pair have its offer, in whatever order they
        come.
        """
        pairs, few = round_.pairs, self._limits.asked_first
        if len(round_.due) > 1 or not few < pairs.row.size <= self._limits.offers_per_tick:
            yield round_
            return
        nearest_first = np.argsort(pairs.place_miles, kind="stable")
        yield round_.take(nearest_first[:few])
        yield round_.take(nearest_first[few:])

    async def _offer_pairs(self, round_: Round) -> None:
        eligibility = await self._check_eligibility(round_)
        scored = scoring.score(round_.score_inputs(eligibility), self._limits.profile)

        offerable = np.flatnonzero((eligibility.result == "OFFER") & scored.visible)
        selection = select(
            round_.best_first(scored.total, offerable),
            round_.pairs.broadcast.tolist(),
            round_.pairs.row.tolist(),
            eligibility.open_offers.tolist(),
            offers_per_tick=self._limits.offers_per_tick,
            open_offers_max=self._limits.open_offers,
        )
        if deferred := len(selection.hustler_full) + len(selection.next_tick):
            self._metrics.offers_deferred(deferred)

        again_at = self._ask_again_at(eligibility)
        again_at[selection.hustler_full] = self._monotonic() + self._limits.deferral_holds_s
        again_at[selection.next_tick] = 0.0
        for start in range(0, len(selection.now), self._limits.pairs_per_call):
            rows = selection.now[start : start + self._limits.pairs_per_call]
            again_at[rows] = await self._make_offers(round_, scored.total, rows)
        round_.record(again_at)

    async def _make_offers(self, round_: Round, total: Floats, rows: Sequence[int]) -> list[float]:
        """Inserts and delivers these rows; returns when to ask each of them again."""
        pairs = [(round_.broadcasts[row], round_.hustlers[row]) for row in rows]
        async with self._inserting:
            wave = await self._store.make_offers(
                broadcasts=[broadcast for broadcast, _ in pairs],
                hustlers=[hustler for _, hustler in pairs],
                exact_miles=round_.pairs.exact_miles[rows].tolist(),
                place_miles=round_.pairs.place_miles[rows].tolist(),
                scores=total[rows].tolist(),
                open_offers_max=self._limits.open_offers,
            )
        await self.deliver(wave)
        self._count(round_.due, wave)
        made = {(offer.broadcast_id, offer.hustler_id) for offer in wave.offers}
        later = self._monotonic() + self._limits.deferral_holds_s
        return [NEVER if pair in made else later for pair in pairs]

    async def deliver(self, wave: Wave) -> None:
        """Hands the wave's cards to delivery in slices, best first, yielding between them."""
        loop_yield = LoopYield(self._limits.block_s)
        cards = wave.deliveries()
        while slice_ := list(islice(cards, _CARDS_AT_ONCE)):
            self._delivery.cards(slice_)
            await loop_yield.maybe_yield()

    def _cells(self, due: Sequence[ActiveBroadcast], radii: Sequence[float]) -> Cells:
        """Returns all cells these broadcasts reach; caches the last result: radii seldom grow."""
        reach = frozenset((b.params.id, radius) for b, radius in zip(due, radii, strict=True))
        if self._covered is None or self._covered[0] != reach:
            covers = [
                cover(broadcast.exact, radius * METRES_PER_MILE)
                for broadcast, radius in zip(due, radii, strict=True)
            ]
            cells = covers[0] if len(covers) == 1 else np.unique(np.concatenate(covers))
            self._covered = (reach, cells)
        return self._covered[1]

    async def _round(self, due: Sequence[ActiveBroadcast], at: datetime) -> Round | None:
        """Returns the pairs inside a radius to evaluate now; None when there are none."""
        radii = [broadcast.plan.radius_miles(at) for broadcast in due]
        here = PresenceSnapshot(await self._presence.within(self._cells(due, radii)))
        loop_yield = LoopYield(self._limits.block_s)
        now_s = self._monotonic()
        parts: list[Pairs] = []
        for number, (broadcast, radius) in enumerate(zip(due, radii, strict=True)):
            await loop_yield.maybe_yield()
            rows, metres = here.inside(broadcast.exact, radius * METRES_PER_MILE)
            fresh = broadcast.evaluation_cache.to_ask(here.ids[rows], here.generations[rows], now_s)
            rows, metres = rows[fresh], metres[fresh]
            if rows.size:
                parts.append(
                    Pairs(
                        np.full(rows.size, number, np.int64),
                        rows,
                        metres / METRES_PER_MILE,
                        here.metres_from(broadcast.place, rows) / METRES_PER_MILE,
                    )
                )
        return Round(due, here, at, Pairs.joined(parts)) if parts else None

    async def _check_eligibility(self, round_: Round) -> EligibilityResult:
        miles = round_.pairs.exact_miles.tolist()
        size = self._limits.pairs_per_call
        return EligibilityResult.joined(
            [
                await self._store.eligibility(
                    round_.broadcasts[start : start + size],
                    round_.hustlers[start : start + size],
                    miles[start : start + size],
                )
                for start in range(0, len(miles), size)
            ]
        )

    def _ask_again_at(self, eligibility: EligibilityResult) -> Floats:
        refused_until = self._monotonic() + self._limits.refusal_holds_s
        again_at = np.full(eligibility.result.size, refused_until)
        again_at[np.isin(eligibility.result, _FINAL)] = NEVER
        return again_at

    def _count(self, due: Sequence[ActiveBroadcast], wave: Wave) -> None:
        if wave.at is None:
            return
        self._metrics.offers_made(len(wave.offers))
        counts: dict[UUID, int] = {}
        for offer in wave.offers:
            counts[offer.broadcast_id] = counts.get(offer.broadcast_id, 0) + 1
        for broadcast in due:
            if count := counts.get(broadcast.params.id):
                if not broadcast.evaluated and not broadcast.notified:
                    waited = wave.at - broadcast.params.started_at
                    self._metrics.funded_to_insert(waited.total_seconds())
                broadcast.notified += count

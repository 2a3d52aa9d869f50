"""The first wave's candidates: the nearest hustlers with a free place, found before the commit.

A starting broadcast has nobody to tell but those who are near right now, so one read of its cells
and one of a few hustlers are enough; the transaction that starts it judges them again
(`sql/schema/matching/commands_first_wave.sql`). Everybody else is the broadcaster's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broadcast.hustler_columns import Floats, HustlerColumns, Ids, Rows, Vocabulary
from broadcast.limits import WaveLimits
from broadcast.market_price_cache import MarketPriceCache
from broadcast.task_columns import TaskColumns, passes, score_inputs, task_columns
from broadcast.wave_store import WaveStore
from engine.kernel.broadcast_params import StartingTask, TaskParams
from engine.live.first_wave import FirstWaveCandidates
from engine.matching.score import ranking, score
from geo.cells import cover
from geo.distance import distances_m
from geo.points import LatLng
from geo.presence.presence import Presence
from geo.presence.present_hustlers import PresentHustlers
from geo.units import METRES_PER_MILE


@dataclass(frozen=True, slots=True)
class Nearby:
    """Present hustlers as columns, nearest first; miles to the exact and to the rounded place."""

    present: PresentHustlers
    exact_miles: Floats
    place_miles: Floats

    def __len__(self) -> int:
        return len(self.present)

    @property
    def ids(self) -> Ids:
        """Returns the hustlers' ids: S16 (n,)."""
        return np.ascontiguousarray(self.present.hustler).view("S16").reshape(-1)


def nearest(task: TaskParams, present: PresentHustlers, radius_miles: float, limit: int) -> Nearby:
    """Returns at most `limit` of those present within the radius, nearest first; rim included."""
    metres = distances_m(LatLng(task.lat, task.lng), present.lat, present.lng)
    inside = np.flatnonzero(metres <= radius_miles * METRES_PER_MILE)
    rows = inside[np.argsort(metres[inside], kind="stable")[:limit]]
    near = present.take(rows)
    place_metres = distances_m(LatLng(task.place_lat, task.place_lng), near.lat, near.lng)
    return Nearby(near, metres[rows] / METRES_PER_MILE, place_metres / METRES_PER_MILE)


def choose(
    task: TaskColumns, nearby: Nearby, hustlers: HustlerColumns, at_s: float, limits: WaveLimits
) -> tuple[Rows, Floats]:
    """Returns the rows of `nearby` to offer the task, best first, and their scores.

    `task` has one row, `hustlers` those of `nearby`; `at_s` is the database's time, Unix seconds.
    They are the nearest who are active, have a free place, pass the gate and would be shown the
    card: `first_offers` of them, within what a broadcast may offer in one tick.
    """
    rows = np.flatnonzero(hustlers.active & (hustlers.open_offers < limits.open_offers))
    slots = np.zeros(rows.size, np.intp)
    passing = passes(task, slots, hustlers, rows, nearby.exact_miles[rows])
    rows, slots = rows[passing], slots[passing]
    place_miles = nearby.place_miles[rows]
    inputs = score_inputs(task, slots, hustlers, rows, place_miles=place_miles, at_s=at_s)
    scored = score(inputs, limits.profile)
    most = min(limits.first_offers, limits.offers_per_tick)
    shown = np.flatnonzero(scored.visible)[:most]
    rows, total = rows[shown], scored.total[shown]
    best = ranking(
        total,
        nearby.place_miles[rows],
        task.price_cents[slots[shown]],
        task.created_at[slots[shown]],
        nearby.ids[rows],
    )
    return rows[best], total[best]


class FirstWaveSearch:
    """Finds the candidates of first waves: `engine.live.first_wave.FirstWave`."""

    def __init__(
        self,
        store: WaveStore,
        presence: Presence,
        prices: MarketPriceCache,
        vocabulary: Vocabulary,
        limits: WaveLimits,
    ) -> None:
        """`vocabulary` is the one that `store` reads hustlers with."""
        self._store = store
        self._presence = presence
        self._prices = prices
        self._vocabulary = vocabulary
        self._limits = limits

    async def candidates(
        self, starting: StartingTask, radius_miles: float
    ) -> FirstWaveCandidates | None:
        """Returns who is within the radius and can be offered the task; None: nobody.

        Raises `geo.valkey.ValkeyAway` and what `sql.database` raises.
        """
        task, limits = starting.task, self._limits
        cells = cover(LatLng(task.lat, task.lng), radius_miles * METRES_PER_MILE)
        nearby = nearest(task, await self._presence.within(cells), radius_miles, limits.first_read)
        if not len(nearby):
            return None
        prices = await self._prices.current()
        hustlers = await self._store.roster(nearby.present.hustlers())
        columns = task_columns([task], self._vocabulary)
        columns.market_price_cents[0] = prices.of(task)
        rows, scores = choose(columns, nearby, hustlers, starting.now.timestamp(), limits)
        if not rows.size:
            return None
        return FirstWaveCandidates(
            version=starting.version,
            open_offers_max=limits.open_offers,
            hustlers=nearby.present.take(rows).hustlers(),
            exact_miles=nearby.exact_miles[rows].tolist(),
            place_miles=nearby.place_miles[rows].tolist(),
            scores=scores.tolist(),
        )

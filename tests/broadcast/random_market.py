"""Random markets of 60 hustlers and 40 broadcasts around one place, with a state that knows them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from broadcast.broadcaster_state import BroadcasterState
from broadcast.due import DueInstants
from broadcast.hustler_columns import hustler_columns
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.market_prices import MarketPrices
from broadcast.matching import Matching, Present, Selection
from broadcast.roster import as_ids
from broadcast.tiles import unit_vectors
from engine.kernel.broadcast_params import BroadcastParams
from engine.matching.score import (
    CATEGORY_MEDIAN_CENTS,
    HIDDEN_BELOW,
    HX_1_0,
    ScoreInputs,
    score,
)
from geo.distance import distance_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
CATEGORIES = sorted(CATEGORY_MEDIAN_CENTS)[:3]
TRADES = ["plumber", "electrician"]
# scores around the threshold, so that hiding matters
PROFILE = replace(HX_1_0, trust=0.2, distance=0.8, category=0.0, price=0.0, time=0.0)
LIMITS = WaveLimits(open_offers=4, offers_per_tick=6, first_offers=3, profile=PROFILE)


@dataclass
class Hustler:
    """What is known of one, in plain words."""

    id: UUID
    where: LatLng
    active: bool
    open_offers: int
    tier: int
    trades: list[str]
    insured: bool
    completion: float | None
    categories: list[str] | None
    radius_miles: float | None

    def row(self) -> tuple[Any, ...]:
        """As SQL's `roster` answers."""
        return (
            self.id, self.active, None, False, True, self.open_offers, self.tier, self.trades,
            self.insured, True, self.completion, None, [], json.dumps({}), None, None,
            self.radius_miles, self.categories,
        )  # fmt: skip


class RandomMarket:
    """Hustlers and broadcasts around one place, and a state that knows them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.state = BroadcasterState.new(DueInstants(), LIMITS.open_offers)
        self.hustlers = [self._hustler() for _ in range(60)]
        self.broadcasts = [self._broadcast() for _ in range(40)]
        roster = self.state.roster
        roster.add(as_ids(h.id for h in self.hustlers))
        self.rows = roster.rows_of(as_ids(h.id for h in self.hustlers))
        facts = hustler_columns([h.row() for h in self.hustlers], self.state.vocabulary)
        roster.put(self.rows, facts, roster.reading(self.rows))
        at = START + timedelta(seconds=float(self.random.uniform(0, 400)))
        self.active = [self.state.add(b, MarketPrices(at, {}), at) for b in self.broadcasts]
        for broadcast in self.active:
            offered = [h.id for h in self.hustlers if self.random.random() < 0.1]
            self.state.offered_to(broadcast, as_ids(offered), 0.0)
        for params in self.broadcasts[:3]:
            self.state.end(params.id)
        self.at = at
        self.matching = Matching(self.state.roster, self.state.running, self.state.offered, LIMITS)
        lat = np.array([h.where.lat for h in self.hustlers])
        lng = np.array([h.where.lng for h in self.hustlers])
        self.present = Present(self.rows, lat, lng, unit_vectors(lat, lng))

    def uuid(self) -> UUID:
        """An id."""
        return UUID(bytes=self.random.bytes(16))

    def place(self) -> LatLng:
        """A point within some miles, where east and north are not alike."""
        north, east = self.random.uniform(-0.06, 0.06, 2)
        return LatLng(37.77 + north, -122.42 + 1.4 * east)

    def _hustler(self) -> Hustler:
        pick = self.random
        return Hustler(
            id=self.uuid(),
            where=self.place(),
            active=bool(pick.random() < 0.9),
            open_offers=int(pick.integers(0, LIMITS.open_offers + 1)),
            tier=int(pick.integers(1, 5)),
            trades=[trade for trade in TRADES if pick.random() < 0.5],
            insured=bool(pick.random() < 0.7),
            completion=float(pick.random()) if pick.random() < 0.8 else None,
            categories=None if pick.random() < 0.6 else [str(pick.choice(CATEGORIES))],
            radius_miles=None if pick.random() < 0.6 else float(pick.uniform(1, 9)),
        )

    def _broadcast(self) -> BroadcastParams:
        pick, exact = self.random, self.place()
        poster = self.hustlers[int(pick.integers(0, 60))].id if pick.random() < 0.1 else self.uuid()
        return BroadcastParams(
            id=self.uuid(),
            partition=0,
            task_id=self.uuid(),
            poster_id=poster,
            lat=exact.lat,
            lng=exact.lng,
            place_lat=exact.lat + float(pick.uniform(-0.004, 0.004)),
            place_lng=exact.lng + float(pick.uniform(-0.004, 0.004)),
            category=str(pick.choice(CATEGORIES)),
            price_cents=int(pick.integers(1_500, 20_000)),
            created_at=START,
            deadline=None,
            estimated_minutes=None,
            required_trust_tier=int(pick.choice([1, 1, 1, 2, 3])),
            required_trade=str(pick.choice(TRADES)) if pick.random() < 0.2 else None,
            insurance_required=bool(pick.random() < 0.2),
            background_check_required=False,
            started_at=START,
            expires_at=START + timedelta(seconds=600),
            initial_radius_miles=3.0,
            max_radius_miles=10.0,
            expansion_step_miles=2.0,
            expansion_interval_s=60,
            card=msgspec.Raw(b"null"),
        )

    def score(self, task: BroadcastParams, hustler: Hustler) -> float:
        """Of one pair, from the plain facts; NaN where a rule forbids it, or it would be hidden."""
        plan = self.active[self.broadcasts.index(task)].plan
        miles = distance_m(LatLng(task.lat, task.lng), hustler.where) / METRES_PER_MILE
        allowed = (
            task.id not in self.state.over
            and hustler.active
            and miles <= plan.radius_miles(self.at)
            and miles <= (math.inf if hustler.radius_miles is None else hustler.radius_miles)
            and (hustler.categories is None or task.category in hustler.categories)
            and hustler.tier >= task.required_trust_tier
            and (task.required_trade is None or task.required_trade in hustler.trades)
            and (hustler.insured or not task.insurance_required)
            and hustler.id != task.poster_id
        )
        shown = distance_m(LatLng(task.place_lat, task.place_lng), hustler.where) / METRES_PER_MILE
        inputs = ScoreInputs.one(
            trust_tier=hustler.tier,
            completion_rate=math.nan if hustler.completion is None else hustler.completion,
            distance_miles=shown,
            price_cents=task.price_cents,
        )
        total = float(score(inputs, PROFILE).total[0])
        return total if allowed and total >= HIDDEN_BELOW else math.nan

    def scores(self) -> np.ndarray:
        """Of all pairs, by number of broadcast and hustler; NaN where nothing can be offered."""
        return np.array([[self.score(b, h) for h in self.hustlers] for b in self.broadcasts])

    def offered(self) -> np.ndarray:
        """Which pairs have their bit."""
        return np.array(
            [self.state.offered.contains(np.full(60, b.slot), self.rows) for b in self.active]
        )

    async def select(self) -> tuple[Selection, list[tuple[int, int]]]:
        """One selection, and its pairs by number."""
        found = await self.matching.select(
            self.present, self.state.running.slots(), self.at.timestamp(), LoopYield(1.0)
        )
        by_slot = {broadcast.slot: n for n, broadcast in enumerate(self.active)}
        by_row = {row: n for n, row in enumerate(self.rows.tolist())}
        slots, rows = found.pairs.slot.tolist(), found.pairs.row.tolist()
        return found, [(by_slot[slot], by_row[row]) for slot, row in zip(slots, rows, strict=True)]

    def swap(self) -> None:
        """Every broadcast ends, and others start in their slots, far away."""
        for broadcast in self.active:
            self.state.remove(broadcast)
            elsewhere = msgspec.structs.replace(broadcast.params, id=self.uuid(), lat=0.0)
            self.state.add(elsewhere, MarketPrices(self.at, {}), self.at)

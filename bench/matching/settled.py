"""Whether the market is settled, by brute force: every pair of some hustlers, one after the other.

A market is settled when every eligible hustler holds min(10, broadcasts that reach him and score at
least 0.20) open offers (design §10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import numpy as np

from broadcast.radius_plan import RadiusPlan
from engine.matching.score import HIDDEN_BELOW, Floats, ScoreInputs, score
from geo.distance import distances_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE

OPEN_OFFERS: Final = 10

_BROADCASTS: Final = """
    select b.*, t.location_lat, t.location_lng, t.place_lat, t.place_lng, t.price, t.category
    from live_broadcasts as b inner join tasks as t on t.id = b.task_id
    where b.state = 'ACTIVE' and b.expires_at > hx_clock()
"""
_PLACES: Final = ("location_lat", "location_lng", "place_lat", "place_lng", "price")
_OPEN: Final = "select count(*) from open_offers(array[$1::uuid], hx_clock())"


@dataclass(frozen=True)
class Standing:
    """A hustler's open offers, and how many they should be."""

    hustler: UUID
    has: int
    should_have: int


async def standings(
    connection: asyncpg.Connection, hustlers: Sequence[tuple[UUID, LatLng]], settled_at: datetime
) -> list[Standing]:
    """Returns where these hustlers stand; radii are those of `settled_at`."""
    broadcasts = await connection.fetch(_BROADCASTS)
    columns = {name: np.array([b[name] for b in broadcasts], np.float64) for name in _PLACES}
    radius_m = np.array(
        [RadiusPlan(b["started_at"], b["expires_at"]).radius_miles(settled_at) for b in broadcasts]
    )
    radius_m *= METRES_PER_MILE
    found = []
    for hustler, where in hustlers:
        metres = distances_m(where, columns["location_lat"], columns["location_lng"])
        shown = distances_m(where, columns["place_lat"], columns["place_lng"]) / METRES_PER_MILE
        # whoever it is: the least that a pair at this distance can score
        least = score(_of_nobody(shown, columns["price"])).total
        reached = int(((metres <= radius_m) & (least >= HIDDEN_BELOW)).sum())
        has = await connection.fetchval(_OPEN, hustler)
        found.append(Standing(hustler, has, min(OPEN_OFFERS, reached)))
    return found


def _of_nobody(miles: Floats, price_cents: Floats) -> ScoreInputs:
    unknown = {f.name: np.full(miles.size, np.nan) for f in fields(ScoreInputs)}
    return ScoreInputs(**unknown | {"distance_miles": miles, "price_cents": price_cents})

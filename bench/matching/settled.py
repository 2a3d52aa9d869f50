"""Whether the market is settled, by brute force: every pair of some hustlers, one after the other.

A market is settled when every eligible hustler holds min(10, broadcasts that reach him and score at
least 0.20) open offers (design §10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from broadcast.radius_plan import RadiusPlan
from engine.matching.score import HIDDEN_BELOW, ScoreInputs, score
from geo.distance import distance_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE

OPEN_OFFERS: Final = 10

_BROADCASTS: Final = """
    select b.*, t.location_lat, t.location_lng, t.place_lat, t.place_lng, t.price, t.category
    from live_broadcasts as b inner join tasks as t on t.id = b.task_id
    where b.state = 'ACTIVE' and b.expires_at > hx_clock()
"""
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
    return [
        Standing(
            hustler,
            await connection.fetchval(_OPEN, hustler),
            min(OPEN_OFFERS, sum(_reaches(b, where, settled_at) for b in broadcasts)),
        )
        for hustler, where in hustlers
    ]


def _reaches(b: asyncpg.Record, where: LatLng, at: datetime) -> bool:
    """Returns whether a broadcast reaches a place and would be shown there, whoever stands there."""
    plan = RadiusPlan(b["started_at"], b["expires_at"])
    miles = distance_m(LatLng(b["location_lat"], b["location_lng"]), where) / METRES_PER_MILE
    if miles > plan.radius_miles(at):
        return False
    shown = distance_m(LatLng(b["place_lat"], b["place_lng"]), where) / METRES_PER_MILE
    worst = ScoreInputs.one(distance_miles=shown, price_cents=float(b["price"]))
    return bool(score(worst).total[0] >= HIDDEN_BELOW)

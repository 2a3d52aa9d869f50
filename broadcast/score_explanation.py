"""The score of one pair split into its parts, for `hustlexp explain-offer`."""

from __future__ import annotations

import time
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.database_clock import DatabaseClock
from broadcast.pair_inputs import score_inputs
from broadcast.ports import WaveMetrics
from broadcast.wave_store import WaveStore
from engine.matching.score import HX_1_0, Part, Profile, breakdown, score
from geo.distance import distance_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE
from sql.database import Database


async def explain_score(
    database: Database,
    metrics: WaveMetrics,
    broadcast_id: UUID,
    hustler: UUID,
    where: LatLng,
    profile: Profile = HX_1_0,
) -> list[Part] | None:
    """Returns the parts of a hustler's score at `where` now; None unless the broadcast runs.

    Raises what `sql.database` raises.
    """
    clock = DatabaseClock(time.monotonic)
    store = WaveStore(database, clock, metrics)
    for params in await store.broadcasts([broadcast_id]):
        broadcast = ActiveBroadcast(params)
        exact = distance_m(broadcast.exact, where) / METRES_PER_MILE
        eligibility = await store.eligibility([broadcast_id], [hustler], [exact])
        place_miles = np.array([distance_m(broadcast.place, where) / METRES_PER_MILE])
        first = np.zeros(1, np.int64)
        inputs = score_inputs([broadcast], first, place_miles, eligibility, clock.now())
        return list(breakdown(score(inputs, profile), 0))
    return None

"""The score of one pair split into its parts, for `hustlexp explain-offer`."""

from __future__ import annotations

import time
from uuid import UUID

import numpy as np

from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import Vocabulary
from broadcast.ports import WaveMetrics
from broadcast.task_columns import score_inputs, task_columns
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
    clock, vocabulary = DatabaseClock(time.monotonic), Vocabulary.new()
    store = WaveStore(database, clock, metrics, vocabulary)
    for params in await store.broadcasts([broadcast_id]):
        tasks = task_columns([params], vocabulary)
        tasks.market_price_cents[0] = (await store.market_prices()).of(params)
        hustlers = await store.roster([hustler])
        place_m = distance_m(LatLng(params.place_lat, params.place_lng), where)
        only = np.zeros(1, np.intp)
        inputs = score_inputs(
            tasks,
            only,
            hustlers,
            only,
            place_miles=np.array([place_m / METRES_PER_MILE]),
            at_s=clock.now().timestamp(),
        )
        return list(breakdown(score(inputs, profile), 0))
    return None

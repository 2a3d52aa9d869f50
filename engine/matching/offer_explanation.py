"""Why a hustler is offered a task, or why not: one answer for the admin API and the command line.

Facts come from the database and from presence at one moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import msgspec
import numpy as np

from engine.kernel.ids import TaskId, UserId
from engine.kernel.store import Store
from engine.matching.explanation_views import (
    ExplainedBroadcast,
    ExplainedPresence,
    ExplainedScore,
    OfferExplanation,
    PairFacts,
    ScorePart,
)
from engine.matching.offer_clauses import offer_clauses, why_not
from engine.matching.score import CATEGORY_MEDIAN_CENTS, Profile, ScoreInputs, breakdown, score
from geo import distance, units
from geo.points import LatLng
from geo.presence.presence import Presence


class OfferExplanations:
    """Explains pairs of a task and a hustler."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        profile: Profile,
        open_offers_max: int,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._presence = presence
        self._profile = profile
        self._open_offers_max = open_offers_max
        self._unix = unix

    async def explain(self, task: TaskId, hustler: UserId) -> OfferExplanation:
        """Returns what decides about the pair now.

        Raises NOT_FOUND for an unknown task or hustler, and `ValkeyAway`.
        """
        facts = await self._store.found(PairFacts, "explain_offer", task, hustler)
        presence, where = await self._look(facts, hustler)
        score_now = None if where is None else self._score(facts, where)
        clauses = offer_clauses(facts, presence, score_now, self._open_offers_max)
        return OfferExplanation(
            task_id=task,
            hustler_id=hustler,
            at=facts.at,
            mode=facts.mode,
            state=facts.state,
            offered=facts.offer is not None,
            why_not=[] if facts.offer else why_not(clauses),
            clauses=clauses,
            presence=presence,
            live=facts.live,
            busy=facts.busy,
            open_offers=facts.open_offers,
            open_offers_max=self._open_offers_max,
            broadcast=_with_waves(facts.broadcast, presence.distance_miles),
            offer=facts.offer,
            score=score_now,
        )

    async def _look(
        self, facts: PairFacts, hustler: UserId
    ) -> tuple[ExplainedPresence, LatLng | None]:
        """Returns the hustler's entry in presence, and the last position."""
        last = (await self._presence.last_positions([hustler])).get(hustler)
        if last is None:
            return ExplainedPresence(seen=False), None
        metres = distance.distance_m(LatLng(facts.exact.lat, facts.exact.lng), last.point)
        there = await self._presence.within(np.array([last.slot.cell], np.uint64))
        ages = [
            max(0.0, self._unix() - float(there.seen_at_ms[row]) / 1e3)
            for row, seen in enumerate(there.hustlers())
            if seen == hustler
        ]
        presence = ExplainedPresence(
            seen=bool(ages),
            seen_age_s=ages[0] if ages else None,
            fix_age_s=max(0.0, self._unix() - last.fixed_at_s),
            distance_miles=units.miles(metres),
        )
        return presence, last.point

    def _score(self, facts: PairFacts, where: LatLng) -> ExplainedScore:
        """Returns the score at a position, as the broadcaster computes it."""
        known = {name: value for name, value in facts.inputs.items() if value is not None}
        market = CATEGORY_MEDIAN_CENTS.get(facts.category, math.nan)
        place = LatLng(facts.place.lat, facts.place.lng)
        inputs = ScoreInputs.one(
            **{"market_price_cents": market} | known,
            distance_miles=units.miles(distance.distance_m(place, where)),
        )
        scored = score(inputs, self._profile)
        return ExplainedScore(
            profile=self._profile.name,
            total=float(scored.total[0]),
            visible=bool(scored.visible[0]),
            parts=[
                ScorePart(part.component, part.weight, part.value, part.points)
                for part in breakdown(scored, 0)
            ],
        )


def _with_waves(
    broadcast: ExplainedBroadcast | None, miles: float | None
) -> ExplainedBroadcast | None:
    if broadcast is None or miles is None:
        return broadcast
    waves = [
        msgspec.structs.replace(wave, within=miles <= wave.radius_miles) for wave in broadcast.waves
    ]
    return msgspec.structs.replace(broadcast, waves=waves)

"""Chooses the pairs to offer: free places × radius × gate × score × caps, in numpy.

It reads what the broadcaster knows and asks nobody. Long work is cut into blocks of a few
milliseconds; between two blocks other rounds may run, so that what was chosen is checked once more
in the turn of the event loop that reserves it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcast.choice import best_first, best_per, first_per
from broadcast.hustler_columns import Floats, Mask, Rows
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.offered_pairs import OfferedPairs
from broadcast.roster import Roster
from broadcast.running_broadcasts import RunningBroadcasts
from broadcast.task_columns import passes, score_inputs
from broadcast.tiles import Near
from engine.matching import score as scoring
from geo.distance import pairwise_m
from geo.units import METRES_PER_MILE

HUSTLERS_AT_ONCE: Final = 8_192
"""Hustlers sorted into tiles in one block."""


@dataclass(slots=True)
class Present:
    """Hustlers present at one instant: roster rows, positions in degrees and as unit vectors (n, 3)."""

    row: Rows
    lat: Floats
    lng: Floats
    unit: Floats

    def joined(self, other: Present) -> Present:
        """Returns both; whoever is in both is where the other has them."""
        mine = self.take(~np.isin(self.row, other.row))
        return Present(
            np.concatenate((mine.row, other.row)),
            np.concatenate((mine.lat, other.lat)),
            np.concatenate((mine.lng, other.lng)),
            np.concatenate((mine.unit, other.unit)),
        )

    def of(self, rows: Rows) -> Present:
        """Returns those of these roster rows that are present."""
        return self.take(np.isin(self.row, rows))

    def take(self, which: Mask) -> Present:
        """Returns those for whom `which` is true."""
        return Present(self.row[which], self.lat[which], self.lng[which], self.unit[which])


@dataclass(slots=True)
class Matches:
    """Pairs of broadcast slot and roster row, as parallel columns.

    `serial` tells which broadcast was meant: its slot may have another one by now.
    """

    slot: Rows
    serial: NDArray[np.int64]
    row: Rows
    exact_miles: Floats
    place_miles: Floats
    score: Floats

    def __len__(self) -> int:
        return self.slot.size

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Matches:
        """Returns some of the pairs, in the order of the index."""
        return Matches(*(getattr(self, column.name)[which] for column in fields(self)))

    @classmethod
    def joined(cls, parts: list[Matches]) -> Matches:
        """Returns the pairs of all parts as one."""
        names = [column.name for column in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(slots=True)
class Selection:
    """The pairs to offer now, best first, and whether a limit left others for the next round."""

    pairs: Matches
    more: bool
    deferred: int


class Matching:
    """Matches present hustlers with running broadcasts."""

    def __init__(
        self,
        roster: Roster,
        running: RunningBroadcasts,
        offered: OfferedPairs,
        limits: WaveLimits,
    ) -> None:
        self._roster = roster
        self._running = running
        self._offered = offered
        self._limits = limits

    async def select(
        self, present: Present, slots: Rows, at_s: float, loop_yield: LoopYield
    ) -> Selection:
        """Returns the best new pairs of these hustlers and broadcasts, and reserves them.

        Reserved pairs have their bit and take a place of their hustler. `at_s` is the database's
        time in Unix seconds.
        """
        serial = self._running.serial.copy()
        found: list[Matches] = []
        count, more = 0, False
        free = await self._with_free_places(present, loop_yield)
        if not (free and slots.size):
            return Selection(_NOTHING, more=False, deferred=0)
        tiles = self._running.tiles(slots)
        for hustlers in free:
            if more:
                break
            for near in tiles.near(present.unit[hustlers]):
                await loop_yield.maybe_yield()
                pairs = Near(slots[near.broadcast], hustlers[near.hustler])
                matches = await self._matches(present, pairs, serial, at_s, loop_yield)
                if len(matches):
                    found.append(matches)
                    count += len(matches)
                more = count >= self._limits.pairs_per_round
                if more:
                    break
        if not found:
            return Selection(_NOTHING, more=False, deferred=0)
        matches = Matches.joined(found)
        await loop_yield.maybe_yield()
        matches = matches.take(best_first(matches.score, lambda rows: self._ranked(matches, rows)))
        await loop_yield.maybe_yield()
        considered = len(matches)
        matches = matches.take(first_per(matches.row, self._places(matches)))
        await loop_yield.maybe_yield()
        matches = matches.take(first_per(matches.slot, self._shares(matches)))
        matches = matches.take(slice(self._limits.offers_per_round))
        await loop_yield.maybe_yield()
        deferred = considered - len(matches)
        return Selection(self._reserve(matches), more or deferred > 0, deferred)

    async def _with_free_places(self, present: Present, loop_yield: LoopYield) -> list[Rows]:
        """Returns the numbers of hustlers who can take an offer, in slices of one block each."""
        slices: list[Rows] = []
        for start in range(0, present.row.size, HUSTLERS_AT_ONCE * 4):
            rows = present.row[start : start + HUSTLERS_AT_ONCE * 4]
            free = self._roster.free_places(rows, self._limits.open_offers) > 0
            slices.append(np.flatnonzero(free) + start)
            await loop_yield.maybe_yield()
        numbers = np.concatenate(slices) if slices else np.empty(0, np.intp)
        return [
            numbers[start : start + HUSTLERS_AT_ONCE]
            for start in range(0, numbers.size, HUSTLERS_AT_ONCE)
        ]

    async def _matches(
        self,
        present: Present,
        near: Near,
        serial: NDArray[np.int64],
        at_s: float,
        loop_yield: LoopYield,
    ) -> Matches:
        """Returns the best of one block's pairs: new, inside, eligible, visible."""
        slot, number = near.broadcast, near.hustler
        new = ~self._offered.contains(slot, present.row[number])
        slot, number = slot[new], number[new]
        if not slot.size:
            return _NOTHING
        row = present.row[number]
        await loop_yield.maybe_yield()
        tasks, hustlers = self._running.tasks, self._roster.hustlers
        lat, lng = present.lat[number], present.lng[number]
        exact_m = pairwise_m(tasks.lat[slot], tasks.lng[slot], lat, lng)
        exact = exact_m / METRES_PER_MILE
        kept = (exact_m <= self._running.radius_m[slot]) & passes(tasks, slot, hustlers, row, exact)
        slot, row, exact, lat, lng = slot[kept], row[kept], exact[kept], lat[kept], lng[kept]
        await loop_yield.maybe_yield()
        place = pairwise_m(tasks.place_lat[slot], tasks.place_lng[slot], lat, lng)
        place = place / METRES_PER_MILE
        inputs = score_inputs(tasks, slot, hustlers, row, place_miles=place, at_s=at_s)
        scored = scoring.score(inputs, self._limits.profile)
        await loop_yield.maybe_yield()
        matches = Matches(slot, serial[slot], row, exact, place, scored.total)
        matches = matches.take(scored.visible)
        places = self._places(matches)
        matches, places = matches.take(places > 0), places[places > 0]
        return matches.take(best_per(matches.row, matches.score, places))

    def _ranked(self, matches: Matches, rows: Rows) -> Rows:
        """Returns rows of `matches` in the order of the whole ranking."""
        some, tasks = matches.take(rows), self._running.tasks
        order = scoring.ranking(
            some.score,
            some.place_miles,
            tasks.price_cents[some.slot],
            tasks.created_at[some.slot],
            self._roster.ids[some.row],
        )
        return rows[order]

    def _places(self, matches: Matches) -> NDArray[np.int64]:
        return self._roster.free_places(matches.row, self._limits.open_offers)

    def _shares(self, matches: Matches) -> NDArray[np.int64]:
        fresh = self._running.fresh[matches.slot]
        return np.where(fresh, self._limits.first_offers, self._limits.offers_per_tick)

    def _reserve(self, matches: Matches) -> Matches:
        """Reserves the pairs that still stand, and returns them.

        Nothing is awaited in here: what another round has reserved meanwhile counts, and so does
        a slot that has another broadcast than the one that was meant.
        """
        same = self._running.serial[matches.slot] == matches.serial
        matches = matches.take(same & ~self._offered.contains(matches.slot, matches.row))
        matches = matches.take(first_per(matches.row, self._places(matches)))
        self._offered.add(matches.slot, matches.row)
        self._roster.offers_opened(matches.row, 1)
        return matches


_NOTHING: Final = Matches(*(np.empty(0, np.intp),) * 3, *(np.empty(0),) * 3)

"""One round: presence → roster → matching → insert → delivery.

PostgreSQL is asked for what will be offered alone, and judges it again; what is delivered is exactly
what the insert returned. A round that finds nothing new touches presence only.
Any failure leaves what was not inserted free, so that the next round asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.broadcaster_state import BroadcasterState
from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import Floats, Mask, Rows
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.matching import Matching, Present
from broadcast.offer_inserts import OfferInserts
from broadcast.roster import NOBODY, as_ids
from broadcast.tiles import unit_vectors
from broadcast.wave_store import WaveStore
from geo.cells import Cells
from geo.presence.presence import Presence, PresentHustlers
from geo.valkey import ValkeyAway

_ROWS_AT_ONCE: Final = 4_096
FEW_BROADCASTS: Final = 64
"""For more of them at once the cells of all are read."""
PICTURE_LASTS_S: Final = 90.0
"""While Redis is away, the last picture of presence is good for as long as a heartbeat is."""


GROWN_BY_PICTURE_S: Final = 5.0
"""So old a picture of presence shows who is in a new ring."""

POSITIONS_LAST_S: Final = 2.0
"""Rounds that take longer begin again with positions that are read anew."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """Who was present in which cells, at a monotonic second."""

    taken_at_s: float
    cells: Cells
    present: Present

    def has(self, cells: Cells) -> Mask:
        """Returns which of these cells were read."""
        at = np.searchsorted(self.cells, cells)
        return np.asarray(self.cells.take(at, mode="clip") == cells)


class Evaluation:
    """Evaluates broadcasts against hustlers; concurrent rounds are safe."""

    def __init__(
        self,
        store: WaveStore,
        presence: Presence,
        state: BroadcasterState,
        inserts: OfferInserts,
        clock: DatabaseClock,
        limits: WaveLimits,
    ) -> None:
        self._store = store
        self._presence = presence
        self._state = state
        self._inserts = inserts
        self._limits = limits
        self._clock = clock
        self._matching = Matching(state.roster, state.running, state.offered, limits)
        self._picture: _Picture | None = None

    async def evaluate(self, broadcasts: Sequence[ActiveBroadcast], loop_yield: LoopYield) -> None:
        """Offers these to every new eligible hustler in radius.

        Raises what `sql.database` and `geo.valkey` raise.
        """
        if len(broadcasts) > FEW_BROADCASTS:
            await self.evaluate_all(loop_yield)
        elif broadcasts:
            cells, slots = _cells_of(broadcasts), _slots_of(broadcasts)
            more = True
            while more:
                present = await self._read_cells(cells, loop_yield)
                more = await self._rounds(present, lambda: slots, loop_yield)

    async def evaluate_grown(
        self, broadcasts: Sequence[ActiveBroadcast], loop_yield: LoopYield
    ) -> None:
        """Offers these, whose radius has just grown, as `evaluate` does.

        Who is present in cells that the last tick has read is known well enough, as whoever comes
        into a cell rings: only the others are read.
        """
        picture = self._fresh_picture(GROWN_BY_PICTURE_S)
        if picture is None or len(broadcasts) > FEW_BROADCASTS:
            await self.evaluate(broadcasts, loop_yield)
        elif broadcasts:
            cells, slots = _cells_of(broadcasts), _slots_of(broadcasts)
            near = np.zeros(picture.present.row.size, np.bool_)
            for slot in slots.tolist():
                near |= self._state.running.may_reach(slot, picture.present.unit)
                await loop_yield.maybe_yield()
            present = picture.present.take(near)
            unread = cells[~picture.has(cells)]
            if unread.size:
                present = present.joined(await self._read_cells(unread, loop_yield))
            if await self._rounds(present, lambda: slots, loop_yield):
                await self.evaluate(broadcasts, loop_yield)

    async def evaluate_all(self, loop_yield: LoopYield) -> None:
        """Offers every running broadcast to every new eligible hustler; raises as `evaluate`."""
        more = True
        while more:
            cells = self._state.running.cells()
            present = await self._read_cells(cells, loop_yield)
            if self._picture is None or present is not self._picture.present:
                self._picture = _Picture(self._clock.monotonic(), cells, present)
            more = await self._rounds(present, self._state.running.slots, loop_yield)

    async def evaluate_hustlers(self, hustlers: Collection[UUID], loop_yield: LoopYield) -> None:
        """Offers these hustlers every running broadcast around them; raises as `evaluate`."""
        try:
            present = await self._located(await self._presence.of(hustlers), loop_yield)
        except ValkeyAway:
            picture = self._fresh_picture(PICTURE_LASTS_S)
            if picture is None:
                raise
            present = picture.present.of(self._state.roster.rows_of(as_ids(hustlers)))
        while await self._rounds(present, self._state.running.slots, loop_yield):
            pass

    async def _rounds(
        self, present: Present, slots: Callable[[], Rows], loop_yield: LoopYield
    ) -> bool:
        """Offers round by round; returns whether some is left after the positions have aged."""
        begun_s = self._clock.monotonic()
        more = bool(present.row.size)
        while more and self._clock.monotonic() - begun_s < POSITIONS_LAST_S:
            unread = await self._read(present.row)
            selection = await self._matching.select(
                present, slots(), self._clock.now().timestamp(), loop_yield
            )
            if selection.deferred:
                self._store.metrics.offers_deferred(selection.deferred)
            await self._inserts.make(selection.pairs, loop_yield)
            more = unread or (selection.more and len(selection.pairs) > 0)
            await asyncio.sleep(0)
        return more

    async def _read_cells(self, cells: Cells, loop_yield: LoopYield) -> Present:
        """Returns who is present in these cells; while Redis is away, who was a moment ago."""
        try:
            return await self._located(await self._presence.within(cells), loop_yield)
        except ValkeyAway:
            picture = self._fresh_picture(PICTURE_LASTS_S)
            if picture is None:
                raise
            self._store.metrics.failed("presence")
            return picture.present

    def _fresh_picture(self, lasts_s: float) -> _Picture | None:
        """Returns what the last tick has read, unless it is older than so many seconds."""
        picture = self._picture
        if picture is None or self._clock.monotonic() - picture.taken_at_s > lasts_s:
            return None
        return picture

    async def _located(self, hustlers: PresentHustlers, loop_yield: LoopYield) -> Present:
        """Returns the roster rows of hustlers; who is seen for the first time gets one."""
        roster, now_s = self._state.roster, self._clock.monotonic()
        ids = hustlers.hustler.view("S16")
        rows: list[Rows] = []
        unit: list[Floats] = [np.empty((0, 3))]
        for start in range(0, ids.size, _ROWS_AT_ONCE):
            some = ids[start : start + _ROWS_AT_ONCE]
            found = roster.rows_of(some)
            if (found == NOBODY).any():
                roster.add(some[found == NOBODY])
                found = roster.rows_of(some)
            rows.append(found)
            part = slice(start, start + _ROWS_AT_ONCE)
            unit.append(unit_vectors(hustlers.lat[part], hustlers.lng[part]))
            roster.seen(found[found != NOBODY], now_s)
            await loop_yield.maybe_yield()
        row = np.concatenate(rows) if rows else np.empty(0, np.intp)
        present = Present(row, hustlers.lat, hustlers.lng, np.concatenate(unit))
        has = row != NOBODY
        return present if has.all() else present.take(has)

    async def _read(self, rows: Rows) -> bool:
        """Reads the facts of hustlers that are unknown or outdated; returns whether some are left."""
        roster = self._state.roster
        unread = roster.to_read(rows, self._clock.now().timestamp())
        now = unread[: self._limits.hustlers_per_round]
        for start in range(0, now.size, self._limits.hustlers_per_call):
            some = now[start : start + self._limits.hustlers_per_call]
            read = roster.reading(some)
            try:
                again = roster.put(some, await self._store.roster(roster.uuids(some)), read)
            except BaseException:
                roster.unread(some, read)
                raise
            # an offer that was not open when it was to be shown has a card that nobody waits for
            self._inserts.unsent.suspect(roster.uuids(again), self._clock.monotonic())
        return bool(unread.size > now.size)


def _cells_of(broadcasts: Sequence[ActiveBroadcast]) -> Cells:
    cells = [broadcast.cells for broadcast in broadcasts]
    return cells[0] if len(cells) == 1 else np.unique(np.concatenate(cells))


def _slots_of(broadcasts: Sequence[ActiveBroadcast]) -> Rows:
    return np.array([broadcast.slot for broadcast in broadcasts], np.intp)

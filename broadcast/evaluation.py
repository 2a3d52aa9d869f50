"""One round: presence → roster → matching → insert → delivery.

PostgreSQL is asked for what will be offered alone, and judges it again; what is delivered is exactly
what the insert returned. A round that finds nothing new touches presence only.
Any failure leaves what was not inserted free, so that the next round asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.broadcaster_state import BroadcasterState
from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import Rows
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.matching import Matching, Present
from broadcast.offer_inserts import OfferInserts
from broadcast.roster import NOBODY
from broadcast.wave_store import WaveStore
from geo.cells import Cells
from geo.presence.presence import Presence, PresentHustlers
from geo.valkey import ValkeyAway

_ROWS_AT_ONCE: Final = 4_096
FEW_BROADCASTS: Final = 64
"""For more of them at once the cells of all are read."""
PICTURE_LASTS_S: Final = 90.0
"""While Redis is away, the last picture of presence is good for as long as a heartbeat is."""


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
        self._picture: tuple[float, PresentHustlers] | None = None

    async def evaluate(self, broadcasts: Sequence[ActiveBroadcast]) -> None:
        """Offers these to every new eligible hustler in radius.

        Raises what `sql.database` and `geo.valkey` raise.
        """
        if len(broadcasts) > FEW_BROADCASTS:
            await self.evaluate_all()
        elif broadcasts:
            cells = [broadcast.cells for broadcast in broadcasts]
            present = await self._within(
                cells[0] if len(cells) == 1 else np.unique(np.concatenate(cells))
            )
            slots = np.array([broadcast.slot for broadcast in broadcasts], np.intp)
            await self._rounds(present, lambda: slots)

    async def evaluate_all(self) -> None:
        """Offers every running broadcast to every new eligible hustler; raises as `evaluate`."""
        present = await self._within(self._state.running.cells())
        self._picture = (self._clock.monotonic(), present)
        await self._rounds(present, self._state.running.slots)

    async def evaluate_hustlers(self, hustlers: Collection[UUID]) -> None:
        """Offers these hustlers every running broadcast around them; raises as `evaluate`."""
        present = await self._presence.of(hustlers)
        if len(present):
            await self._rounds(present, self._state.running.slots)

    async def _rounds(self, hustlers: PresentHustlers, slots: Callable[[], Rows]) -> None:
        loop_yield = LoopYield(self._limits.block_s)
        present = await self._present(hustlers, loop_yield)
        more = bool(present.row.size)
        while more:
            unread = await self._read(present.row)
            selection = await self._matching.select(
                present, slots(), self._clock.now().timestamp(), loop_yield
            )
            if selection.deferred:
                self._store.metrics.offers_deferred(selection.deferred)
            await self._inserts.make(selection.pairs)
            more = unread or (selection.more and len(selection.pairs) > 0)
            await asyncio.sleep(0)

    async def _within(self, cells: Cells) -> PresentHustlers:
        """Returns who is present in these cells; while Redis is away, who was a moment ago."""
        try:
            return await self._presence.within(cells)
        except ValkeyAway:
            if self._picture is None:
                raise
            taken_at_s, picture = self._picture
            if self._clock.monotonic() - taken_at_s > PICTURE_LASTS_S:
                raise
            self._store.metrics.failed("presence")
            return picture

    async def _present(self, hustlers: PresentHustlers, loop_yield: LoopYield) -> Present:
        """Returns the roster rows of hustlers; who is seen for the first time gets one."""
        roster, now_s = self._state.roster, self._clock.monotonic()
        ids = np.ascontiguousarray(hustlers.hustler).view("S16").reshape(-1)
        rows: list[Rows] = []
        for start in range(0, ids.size, _ROWS_AT_ONCE):
            some = ids[start : start + _ROWS_AT_ONCE]
            found = roster.rows_of(some)
            if (found == NOBODY).any():
                roster.add(some[found == NOBODY])
                found = roster.rows_of(some)
            rows.append(found)
            roster.seen(found[found != NOBODY], now_s)
            await loop_yield.maybe_yield()
        row = np.concatenate(rows) if rows else np.empty(0, np.intp)
        has = row != NOBODY
        if has.all():
            return Present(row, hustlers.lat, hustlers.lng)
        return Present(row[has], hustlers.lat[has], hustlers.lng[has])

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

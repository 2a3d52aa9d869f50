"""The leases of slots: renewed every second, taken over where another broadcaster has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from broadcast.broadcaster_state import BroadcasterState
from broadcast.limits import WaveLimits
from broadcast.slots import Slots
from broadcast.wave_store import WaveStore
from sql.database import DatabaseAway

RELEASE_WITHIN_S: Final = 1.0
"""So long a process that ends waits for its leases to be given up."""


class SlotLeases:
    """What this broadcaster holds of the slots that several share."""

    def __init__(
        self,
        store: WaveStore,
        state: BroadcasterState,
        slots: Slots,
        limits: WaveLimits,
        gained: Callable[[], object],
    ) -> None:
        """`gained` is called when a slot has come whose broadcasts are not known."""
        self._id = uuid4()
        self._store = store
        self._state = state
        self._slots = slots
        self._limits = limits
        self._gained = gained

    async def renew(self) -> None:
        """Renews the leases, and leaves the broadcasts of slots that have gone; then waits."""
        held = await self._store.hold_slots(self._id, self._limits.slot_lease_s)
        if self._slots.hold(held):
            self._gained()
        for broadcast in self._state.running:
            if not self._slots.has(broadcast.params.partition):
                self._state.drop(broadcast)
        await asyncio.sleep(self._limits.slot_every_s)

    async def release(self) -> None:
        """Lets others take over at once; where that cannot be said, the leases run out."""
        if self._limits.runs != "SHARE":
            return
        try:
            async with asyncio.timeout(RELEASE_WITHIN_S):
                await self._store.release_slots(self._id)
        except (DatabaseAway, TimeoutError):
            pass

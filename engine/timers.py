"""Fires what is due. At least once and idempotent: the database judges each firing by its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from engine.applied import Applied, EffectSink
from engine.errors import Refusal
from engine.store import Store
from sql.database import DatabaseAway, DatabaseError

log = structlog.get_logger()

POLL_S = 0.25
BATCH = 100


class Timers:
    """One loop over `timers`, one transaction per firing."""

    def __init__(
        self,
        store: Store,
        effects: EffectSink,
        lag: Callable[[float], None],
    ) -> None:
        self._store = store
        self._effects = effects
        self._lag = lag

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.fire_due()
            except DatabaseAway as error:
                log.warning("timers_delayed", error=str(error))
                await asyncio.sleep(POLL_S)
            await asyncio.sleep(POLL_S)

    async def fire_due(self) -> int:
        """Fire what is due now; how many timers that was. Returns without waiting when none is."""
        rows = await self._store.rows("due_timers", BATCH)
        self._lag(max((row["lag_s"] for row in rows), default=0.0))
        for row in rows:
            try:
                applied = await self._store.one(Applied, "fire_timer", row["kind"], row["subject"])
            except (Refusal, DatabaseError):
                # The next one must not wait behind a broken one; it stays due and in sight.
                log.exception("timer_failed", kind=row["kind"], subject=str(row["subject"]))
                continue
            self._effects.applied(applied)
        return len(rows)

"""Fires what is due. At least once and idempotent: the database judges each firing by its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from engine.applied import Applied, EffectSink
from engine.errors import Refusal
from engine.steady import steadily
from engine.store import Store
from sql.database import DatabaseError

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
        """For ever."""
        await steadily("timers", self._round)

    async def _round(self) -> None:
        await self.fire_due()
        await asyncio.sleep(POLL_S)

    async def fire_due(self) -> int:
        """Fire what is due now; how many timers that was. Returns without waiting when none is."""
        rows = await self._store.rows("due_timers", BATCH)
        self._lag(max((row["lag_s"] for row in rows), default=0.0))
        for row in rows:
            try:
                applied = await self._store.one(Applied, "fire_timer", row["kind"], row["subject"])
            except (Refusal, DatabaseError):
                # A broken one waits and stays in sight, so that the others have their turn.
                log.exception("timer_failed", kind=row["kind"], subject=str(row["subject"]))
                await self._store.execute("timer_failed", row["kind"], row["subject"])
                continue
            self._effects.applied(applied)
        return len(rows)

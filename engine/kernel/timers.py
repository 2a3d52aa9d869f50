"""Fires due timers, at least once and idempotently: the database checks each by its clock.

A row that is locked is waited for a few milliseconds and then paused, so that no other timer is
late for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import structlog

from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.loops import supervise
from engine.kernel.retry_pauses import RetryPauses
from engine.kernel.store import Store
from sql.database import DatabaseError

log = structlog.get_logger()

POLL_S = 0.25
BATCH = 100
PATIENCE_MS = 20
"""How long a firing waits for a row lock: it is tried again within a second."""


class Timers:
    """The loop that fires the due rows of `timers`, one transaction each."""

    def __init__(
        self,
        execution: Execution,
        store: Store,
        lag: Callable[[float], None],
    ) -> None:
        self._execution = execution
        self._store = store
        self._lag = lag
        self._resting: RetryPauses[tuple[str, UUID]] = RetryPauses()

    async def run(self) -> None:
        """Fires due timers until cancelled; losing PostgreSQL only delays."""
        await supervise("timers", self._round)

    async def _round(self) -> None:
        await self.fire_due()
        await asyncio.sleep(POLL_S)

    async def fire_due(self) -> int:
        """Fires the timers that are due now; returns their number, 0 at once when none is due."""
        rows = await self._store.rows("due_timers", BATCH + len(self._resting))
        self._lag(max((row["lag_s"] for row in rows), default=0.0))
        free = [row for row in rows if (row["kind"], row["subject"]) not in self._resting]
        for row in free:
            await self._fire(row["kind"], row["subject"])
        return len(free)

    async def _fire(self, kind: str, subject: UUID) -> None:
        try:
            await self._execution.run("fire_timer", kind, subject, lock_timeout_ms=PATIENCE_MS)
            self._resting.done((kind, subject))
        except (Refusal, DatabaseError) as error:
            self._resting.put((kind, subject))
            if isinstance(error, Refusal) and error.kind.retryable:
                log.info("timer_waits", kind=kind, subject=str(subject))
                return
            # A failing timer is paused and logged, so that the others are fired.
            log.exception("timer_failed", kind=kind, subject=str(subject))
            await self._store.execute("timer_failed", kind, subject)

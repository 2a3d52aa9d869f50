"""Fires due timers, at least once and idempotently: the database checks each by its clock.

Timers are claimed in batches, so that any number of processes divide them. What a killed one had
claimed is free again when the claim ends. A row that is locked is waited for a few milliseconds and
then paused, so that no other timer is late for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.lanes import in_lanes
from engine.kernel.loops import supervise
from engine.kernel.retry_pauses import RetryPauses
from engine.kernel.store import Store
from sql.database import DatabaseError

log = structlog.get_logger()

POLL_S: Final = 0.25
BATCH: Final = 100
LANES: Final = 4
"""Subjects whose timers are fired at once by one process."""
CLAIM_S: Final = 10.0
"""How long a batch is one process's own; a second process would find nothing to do, but ask."""
PATIENCE_MS: Final = 50
"""How long a firing waits for a row lock: it is tried again within a second."""

Timer = tuple[str, UUID]
"""The kind of a timer and its subject."""


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
        self._resting: RetryPauses[Timer] = RetryPauses()

    async def run(self) -> None:
        """Fires due timers until cancelled; losing PostgreSQL only delays."""
        await supervise("timers", self._round)

    async def _round(self) -> None:
        if await self.fire_due() < BATCH:
            await asyncio.sleep(POLL_S)

    async def fire_due(self) -> int:
        """Fires a batch of the timers that are due now; returns their number, 0 when none is due.

        Those of one subject are fired in the order in which they were due.
        """
        resting = self._resting.keys()
        rows = await self._store.rows(
            "claim_timers", BATCH, CLAIM_S, [kind for kind, _ in resting], [s for _, s in resting]
        )
        self._lag(max((row["lag_s"] for row in rows), default=0.0))
        by_subject: dict[UUID, list[Timer]] = {}
        for row in rows:
            by_subject.setdefault(row["subject"], []).append((row["kind"], row["subject"]))
        await in_lanes(by_subject.values(), self._fire_all, lanes=LANES)
        return len(rows)

    async def _fire_all(self, timers: Sequence[Timer]) -> None:
        for kind, subject in timers:
            await self._fire(kind, subject)

    async def _fire(self, kind: str, subject: UUID) -> None:
        try:
            await self._execution.run("fire_timer", kind, subject, lock_timeout_ms=PATIENCE_MS)
            self._resting.done((kind, subject))
        except (Refusal, DatabaseError) as error:
            self._resting.put((kind, subject))
            if isinstance(error, Refusal) and error.kind.retryable:
                log.info("timer_waits", kind=kind, subject=str(subject))
                await self._store.execute("free_timer", kind, subject)
                return
            # A failing timer is paused and logged, so that the others are fired.
            log.exception("timer_failed", kind=kind, subject=str(subject))
            await self._store.execute("timer_failed", kind, subject)

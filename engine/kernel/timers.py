"""Fires due timers, at least once and idempotently: the database checks each by its clock.

Timers are claimed in batches, so that any number of processes divide them. What a killed one had
claimed is free again when the claim ends. A row that is locked is waited for a few milliseconds and
then paused, so that no other timer is late for it.
"""

from __future__ import annotations

import asyncio
import itertools
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
        waiting = await in_lanes(by_subject.values(), self._fire_all, lanes=LANES)
        # Rows that another lane held are free now; what somebody else holds rests.
        for timer in itertools.chain.from_iterable(waiting):
            if not await self._fired(timer):
                await self._rest(timer)
        return len(rows)

    async def _fire_all(self, timers: Sequence[Timer]) -> list[Timer]:
        """Fires these one after the other; returns those whose rows are locked."""
        return [timer for timer in timers if not await self._fired(timer)]

    async def _fired(self, timer: Timer) -> bool:
        """Fires a timer; returns False while its rows are locked."""
        kind, subject = timer
        try:
            await self._execution.run("fire_timer", kind, subject, lock_timeout_ms=PATIENCE_MS)
            self._resting.done(timer)
        except (Refusal, DatabaseError) as error:
            if isinstance(error, Refusal) and error.kind.retryable:
                return False
            # A failing timer is paused and logged, so that the others are fired.
            log.exception("timer_failed", kind=kind, subject=str(subject))
            self._resting.put(timer)
            await self._store.execute("timer_failed", kind, subject)
        return True

    async def _rest(self, timer: Timer) -> None:
        kind, subject = timer
        log.info("timer_waits", kind=kind, subject=str(subject))
        self._resting.put(timer)
        await self._store.execute("free_timer", kind, subject)

"""Metrics that only the database knows, read at each scrape of /metrics.

Counters are counted once among all processes: each end of a broadcast goes to the process that is
asked first, so that their sum is right. Gauges say the same in every process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from engine.kernel.store import Store
from gateway.metrics.metrics import Metrics

SETTLED: Final = timedelta(seconds=10)
"""A broadcast is counted when its end is this old: the transaction, of at most 8 s, is over."""
FRESH_S: Final = 1.0
"""Scrapes within this time share one look."""


class DbMetrics:
    """Copies ended broadcasts, LIVE sessions and broken invariants from the database."""

    def __init__(self, store: Store, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._metrics = metrics
        self._monotonic = monotonic
        self._shown = False
        self._looked_at = float("-inf")
        self._one_look = asyncio.Lock()

    async def refresh(self) -> None:
        """Records what ended since any process was asked; the first call leaves it to the next.

        For whoever reads counters sees only how they grow: a first value says nothing.
        """
        async with self._one_look:
            if self._monotonic() - self._looked_at < FRESH_S:
                return
            self._looked_at = self._monotonic()
            ended = await self._store.rows("broadcasts_to_count", SETTLED) if self._shown else ()
            self._shown = True
            for row in ended:
                self._metrics.broadcasts.ended(
                    row["state"], row["first_card_s"], row["accept_s"], row["human_s"]
                )
            self._metrics.sessions.live_sessions(await self._store.value("live_sessions_open"))
            verified_at = await self._store.value("last_verification")
            if verified_at is not None:
                broken = await self._store.rows("broken_invariants")
                self._metrics.invariants.verified_by_any(
                    verified_at, {row["subject"]: row["disagreements"] for row in broken}
                )

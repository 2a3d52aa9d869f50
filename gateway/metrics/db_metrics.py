"""Metrics that only the database knows, read at each scrape of /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from engine.kernel.store import Store
from gateway.metrics.metrics import Metrics

SETTLED: Final = timedelta(seconds=10)
"""A broadcast is counted when its end is this old: the transaction, of at most 8 s, is over."""
FRESH_S: Final = 1.0
"""Scrapes within this time share one look."""


class DbMetrics:
    """Copies ended broadcasts and LIVE sessions from the database into the metrics.

    Each end of a broadcast is counted once.
    """

    def __init__(self, store: Store, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._metrics = metrics
        self._monotonic = monotonic
        self._counted_to: datetime | None = None
        self._looked_at = float("-inf")
        self._one_look = asyncio.Lock()

    async def refresh(self) -> None:
        """Records what ended since the last call; the first call only sets the mark."""
        async with self._one_look:
            if self._monotonic() - self._looked_at < FRESH_S:
                return
            self._looked_at = self._monotonic()
            until = await self._store.value("clock") - SETTLED
            since = self._counted_to or until
            ended = await self._store.rows("broadcasts_ended_between", since, until)
            # Only now: what a failed look did not see is the next one's.
            self._counted_to = until
            for row in ended:
                self._metrics.broadcasts.ended(
                    row["state"], row["first_card_s"], row["accept_s"], row["human_s"]
                )
            self._metrics.sessions.live_sessions(await self._store.value("live_sessions_open"))

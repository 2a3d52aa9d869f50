"""Creates the partitions of time-partitioned tables ahead, and drops or empties old ones.

By the database's clock, so that partitions follow `hustlexp clock advance`. One process does it for
all.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from engine.kernel.leases import Lease
from engine.kernel.loops import supervise
from engine.kernel.store import Store

log = structlog.get_logger(__name__)

ROUND_S: Final = 5.0
"""A round that finds nothing due reads the catalogue and two empty tables."""


class PartitionKeeper:
    """The loop that creates and drops partitions when they are due."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lease = Lease(store, "partitions")

    async def run(self) -> None:
        """Runs rounds until cancelled; losing PostgreSQL only delays."""
        await supervise("partitions", self._round)

    async def _round(self) -> None:
        await self._lease.run(self.keep, every_s=ROUND_S)
        await asyncio.sleep(ROUND_S)

    async def keep(self) -> None:
        """Creates, drops and empties what is due now; a table that is locked is left for the next round."""
        if made := await self._store.call(list[str], "ensure_partitions"):
            log.info("partitions_made", partitions=made)
        if dropped := await self._store.call(list[str], "drop_old_events"):
            log.info("partitions_dropped", partitions=dropped)
        if emptied := await self._store.call(list[str], "empty_old_changes"):
            log.info("partitions_emptied", partitions=emptied)

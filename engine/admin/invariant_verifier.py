"""Verifies every derived fact in PostgreSQL at intervals and opens an admin item per violation.

The caches of the truth (totals, tiers, states) are kept by triggers; this is the net under them
(architecture §3.3). One process reads the whole tables for all.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final, Protocol

import msgspec
import structlog

from engine.kernel.errors import Refusal
from engine.kernel.leases import Lease
from engine.kernel.loops import Backoff, supervise
from engine.kernel.store import Store
from sql import invariants
from sql.invariants import CheckResult

log = structlog.get_logger()

FIRST_AFTER_S: Final = 300
"""A service that is restarted often is verified all the same, but not while it starts."""
ASK_EVERY_S: Final = 60.0
"""How often each process asks whether a verification is due."""
PAUSE_S: Final = 60.0
"""After a round that failed."""
ITEM: Final = "INVARIANT_BROKEN"


class VerifyMetrics(Protocol):
    """What a verification reports to; when it was is in its lease."""

    def invariant(self, check: str, disagreements: int) -> None:
        """Records how many rows disagree with the check `check`; 0 when it holds."""


class InvariantVerifier:
    """The loop that verifies all invariants every `every_s` seconds; 0 switches it off."""

    def __init__(self, dsn: str, store: Store, metrics: VerifyMetrics, every_s: int) -> None:
        self._dsn = dsn
        self._store = store
        self._metrics = metrics
        self._every_s = every_s
        self._lease = Lease(store, "verification")

    async def run(self) -> None:
        """Verifies until cancelled; returns at once when switched off.

        Losing PostgreSQL only delays a verification.
        """
        if not self._every_s:
            return
        await asyncio.sleep(min(FIRST_AFTER_S, self._every_s))
        await supervise("verifying", self._round, backoff=Backoff(PAUSE_S))

    async def _round(self) -> None:
        await self._lease.run(self.verify, every_s=self._every_s)
        await asyncio.sleep(min(self._every_s, ASK_EVERY_S))

    async def verify(self) -> list[str]:
        """Verifies all checks once; returns the names of those that disagree.

        Each of these has an open admin item; an item whose check agrees again is closed.
        Raises `sql.database.DatabaseAway` when the server is not there.
        """
        broken = []
        async with aclosing(invariants.verify(self._dsn)) as results:
            async for result in results:
                self._metrics.invariant(result.check.name, result.count)
                if not result.agrees:
                    broken.append(result.check.name)
                try:
                    await self._update_item(result)
                except Refusal as busy:
                    # The item's row is locked just now; the other checks go on.
                    log.warning("item_waits", check=result.check.name, error=str(busy))
        return broken

    async def _update_item(self, result: CheckResult) -> None:
        if result.agrees:
            await self._store.perform("close_item", ITEM, result.check.name)
        else:
            await self._report(result)

    async def _report(self, result: CheckResult) -> None:
        log.critical(
            "invariant_broken",
            check=result.check.name,
            sentence=result.check.sentence,
            count=result.count,
            rows=[f"{row.subject}: {row.found}" for row in result.rows],
        )
        details = {
            "sentence": result.check.sentence,
            "count": result.count,
            "rows": result.rows,
        }
        await self._store.perform(
            "open_item", ITEM, result.check.name, msgspec.json.encode(details).decode()
        )

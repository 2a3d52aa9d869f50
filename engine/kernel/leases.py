"""Leases on work that one process does for all of them, by the database's clock.

A lease divides work and decides nothing: every piece of such work may be done twice without harm. So
a holder that was stopped and wakes needs no fencing, and one that was killed holds nothing back for
longer than its lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from engine.kernel.errors import Refusal
from engine.kernel.store import Store
from sql.database import DatabaseAway, DatabaseError

log = structlog.get_logger(__name__)

PROCESS_ID: Final = uuid4()
"""Whom this process's leases name, and its row of `processes`."""
HELD_S: Final = 30.0
"""A killed holder keeps the work from the others for at most so long."""
RENEWALS: Final = 3
"""A lease is renewed so many times within its length: one lost renewal costs nothing."""


class Lease:
    """The lease of one piece of work, by its name; each round of it is taken anew."""

    def __init__(
        self, store: Store, name: str, *, held_s: float = HELD_S, holder: UUID = PROCESS_ID
    ) -> None:
        self._store = store
        self._name = name
        self._held = timedelta(seconds=held_s)
        self._holder = holder

    async def run(self, work: Callable[[], Awaitable[object]], *, every_s: float) -> bool:
        """Does one round of `work`, unless somebody else does it, or did it within `every_s`.

        Returns whether it did. A round that fails gives the lease back at once and raises.
        """
        taken_at = await self._store.value(
            "take_lease", self._name, self._holder, self._held, timedelta(seconds=every_s)
        )
        if taken_at is None:
            return False
        renewing = asyncio.create_task(self._renew(taken_at), name=f"lease {self._name}")
        done = False
        try:
            await work()
            done = True
        finally:
            renewing.cancel()
            await self._free(taken_at, done=done)
        return True

    async def _renew(self, taken_at: datetime) -> None:
        while True:
            await asyncio.sleep(self._held.total_seconds() / RENEWALS)
            with suppress(DatabaseAway, DatabaseError, Refusal):
                if not await self._store.value(
                    "renew_lease", self._name, self._holder, taken_at, self._held
                ):
                    log.warning("lease_lost", lease=self._name)
                    return

    async def _free(self, taken_at: datetime, *, done: bool) -> None:
        """Gives it back; where the database is away it ends by itself."""
        with suppress(DatabaseAway, DatabaseError, Refusal):
            await self._store.execute("free_lease", self._name, self._holder, taken_at, done)

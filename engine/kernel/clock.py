"""The database's clock, which decides."""

from __future__ import annotations

from datetime import datetime

from engine.kernel.store import Store


class Clock:
    """Reads `hx_clock()`: the time by which every rule is judged."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def now(self) -> datetime:
        """The present instant, in UTC."""
        now: datetime = await self._store.value("clock")
        return now

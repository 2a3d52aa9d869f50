"""The database's clock, by which every rule is checked."""

from __future__ import annotations

from datetime import datetime

from engine.kernel.store import Store


class Clock:
    """Reads the database's clock, `hx_clock()`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def now(self) -> datetime:
        """Returns the present instant, in UTC."""
        now: datetime = await self._store.value("clock")
        return now

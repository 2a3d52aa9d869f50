"""Deletes uploads left unused for a day: first the bytes, then the row.

A process that dies between the two finds the row again, and deleting bytes twice is no harm. The
database lets no proof take an upload that is old enough to be swept.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.kernel.loops import supervise
from engine.kernel.store import Store
from engine.photos.storage import PhotoStore

SWEEP_EVERY_S: Final = 600.0
BATCH: Final = 100


class UploadSweep:
    """The loop that deletes stale uploads."""

    def __init__(self, store: Store, photo_store: PhotoStore) -> None:
        self._store = store
        self._photo_store = photo_store

    async def run(self) -> None:
        """Runs sweeps until cancelled; losing PostgreSQL or the photo store only delays."""
        await supervise("upload_sweep", self._round)

    async def _round(self) -> None:
        while await self.sweep() == BATCH:
            pass
        await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """Deletes at most one batch of stale uploads; returns how many.

        An upload whose row is locked stays for the next sweep.
        """
        gone = 0
        for row in await self._store.rows("stale_uploads", BATCH):
            await self._photo_store.delete(row["storage_key"])
            gone += await self._store.value("drop_upload", row["id"]) is not None
        return gone

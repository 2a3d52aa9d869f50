"""Deletes uploads left unused for a day: first the bytes, then the row.

Whoever comes after a process that died between the two finds the row again, and deleting bytes twice
is no harm. The database lets no proof take an upload that is old enough to be swept. One process
does it for all, several uploads at once.
"""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from msgspec import Struct

from engine.kernel.lanes import in_lanes
from engine.kernel.leases import Lease
from engine.kernel.loops import supervise
from engine.kernel.store import Store
from engine.photos.storage import PhotoStore

SWEEP_EVERY_S: Final = 600.0
ASK_EVERY_S: Final = 60.0
"""How often each process asks whether a sweep is due: what a killed one left is due soon."""
BATCH: Final = 100
LANES: Final = 8
"""Uploads that are deleted from the photo store at once."""


class StaleUpload(Struct, frozen=True):
    """An upload that no proof has taken in time."""

    id: UUID
    storage_key: str


class UploadSweep:
    """The loop that deletes stale uploads."""

    def __init__(self, store: Store, photo_store: PhotoStore) -> None:
        self._store = store
        self._photo_store = photo_store
        self._lease = Lease(store, "upload_sweep")

    async def run(self) -> None:
        """Runs sweeps until cancelled; losing PostgreSQL or the photo store only delays."""
        await supervise("upload_sweep", self._round)

    async def _round(self) -> None:
        await self._lease.run(self._sweep_all, every_s=SWEEP_EVERY_S)
        await asyncio.sleep(ASK_EVERY_S)

    async def _sweep_all(self) -> None:
        while await self.sweep() == BATCH:
            pass

    async def sweep(self) -> int:
        """Deletes at most one batch of stale uploads; returns how many.

        An upload whose row is locked stays for the next sweep.
        """
        rows = await self._store.rows_as(StaleUpload, "stale_uploads", BATCH)
        return sum(await in_lanes(rows, self._delete, lanes=LANES))

    async def _delete(self, upload: StaleUpload) -> bool:
        await self._photo_store.delete(upload.storage_key)
        return await self._store.value("drop_upload", upload.id) is not None

"""Accepts uploaded photos and returns them to those who may see them.

The row is written first, then the bytes: a process that dies between leaves a row whose id no
client knows, and the sweep deletes it. The other way round it would leave bytes without a row.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec
import structlog

from engine.kernel import errors, policy
from engine.kernel.ids import UploadId, UserId
from engine.kernel.store import Store
from engine.photos import checks
from engine.photos.checks import Photo
from engine.photos.storage import PhotoStore, PhotoStoreAway
from engine.photos.views import UploadView

log = structlog.get_logger(__name__)

DECODED_AT_ONCE: Final = 2
"""Photos of this process that are decoded at the same time; the others wait."""


class _PhotoFacts(msgspec.Struct, frozen=True):
    """What the database keeps of a photo; `sha256` in hexadecimal."""

    storage_key: str
    content_type: str
    bytes: int
    width: int
    height: int
    sha256: str
    gps_latitude: float | None
    gps_longitude: float | None
    captured_at: str | None


class _Added(msgspec.Struct, frozen=True):
    upload_id: UUID


class Content(NamedTuple):
    """The bytes of a stored photo and their media type."""

    content: bytes
    content_type: str


class Uploads:
    """Accepts photos and returns them."""

    def __init__(self, store: Store, photo_store: PhotoStore) -> None:
        self._store = store
        self._photo_store = photo_store
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    async def add(self, user: UserId, content: bytes) -> UploadView:
        """Validates, strips and stores a photo for a proof or evidence; returns its view.

        HX022 UPLOAD when it is no acceptable photo, or when 20 of the user's wait unused
        already.
        """
        async with self._decoding:
            photo = await asyncio.to_thread(checks.check, content)
        facts = _facts(photo)
        upload = await self._registered(user, facts)
        try:
            await self._photo_store.put(facts.storage_key, photo.content, photo.content_type)
        except PhotoStoreAway:
            await self._forget(upload, facts.storage_key)
            raise
        return UploadView(upload, photo.content_type, len(photo.content))

    async def show(self, viewer: UserId, upload: UploadId) -> Content:
        """Returns a photo to its uploader, both sides of the task it belongs to, and admins.

        NOT_FOUND for all others.
        """
        rows = await self._store.rows("visible_upload", viewer, upload)
        if not rows:
            raise errors.refusal("NOT_FOUND")
        content = await self._photo_store.get(rows[0]["storage_key"])
        if content is None:
            log.error("photo_lost", upload=str(upload), key=rows[0]["storage_key"])
            raise errors.refusal("NOT_FOUND")
        return Content(content, rows[0]["content_type"])

    async def _registered(self, user: UserId, facts: _PhotoFacts) -> UUID:
        try:
            added = await self._store.call(
                _Added, "add_upload", user, msgspec.json.encode(facts).decode()
            )
        except errors.Refusal as refusal:
            if refusal.kind.code != "HX022":
                raise
            raise errors.refusal(
                "HX022",
                "UPLOAD",
                f"{policy.UNUSED_PHOTOS_MAX} of your photos are not used yet; each is removed after a day.",
            ) from refusal
        return added.upload_id

    async def _forget(self, upload: UUID, key: str) -> None:
        """Undo an upload whose bytes could not be kept; the answer may have been lost alone."""
        try:
            await self._photo_store.delete(key)
        except PhotoStoreAway:
            # Kept, the row would block its user for a day; without it the bytes, if there are
            # any, are unreachable, and the log says where they are.
            log.warning("photo_left_behind", key=key)
        await self._store.execute("drop_upload", upload)


def _facts(photo: Photo) -> _PhotoFacts:
    return _PhotoFacts(
        storage_key=uuid4().hex,
        content_type=photo.content_type,
        bytes=len(photo.content),
        width=photo.width,
        height=photo.height,
        sha256=photo.sha256.hex(),
        gps_latitude=photo.gps.lat if photo.gps else None,
        gps_longitude=photo.gps.lng if photo.gps else None,
        captured_at=photo.captured_at.isoformat() if photo.captured_at else None,
    )

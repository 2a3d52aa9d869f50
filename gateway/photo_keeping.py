"""The photo store that the settings name."""

from __future__ import annotations

from engine.tasks.photo_store import Bucket, PhotoStore, open_photo_store
from gateway.settings import Settings


def photo_store(settings: Settings) -> PhotoStore:
    """The store for uploaded photos; a folder is made, a bucket must be there.

    Raises `engine.tasks.photo_store.PhotoStoreAway` when the folder cannot be made.
    """
    given = settings.photos
    folder = (settings.data_dir / "photos").resolve()
    return open_photo_store(
        given.url or folder.as_uri(),
        Bucket(given.s3_endpoint, given.s3_region, given.s3_key_id, given.s3_secret),
    )

"""The photo store that the settings name."""

from __future__ import annotations

from engine.photos.storage import Bucket, PhotoStore, open_photo_store
from gateway.settings.groups import Settings


def photo_store(settings: Settings) -> PhotoStore:
    """Returns the store for uploaded photos; creates a folder, expects a bucket to exist.

    Raises `engine.photos.storage.PhotoStoreAway` when the folder cannot be made.
    """
    given = settings.photos
    folder = (settings.data_dir / "photos").resolve()
    return open_photo_store(
        given.url or folder.as_uri(),
        Bucket(given.s3_endpoint, given.s3_region, given.s3_key_id, given.s3_secret),
    )

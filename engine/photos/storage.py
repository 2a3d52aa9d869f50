"""Stores the bytes of photos in a folder, or in a bucket of any S3-compatible service.

Keys are random and made by us; no name that a user wrote becomes part of a path. The only module
that imports obstore.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self
from urllib.parse import unquote, urlsplit

import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from engine.kernel import errors

if TYPE_CHECKING:
    from obstore.store import S3Config

REQUEST_TIMEOUT: Final = timedelta(seconds=20)
"""One request to the bucket; it may carry 10 MiB."""
CONNECT_TIMEOUT: Final = timedelta(seconds=5)
RETRIES: Final = 2
RETRY_TIMEOUT: Final = timedelta(seconds=10)
"""No further try begins after this: callers wait and may repeat by themselves."""

log = structlog.get_logger(__name__)


class PhotoStoreAway(errors.Refusal):
    """The store does not answer or refuses access; UNAVAILABLE to callers, who may repeat."""

    def __init__(self, reason: str) -> None:
        super().__init__(errors.kind("UNAVAILABLE"))
        self.said = reason
        """What the store said, in one line: for the log and the operator, never for a caller."""

    def __str__(self) -> str:
        return self.said


class PhotoStore(Protocol):
    """Bytes under random keys; every method raises `PhotoStoreAway` when the store is away."""

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Stores the bytes under a key, atomically."""

    async def get(self, key: str) -> bytes | None:
        """Returns the bytes under a key; None when there are none."""

    async def delete(self, key: str) -> None:
        """Deletes the bytes under a key; deleting an absent key succeeds."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How an S3-compatible service is reached; an empty field follows the AWS conventions."""

    endpoint: str = ""
    """URL of the service, without the bucket; empty for AWS itself."""
    region: str = ""
    key_id: str = ""
    secret: str = ""


class ObjectPhotos:
    """Implements `PhotoStore` over an object store, each call on a thread.

    obstore's own coroutines let go of Python's objects on a thread of theirs, after the answer: a
    process that ends in that moment is aborted (4 of 22 runs of `hustlexp doctor`).
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Returns a store in a folder, made for its owner alone if it is not there."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PhotoStoreAway(str(error)) from error
        return cls(LocalStore(folder.resolve()))

    @classmethod
    def in_bucket(cls, name: str, prefix: str, bucket: Bucket) -> Self:
        """Returns a store in a bucket, all keys below a prefix."""
        config: S3Config = {"disable_bulk_delete": True}  # not every service has it
        if bucket.endpoint:
            config["endpoint"] = bucket.endpoint
        if bucket.region:
            config["region"] = bucket.region
        if bucket.key_id:
            config["access_key_id"] = bucket.key_id
            config["secret_access_key"] = bucket.secret
        return cls(
            S3Store(
                name,
                prefix=prefix or None,
                config=config,
                client_options={
                    "timeout": REQUEST_TIMEOUT,
                    "connect_timeout": CONNECT_TIMEOUT,
                    # an http endpoint is meant as such: a service on this machine
                    "allow_http": bucket.endpoint.startswith("http://"),
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
            )
        )

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Stores the bytes under a key, atomically."""
        local = isinstance(self._store, LocalStore)
        with _translated():
            await asyncio.to_thread(
                self._store.put,
                key,
                content,
                # a folder has no place for it; the database knows the type anyway
                attributes=None if local else {"Content-Type": content_type},
                use_multipart=False,
            )

    async def get(self, key: str) -> bytes | None:
        """Returns the bytes under a key; None when there are none."""
        with _translated():
            try:
                return await asyncio.to_thread(self._bytes, key)
            except FileNotFoundError:
                return None

    def _bytes(self, key: str) -> bytes:
        return bytes(self._store.get(key).bytes())

    async def delete(self, key: str) -> None:
        """Deletes the bytes under a key; deleting an absent key succeeds."""
        with _translated():
            try:
                await asyncio.to_thread(self._store.delete, key)
            except FileNotFoundError:
                return


def open_photo_store(url: str, bucket: Bucket) -> PhotoStore:
    """Returns the store that a URL names: `file:///folder` or `s3://bucket/prefix`.

    Raises PhotoStoreAway when a folder cannot be made; a bucket is first asked when it is used.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return ObjectPhotos.in_folder(Path(unquote(parts.path)))
    return ObjectPhotos.in_bucket(parts.netloc, parts.path.strip("/"), bucket)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        # the lines after the first are the store's internals
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        log.warning("photo_store_away", error=reason)
        raise PhotoStoreAway(reason) from error

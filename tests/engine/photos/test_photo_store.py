from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from uuid import uuid4

import pytest
import structlog

from engine.photos.storage import Bucket, ObjectPhotos, PhotoStore, PhotoStoreAway, open_photo_store
from tests.engine.photos import s3
from tests.engine.photos.s3 import Fake


@pytest.fixture(scope="session")
async def service() -> AsyncIterator[Fake]:
    """An S3-compatible service."""
    async with s3.serving() as fake:
        yield fake


def in_bucket(service: Fake, *, url: str = "s3://proofs/live", key_id: str = "") -> PhotoStore:
    """A store in the service's bucket, below a prefix."""
    access = Bucket(service.url, service.region, key_id or service.key_id, "secret")
    return open_photo_store(url, access)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, service: Fake) -> PhotoStore:
    """Either kind of store."""
    if request.param == "bucket":
        return in_bucket(service)
    return open_photo_store((tmp_path / "a folder" / "photos").as_uri(), Bucket())


async def away(call: Awaitable[object]) -> PhotoStoreAway:
    """The refusal of a call to a store that is away."""
    with structlog.testing.capture_logs() as lines, pytest.raises(PhotoStoreAway) as caught:
        await call
    (line,) = lines
    assert line["event"] == "photo_store_away"
    assert line["error"] == caught.value.said == str(caught.value)
    assert "\n" not in caught.value.said
    return caught.value


async def test_what_is_put_is_there_until_it_is_deleted(store: PhotoStore) -> None:
    """Whole, also at 10 MiB; deleting twice is no error."""
    key, content = uuid4().hex, b"\x00photo\xff" * 1_500_000
    assert await store.get(key) is None
    await store.put(key, content, "image/jpeg")
    assert await store.get(key) == content
    await store.delete(key)
    await store.delete(key)
    assert await store.get(key) is None


async def test_many_at_once_do_not_mix(store: PhotoStore) -> None:
    """Each key has its own bytes."""
    keys = [uuid4().hex for _ in range(20)]
    await asyncio.gather(*(store.put(key, key.encode(), "image/png") for key in keys))
    assert await asyncio.gather(*map(store.get, keys)) == [key.encode() for key in keys]


async def test_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    """Made with 0700 when it is not there; a file without a name of a user's."""
    folder = tmp_path / "photos"
    store = ObjectPhotos.in_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    await store.put("0123", b"x", "image/png")
    assert [file.name for file in folder.iterdir()] == ["0123"]


async def test_a_folder_that_is_none_is_told_as_away(tmp_path: Path) -> None:
    """At the start, and when it was lost since."""
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(PhotoStoreAway):
        ObjectPhotos.in_folder(file / "photos")
    folder = tmp_path / "photos"
    store = ObjectPhotos.in_folder(folder)
    folder.rmdir()
    folder.write_text("in the way")
    refusal = await away(store.put("key", b"x", "image/png"))
    assert (refusal.kind.code, refusal.kind.retryable) == ("UNAVAILABLE", True)
    assert str(tmp_path) in refusal.said
    assert str(tmp_path) not in refusal.message


async def test_a_bucket_gets_signed_requests_below_its_prefix(service: Fake) -> None:
    """With the type of the photo, so that the operator's own tools can show it."""
    store = in_bucket(service)
    await store.put("0123", b"x", "image/png")
    assert service.objects["live/0123"] == ("image/png", b"x")
    assert service.asked[-1] == "PUT /proofs/live/0123"
    await in_bucket(service, url="s3://proofs").put("4567", b"y", "image/jpeg")
    assert service.objects["4567"] == ("image/jpeg", b"y")


async def test_a_bucket_that_refuses_or_breaks_is_told_as_away(service: Fake) -> None:
    """A wrong key, a wrong bucket, a service with errors, no service: 503 in each case."""
    await away(in_bucket(service, key_id="stranger").put("k", b"x", "image/png"))
    service.broken = True
    asked = len(service.asked)
    await away(in_bucket(service).get("k"))
    assert len(service.asked) - asked == 3
    service.broken = False
    nobody = open_photo_store("s3://b", Bucket("http://127.0.0.1:9", "r", "k", "secret"))
    refusal = await away(nobody.delete("k"))
    assert "secret" not in refusal.said

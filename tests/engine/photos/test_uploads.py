from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import pytest
import structlog

from engine.kernel import errors, policy
from engine.kernel.ids import UploadId, UserId
from engine.photos import checks, upload_sweep
from engine.photos.storage import Bucket, ObjectPhotos, PhotoStoreAway, open_photo_store
from engine.photos.upload_sweep import UploadSweep
from engine.photos.uploads import DECODED_AT_ONCE, Uploads
from geo.distance import distance_m
from geo.points import LatLng
from geo.units import METRES_PER_MILE
from tests.engine.photos import pictures, s3
from tests.engine.photos.s3 import Fake
from tests.support.market import Market, open_market


@pytest.fixture
async def market(database_dsn: str, owner_dsn: str) -> AsyncIterator[Market]:
    """The engine on the worker's database."""
    async with open_market(database_dsn, owner_dsn) as market:
        yield market


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where photos are kept."""
    return tmp_path / "photos"


@pytest.fixture
def store(folder: Path) -> ObjectPhotos:
    """The store of that folder."""
    return ObjectPhotos.in_folder(folder)


@pytest.fixture
def sweep(market: Market, store: ObjectPhotos) -> UploadSweep:
    """The sweep over it."""
    return UploadSweep(market.store, store)


@pytest.fixture
async def service() -> AsyncIterator[Fake]:
    """An S3-compatible service."""
    async with s3.serving() as fake:
        yield fake


async def rows_of(market: Market, user: UserId) -> int:
    """How many uploads of a user the database knows."""
    count: int = await market.app.fetchval("select count(*) from uploads where user_id = $1", user)
    return count


async def aged(market: Market, store: ObjectPhotos, user: UserId, age: timedelta) -> UUID:
    """An unused upload of this age."""
    key = uuid4().hex
    await store.put(key, b"photo", "image/png")
    upload: UUID = await market.owner.fetchval(
        "insert into uploads (user_id, storage_key, content_type, bytes, width, height, sha256,"
        " created_at) values ($1, $2, 'image/png', 5, 1, 1, '', hx_clock() - $3::interval)"
        " returning id",
        user,
        key,
        age,
    )
    return upload


async def test_a_photos_facts_are_kept_apart_from_the_picture(
    market: Market, store: ObjectPhotos
) -> None:
    """Place, time, size and sum stand in the row; the bytes under a key that says nothing."""
    user = await market.user("hustler")
    view = await Uploads(market.store, store).add(user, pictures.tagged_jpeg())
    row = await market.app.fetchrow("select * from uploads where id = $1", view.id)
    assert (row["gps_latitude"], row["gps_longitude"]) == pytest.approx((37.775, -122.42))
    assert row["captured_at"].isoformat() == "2026-05-05T01:30:00+00:00"
    assert (row["width"], row["height"], row["bytes"]) == (64, 48, view.bytes)
    assert UUID(row["storage_key"]) not in (view.id, user)
    content = await store.get(row["storage_key"])
    assert content is not None
    assert len(content) == view.bytes


async def test_two_photos_are_decoded_at_once_and_no_more(
    market: Market, store: ObjectPhotos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many arrive: each may take hundreds of megabytes."""
    under_way, seen, lock = 0, [], threading.Lock()
    check = checks.check

    def counted(content: bytes) -> checks.Photo:
        nonlocal under_way
        with lock:
            under_way += 1
            seen.append(under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return check(content)

    monkeypatch.setattr(checks, "check", counted)
    uploads, user = Uploads(market.store, store), await market.user("hustler")
    await asyncio.gather(*(uploads.add(user, pictures.jpeg()) for _ in range(8)))
    assert max(seen) == DECODED_AT_ONCE == 2


async def test_uploads_at_once_count_each_other(market: Market, store: ObjectPhotos) -> None:
    """Of 25 at the same moment 20 are kept, and the others leave nothing."""
    uploads, user = Uploads(market.store, store), await market.user("hustler")
    added = (uploads.add(user, pictures.jpeg()) for _ in range(25))
    answers = await asyncio.gather(*added, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, errors.Refusal)]
    assert [refusal.kind.code for refusal in refused] == ["HX022"] * 5
    assert await rows_of(market, user) == policy.UNUSED_PHOTOS_MAX == 20


async def test_without_its_store_an_upload_leaves_no_row(market: Market, service: Fake) -> None:
    """UNAVAILABLE, to be repeated; it counts for nothing."""
    bucket = Bucket(service.url, service.region, service.key_id, "secret")
    uploads = Uploads(market.store, open_photo_store("s3://proofs", bucket))
    user = await market.user("hustler")
    service.broken = True
    with structlog.testing.capture_logs() as lines, pytest.raises(PhotoStoreAway):
        await uploads.add(user, pictures.jpeg())
    assert "photo_left_behind" in [line["event"] for line in lines]
    assert await rows_of(market, user) == 0
    service.broken = False
    view = await uploads.add(user, pictures.jpeg())
    assert len(service.objects) == 1
    assert len((await uploads.show(user, UploadId(view.id))).content) == view.bytes


async def test_a_photo_whose_bytes_are_lost_is_not_found(
    market: Market, store: ObjectPhotos
) -> None:
    """And the log says so loudly."""
    user = await market.user("hustler")
    upload = UploadId(await aged(market, store, user, timedelta(0)))
    key = await market.app.fetchval("select storage_key from uploads where id = $1", upload)
    await store.delete(key)
    with structlog.testing.capture_logs() as lines, pytest.raises(errors.Refusal) as refused:
        await Uploads(market.store, store).show(user, upload)
    assert refused.value.kind.code == "NOT_FOUND"
    assert [line["event"] for line in lines] == ["photo_lost"]


async def test_unused_uploads_are_swept_after_a_day(
    market: Market, store: ObjectPhotos, sweep: UploadSweep, folder: Path
) -> None:
    """Row and bytes; younger ones stay."""
    user = await market.user("hustler")
    await aged(market, store, user, timedelta(hours=24, minutes=16))
    young = await aged(market, store, user, timedelta(hours=24, minutes=14))
    assert await sweep.sweep() >= 1
    left = await market.app.fetch("select id, storage_key from uploads where user_id = $1", user)
    assert [row["id"] for row in left] == [young]
    assert [file.name for file in folder.iterdir()] == [left[0]["storage_key"]]


async def test_a_sweep_goes_on_where_a_dead_one_stopped(
    market: Market, store: ObjectPhotos, sweep: UploadSweep
) -> None:
    """Bytes that are gone already are no obstacle to removing their row."""
    user = await market.user("hustler")
    upload = await aged(market, store, user, timedelta(days=2))
    key = await market.app.fetchval("select storage_key from uploads where id = $1", upload)
    await store.delete(key)
    await sweep.sweep()
    assert await rows_of(market, user) == 0


async def test_while_the_store_is_away_the_row_waits(market: Market, folder: Path) -> None:
    """So that no bytes are forgotten."""
    user = await market.user("hustler")
    store = ObjectPhotos.in_folder(folder)
    await aged(market, store, user, timedelta(days=2))
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("in the way")
    with pytest.raises(PhotoStoreAway):
        await UploadSweep(market.store, store).sweep()
    assert await rows_of(market, user) == 1
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)
    await UploadSweep(market.store, store).sweep()
    assert await rows_of(market, user) == 0


async def test_a_full_batch_is_followed_by_the_next(
    market: Market, store: ObjectPhotos, sweep: UploadSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy day is swept in one round."""
    monkeypatch.setattr(upload_sweep, "BATCH", 2)
    user = await market.user("hustler")
    for _ in range(3):
        await aged(market, store, user, timedelta(days=2))
    while await sweep.sweep() == upload_sweep.BATCH:
        pass
    assert await rows_of(market, user) == 0


async def test_an_upload_too_old_to_be_used_proves_nothing(
    market: Market, store: ObjectPhotos
) -> None:
    """From 24 hours on, before the sweep may take it: no proof ever loses its picture."""
    task, hustler = await market.working()
    old = UploadId(await aged(market, store, hustler, timedelta(hours=24, seconds=1)))
    fresh = UploadId(await aged(market, store, hustler, timedelta(hours=23, minutes=59)))
    with pytest.raises(errors.Refusal) as refused:
        await market.commands.proofs.submit_photos(hustler, task, [old])
    assert refused.value.kind.code == "HX022"
    await market.commands.proofs.submit_photos(hustler, task, [fresh])


async def test_the_database_measures_miles_as_the_engine_does(market: Market) -> None:
    """Near, far, across the date line and at the poles; nothing where a coordinate is missing."""
    rng = Random(11)
    pairs = [(LatLng(89.9, 10.0), LatLng(89.9, -170.0)), (LatLng(1, 179.999), LatLng(1, -179.999))]
    for _ in range(200):
        lat, lng = rng.uniform(-90, 90), rng.uniform(-180, 180)
        near = LatLng(max(-90, min(90, lat + rng.gauss(0, 0.01))), lng + rng.gauss(0, 0.01))
        pairs += [(LatLng(lat, lng), near)]
        pairs += [(LatLng(lat, lng), LatLng(rng.uniform(-90, 90), rng.uniform(-180, 180)))]
    for a, b in pairs:
        miles = await market.app.fetchval(
            "select miles_between($1, $2, $3, $4)", a.lat, a.lng, b.lat, b.lng
        )
        assert miles == pytest.approx(distance_m(a, b) / METRES_PER_MILE, rel=1e-6, abs=1e-6)
    assert await market.app.fetchval("select miles_between(1, 2, null, 3)") is None

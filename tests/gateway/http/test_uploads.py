"""Photos over real connections: taken in, refused, handed in as proof, shown to who may see them."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import structlog
from PIL import Image

from engine.kernel import errors, policy
from engine.photos import checks, jpeg_file, png_file
from gateway.contract import limits
from gateway.http.multipart import MAX_OVERHEAD_BYTES
from gateway.http.parts import Parts
from gateway.http.upload_slots import UploadSlots
from gateway.identity.rates import UPLOAD
from tests.engine.photos import pictures
from tests.support.paths import ROOT
from tests.support.rest import Answer, People, Person

JPEG = pictures.jpeg()


@pytest.fixture(scope="module")
async def wire(service_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Real connections to the service."""
    async with httpx.AsyncClient(base_url=service_url) as client:
        yield client


async def send(person: Person, *files: tuple[str, bytes], key: str | None = None) -> Answer:
    """POST /v1/uploads with these parts (name, content)."""
    headers = {"Authorization": f"Bearer {person.token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    parts = [(name, ("photo.txt", content, "text/plain")) for name, content in files]
    response = await person.client.post("/v1/uploads", files=parts, headers=headers)
    return Answer(response.status_code, response.headers, response.json())


async def uploaded(person: Person, content: bytes = JPEG) -> Any:
    """The id of a photo that was taken in."""
    answer = await send(person, ("file", content))
    assert answer.status == 201, answer.body
    return answer.body["id"]


async def shown(person: Person, photo: str) -> httpx.Response:
    """GET /v1/photos/{id}."""
    headers = {"Authorization": f"Bearer {person.token}"}
    return await person.client.get(f"/v1/photos/{photo}", headers=headers)


@pytest.fixture
def over(wire: httpx.AsyncClient) -> Any:
    """A person on a real connection."""
    return lambda person: Person(wire, person.user_id, person.token)


@pytest.fixture
async def hustler(people: People, over: Any) -> Person:
    """A hustler on a real connection."""
    person: Person = over(await people.person("hustler"))
    return person


# ── Taken in and shown ──────────────────────────────────────────────────────────────────────────


async def test_a_photo_is_taken_in_and_shown_without_what_its_file_told(hustler: Person) -> None:
    """201 with id, type and size; then the picture alone, for its uploader."""
    answer = await send(hustler, ("file", pictures.tagged_jpeg()))
    assert answer.status == 201
    assert answer.body.keys() == {"id", "content_type", "bytes"}
    assert answer.body["content_type"] == "image/jpeg"
    response = await shown(hustler, answer.body["id"])
    assert response.status_code == 200
    assert len(response.content) == answer.body["bytes"]
    assert b"secret-" not in response.content
    assert not Image.open(io.BytesIO(response.content)).getexif()
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["content-disposition"] == "inline"
    assert response.headers["cache-control"] == "private, max-age=3600"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_posters_and_admins_may_upload_too(people: People) -> None:
    """Evidence comes from both sides."""
    for role in ("poster", "dual", "admin"):
        await uploaded(await people.person(role), pictures.png())


async def test_two_uploads_at_once_are_two_photos(hustler: Person) -> None:
    """Neither waits for nor mixes with the other."""
    red, blue = (pictures.png(Image.new("RGB", (9, 9), c)) for c in (pictures.RED, pictures.BLUE))
    first, second = await asyncio.gather(uploaded(hustler, red), uploaded(hustler, blue))
    assert first != second
    for photo, colour in ((first, pictures.RED), (second, pictures.BLUE)):
        content = (await shown(hustler, photo)).content
        assert Image.open(io.BytesIO(content)).getpixel((4, 4)) == colour


async def test_a_repeated_upload_is_the_same_one(hustler: Person) -> None:
    """By key and bytes: the boundary differs each time; other bytes are another request."""
    key = str(uuid4())
    first = await send(hustler, ("file", JPEG), key=key)
    again = await send(hustler, ("file", JPEG), key=key)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    other = await send(hustler, ("file", pictures.png()), key=key)
    assert other.refusal() == (422, "IDEMPOTENCY_MISMATCH", None)


async def test_openapi_says_file_and_pictures(wire: httpx.AsyncClient) -> None:
    """A generated client sends a multipart body and expects no JSON of a picture."""
    paths = (await wire.get("/openapi.json")).json()["paths"]
    body = paths["/v1/uploads"]["post"]["requestBody"]["content"]
    assert body["multipart/form-data"]["schema"]["required"] == ["file"]
    answer = paths["/v1/photos/{photo_id}"]["get"]["responses"]["200"]
    assert answer["content"].keys() == {"image/jpeg", "image/png"}


# ── Refused ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content", [b"", b"text", pictures.other("GIF"), JPEG[:-9], pictures.png_header(90_000, 90_000)]
)
async def test_what_is_no_photo_is_hx022(hustler: Person, content: bytes) -> None:
    """Whatever its name and declared type say."""
    assert (await send(hustler, ("file", content))).refusal() == (422, "HX022", "UPLOAD")


async def test_the_body_is_one_file(hustler: Person) -> None:
    """422 for none, two or another name; 415 for JSON."""
    for files in ([("photo", JPEG)], [("file", JPEG), ("file", JPEG)], [("a", b""), ("b", b"")]):
        assert (await send(hustler, *files)).refusal() == (422, "VALIDATION_ERROR", None)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    empty = await hustler.call("POST", "/v1/uploads", content=b"--x--\r\n", headers=headers)
    assert empty.refusal() == (422, "VALIDATION_ERROR", None)
    for body in ({}, {"file": "x"}):
        answer = await hustler.call("POST", "/v1/uploads", body)
        assert answer.refusal() == (415, "VALIDATION_ERROR", None)


async def test_more_than_ten_mebibytes_are_413(hustler: Person) -> None:
    """Announced or not; exactly ten pass."""
    limit = policy.PHOTO_BYTES_MAX
    whole = JPEG + b"\x00" * (limit - len(JPEG))
    assert (await send(hustler, ("file", whole))).status == 201
    assert (await send(hustler, ("file", whole + b"\x00"))).refusal() == (413, "TOO_LARGE", None)

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 65_536

    response = await hustler.client.post(
        "/v1/uploads",
        content=endless(),
        headers={
            "Authorization": f"Bearer {hustler.token}",
            "Content-Type": "multipart/form-data; boundary=x",
        },
    )
    assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")


async def _half_an_upload(person: Person) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has sent half of what it announced."""
    url = urlsplit(str(person.client.base_url))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = (
        f"POST /v1/uploads HTTP/1.1\r\nHost: hx\r\nAuthorization: Bearer {person.token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    )
    writer.write(head.encode() + b"x" * 40_000)
    await writer.drain()
    return reader, writer


async def _until(parts: Parts, person: Person, under_way: int) -> None:
    """Waits until so many uploads of a person are being received."""
    async with asyncio.timeout(5):
        while True:
            if parts.upload_slots.under_way(person.user_id) == under_way:
                return
            await asyncio.sleep(0.01)


async def test_an_upload_that_breaks_off_leaves_nothing(hustler: Person, parts: Parts) -> None:
    """No error, no slot, no photo; the service goes on."""
    with structlog.testing.capture_logs() as lines:
        _, writer = await _half_an_upload(hustler)
        await _until(parts, hustler, 1)
        writer.close()
        await _until(parts, hustler, 0)
    assert not [line for line in lines if line.get("log_level") == "error"]
    await uploaded(hustler)


async def test_an_upload_that_takes_too_long_is_given_up(
    hustler: Person, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408, and the connection is closed."""
    monkeypatch.setattr(limits, "UPLOAD_WITHIN_S", 0.2)
    reader, writer = await _half_an_upload(hustler)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"VALIDATION_ERROR" in answer
    assert parts.upload_slots.under_way(hustler.user_id) == 0
    writer.close()


async def test_slow_uploads_of_one_user_shut_nobody_else_out(
    people: People, over: Any, parts: Parts
) -> None:
    """Three at once; the fourth is told to wait, another user's is taken in."""
    slow, other = over(await people.person("hustler")), over(await people.person("hustler"))
    writers = [(await _half_an_upload(slow))[1] for _ in range(3)]
    await _until(parts, slow, 3)
    assert (await send(slow, ("file", JPEG))).refusal() == (429, "RATE_LIMITED", None)
    await uploaded(other)
    for writer in writers:
        writer.close()
    await _until(parts, slow, 0)
    await uploaded(slow)


def test_a_full_process_takes_no_more_uploads() -> None:
    """UNAVAILABLE beyond 16, whoever asks; a place that was given back is free."""
    slots = UploadSlots()
    with ExitStack() as stack:
        places = [slots.one(uuid4()) for _ in range(limits.UPLOADS_AT_ONCE)]
        for place in places[1:]:
            stack.enter_context(place)
        with places[0], pytest.raises(errors.Refusal) as refused, slots.one(uuid4()):
            pass
        assert refused.value.kind.code == "UNAVAILABLE"
        free: AbstractContextManager[None] = slots.one(uuid4())
        with free:
            pass


async def test_twenty_photos_may_wait_unused(hustler: Person) -> None:
    """The next one is HX022 until some are used or swept."""
    for _ in range(20):
        await uploaded(hustler)
    refused = await send(hustler, ("file", JPEG))
    assert refused.refusal() == (422, "HX022", "UPLOAD")
    assert "20" in refused.body["detail"]


# ── As proof ────────────────────────────────────────────────────────────────────────────────────


async def _prove(hustler: Person, task: Any, *photos: str, **more: Any) -> Answer:
    """Hand photos in."""
    return await hustler.call(
        "POST", f"/v1/tasks/{task['id']}/proofs", {"photos": list(photos), **more}
    )


async def test_photos_prove_the_work_to_both_sides_and_to_nobody_else(people: People) -> None:
    """PROOF_SUBMITTED; each side sees the list and the pictures, in the order handed in."""
    poster, hustler, task = await people.arrived(min_photos=2)
    assert task["min_photos"] == 2
    ids = [await uploaded(hustler, pictures.tagged_jpeg()), await uploaded(hustler, pictures.png())]
    short = await _prove(hustler, task, ids[0])
    assert short.refusal() == (409, "HX301", "INV-3")
    answer = await _prove(hustler, task, ids[1], ids[0])
    assert answer.status == 201, answer.body
    proof = answer.body
    assert (proof["kind"], proof["state"], proof["reject_reason"]) == ("PHOTOS", "SUBMITTED", None)
    assert proof["review_deadline"] > proof["submitted_at"]
    assert [photo["id"] for photo in proof["photos"]] == [ids[1], ids[0]]
    path = f"/v1/tasks/{task['id']}"
    assert (await poster.good("GET", path))["state"] == "PROOF_SUBMITTED"
    unauthenticated, admin = await people.person("dual"), await people.person("admin")
    for side in (poster, hustler):
        assert (await side.good("GET", f"{path}/proofs"))["items"] == [proof]
    for viewer, status in ((poster, 200), (hustler, 200), (admin, 200), (unauthenticated, 404)):
        assert (await shown(viewer, ids[0])).status_code == status
    assert (await shown(poster, str(uuid4()))).status_code == 404
    assert "gps" not in answer.body["photos"][0]
    assert "37.77" not in str(proof)


async def test_an_unused_photo_is_its_uploaders_alone(people: People) -> None:
    """The poster of the task sees it once it is handed in, not before."""
    poster, hustler, _ = await people.accepted()
    photo = await uploaded(hustler)
    assert (await shown(poster, photo)).status_code == 404
    assert (await shown(hustler, photo)).status_code == 200


async def test_a_photo_proves_once_and_only_for_its_uploader(people: People) -> None:
    """HX022 for one used before, another's, and one that is not there."""
    _, hustler, task = await people.arrived()
    used, other = await uploaded(hustler), await uploaded(await people.person("hustler"))
    for photo in (other, str(uuid4())):
        assert (await _prove(hustler, task, photo)).refusal() == (422, "HX022", "UPLOAD")
    assert (await _prove(hustler, task, used)).status == 201
    _, second, more = await people.arrived()
    assert (await _prove(second, more, used)).refusal() == (422, "HX022", "UPLOAD")


async def test_evidence_is_shown_to_both_sides(people: People) -> None:
    """Whoever uploaded it; to nobody else, and it proves nothing afterwards."""
    poster, hustler, task = await people.arrived()
    path = f"/v1/tasks/{task['id']}"
    await poster.good("POST", f"{path}/dispute", {"reason": "Nobody came."})
    photo = await uploaded(poster)
    assert (await shown(hustler, photo)).status_code == 404
    await poster.good("POST", f"{path}/evidence", {"text": "My door.", "photos": [photo]})
    unauthenticated = await people.person("hustler")
    for viewer, status in ((poster, 200), (hustler, 200), (unauthenticated, 404)):
        assert (await shown(viewer, photo)).status_code == status
    again = await poster.call("POST", f"{path}/evidence", {"text": "Again.", "photos": [photo]})
    assert again.refusal() == (422, "HX022", "UPLOAD")


def test_the_page_on_photos_holds_the_limits() -> None:
    """docs/photos.md says the figures of the code."""
    page = (ROOT / "docs" / "photos.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", page, re.MULTILINE))
    assert said["File"] == f"{policy.PHOTO_BYTES_MAX >> 20} MiB"
    assert said["Body beside the file"] == f"{MAX_OVERHEAD_BYTES >> 10} KiB"
    assert said["Time for the whole body"] == f"{limits.UPLOAD_WITHIN_S:g} s"
    assert said["Side"] == f"{checks.MAX_SIDE_PIXELS:,} pixels"
    assert said["Size"] == f"{checks.MAX_PIXELS // 1_000_000} megapixels"
    parts = f"{jpeg_file.MAX_SCANS} and {jpeg_file.MAX_SEGMENTS:,}"
    assert said["Scans and segments of a JPEG"] == parts
    assert said["Chunks of a PNG"] == f"{png_file.MAX_CHUNKS:,}"
    assert said["Uploads of one user that are not used yet"] == str(policy.UNUSED_PHOTOS_MAX)
    rate = f"{UPLOAD.per_second:g}, {UPLOAD.burst:g} at once"
    assert said["Uploads of one user per second"] == rate
    assert said["Uploads of one user under way"] == str(limits.UPLOADS_AT_ONCE_PER_USER)
    assert said["Uploads of a process under way"] == str(limits.UPLOADS_AT_ONCE)
    assert said["Photos of one proof"].startswith(f"1 to {policy.PHOTOS_MAX},")


async def test_a_proof_has_one_to_five_photos_and_no_code_beside_them(people: People) -> None:
    """None, six, or a code too: 422, and so is one photo counted twice; five are a proof."""
    _, hustler, task = await people.arrived()
    ids = [await uploaded(hustler) for _ in range(6)]
    for wrong in ([], ids):
        refused = await _prove(hustler, task, *wrong)
        assert refused.refusal() == (422, "VALIDATION_ERROR", None)
    twice = await _prove(hustler, task, ids[0], ids[0])
    assert twice.refusal() == (422, "HX022", "UPLOAD")
    both = await _prove(hustler, task, ids[0], code="123456")
    assert both.refusal() == (422, "VALIDATION_ERROR", None)
    proof = await _prove(hustler, task, *ids[:5])
    assert proof.status == 201
    assert len(proof.body["photos"]) == 5


@pytest.mark.parametrize(
    ("north_miles", "age_s", "near", "in_time"),
    [
        (0.2, 0, True, True),
        (0.3, 0, False, True),
        (0.0, 240, True, True),
        (0.0, 3_600, True, False),
        (0.0, -240, True, True),
        (0.0, -3_600, True, False),
        (None, None, None, None),
    ],
)
async def test_a_proof_says_whether_place_and_time_fit(
    people: People,
    north_miles: float | None,
    age_s: float | None,
    *,
    near: bool | None,
    in_time: bool | None,
) -> None:
    """Within 0.25 miles; between accept and submission give or take 5 minutes; or not told."""
    _, hustler, task = await people.arrived()
    content = JPEG
    if north_miles is not None and age_s is not None:
        place = task["location"]
        content = pictures.jpeg_of(place["lat"] + north_miles / 69.0, place["lng"], age_s)
    photo = await uploaded(hustler, content)
    (seen,) = (await _prove(hustler, task, photo)).body["photos"]
    assert (seen["near_place"], seen["captured_in_time"]) == (near, in_time)
    assert (seen["captured_at"] is None) == (age_s is None)

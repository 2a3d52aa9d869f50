from __future__ import annotations

import contextlib
import io
import re
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from engine.kernel import errors, policy
from engine.photos import checks, exif, jpeg_file, png_file
from engine.photos.checks import check
from tests.engine.photos import pictures


def refused(content: bytes) -> str:
    """The sentence with which a file is refused as HX022 UPLOAD."""
    with pytest.raises(errors.Refusal) as caught:
        check(content)
    assert (caught.value.kind.code, caught.value.kind.invariant) == ("HX022", "UPLOAD")
    return caught.value.message


@contextlib.contextmanager
def little() -> Iterator[None]:
    """Seconds of one core and some megabytes beside the file are enough for the block."""
    began = time.process_time()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 5


def kept(photo: checks.Photo) -> Image.Image:
    """What is kept, opened again."""
    image = Image.open(io.BytesIO(photo.content))
    image.load()
    return image


# ── What is a photo ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "content_type", "form"),
    [
        (pictures.jpeg(), "image/jpeg", "JPEG"),
        (pictures.png(), "image/png", "PNG"),
        (pictures.phone_mpo(), "image/jpeg", "JPEG"),
    ],
)
def test_a_jpeg_and_a_png_are_photos(content: bytes, content_type: str, form: str) -> None:
    """Known by their bytes; a phone's JPEG of several frames is its first one."""
    photo = check(content)
    image = kept(photo)
    assert (photo.content_type, image.format, image.size) == (content_type, form, (64, 48))
    assert (photo.width, photo.height) == (64, 48)
    assert photo.sha256 == sha256(photo.content).digest()
    assert (photo.gps, photo.captured_at) == (None, None)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "JPEG2000", "PDF"])
def test_other_formats_are_refused(form: str) -> None:
    """However well they decode."""
    assert "JPEG or PNG" in refused(pictures.other(form))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"x" * 99,
    ],
)
def test_what_is_no_image_is_refused(content: bytes) -> None:
    """Nothing, a bare magic number, markup, noise."""
    refused(content)


@pytest.mark.parametrize("content", [pictures.jpeg(), pictures.png()], ids=["jpeg", "png"])
def test_a_file_cut_anywhere_is_refused(content: bytes) -> None:
    """No piece of a photo is a photo; only the check sum of a PNG's end mark tells nothing."""
    for end in range(len(content) - (4 if content.startswith(b"\x89PNG") else 0)):
        refused(content[:end])


def test_a_damaged_png_is_refused() -> None:
    """Its check sums are looked at, also behind the pixels."""
    content = bytearray(pictures.png())
    content[-6] ^= 1
    refused(bytes(content))


def test_an_animated_png_is_refused() -> None:
    """A proof is a picture, not a film."""
    assert "animated" in refused(pictures.moving_png())


# ── Limits, each at its border ──────────────────────────────────────────────────────────────────


def test_ten_mebibytes_pass_and_one_byte_more_does_not() -> None:
    """Counted on the file as it was sent; what stands behind the picture counts too."""
    picture = pictures.jpeg()
    filled = picture + b"\x00" * (policy.PHOTO_BYTES_MAX - len(picture))
    assert len(check(filled).content) < 10_000
    assert "10 MiB" in refused(filled + b"\x00")


def test_a_side_of_12_000_pixels_passes_and_one_more_does_not() -> None:
    """Both ways."""
    for size, over in (((12_000, 2), (12_001, 2)), ((2, 12_000), (2, 12_001))):
        photo = check(pictures.png_of(*size))
        assert (photo.width, photo.height) == size
        assert "12,000" in refused(pictures.png_of(*over))


def test_fifty_megapixels_pass_and_one_row_more_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by the header; the real border costs a second of decoding, so half of it is tested."""
    assert checks.MAX_PIXELS == 50_000_000
    monkeypatch.setattr(checks, "MAX_PIXELS", 500_000)
    assert check(pictures.png_of(1_000, 500)).width == 1_000
    assert "megapixels" in refused(pictures.png_of(1_000, 501))


@pytest.mark.parametrize("size", [(12_000, 4_167), (100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    """Before memory is spent on pixels that it promises."""
    with little():
        refused(pictures.png_header(*size))


def test_a_text_chunk_that_unpacks_to_megabytes_is_never_unpacked() -> None:
    """It goes with everything else that is not the picture."""
    info = PngInfo()
    info.add_text("Comment", "\x20" * 50_000_000, zip=True)
    content = pictures.png(pnginfo=info)
    with little():
        assert check(content).width == 64


def test_exif_that_names_the_same_bytes_thousands_of_times_costs_nothing() -> None:
    """Its entries are read one by one, and only those that are needed."""
    entries = b"".join(
        struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(0x9100, 0x9100 + 5_000)
    )
    block = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 5_000) + entries
    with little():
        photo = check(pictures.jpeg(exif=block))
    assert (photo.gps, photo.captured_at) == (None, None)


def _last_scan_of(content: bytes) -> tuple[bytes, bytes]:
    """A JPEG without its end, and its last scan."""
    start = content.rindex(b"\xff\xda")
    return content[:-2], content[start:-2]


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    """Kilobytes that ask for minutes: each scan is a pass over all pixels."""
    body, scan = _last_scan_of(pictures.jpeg(Image.new("L", (64, 48)), progressive=True))
    has = body.count(b"\xff\xda")
    good = body + scan * (jpeg_file.MAX_SCANS - has) + b"\xff\xd9"
    assert check(good).width == 64
    assert "no complete" in refused(good[:-2] + scan + b"\xff\xd9")
    large, scan = _last_scan_of(pictures.jpeg(Image.new("L", (2_000, 1_500)), progressive=True))
    bomb = large + scan * 200_000 + b"\xff\xd9"
    with little():
        refused(bomb)


def test_a_file_of_many_empty_parts_is_refused() -> None:
    """Megabytes of nothing that a decoder would look at one by one."""
    picture, segment = pictures.jpeg(), b"\xff\xe5\x00\x02"
    room = jpeg_file.MAX_SEGMENTS - len(_segments(picture))
    assert check(picture[:2] + segment * room + picture[2:]).width == 64
    assert "no complete" in refused(picture[:2] + segment * (room + 1) + picture[2:])
    picture = pictures.png()
    chunk = b"\x00\x00\x00\x00prIv" + zlib.crc32(b"prIv").to_bytes(4, "big")
    room = png_file.MAX_CHUNKS - 3  # beside IHDR, IDAT and IEND
    assert check(picture[:33] + chunk * room + picture[33:]).width == 64
    assert "no complete" in refused(picture[:33] + chunk * (room + 1) + picture[33:])


def _segments(content: bytes) -> list[bytes]:
    """The markers of a small JPEG, its start and its end left out."""
    return re.findall(rb"\xff[\xc0-\xcf\xda-\xef\xfe]", content[2:-2])


def test_a_film_behind_the_picture_does_not_count() -> None:
    """Phones put some seconds of video behind a JPEG: whatever bytes it has, the photo is taken."""
    film = Random(3).randbytes(4_000_000)
    assert film.count(b"\xff\xda") > jpeg_file.MAX_SCANS
    assert check(pictures.jpeg() + film).width == 64


def test_what_would_grow_beyond_the_limit_is_made_smaller_or_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A JPEG loses quality until it fits; a PNG cannot."""
    image = pictures.noise(200, 200)
    small, large = pictures.jpeg(image, quality=50), pictures.png(image)
    monkeypatch.setattr(policy, "PHOTO_BYTES_MAX", len(small) + 100)
    assert len(check(small).content) <= len(small) + 100
    monkeypatch.setattr(checks, "JPEG_QUALITIES", (90,))
    assert "smaller" in refused(small)
    monkeypatch.setattr(policy, "PHOTO_BYTES_MAX", len(large))
    monkeypatch.setattr(checks, "_saved", lambda *_args, **_options: large + b"x")
    assert "send it as JPEG" in refused(large)


# ── Nothing but the picture is kept ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content", [pictures.tagged_jpeg(), pictures.tagged_png()], ids=["jpeg", "png"]
)
def test_metadata_is_read_and_then_gone(content: bytes) -> None:
    """EXIF, XMP, profile, texts and comment are in the file and not in what is kept."""
    for received in (b"Ann Owner", b"secret-"):
        assert received in content
    photo = check(content)
    assert photo.gps == pytest.approx((37.775, -122.42))
    image = kept(photo)
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    for received in (b"Ann Owner", b"secret-", b"PhoneMaker", b"Exif", b"xmpmeta", b"ICC"):
        assert received not in photo.content


@pytest.mark.parametrize("content", [pictures.jpeg(), pictures.png()], ids=["jpeg", "png"])
def test_a_second_file_behind_the_picture_is_gone(content: bytes) -> None:
    """A page or an archive that hides behind an image is not kept."""
    hidden = b"<script>alert(1)</script>PK\x03\x04archive"
    photo = check(content + hidden)
    assert b"script" not in photo.content
    assert b"archive" not in photo.content
    assert photo.content == check(content).content


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_the_camera_was_held(orientation: int) -> None:
    """What is kept looks upright to a viewer that knows no orientation."""
    upright = pictures.split_image()
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    held = upright.transpose(back[orientation]) if orientation in back else upright
    tags = pictures.camera_exif(orientation=orientation)
    image = kept(check(pictures.png(held, exif=tags.tobytes())))
    assert image.size == (64, 48)
    assert image.getpixel((5, 24)) == pictures.RED
    assert image.getpixel((60, 24)) == pictures.BLUE


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_keeps_its_picture(mode: str) -> None:
    """Palettes become colours, transparency stays."""
    image = Image.new(mode, (8, 8), 1)
    assert kept(check(pictures.png(image))).size == (8, 8)


def test_a_see_through_palette_stays_see_through() -> None:
    """The colour that stands for nothing is no metadata."""
    image = pictures.split_image().quantize(4)
    content = pictures.png(image, transparency=image.getpixel((0, 0)))
    shown = kept(check(content))
    assert shown.getpixel((0, 0)) == (*pictures.RED, 0)
    assert shown.getpixel((63, 0)) == (*pictures.BLUE, 255)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_every_kind_of_jpeg_keeps_its_picture(mode: str) -> None:
    """Printers' colours become a screen's."""
    sent = pictures.jpeg(pictures.split_image().convert(mode))
    image, expected = kept(check(sent)), Image.open(io.BytesIO(sent)).convert("RGB")
    assert image.mode in ("L", "RGB")
    for place in ((5, 24), (60, 24)):
        seen = image.convert("RGB").getpixel(place)
        assert seen == pytest.approx(expected.getpixel(place), abs=6)


def test_an_editors_word_about_the_colours_is_heard() -> None:
    """Adobe's segment says that the three components are red, green and blue; it alone is kept."""
    sent = bytearray(pictures.jpeg(keep_rgb=True, quality=95))
    for kind, first, step in ((b"\xff\xc0", 10, 3), (b"\xff\xda", 5, 2)):
        at = sent.index(kind) + first
        assert bytes(sent[at : at + 3 * step : step]) == b"RGB"
        sent[at : at + 3 * step : step] = b"\x01\x02\x03"
    image = kept(check(bytes(sent)))
    assert image.getpixel((5, 24)) == pytest.approx(pictures.RED, abs=6)
    assert image.getpixel((60, 24)) == pytest.approx(pictures.BLUE, abs=6)


# ── Where and when ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("taken", "offset", "expected"),
    [
        ("2026:05:04 18:30:00", "-07:00", datetime(2026, 5, 5, 1, 30, tzinfo=UTC)),
        ("2026:05:04 18:30:00", "+00:00", datetime(2026, 5, 4, 18, 30, tzinfo=UTC)),
        ("2026:05:04 18:30:00", None, None),
        ("2026:05:04 18:30:00", "Mars", None),
        (None, "+02:00", None),
        ("0000:00:00 00:00:00", "+02:00", None),
        ("0001:01:01 00:00:00", "+14:00", None),
        ("9999:12:31 23:59:59", "-12:00", None),
        ("1980:01:01 00:00:00", "+00:00", None),
        ("yesterday", "+00:00", None),
    ],
)
def test_the_moment_of_capture_needs_its_zone(
    taken: str | None, offset: str | None, expected: datetime | None
) -> None:
    """Without an offset the clock may be anywhere on earth, so no moment is told."""
    tags = pictures.camera_exif(taken=taken, offset=offset)
    assert check(pictures.jpeg(exif=tags.tobytes())).captured_at == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (37.775, -122.42)),
        ({1: "S", 3: "E"}, (-37.775, 122.42)),
        ({1: b"n\x00", 3: "w "}, (37.775, -122.42)),
        ({2: (90, 0, 0), 4: (180, 0, 0)}, (90, -180)),
        ({2: (90, 0, 1)}, None),
        ({4: (180, 0, 1)}, None),
        ({2: (0, 0, 0), 4: (0, 0, 0)}, None),
        ({2: (-1, 0, 0)}, None),
        ({2: (float("nan"), 0, 0)}, None),
        ({2: (float("inf"), 0, 0)}, None),
        ({2: (IFDRational(1, 0), 0, 0)}, None),
        ({2: (IFDRational(0, 0), 0, 0)}, None),
        ({2: (10**400, 0, 0)}, None),
        ({2: (Fraction(37), 46, 30)}, (37.775, -122.42)),
        ({2: (37, 46)}, None),
        ({2: 37.775}, None),
        ({2: "37 46 30"}, None),
        ({2: ("37", "46", "30")}, None),
        ({1: "X"}, None),
        ({1: None}, None),
        ({3: 7}, None),
    ],
)
def test_a_position_is_believed_only_if_it_makes_sense(
    changes: dict[int, Any], expected: tuple[float, float] | None
) -> None:
    """Range, sign, rationals over zero and types are checked; half a position is none."""
    found = exif.position(pictures.SAN_FRANCISCO | changes)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_both_byte_orders_are_read(form: str, order: str) -> None:
    """Phones write either, in JPEG and in PNG."""
    tags = pictures.camera_exif(
        orientation=6, gps=pictures.SAN_FRANCISCO, taken="2026:05:04 18:30:00", offset="+00:00"
    )
    tags.endian = order
    picture = pictures.jpeg if form == "JPEG" else pictures.png
    photo = check(picture(exif=tags.tobytes()))
    assert photo.gps == pytest.approx((37.775, -122.42))
    assert photo.captured_at == datetime(2026, 5, 4, 18, 30, tzinfo=UTC)
    assert (photo.width, photo.height) == (48, 64)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_block_of_exif_breaks_its_reader(data: st.DataObject) -> None:
    """Cut anywhere, damaged anywhere, pointing at itself: it tells something or nothing."""
    tags = pictures.camera_exif(gps=pictures.SAN_FRANCISCO, taken="2026:05:04 18:30:00")
    block = bytearray(tags.tobytes().removeprefix(b"Exif\x00\x00"))
    for _ in range(data.draw(st.integers(0, 8))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    received = exif.read(bytes(block[: data.draw(st.integers(0, len(block)))]))
    assert 1 <= received.orientation <= 8
    assert received.gps is None or (
        -90 <= received.gps.lat <= 90 and -180 <= received.gps.lng <= 180
    )


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.integers(0, 40_000) | st.sampled_from([1, 2, 3, 4, 0x9003, 0x9011, 0x0112]),
        st.none()
        | st.text()
        | st.binary()
        | st.floats()
        | st.integers()
        | st.tuples(st.floats(), st.floats(), st.floats())
        | st.tuples(st.fractions(), st.text(), st.none()),
    )
)
def test_no_tags_break_their_reader(tags: dict[int, object]) -> None:
    """Whatever a file says, there is an answer in range or none."""
    found = exif.position(tags)
    assert found is None or (-90 <= found.lat <= 90 and -180 <= found.lng <= 180)
    exif.captured_at(tags)
    assert 1 <= exif.orientation(tags) <= 8


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_kept_clean_or_refused(data: st.DataObject) -> None:
    """Bytes changed at random never lead anywhere else, also inside the metadata."""
    content = bytearray(data.draw(st.sampled_from([pictures.tagged_jpeg(), pictures.tagged_png()])))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(errors.Refusal):
        photo = check(bytes(content))
        assert b"secret-" not in photo.content
        kept(photo)

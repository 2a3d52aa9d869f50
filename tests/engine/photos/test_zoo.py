"""A kept photo decodes as the original does, whatever its headers say; a part of one is none."""

from __future__ import annotations

import io
import zlib
from random import Random

import pytest
from PIL import Image, ImageChops, ImageStat

from engine.kernel import errors
from engine.photos.checks import Photo, check
from tests.engine.photos import pictures, zoo

JPEGS = zoo.jpegs()
PNGS = {
    f"colour {p.colour}, {p.depth} bit{', interlaced' * p.interlaced}{', tRNS' if p.transparent else ''}": p
    for p in zoo.pngs()
}
OTHER = (zoo.DISPLAY_P3, zoo.GREY_PROFILE)
"""Profiles of other colours than sRGB."""
COLOUR = (
    (b"cHRM", bytes(range(32))),
    (b"gAMA", (100_000).to_bytes(4, "big")),
    (b"cICP", b"\x0c\x0d\x00\x01"),
)


def opened(content: bytes) -> Image.Image:
    """The picture in a file."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def refused(content: bytes) -> bool:
    """Whether a file is no photo."""
    try:
        check(content)
    except errors.Refusal as refusal:
        return refusal.kind.code == "HX022"
    return False


def difference(one: Image.Image, other: Image.Image) -> tuple[float, int]:
    """The mean and the greatest difference of two pictures, over all their samples."""
    assert one.size == other.size
    bands = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return max(ImageStat.Stat(bands).mean), max(high for _, high in bands.getextrema())  # type: ignore[misc]


# ── PNG ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("png", PNGS.values(), ids=PNGS.keys())
def test_a_png_of_every_kind_decodes_as_it_did(png: zoo.Png) -> None:
    """Every pixel by the standard; what says how colours are meant stays as it was."""
    content = png.content(*COLOUR)
    photo = check(content)
    assert zoo.decoded(photo.content) == zoo.decoded(content)
    assert set(COLOUR) <= set(zoo.chunks_of(photo.content))
    if (png.colour, png.depth) == (0, 16):
        assert list(opened(photo.content).get_flattened_data()) == [
            p[0] for row in png.pixels for p in row
        ]


@pytest.mark.parametrize("png", PNGS.values(), ids=PNGS.keys())
def test_a_png_that_is_turned_decodes_as_it_did(png: zoo.Png) -> None:
    """The same, a quarter to the right."""
    tags = pictures.camera_exif(orientation=6).tobytes().removeprefix(b"Exif\x00\x00")
    content = png.content((b"eXIf", tags))
    upright = [list(row) for row in zip(*zoo.decoded(content)[::-1], strict=True)]
    assert zoo.decoded(check(content).content) == upright


@pytest.mark.parametrize("png", PNGS.values(), ids=PNGS.keys())
def test_a_png_that_lacks_pixels_is_refused(png: zoo.Png) -> None:
    """Cut and sealed again: short packed data, whole packed data of too few rows, a wrong sum."""
    chunks, rows = zoo.chunks_of(png.content()), png.rows()
    packed = zlib.compress(rows)
    wrong_sum = packed[:-1] + bytes((packed[-1] ^ 1,))
    more = zlib.compress(rows + b"\x00")
    fewer = zlib.compress(rows[:-1])
    for data in (packed[: len(packed) // 2], packed[:-1], b"", fewer, more, wrong_sum):
        assert refused(zoo.assembled([(n, data if n == b"IDAT" else d) for n, d in chunks]))


def test_what_stands_at_a_wrong_place_in_a_png_says_nothing() -> None:
    """A decoder by the standard looks for colours before the pixels, and for one header."""
    (png,) = [
        p for p in zoo.pngs() if (p.colour, p.depth, p.interlaced, p.transparent) == (0, 8, 0, b"")
    ]
    *chunks, end = zoo.chunks_of(png.content())
    late = [*chunks, (b"tRNS", b"\x00\x07"), COLOUR[1], end]
    kept = check(zoo.assembled(late)).content
    assert not {b"tRNS", b"gAMA"} & {name for name, _ in zoo.chunks_of(kept)}
    assert refused(zoo.assembled([chunks[0], *chunks, end]))


# ── JPEG ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", JPEGS.values(), ids=JPEGS.keys())
def test_a_jpeg_of_every_kind_decodes_as_it_did(content: bytes) -> None:
    """Red stays red, whoever says that it is."""
    mean, high = difference(opened(content), opened(check(content).content))
    assert mean < 2.0
    assert high < 24


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_it_was_held(orientation: int) -> None:
    """As a viewer turns the original."""
    tags = pictures.camera_exif(orientation=orientation)
    content = pictures.jpeg(zoo.smooth(), quality=95, subsampling=1, exif=tags.tobytes())
    upright = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    shown = opened(content)
    shown = shown.transpose(upright[orientation]) if orientation > 1 else shown
    assert difference(shown, opened(check(content).content))[0] < 2.0


@pytest.mark.parametrize("content", JPEGS.values(), ids=JPEGS.keys())
def test_a_jpeg_that_lacks_pixels_is_refused(content: bytes) -> None:
    """Whatever is glued on behind: half of its last scan, nearly all of it, nothing of it."""
    for share in (0.0, 0.1, 0.5, 0.9, 0.97):
        assert refused(zoo.cut(content, share)), share
    assert refused(content[:-4] + b"\xff\xd9")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_one_colour_that_lacks_pixels_is_refused(*, progressive: bool) -> None:
    """Where every unit is some bits and what is missing looks like what is there."""
    random = Random(5)
    for _ in range(60):
        size = random.randrange(20, 90), random.randrange(20, 90)
        colour = (random.randrange(256), random.randrange(256), 9)
        content = pictures.jpeg(Image.new("RGB", size, colour), progressive=progressive)
        assert not refused(content)
        begins = zoo.coded_at(content, content.index(b"\xff\xda"))
        for share in (0.0, 0.3, 0.6):
            end = begins + int((len(content) - 2 - begins) * share)
            assert refused(content[:end] + b"\xff\xd9"), (size, colour, share)


@pytest.mark.parametrize("name", ["plain", "progressive", "restarts", "restarts by rows"])
def test_a_jpeg_with_a_hole_is_refused(name: str) -> None:
    """Bytes that are missing in the middle are missing at the end."""
    content = JPEGS[name]
    scan = content.rindex(b"\xff\xda")
    begins = zoo.coded_at(content, scan)
    size = len(content) - begins
    assert refused(content[: begins + size // 3] + content[begins + 2 * size // 3 :])


def test_a_progressive_jpeg_that_lacks_scans_is_refused() -> None:
    """Also when it was cut between two: what is coarse is not whole."""
    content = JPEGS["progressive"]
    starts = [at for at in range(len(content)) if content.startswith(b"\xff\xda", at)]
    assert len(starts) > 5
    for start in starts:
        assert refused(content[:start] + b"\xff\xd9")


def test_restarts_that_are_missing_are_missed() -> None:
    """One taken out with its pixels, or two exchanged."""
    content = JPEGS["restarts by rows"]
    first, second, third = (content.index(b"\xff" + bytes((0xD0 + n,))) for n in range(3))
    assert refused(content[:first] + content[second:])
    assert refused(
        content[:first] + content[second:third] + content[first:second] + content[third:]
    )
    assert not refused(content[:-2] + b"\xff\xd3\xff\xd9")


# ── Colour profiles ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "profile"),
    [("RGB", zoo.DISPLAY_P3), ("RGB", zoo.srgb_profile()), ("L", zoo.GREY_PROFILE)],
    ids=["Display P3", "sRGB", "grey"],
)
@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png], ids=["JPEG", "PNG"])
def test_colours_stay_what_their_profile_makes_of_them(
    mode: str, profile: bytes, make: object
) -> None:
    """A colour-managed viewer shows the same; the profile's words are gone."""
    assert callable(make)
    content = make(zoo.smooth(mode), icc_profile=profile)
    kept = opened(check(content).content)
    assert difference(zoo.in_srgb(opened(content)), zoo.in_srgb(kept))[0] < 2.0
    if profile in OTHER:
        assert difference(opened(content), zoo.in_srgb(kept))[0] > 1.0
    written = kept.info["icc_profile"]
    for word in (b"Ann", b"ANN", b"secret", b"ownr", b"lcms"):
        assert word not in written


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"secret-profile" * 20,
        zoo.GREY_PROFILE,
        zoo.DISPLAY_P3[:200],
        zoo.DISPLAY_P3[:130],
        zoo.DISPLAY_P3[:36] + b"psca" + zoo.DISPLAY_P3[40:],
        zoo.DISPLAY_P3 + bytes(1 << 20),
    ],
    ids=["none", "no profile", "of grey", "cut", "cut in its table", "no signature", "too large"],
)
@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png], ids=["JPEG", "PNG"])
def test_a_profile_that_no_viewer_could_use_is_left_out(profile: bytes, make: object) -> None:
    """And the picture is kept without it."""
    assert callable(make)
    assert "icc_profile" not in opened(check(make(icc_profile=profile)).content).info


def test_a_pictures_colours_are_sampled_as_densely_as_they_were() -> None:
    """A line of one pixel keeps its colour where the original has it."""
    image = Image.new("RGB", (32, 32), (0, 0, 255))
    image.paste((255, 0, 0), (15, 0, 16, 32))
    photo: Photo = check(pictures.jpeg(image, quality=95, subsampling=0))
    assert opened(photo.content).getpixel((15, 16)) == pytest.approx((255, 0, 0), abs=24)


@pytest.mark.parametrize("seed", range(40))
def test_headers_damaged_at_random_make_a_photo_or_none(seed: int) -> None:
    """Lengths, counts and samplings that no encoder writes are no defect of ours."""
    random = Random(seed)
    content = bytearray(
        random.choice([*JPEGS.values(), *(png.content(*COLOUR) for png in PNGS.values())])
    )
    starts = [
        at for at in range(len(content) - 20) if content[at] == 0xFF and content[at + 1] > 0xBF
    ]
    for _ in range(3):
        content[random.choice(starts or [8]) + random.randrange(2, 20)] = random.randrange(256)
    refused(bytes(content))

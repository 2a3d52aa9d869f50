"""Validates an uploaded photo by its content and re-encodes nothing but its pixels.

Neither the file's name nor its declared type is used: the bytes must decode completely as JPEG or
PNG. What is stored is encoded again from the decoded pixels and their colour profile, so it looks
as the original does, and no metadata, no second file behind the first and no trick of a format
reaches a viewer. The only module that imports Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal, TypeVar
from zlib import crc32

import numpy as np
from PIL import Image, ImageCms, ImageFile
from PIL.JpegImagePlugin import get_sampling
from PIL.PngImagePlugin import PngInfo

from engine.kernel import errors, policy
from engine.photos import colour_profile, exif
from engine.photos.exif import Gps
from engine.photos.image_file import Picture, picture_of
from engine.photos.png_file import PngParts

MAX_PIXELS: Final = 50_000_000
"""50 megapixels: 200 MB of memory with transparency, twice that while they are turned upright."""
MAX_SIDE_PIXELS: Final = 12_000
JPEG_QUALITIES: Final = (90, 75, 50)
"""Tried in turn until the photo fits policy.PHOTO_BYTES_MAX."""
UNREADABLE: Final = "The file is no complete JPEG or PNG image."

# The sizes below are checked before any pixel is decoded; Pillow's own limit would only warn.
Image.MAX_IMAGE_PIXELS = None

ContentType = Literal["image/jpeg", "image/png"]

# How stored pixels become upright, by TIFF orientation.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's names for how densely a JPEG samples its colours.
_FULL_SAMPLING, _HALF_SAMPLING = 0, 2
_ROWS: Final = 256
"""Rows of which pixels are copied at a time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Photo:
    """A re-encoded photo, and the place and time that its EXIF data told.

    `width` and `height` in pixels, upright; `sha256` of `content`; `captured_at` aware UTC.
    """

    content: bytes
    content_type: ContentType
    width: int
    height: int
    sha256: bytes
    gps: Gps | None
    captured_at: datetime | None


def check(content: bytes) -> Photo:
    """Returns the photo in these bytes; raises HX022 UPLOAD with a sentence on what is wrong.

    Takes up to a few seconds of one core for the largest: call it in a thread.
    """
    if not content:
        raise _refused("The file is empty.")
    if len(content) > policy.PHOTO_BYTES_MAX:
        raise _refused("A photo has at most 10 MiB.")
    picture = picture_of(content)
    if picture is None:
        raise _refused(UNREADABLE)
    if picture.png and picture.png.is_animated:
        raise _refused("A photo does not move: animated images are refused.")
    metadata = exif.read(picture.exif)
    content_type, kept, size = _kept(picture, metadata.orientation)
    return Photo(
        content=kept,
        content_type=content_type,
        width=size[0],
        height=size[1],
        sha256=sha256(kept).digest(),
        gps=metadata.gps,
        captured_at=metadata.captured_at,
    )


def _kept(picture: Picture, orientation: int) -> tuple[ContentType, bytes, tuple[int, int]]:
    """The media type, the bytes and the size of what is kept of a picture."""
    _check_size(_opened(picture))
    if picture.png:
        pixels, options = _png(picture, picture.png)
    else:
        pixels, options = _jpeg(picture)
    turn = _UPRIGHT.get(orientation)
    upright = pixels.copy() if turn is None else pixels.transpose(turn)
    upright.info = {}
    profile = colour_profile.for_mode(picture.profile, upright.mode)
    if profile and all(map(_is_usable, (picture.profile, profile))):
        options["icc_profile"] = profile
    return (*_encoded(upright, picture.form, options), upright.size)


def _is_usable(profile: bytes) -> bool:
    """Whether a colour-managed viewer could convert by a profile."""
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ValueError, ImageCms.PyCMSError):
        return False
    return True


def _opened(picture: Picture, which: int = 0) -> Image.Image:
    """The header, read; its pixels are still to be decoded."""
    file = io.BytesIO(picture.contents[which])
    return _readable(lambda: Image.open(file, formats=[picture.form]))


def _check_size(image: Image.Image) -> None:
    if max(image.size) > MAX_SIDE_PIXELS:
        raise _refused("Each side of a photo has at most 12,000 pixels.")
    if image.width * image.height > MAX_PIXELS:
        raise _refused("A photo has at most 50 megapixels.")


# ── JPEG ────────────────────────────────────────────────────────────────────────────────────────


def _jpeg(picture: Picture) -> tuple[Image.Image, dict[str, Any]]:
    """The pixels, and how densely their colours are sampled.

    The file is decoded twice, with other bits behind its own: where those show, some are missing.
    """
    with _opened(picture, 1) as other:
        _readable(other.load)
        expected = _check_sum(other)
    image = _opened(picture)
    _readable(image.load)
    if _check_sum(image) != expected:
        raise _refused(UNREADABLE)
    sampling = get_sampling(image)
    if image.mode not in ("L", "RGB"):
        return image.convert("RGB"), {"subsampling": _FULL_SAMPLING}
    return image, {"subsampling": sampling if sampling == _HALF_SAMPLING else _FULL_SAMPLING}


def _check_sum(image: Image.Image) -> int:
    """Of all pixels, some rows at a time."""
    total = 0
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        total = crc32(rows.tobytes(), total)
    return total


# ── PNG ─────────────────────────────────────────────────────────────────────────────────────────


def _png(picture: Picture, png: PngParts) -> tuple[Image.Image, dict[str, Any]]:
    """The pixels, the colour that stands for nothing, and how colours are meant."""
    _readable(_opened(picture).verify)  # the check sums of its parts
    if not png.has_all_pixels():
        raise _refused(UNREADABLE)
    image = _opened(picture)
    _readable(image.load)
    options: dict[str, Any] = {}
    if png.colour:
        options["pnginfo"] = meant = PngInfo()
        for name, data in png.colour:
            meant.add(name, data)
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB"), options
    if png.see_through is None:
        return image, options
    if image.mode == "RGB" and png.header.depth == 16:
        return _without_colour(picture, image, png.see_through), options
    # Pillow scales grey of 2 and 4 bits to 8, but not the transparent colour
    spread = {2: 85, 4: 17}.get(png.header.depth, 1)
    key = tuple(sample * spread for sample in png.see_through)
    return image, options | {"transparency": key[0] if len(key) == 1 else key}


def _without_colour(picture: Picture, high: Image.Image, key: tuple[int, ...]) -> Image.Image:
    """A picture of 16 bits a sample with one colour taken out, which only all 16 bits can tell.

    `high` has the upper bytes of its samples; the lower ones are read beside.
    """
    low = _opened(picture)
    assert isinstance(low, ImageFile.ImageFile)
    low.tile = [low.tile[0]._replace(args="RGB;16L")]
    _readable(low.load)
    shown = np.zeros((high.height, high.width), bool)
    for band, sample in enumerate(key):
        shown |= np.asarray(high.getchannel(band)) != sample >> 8
        shown |= np.asarray(low.getchannel(band)) != sample & 255
    image = high.convert("RGBA")
    image.putalpha(Image.fromarray(shown.astype(np.uint8) * 255))
    return image


# ── What is kept ────────────────────────────────────────────────────────────────────────────────


def _encoded(image: Image.Image, form: str, options: dict[str, Any]) -> tuple[ContentType, bytes]:
    if form == "PNG":
        kept = _saved(image, "PNG", **options)
        if len(kept) > policy.PHOTO_BYTES_MAX:
            raise _refused("This PNG has more than 10 MiB once it is stored; send it as JPEG.")
        return "image/png", kept
    for quality in JPEG_QUALITIES:
        kept = _saved(image, "JPEG", quality=quality, **options)
        if len(kept) <= policy.PHOTO_BYTES_MAX:
            return "image/jpeg", kept
    raise _refused("The photo has more than 10 MiB once it is stored; send a smaller one.")


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _readable(read: Callable[[], T]) -> T:
    """What a decoder makes of the bytes; whatever it stumbles over, they are no readable photo."""
    try:
        return read()
    except Exception as error:
        raise _refused(UNREADABLE) from error


def _refused(sentence: str) -> errors.Refusal:
    return errors.refusal("HX022", "UPLOAD", sentence)

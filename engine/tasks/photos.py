"""An uploaded photo, judged by its content and made anew without anything but its pixels.

Neither the file's name nor its declared type is asked: the bytes must decode completely as JPEG or
PNG. What is kept is encoded again from the decoded pixels, so no metadata, no second file behind
the first and no trick of a format reaches whoever looks at it.
The one door to Pillow.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, TypeVar

from PIL import Image

from engine import errors
from engine.tasks import exif
from engine.tasks.exif import Gps
from engine.tasks.image_file import Picture, picture_of

MAX_UPLOAD_BYTES: Final = 10 * 1024 * 1024
"""10 MiB, for what is sent and for what is kept."""
MAX_PIXELS: Final = 50_000_000
"""50 megapixels: 200 MB of memory with transparency, twice that while they are turned upright."""
MAX_SIDE_PIXELS: Final = 12_000
JPEG_QUALITIES: Final = (90, 75, 50)
"""Tried in turn until the photo fits MAX_UPLOAD_BYTES."""
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

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as it is kept, and what its file told about place and time.

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
    """The photo in these bytes; raises HX022 UPLOAD with a sentence that says what is wrong.

    Takes up to a few seconds of one core for the largest: call it in a thread.
    """
    if not content:
        raise _refused("The file is empty.")
    if len(content) > MAX_UPLOAD_BYTES:
        raise _refused("A photo has at most 10 MiB.")
    picture = picture_of(content)
    if picture is None:
        raise _refused(UNREADABLE)
    if picture.is_animated:
        raise _refused("A photo does not move: animated images are refused.")
    told = exif.read(picture.exif)
    with _opened(picture) as image:
        _check_size(image)
        _readable(_opened(picture).verify)  # the check sums of a PNG
        _readable(image.load)
        upright = _pixels(image, told.orientation)
    content_type, kept = _encoded(upright, picture.form)
    return Photo(
        content=kept,
        content_type=content_type,
        width=upright.width,
        height=upright.height,
        sha256=sha256(kept).digest(),
        gps=told.gps,
        captured_at=told.captured_at,
    )


def _opened(picture: Picture) -> Image.Image:
    """The header, read; its pixels are still to be decoded."""
    return _readable(lambda: Image.open(io.BytesIO(picture.content), formats=[picture.form]))


def _check_size(image: Image.Image) -> None:
    if max(image.size) > MAX_SIDE_PIXELS:
        raise _refused("Each side of a photo has at most 12,000 pixels.")
    if image.width * image.height > MAX_PIXELS:
        raise _refused("A photo has at most 50 megapixels.")


def _pixels(image: Image.Image, orientation: int) -> Image.Image:
    """The upright picture, and nothing else of its file."""
    if "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I;16"):
        image = image.convert("RGB")
    turn = _UPRIGHT.get(orientation)
    image = image.copy() if turn is None else image.transpose(turn)
    image.info = {}
    return image


def _encoded(image: Image.Image, form: str) -> tuple[ContentType, bytes]:
    if form == "PNG":
        kept = _saved(image, "PNG")
        if len(kept) > MAX_UPLOAD_BYTES:
            raise _refused("This PNG has more than 10 MiB once it is stored; send it as JPEG.")
        return "image/png", kept
    for quality in JPEG_QUALITIES:
        kept = _saved(image, "JPEG", quality=quality)
        if len(kept) <= MAX_UPLOAD_BYTES:
            return "image/jpeg", kept
    raise _refused("The photo has more than 10 MiB once it is stored; send a smaller one.")


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
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

"""Extracts the picture from an image file before a decoder sees any of it.

A decoder spends time and memory on whatever a file holds: a JPEG of some kilobytes may ask for a
thousand passes over all pixels, a PNG may have a million empty chunks, one block of EXIF may name
the same 64 KiB five thousand times. So only what makes the picture goes on; the rest is counted,
dropped, or, for EXIF and colour profiles, handed to readers that know their bounds.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from engine.photos import jpeg_file, png_file
from engine.photos.png_file import PngParts


class Picture(NamedTuple):
    """The parts of a file that make its picture, and its EXIF and colour profile (or empty).

    `contents` are files that decode to the same pixels if none is missing.
    """

    form: Literal["JPEG", "PNG"]
    contents: tuple[bytes, ...]
    exif: bytes = b""
    profile: bytes = b""
    png: PngParts | None = None


def picture_of(content: bytes) -> Picture | None:
    """Returns the picture of a JPEG or PNG; None for other content and an incomplete picture."""
    if content.startswith(jpeg_file.START):
        jpeg = jpeg_file.parts_of(content)
        return jpeg and Picture("JPEG", jpeg.contents, jpeg.exif, jpeg.profile)
    if content.startswith(png_file.START):
        png = png_file.parts_of(content)
        return png and Picture("PNG", (png.content,), png.exif, png.profile, png)
    return None

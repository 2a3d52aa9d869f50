"""Pictures as phones, editors and attackers make them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from PIL import Image, PngImagePlugin
from PIL.ExifTags import IFD

RED, BLUE = (220, 20, 20), (20, 20, 220)


def split_image(width: int = 64, height: int = 48) -> Image.Image:
    """Left half red, right half blue, so that turning and mirroring show."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    """A JPEG file."""
    file = io.BytesIO()
    (image or split_image()).save(file, "JPEG", **options)
    return file.getvalue()


def png(image: Image.Image | None = None, **options: Any) -> bytes:
    """A PNG file."""
    file = io.BytesIO()
    (image or split_image()).save(file, "PNG", **options)
    return file.getvalue()


def noise(width: int, height: int) -> Image.Image:
    """A picture that no encoder makes smaller."""
    return Image.frombytes("RGB", (width, height), Random(7).randbytes(width * height * 3))


def camera_exif(
    *,
    orientation: int = 1,
    gps: Mapping[int, Any] | None = None,
    taken: str | None = None,
    offset: str | None = None,
) -> Image.Exif:
    """The EXIF of a phone: its owner's name and device, place and time as given."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F], tags[0x013B] = "PhoneMaker", "Ann Owner"
    if gps is not None:
        tags.get_ifd(IFD.GPSInfo).update(gps)
    photo = tags.get_ifd(IFD.Exif)
    if taken is not None:
        photo[0x9003] = taken
    if offset is not None:
        photo[0x9011] = offset
    photo[0x9286] = b"ASCII\x00\x00\x00secret-comment"
    return tags


SAN_FRANCISCO = {1: "N", 2: (37.0, 46.0, 30.0), 3: "W", 4: (122.0, 25.0, 12.0)}
"""37.775, -122.42 as a camera writes it."""


def tagged_png() -> bytes:
    """A PNG that says a lot beside its picture: text, compressed text, XMP, EXIF, a profile."""
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "Ann Owner")
    notes.add_text("Comment", "secret-comment", zip=True)
    notes.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>secret-xmp</x:xmpmeta>")
    return png(
        pnginfo=notes,
        exif=camera_exif(gps=SAN_FRANCISCO).tobytes(),
        icc_profile=b"secret-profile" * 20,
        dpi=(300, 300),
    )


def tagged_jpeg() -> bytes:
    """A JPEG that says a lot beside its picture: EXIF, XMP, a profile, a comment."""
    return jpeg(
        exif=camera_exif(gps=SAN_FRANCISCO, taken="2026:05:04 18:30:00", offset="-07:00").tobytes(),
        xmp=b"<x:xmpmeta>secret-xmp</x:xmpmeta>",
        icc_profile=b"secret-profile" * 20,
        comment=b"secret-comment",
        dpi=(300, 300),
    )


def jpeg_of(lat: float, lng: float, age_s: float) -> bytes:
    """A JPEG taken at a place, so many seconds ago."""
    taken = datetime.now(UTC) - timedelta(seconds=age_s)
    gps = {
        1: "N" if lat >= 0 else "S",
        2: (abs(lat), 0.0, 0.0),
        3: "E" if lng >= 0 else "W",
        4: (abs(lng), 0.0, 0.0),
    }
    tags = camera_exif(gps=gps, taken=taken.strftime("%Y:%m:%d %H:%M:%S"), offset="+00:00")
    return jpeg(exif=tags.tobytes())


def png_header(width: int, height: int) -> bytes:
    """A small PNG whose header promises a picture of this size; its pixels are not there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * 1_000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def png_of(width: int, height: int) -> bytes:
    """A whole black picture of this size, one bit for each pixel: small, however large it is."""
    return png(Image.new("1", (width, height)))


def moving_png() -> bytes:
    """An animated PNG of two frames."""
    file = io.BytesIO()
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    first.save(file, "PNG", save_all=True, append_images=[second])
    return file.getvalue()


def phone_mpo() -> bytes:
    """A JPEG with a second picture inside, as phones write depth maps."""
    file = io.BytesIO()
    split_image().save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    return file.getvalue()


def other(form: str) -> bytes:
    """A picture in another format that Pillow knows."""
    file = io.BytesIO()
    split_image().save(file, form)
    return file.getvalue()

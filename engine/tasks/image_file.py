"""The picture inside an image file, cut out before a decoder sees any of it.

A decoder spends time and memory on whatever a file holds: a JPEG of some kilobytes may ask for a
thousand passes over all pixels, a PNG may have a million empty chunks, one block of EXIF may name
the same 64 KiB five thousand times. So only what makes the picture goes on; the rest is counted,
dropped, or, for EXIF, handed to a reader that knows its bounds.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

MAX_SCANS: Final = 50
"""Passes over the pixels of a JPEG; cameras and encoders take 1 to about 20."""
MAX_SEGMENTS: Final = 1_000
"""Parts of a JPEG; 10 MiB of metadata in segments of 64 KiB are 160."""
MAX_CHUNKS: Final = 10_000
"""Parts of a PNG; 10 MiB of pixels in pieces of 8 KiB are 1,280."""

_JPEG_START: Final = b"\xff\xd8\xff"
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_START: Final = b"Exif\x00\x00"

# A JPEG marker that begins a segment: no stuffed 0xFF, fill byte, restart or other start.
_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_END_OF_IMAGE, _START_OF_SCAN, _EXIF, _ADOBE = 0xD9, 0xDA, 0xE1, 0xEE
# Quantisation and Huffman tables, restart interval, frame headers; a decoder knows no others.
_MAKING: Final = frozenset({0xDB, 0xDD, *range(0xC0, 0xD0)} - {0xC8})
# Application data and comments; of these only Adobe's says something about the colours.
_TELLING: Final = frozenset({*range(0xE0, 0xF0), 0xFE})

_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


class Picture(NamedTuple):
    """What makes the picture of a file, and the EXIF block that came with it (or nothing)."""

    form: Literal["JPEG", "PNG"]
    content: bytes
    exif: bytes = b""
    is_animated: bool = False


def picture_of(content: bytes) -> Picture | None:
    """The picture of a JPEG or PNG; None for anything else, and for one with absurdly many parts."""
    if content.startswith(_JPEG_START):
        return _jpeg(content)
    return _png(content) if content.startswith(_PNG_START) else None


def _jpeg(content: bytes) -> Picture | None:
    kept, exif, scans = [content[:2]], b"", 0
    position = 2
    for _ in range(MAX_SEGMENTS + 1):
        marker = _MARKER.search(content, position)
        if marker is None:
            return None
        kind, start = marker[1][0], marker.start()
        if scans:
            # the bits of the scan before, in which 0xFF is stuffed
            kept.append(content[position:start])
        if kind == _END_OF_IMAGE:
            return Picture("JPEG", b"".join((*kept, b"\xff\xd9")), exif) if scans else None
        length = int.from_bytes(content[start + 2 : start + 4], "big")
        scans += kind == _START_OF_SCAN
        if scans > MAX_SCANS or length < 2 or kind not in _MAKING | _TELLING | {_START_OF_SCAN}:
            return None
        position = start + 2 + length
        if kind == _EXIF and not exif and content.startswith(_EXIF_START, start + 4):
            exif = content[start + 4 + len(_EXIF_START) : position]
        if kind == _ADOBE or kind not in _TELLING:
            kept.append(content[start:position])
    return None


def _png(content: bytes) -> Picture | None:
    kept, exif, is_animated = [_PNG_START], b"", False
    position = len(_PNG_START)
    for _ in range(MAX_CHUNKS):
        # length, name, data, check sum
        length = int.from_bytes(content[position : position + 4], "big")
        name, end = content[position + 4 : position + 8], position + 12 + length
        if end > len(content):
            return None
        if name in _CHUNKS:
            kept.append(content[position:end])
        elif name == b"eXIf":
            exif = content[position + 8 : end - 4].removeprefix(_EXIF_START)
        is_animated |= name == b"acTL"
        if name == b"IEND":
            return Picture("PNG", b"".join(kept), exif, is_animated)
        position = end
    return None

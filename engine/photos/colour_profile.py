"""ICC profiles (ICC.1:2022), reduced to the tags that decide about colours.

A profile may name its owner, a screen or a printer. It is written anew from the tags that a viewer
converts colours by.
"""

from __future__ import annotations

import struct
from typing import Final

MAX_BYTES: Final = 1024 * 1024
_HEADER_BYTES: Final = 128
_MAX_TAGS: Final = 100
_SPACES: Final = {"RGB": b"RGB ", "L": b"GRAY"}
_TAGS: Final = frozenset(
    {b"wtpt", b"bkpt", b"chad", b"cicp", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC"}
    | {b"A2B0", b"A2B1", b"A2B2", b"A2B3", b"B2A0", b"B2A1", b"B2A2", b"B2A3"}
    | {b"D2B0", b"D2B1", b"D2B2", b"D2B3", b"B2D0", b"B2D1", b"B2D2", b"B2D3"}
)  # fmt: skip
# The two tags that the standard requires: a description and a copyright, here empty.
_WORDLESS: Final = {
    2: {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(1 + 4 + 4 + 2 + 1 + 67),
        b"cprt": b"text" + bytes(4) + b"\x00",
    },
    4: {
        name: b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 0, 28)
        for name in (b"desc", b"cprt")
    },
}


def for_mode(profile: bytes, mode: str) -> bytes:
    """Returns the profile rewritten for pixels of a mode (`RGB`, `L`, with or without alpha).

    Empty where it is none for that mode: decoders, too, ignore a profile of other colours.
    """
    space = _SPACES.get(mode.removesuffix("A"))
    if (
        not _HEADER_BYTES + 4 <= len(profile) <= MAX_BYTES
        or profile[36:40] != b"acsp"
        or profile[16:20] != space
    ):
        return b""
    return _written(profile)


def _written(profile: bytes) -> bytes:
    tags = _tags(profile) | _WORDLESS[4 if profile[8] >= 4 else 2]
    offset = _HEADER_BYTES + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = bytearray(profile[:_HEADER_BYTES])
    header[0:4] = struct.pack(">I", offset + len(data))
    for of_somebody in (slice(4, 8), slice(24, 36), slice(40, 44), slice(48, 64), slice(80, 128)):
        # the maker's module, date, platform, device, creator and fingerprint
        header[of_somebody] = bytes(of_somebody.stop - of_somebody.start)
    header[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(header) + table + data


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags that decide, those that lie outside of the profile left out."""
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    found: dict[bytes, bytes] = {}
    for number in range(min(count, _MAX_TAGS)):
        at = _HEADER_BYTES + 4 + 12 * number
        if at + 12 > len(profile):
            break
        name, offset, size = struct.unpack_from(">4sII", profile, at)
        if name in _TAGS and offset + size <= len(profile):
            found[name] = profile[offset : offset + size]
    return found

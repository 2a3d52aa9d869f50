"""Parses a PNG file (ISO/IEC 15948) into its parts, and checks that all pixels are there."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_CHUNKS: Final = 10_000
"""Parts of a PNG; 10 MiB of pixels in pieces of 8 KiB are 1,280."""
MAX_PROFILE_BYTES: Final = 1024 * 1024
"""Of a colour profile, unpacked; a screen's has some hundred bytes to some hundred KiB."""

START: Final = b"\x89PNG\r\n\x1a\n"
_EXIF_START: Final = b"Exif\x00\x00"
_GREY, _TRUE, _PALETTE = 0, 2, 3
# Samples of a pixel, by colour type.
_SAMPLES: Final = {_GREY: 1, _TRUE: 3, _PALETTE: 1, 4: 2, 6: 4}
# What says how colours are meant, and the size of each.
_COLOUR: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}
# Adam7: first column and row of each pass, and the steps between its pixels.
_PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE_BYTES: Final = 1 << 20


class Header(NamedTuple):
    """The header chunk, IHDR."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlaced: int

    def raw_bytes(self) -> int:
        """Returns the size of all rows with their filter bytes, unpacked."""
        bits = self.depth * _SAMPLES[self.colour]
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for column, row, across, down in passes:
            width = -(-(self.width - column) // across)
            height = -(-(self.height - row) // down)
            if width > 0 and height > 0:
                total += height * (1 + -(-width * bits // 8))
        return total


class PngParts(NamedTuple):
    """The parts that make the picture, and those that define its colours.

    `see_through` are the samples of the one transparent colour, as they are stored.
    """

    content: bytes
    header: Header
    packed: bytes
    exif: bytes
    profile: bytes
    colour: tuple[tuple[bytes, bytes], ...]
    see_through: tuple[int, ...] | None
    is_animated: bool

    def has_all_pixels(self) -> bool:
        """Whether the packed rows unpack, with their check sum, to exactly the header's picture."""
        unpacking, due = zlib.decompressobj(), self.header.raw_bytes()
        packed, seen = self.packed, 0
        try:
            while not unpacking.eof and seen <= due:
                piece = unpacking.decompress(packed, _PIECE_BYTES)
                packed, seen = unpacking.unconsumed_tail, seen + len(piece)
                if not piece and not packed:
                    break
        except zlib.error:
            return False
        return unpacking.eof and seen == due


class _Chunk(NamedTuple):
    name: bytes
    data: bytes
    whole: bytes


def parts_of(content: bytes) -> PngParts | None:
    """Returns the parts of a PNG; None when they are broken, too many, or incomplete."""
    chunks = list(_chunks(content))
    if not chunks or chunks[0].name != b"IHDR" or chunks[-1].name != b"IEND":
        return None
    header = _header(chunks[0].data)
    names = [chunk.name for chunk in chunks]
    if header is None or b"IDAT" not in names or names.count(b"IHDR") > 1:
        return None
    first_pixels = names.index(b"IDAT")
    before = _first_of_each(chunks[:first_pixels])
    # behind the palette a decoder no longer looks for what colours mean
    of_colour = _first_of_each(chunks[: names.index(b"PLTE") if b"PLTE" in names else first_pixels])
    see_through = _see_through(header, before.get(b"tRNS"))
    wanted = {b"IHDR", b"PLTE", b"IDAT", b"IEND"} | (
        {b"tRNS"} if header.colour == _PALETTE else set()
    )
    exif = [chunk.data for chunk in chunks if chunk.name == b"eXIf"]
    return PngParts(
        START + b"".join(chunk.whole for chunk in chunks if chunk.name in wanted),
        header,
        b"".join(chunk.data for chunk in chunks if chunk.name == b"IDAT"),
        exif[0].removeprefix(_EXIF_START) if exif else b"",
        _profile(of_colour.get(b"iCCP", b"")),
        tuple((n, d) for n, d in of_colour.items() if _COLOUR.get(n) == len(d)),
        see_through,
        b"acTL" in names,
    )


def _chunks(content: bytes) -> Iterator[_Chunk]:
    """Up to the end mark; fewer when the file is cut or has too many."""
    position = len(START)
    for _ in range(MAX_CHUNKS):
        # length, name, data, check sum
        length = int.from_bytes(content[position : position + 4], "big")
        name, end = content[position + 4 : position + 8], position + 12 + length
        if end > len(content):
            return
        yield _Chunk(name, content[position + 8 : end - 4], content[position:end])
        if name == b"IEND":
            return
        position = end


def _first_of_each(chunks: list[_Chunk]) -> dict[bytes, bytes]:
    """Data by name; of two with one name decoders take the first."""
    return {chunk.name: chunk.data for chunk in reversed(chunks)}


def _header(data: bytes) -> Header | None:
    if len(data) != 13:
        return None
    header = Header(*struct.unpack(">IIBBBBB", data))
    return header if header.colour in _SAMPLES and header.interlaced in (0, 1) else None


def _see_through(header: Header, data: bytes | None) -> tuple[int, ...] | None:
    """The colour of tRNS, of which the bits that a sample has count."""
    samples = {_GREY: 1, _TRUE: 3}.get(header.colour, 0)
    if data is None or not samples or len(data) != 2 * samples:
        return None
    mask = (1 << header.depth) - 1
    return tuple(value & mask for value in struct.unpack(f">{samples}H", data))


def _profile(data: bytes) -> bytes:
    """The colour profile in iCCP: a name, a method, packed bytes; nothing for one too large."""
    _, _, packed = data.partition(b"\x00")
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if unpacking.eof else b""

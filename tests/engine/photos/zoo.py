"""Image files with headers that no common writer writes, and a decoder that knows the standard.

PNGs are written by hand in every colour type, depth and interlacing, and read back by a decoder of
a page; JPEGs get the markers that decide how their pixels are read.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from PIL import Image, ImageCms

from tests.engine.photos import pictures

WIDTH, HEIGHT = 13, 11
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)

Pixels = list[list[tuple[int, ...]]]
"""Rows of pixels, each its samples as stored."""


class Png(NamedTuple):
    """A PNG as it was drawn."""

    colour: int
    depth: int
    interlaced: int
    pixels: Pixels
    palette: bytes
    transparent: bytes

    def content(self, *colour_chunks: tuple[bytes, bytes]) -> bytes:
        """The file."""
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, self.depth, self.colour, 0, 0, self.interlaced)),
            *colour_chunks,
            (b"PLTE", self.palette),
            (b"tRNS", self.transparent),
            (b"IDAT", zlib.compress(self.rows())),
        ]  # fmt: skip
        return assembled([(n, d) for n, d in chunks if d] + [(b"IEND", b"")])

    def rows(self) -> bytes:
        """Every row of every pass, each behind a filter byte of 0."""
        passes = PASSES if self.interlaced else ((0, 0, 1, 1),)
        return b"".join(
            b"\x00" + packed(row[x::dx], self.depth)
            for x, y, dx, dy in passes
            for row in self.pixels[y::dy]
            if row[x::dx]
        )


def assembled(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def chunks_of(content: bytes) -> list[tuple[bytes, bytes]]:
    """Its chunks."""
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def packed(row: Sequence[tuple[int, ...]], depth: int) -> bytes:
    """Samples as a PNG stores them."""
    samples = [sample for pixel in row for sample in pixel]
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def pngs() -> Iterator[Png]:
    """Every colour type, depth and interlacing, with and without something transparent."""
    random = Random(11)
    for colour, depths in DEPTHS.items():
        for depth, interlaced, clear in itertools.product(depths, (0, 1), (False, True)):
            if clear and colour in (4, 6):
                continue
            entries = min(1 << depth, 200)
            high = entries if colour == 3 else 1 << depth
            pixels: Pixels = [
                [
                    tuple(random.randrange(high) for _ in range(SAMPLES[colour]))
                    for _ in range(WIDTH)
                ]
                for _ in range(HEIGHT)
            ]
            if depth == 16 and colour == 2:
                # two colours that differ in their lower bytes alone
                pixels[0][0], pixels[0][1] = (0x1234, 0x5678, 0x9ABC), (0x1235, 0x5678, 0x9ABC)
            palette = random.randbytes(3 * entries) if colour == 3 else b""
            transparent = b""
            if clear and colour == 3:
                transparent = random.randbytes(entries)
            elif clear:
                transparent = b"".join(struct.pack(">H", sample) for sample in pixels[0][0])
            yield Png(colour, depth, interlaced, pixels, palette, transparent)


def decoded(content: bytes) -> Pixels:
    """A PNG as the standard has it: red, green, blue and alpha of 8 bits for every pixel."""
    chunks = dict(reversed(chunks_of(content)))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    raw = zlib.decompress(b"".join(data for name, data in chunks_of(content) if name == b"IDAT"))
    pixels: Pixels = [[()] * width for _ in range(height)]
    at = 0
    for x, y, dx, dy in PASSES if interlaced else ((0, 0, 1, 1),):
        columns = range(x, width, dx)
        size = -(-len(columns) * SAMPLES[colour] * depth // 8)
        before = bytes(size)
        for row in range(y, height, dy) if columns else ():
            before = _unfiltered(raw[at], raw[at + 1 : at + 1 + size], before, max(1, SAMPLES[colour] * depth // 8))  # fmt: skip
            at += 1 + size
            for column, pixel in zip(columns, _pixels(before, colour, depth), strict=False):
                pixels[row][column] = _shown(pixel, colour, depth, chunks)
    assert at == len(raw)
    return pixels


def _unfiltered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    out = bytearray()
    for at, value in enumerate(row):
        left = out[at - step] if at >= step else 0
        corner = above[at - step] if at >= step else 0
        guess = left + above[at] - corner
        nearest = min((left, above[at], corner), key=lambda each: abs(guess - each))
        out.append(value + (0, left, above[at], (left + above[at]) // 2, nearest)[kind] & 255)
    return bytes(out)


def _pixels(row: bytes, colour: int, depth: int) -> Iterator[tuple[int, ...]]:
    bits = f"{int.from_bytes(row, 'big'):0{8 * len(row)}b}"
    values = [int(bits[at : at + depth], 2) for at in range(0, len(bits) - depth + 1, depth)]
    return zip(*[iter(values)] * SAMPLES[colour], strict=False)


def _shown(
    pixel: tuple[int, ...], colour: int, depth: int, chunks: dict[bytes, bytes]
) -> tuple[int, ...]:
    transparent = chunks.get(b"tRNS", b"")
    if colour == 3:
        entry = pixel[0]
        alpha = transparent[entry] if entry < len(transparent) else 255
        return (*chunks[b"PLTE"][3 * entry : 3 * entry + 3], alpha)
    wide = [sample >> 8 if depth == 16 else sample * 255 // ((1 << depth) - 1) for sample in pixel]
    if colour in (4, 6):
        return (*(wide[:1] * 3 if colour == 4 else wide[:3]), wide[-1])
    key = struct.unpack(f">{len(pixel)}H", transparent) if transparent else None
    return (*(wide * 3)[:3], 0 if pixel == key else 255)


# ── JPEG ────────────────────────────────────────────────────────────────────────────────────────

JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def adobe(transform: int) -> bytes:
    """Adobe's segment: 0 nothing, 1 YCbCr, 2 YCCK."""
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes((transform,))


def smooth(mode: str = "RGB") -> Image.Image:
    """Colours that run into each other, which JPEG keeps well, larger than one unit each way."""
    across, down = Image.linear_gradient("L").rotate(90), Image.linear_gradient("L")
    bands = (across, down, Image.radial_gradient("L"))
    return Image.merge("RGB", bands).resize((75, 53)).convert(mode)


def with_markers(content: bytes, *markers: bytes) -> bytes:
    """The JPEG with these in place of its own JFIF and Adobe segments."""
    at, kept = 2, b""
    while content[at + 1] in (0xE0, 0xEE):
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    rest = content[at:]
    place = rest.find(b"\xff\xee\x00\x0eAdobe")
    if place >= 0:
        kept, rest = rest[:place], rest[place + 16 :]
    return content[:2] + b"".join(markers) + kept + rest


def jpegs() -> dict[str, bytes]:
    """JPEGs by what is odd about them."""
    rgb, grey, cmyk = smooth(), smooth("L"), smooth("CMYK")
    plain = pictures.jpeg(rgb, quality=95)
    four = pictures.jpeg(cmyk, quality=95)
    return {
        "plain": plain,
        "4:4:4": pictures.jpeg(rgb, quality=95, subsampling=0),
        "4:2:2": pictures.jpeg(rgb, quality=95, subsampling=1),
        "grey": pictures.jpeg(grey, quality=95),
        "progressive": pictures.jpeg(rgb, quality=95, progressive=True),
        "progressive grey": pictures.jpeg(grey, quality=95, progressive=True),
        "progressive 4:4:4": pictures.jpeg(rgb, quality=95, progressive=True, subsampling=0),
        "restarts": pictures.jpeg(rgb, quality=95, restart_marker_blocks=1),
        "restarts by rows": pictures.jpeg(rgb, quality=95, restart_marker_rows=1),
        "progressive with restarts": pictures.jpeg(
            rgb, quality=95, progressive=True, restart_marker_blocks=3
        ),
        "JFIF and Adobe's nothing": with_markers(plain, JFIF, adobe(0)),
        "Adobe's nothing and JFIF": with_markers(plain, adobe(0), JFIF),
        "Adobe's nothing alone": with_markers(plain, adobe(0)),
        "Adobe's YCbCr": with_markers(plain, adobe(1)),
        "no word about colours": with_markers(plain),
        "red, green and blue": pictures.jpeg(rgb, quality=95, keep_rgb=True),
        "CMYK": four,
        "YCCK": with_markers(four, adobe(2)),
        "CMYK without a word": with_markers(four),
    }


def coded_at(content: bytes, scan: int) -> int:
    """Where the coded pixels of a scan begin."""
    return scan + 2 + int.from_bytes(content[scan + 2 : scan + 4], "big")


def cut(content: bytes, share: float) -> bytes:
    """A JPEG that lost the rest of its coded pixels, and an end mark glued on."""
    begins = coded_at(content, content.rindex(b"\xff\xda"))
    return content[: begins + int((len(content) - 2 - begins) * share)] + b"\xff\xd9"


# ── Colour profiles ─────────────────────────────────────────────────────────────────────────────


def srgb_profile() -> bytes:
    """A profile of version 4 by littleCMS, which has words in it."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(space: bytes, tags: dict[bytes, bytes], words: bytes = b"Ann's screen") -> bytes:
    """A profile of version 2 with these tags, a description and a tag that nobody knows."""
    said = b"desc" + bytes(4) + struct.pack(">I", len(words) + 1) + words + bytes(80)
    tags = {b"desc": said, b"cprt": b"text" + bytes(4) + b"secret\x00", b"ownr": words} | tags
    table, data, offset = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, offset + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s", offset + len(data), b"ANNS", 0x02200000, b"mntr", space, b"XYZ "
    )
    header += struct.pack(">6H", 2026, 5, 4, 18, 30, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061) + b"ANN " + bytes(44)
    return header + table + data


def xyz(*values: float) -> bytes:
    """An XYZ tag."""
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


GAMMA = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
WHITE = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
DISPLAY_P3 = profile(
    b"RGB ",
    WHITE
    | {
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2919, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": GAMMA,
        b"gTRC": GAMMA,
        b"bTRC": GAMMA,
    },
)
GREY_PROFILE = profile(b"GRAY", WHITE | {b"kTRC": GAMMA})


def in_srgb(image: Image.Image) -> Image.Image:
    """What a colour-managed viewer shows of a picture."""
    own = image.info.get("icc_profile")
    shown = image.convert("RGB")
    if not own or image.mode not in ("RGB", "L"):
        return shown
    managed = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(own)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )  # fmt: skip
    assert managed is not None
    return managed

"""Parses a JPEG file (ITU-T T.81) into its parts, and checks that its picture is complete.

A decoder fills what a scan lacks with grey and says nothing. So the parts are counted (scans,
restarts, coefficients), and the picture is cut out twice, with other bits behind each stretch of
coded pixels: a decoder that needs more bits than the file has reads those, and the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import shake_128
from typing import Final, NamedTuple

MAX_SCANS: Final = 50
"""Passes over the pixels of a JPEG; cameras and encoders take 1 to about 20."""
MAX_SEGMENTS: Final = 1_000
"""Parts of a JPEG; 10 MiB of metadata in segments of 64 KiB are 160."""

MAX_RESTARTS: Final = 800_000
"""In one scan: one for each unit of 50 megapixels."""

START: Final = b"\xff\xd8\xff"
_EXIF_START: Final = b"Exif\x00\x00"
_PROFILE_START: Final = b"ICC_PROFILE\x00"
_JFIF_START: Final = b"JFIF\x00"

# A JPEG marker that begins a segment: no stuffed 0xFF, fill byte, restart or other start.
_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_RESTART: Final = re.compile(rb"\xff+([\xd0-\xd7])")
_END_OF_IMAGE, _START_OF_SCAN, _RESTART_INTERVAL = 0xD9, 0xDA, 0xDD
_JFIF, _EXIF, _PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
# Baseline, extended and progressive, all by Huffman: what every decoder knows.
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_FRAMES: Final = _SEQUENTIAL | {0xC2}
# Beside frames and scans: Huffman and quantisation tables.
_TABLES: Final = frozenset({0xC4, 0xDB})
# Application data and comments. Of these only JFIF's and Adobe's decide how pixels are read.
_TELLING: Final = frozenset({*range(0xE0, 0xF0), 0xFE})
# What is put behind coded pixels: two texts of bits that mean different pixels whatever the tables,
# long enough for a unit of six blocks, and without a marker.
_TAIL_BYTES: Final = 128
_TAILS: Final = (
    bytes(_TAIL_BYTES),
    shake_128(b"tail").digest(_TAIL_BYTES).replace(b"\xff", b"\x5a").replace(b"\\", b"\x5a"),
)
_ALL_TAILS_BYTES: Final = 16 * 1024 * 1024
"""What all tails of a scan may take; where restarts are many they are shorter."""


class Segment(NamedTuple):
    """A marker and its parameters; of a scan also the coded pixels behind it."""

    kind: int
    data: bytes
    pixels: bytes = b""


class Component(NamedTuple):
    """A colour of the frame and how densely it is sampled."""

    id: int
    across: int
    down: int


class Frame(NamedTuple):
    """Size and colours, as the frame header has them."""

    kind: int
    width: int
    height: int
    components: tuple[Component, ...]

    def units(self, ids: bytes) -> int:
        """Returns the number of coded units of a scan over these components (T.81 A.2)."""
        across = max(each.across for each in self.components)
        down = max(each.down for each in self.components)
        step = (8 * across, 8 * down)
        width, height = self.width, self.height
        if len(ids) == 1:
            own = next(each for each in self.components if each.id == ids[0])
            width, height = -(-width * own.across // across), -(-height * own.down // down)
            step = (8, 8)
        return -(-width // step[0]) * -(-height // step[1])


class JpegParts(NamedTuple):
    """The parts that make the picture, twice; the two decode alike if nothing is missing."""

    contents: tuple[bytes, bytes]
    exif: bytes
    profile: bytes


def parts_of(content: bytes) -> JpegParts | None:
    """Returns the parts of the first picture in a JPEG; None when it cannot be complete."""
    segments = _segments(content)
    if segments is None or not _is_complete(segments):
        return None
    first, second = (b"".join(_written(segments, tail)) for tail in _TAILS)
    return JpegParts((first, second), _exif(segments), _profile(segments))


def _segments(content: bytes) -> list[Segment] | None:
    """Everything up to the end of the picture; None for a broken, endless or odd sequence."""
    found: list[Segment] = []
    position, scans = 2, 0
    for _ in range(MAX_SEGMENTS + 1):
        marker = _MARKER.search(content, position)
        if marker is None:
            return None
        kind, start = marker[1][0], marker.start()
        if found and found[-1].kind == _START_OF_SCAN:
            found[-1] = found[-1]._replace(pixels=content[position:start])
        if kind == _END_OF_IMAGE:
            return found
        length = int.from_bytes(content[start + 2 : start + 4], "big")
        scans += kind == _START_OF_SCAN
        known = kind in _FRAMES | _TABLES | _TELLING or kind in (_START_OF_SCAN, _RESTART_INTERVAL)
        if scans > MAX_SCANS or length < 2 or not known:
            return None
        position = start + 2 + length
        found.append(Segment(kind, content[start + 4 : position]))
    return None


def _written(segments: list[Segment], tail: bytes) -> Iterator[bytes]:
    """The file again: what decides about pixels, and a tail behind each stretch of them."""
    yield START[:2]
    for kind, data, pixels in segments:
        if kind in _TELLING and not (
            kind == _ADOBE or (kind == _JFIF and data.startswith(_JFIF_START))
        ):
            continue
        yield bytes((0xFF, kind)) + (len(data) + 2).to_bytes(2, "big") + data
        if kind == _START_OF_SCAN:
            tail = tail[: max(16, _ALL_TAILS_BYTES // (pixels.count(b"\xff") + 1))]
            # fill bytes before a marker are no data, and would make a marker of the tail
            yield _RESTART.sub(tail + b"\xff" + rb"\1", pixels).rstrip(b"\xff") + tail
    yield bytes((0xFF, _END_OF_IMAGE))


def _is_complete(segments: list[Segment]) -> bool:
    """Whether there is one frame, every coefficient of it is coded, and no restart is missing."""
    frame: Frame | None = None
    interval = 0
    coded: dict[tuple[int, int], int] = {}
    for kind, data, pixels in segments:
        if kind in _FRAMES:
            frame = _frame(kind, data) if frame is None else None
            if frame is None:
                return False
        elif kind == _RESTART_INTERVAL:
            interval = int.from_bytes(data[:2], "big")
        elif kind == _START_OF_SCAN:
            scanned = _scan(frame, data)
            if frame is None or scanned is None:
                return False
            coded |= scanned
            units = frame.units(data[1 : 1 + 2 * data[0] : 2])
            # each scan has at least a bit of each unit
            if not pixels.strip(b"\xff") or not _restarts_fit(pixels, units, interval):
                return False
    return frame is not None and all(
        coded.get((each.id, coefficient)) == 0
        for each in frame.components
        for coefficient in range(64)
    )


def _frame(kind: int, data: bytes) -> Frame | None:
    """The frame header (T.81 B.2.2); None for one that no picture has."""
    if len(data) < 6 or len(data) != 6 + 3 * data[5] or not data[5]:
        return None
    height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
    components = tuple(
        Component(data[at], data[at + 1] >> 4, data[at + 1] & 15) for at in range(6, len(data), 3)
    )
    sampled = all(1 <= each.across <= 4 and 1 <= each.down <= 4 for each in components)
    return Frame(kind, width, height, components) if width and height and sampled else None


def _scan(frame: Frame | None, data: bytes) -> dict[tuple[int, int], int] | None:
    """Which coefficients of which components a scan codes, and how many low bits it leaves out."""
    if frame is None or not data or len(data) != 4 + 2 * data[0]:
        return None
    ids = data[1 : 1 + 2 * data[0] : 2]
    if not ids or not set(ids) <= {each.id for each in frame.components}:
        return None
    if frame.kind in _SEQUENTIAL:
        return {(id_, coefficient): 0 for id_ in ids for coefficient in range(64)}
    first, last, left_out = data[-3], data[-2], data[-1] & 15
    return {(id_, at): left_out for id_ in ids for at in range(first, min(last, 63) + 1)}


def _restarts_fit(pixels: bytes, units: int, interval: int) -> bool:
    """Whether the restart markers count up to as many as there are; some encoders write a last one."""
    due = min(-(-units // interval) - 1, MAX_RESTARTS) if interval else 0
    seen = 0
    for marker in _RESTART.finditer(pixels):
        if marker[1][0] & 7 != seen & 7 or seen > due:
            return False
        seen += 1
    return seen in (due, due + bool(interval))


def _exif(segments: list[Segment]) -> bytes:
    for kind, data, _ in segments:
        if kind == _EXIF and data.startswith(_EXIF_START):
            return data[len(_EXIF_START) :]
    return b""


def _profile(segments: list[Segment]) -> bytes:
    """The colour profile, put together from its numbered pieces (ICC.1 B.4)."""
    head = len(_PROFILE_START)
    pieces = {
        data[head]: data[head + 2 :]
        for kind, data, _ in segments
        if kind == _PROFILE and data.startswith(_PROFILE_START) and len(data) > head + 2
    }
    return b"".join(pieces[number] for number in sorted(pieces))

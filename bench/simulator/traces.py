"""Recorded GPS traces: reads the files and folds their days onto one.

One fix a line: latitude, longitude, occupied (0 or 1), Unix time in seconds; any order, plain or
gzipped. Every day of every recorder becomes one hustler: shifted onto the same day they give a
crowd. Lines that are no fix are counted, never guessed at; fixes are not cleaned: checking them
is the service's work.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.simulator.projection import LatLng

DAY_S = 86_400
WINDOW_STEP_S = 900


class Fix(NamedTuple):
    """A recorded position; `second` counts from the UTC midnight before it."""

    second: int
    lat: float
    lng: float
    occupied: bool


@dataclass(frozen=True, slots=True)
class CabDay:
    """One recorder on one day, fixes in order of time (equal times keep the file's order)."""

    recorder: str
    day: int
    fixes: tuple[Fix, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """All days of a folder, and what could not be read."""

    days: tuple[CabDay, ...]
    fixes: int
    junk_lines: int


def read_folder(folder: Path) -> Recording:
    """Reads every `*.txt` and `*.txt.gz` of the folder; raises ValueError when none holds a fix."""
    days: list[CabDay] = []
    fixes = junk = 0
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.txt.gz")]):
        recorder = path.name.removesuffix(".gz").removesuffix(".txt")
        parsed = [_parse(line) for line in _lines(path)]
        good = [fix for fix in parsed if fix is not None]
        fixes += len(good)
        junk += len(parsed) - len(good)
        days += fold(recorder, good)
    if not days:
        raise ValueError(f"no traces in {folder}: expected *.txt or *.txt.gz with fixes")
    return Recording(tuple(days), fixes, junk)


def _lines(path: Path) -> Iterator[str]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode(errors="replace")
    return (line for line in text.splitlines() if line.strip())


def _parse(line: str) -> tuple[int, LatLng, bool] | None:
    """Returns (Unix time, position, occupied), or None for a line that is no fix."""
    words = line.split()
    if len(words) != 4 or words[2] not in ("0", "1"):
        return None
    try:
        lat, lng, at = float(words[0]), float(words[1]), int(words[3])
    except ValueError:
        return None
    if not (math.isfinite(lat) and math.isfinite(lng) and at >= 0):
        return None
    return at, LatLng(lat, lng), words[2] == "1"


def fold(recorder: str, fixes: Iterable[tuple[int, LatLng, bool]]) -> list[CabDay]:
    """Returns a recorder's fixes as one CabDay per UTC day."""
    by_day: dict[int, list[Fix]] = {}
    for at, place, occupied in sorted(fixes, key=lambda fix: fix[0]):
        fix = Fix(at % DAY_S, place.lat, place.lng, occupied)
        by_day.setdefault(at // DAY_S, []).append(fix)
    return [CabDay(recorder, day, tuple(found)) for day, found in sorted(by_day.items())]


def busiest_start(days: Iterable[CabDay], window_s: float) -> int:
    """Returns the second of the day whose window of that length holds most fixes (15 min steps)."""
    steps = DAY_S // WINDOW_STEP_S
    per_step = [0] * steps
    for cab_day in days:
        for fix in cab_day.fixes:
            per_step[fix.second // WINDOW_STEP_S] += 1
    width = min(steps, max(1, math.ceil(window_s / WINDOW_STEP_S)))
    starts = range(steps - width + 1)
    return WINDOW_STEP_S * max(starts, key=lambda start: sum(per_step[start : start + width]))

"""Recorded drives through the heartbeat path: whoever is inside a radius is found, and nobody else.

Every fix is judged as the gateway does it, what was accepted is written, and at each step of virtual
time the places ask who is inside their radius. The answer must be that of brute force over the
accepted fixes. The drives of `make test` are made, with the faults of real ones; a folder of
recorded ones (README, `--traces`) is replayed as well when TRACES names it.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import numpy as np
import pytest

from bench.simulator.traces import CabDay, busiest_start, read_folder
from geo.cells import cover
from geo.distance import within
from geo.fixes import Fix, FixRejection, Track, check_fix
from geo.points import LatLng
from geo.presence.presence import CellSlot, Heartbeat, Presence
from geo.units import metres

TRACES = os.environ.get("TRACES")
STEP_S = 60
# Between two seconds of the recording: an age is never just at its limit.
HALF_S = 0.5
OLD_FIX_S = 300
AWAY_S = 900
PLAN_MILES = (0.5, 3, 5, 7, 9, 10)
PLACES = [
    LatLng(37.7749, -122.4194),
    LatLng(37.6213, -122.3790),
    LatLng(37.8044, -122.2712),
    LatLng(37.7510, -122.4980),
    LatLng(37.7900, -122.3950),
    LatLng(37.8715, -122.2730),
]
recorded = pytest.mark.skipif(TRACES is None, reason="TRACES names no folder of recorded traces")


@dataclass
class Driver:
    """One recorded day as a hustler: what the gateway remembers of one."""

    day: CabDay
    hustler: UUID = field(default_factory=uuid4)
    track: Track | None = None
    generation: int | None = None
    seq: int = 0
    slot: CellSlot | None = None
    played: int = 0

    def drive(self, until_s: float, results: Counter[str]) -> bool:
        """Judges the fixes up to then; returns whether a session of three suspects ended."""
        ended = False
        fixes = self.day.fixes
        while self.played < len(fixes) and fixes[self.played].second < until_s:
            fix = fixes[self.played]
            self.played += 1
            result = check_fix(self.track, Fix(fix.lat, fix.lng, fix.second), fix.second)
            self.track = result.track
            ended |= result.ends_session
            results[result.rejection.name if result.rejection else "ACCEPTED"] += 1
        return ended

    def age_s(self, now_s: float) -> float:
        """Seconds since the last accepted fix."""
        return now_s - self.track.at_s if self.track else np.inf


class Replay:
    """A crowd of drivers, their presence, and how many decisions were compared."""

    def __init__(self, presence: Presence, days: list[CabDay]) -> None:
        self.presence = presence
        self.drivers = [Driver(day) for day in days]
        self.results = Counter[str]()
        self.inside = self.outside = 0

    async def run(self, start_s: int, end_s: int) -> None:
        """Plays these seconds of the day, and compares after each step."""
        for number, second in enumerate(range(start_s + STEP_S, end_s + 1, STEP_S)):
            now_s = second - HALF_S
            await self.step(now_s)
            for turn, place in enumerate(PLACES):
                miles = PLAN_MILES[(number + turn) % len(PLAN_MILES)]
                await self.compare(place, metres(miles), now_s)

    async def step(self, now_s: float) -> None:
        """Writes whoever is connected, where the last accepted fix is; removes the others."""
        present = []
        for driver in self.drivers:
            ended = driver.drive(now_s, self.results)
            if ended or driver.age_s(now_s) > AWAY_S:
                if driver.generation is not None:
                    await self.presence.remove(driver.hustler, driver.slot, driver.generation)
                    driver.generation = driver.slot = None
                if ended:
                    driver.track = None
            else:
                present.append(driver)
        new = [driver for driver in present if driver.generation is None]
        given = await self.presence.new_generations([driver.hustler for driver in new])
        for driver, generation in zip(new, given, strict=True):
            driver.generation, driver.seq = generation, 0
        kept = await self.presence.write([_heartbeat(driver, now_s) for driver in present])
        for driver, slot in zip(present, kept, strict=True):
            assert slot is not None
            driver.slot = slot

    async def compare(self, place: LatLng, radius_m: float, now_s: float) -> None:
        """Presence and brute force name the same hustlers, at the same positions."""
        found = await self.presence.within(cover(place, radius_m))
        found = found.take(within(place, found.lat, found.lng, radius_m))
        rows = zip(found.hustlers(), found.lat.tolist(), found.lng.tolist(), strict=True)
        fresh = [
            (driver.hustler, driver.track.point)
            for driver in self.drivers
            if driver.track and driver.generation and driver.age_s(now_s) <= OLD_FIX_S
        ]
        lat = np.array([point.lat for _, point in fresh])
        lng = np.array([point.lng for _, point in fresh])
        inside = within(place, lat, lng, radius_m).tolist()
        expected = {one for one, is_inside in zip(fresh, inside, strict=True) if is_inside}
        assert {(who, LatLng(*at)) for who, *at in rows} == expected, (place, radius_m, now_s)
        self.inside += len(expected)
        self.outside += len(fresh) - len(expected)


def _heartbeat(driver: Driver, now_s: float) -> Heartbeat:
    assert driver.track is not None
    assert driver.generation is not None
    driver.seq += 1
    return Heartbeat(
        driver.hustler,
        driver.track.point,
        driver.generation,
        driver.seq,
        driver.slot,
        fix_age_ms=int(driver.age_s(now_s) * 1000),
    )


def made_drives(folder: Path, drivers: int, seconds: int) -> list[CabDay]:
    """Drives across the bay with noise, gaps, jumps, repeated seconds, and fixes in no order."""
    rng = Random(28)
    for number in range(drivers):
        lat, lng, second = 37.75 + rng.gauss(0, 0.04), -122.42 + rng.gauss(0, 0.05), 0.0
        heading, lines = rng.uniform(-1, 1), []
        while second < seconds:
            pause_s = rng.choice([0.0, 10.0, 30.0, 60.0, 60.0])
            if rng.random() < 0.03:
                pause_s = rng.uniform(120, 1_500)  # a tunnel, or a break
            heading += rng.gauss(0, 0.4)
            second += pause_s
            lat += 1.1e-4 * pause_s * np.sin(heading)
            lng += 1.3e-4 * pause_s * np.cos(heading)
            seen_lat, seen_lng = lat + rng.gauss(0, 1e-4), lng + rng.gauss(0, 1e-4)
            if rng.random() < 0.03:
                seen_lat += rng.choice([-0.9, 0.9])  # a reflection: a hundred kilometres away
            lines.append(f"{seen_lat:.5f} {seen_lng:.5f} 0 {int(second)}")
        rng.shuffle(lines)
        (folder / f"driver{number}.txt").write_text("\n".join(lines))
    return list(read_folder(folder).days)


async def test_made_drives_are_matched_as_brute_force_has_it(
    presence: Presence, tmp_path: Path
) -> None:
    """On one server and on a cluster; every fault of the recordings comes up."""
    replay = Replay(presence, made_drives(tmp_path, 24, 7_200))
    await replay.run(0, 7_200)
    assert replay.results["ACCEPTED"] > 1_000
    assert replay.results[FixRejection.IMPOSSIBLE_SPEED.name] > 30
    assert min(replay.inside, replay.outside) > 2_000


@recorded
async def test_an_hour_of_recorded_drives_is_matched_as_brute_force_has_it(
    presence: Presence,
) -> None:
    """The busiest hour of the day."""
    days = list(read_folder(Path(TRACES or "")).days)
    start_s = busiest_start(days, 3_600)
    replay = Replay(presence, days)
    await replay.run(start_s, start_s + 3_600)
    assert min(replay.inside, replay.outside) > 1_000


@recorded
@pytest.mark.long
@pytest.mark.timeout(900)
async def test_all_recorded_drives_are_matched_as_brute_force_has_it(presence: Presence) -> None:
    """A day and a night, each recorder's days as so many hustlers."""
    replay = Replay(presence, list(read_folder(Path(TRACES or "")).days))
    await replay.run(0, 86_400)
    assert sum(replay.results.values()) == sum(len(one.day.fixes) for one in replay.drivers)
    assert min(replay.inside, replay.outside) > 50_000

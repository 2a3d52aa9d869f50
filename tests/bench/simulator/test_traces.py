from __future__ import annotations

import gzip
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path

import pytest

from bench.simulator.projection import LatLng
from bench.simulator.replay import Replay, TraceClock, TraceDrive
from bench.simulator.run_log import RunLog
from bench.simulator.time_scale import TimeScale
from bench.simulator.traces import DAY_S, busiest_start, read_folder

MIDNIGHT = 1_211_068_800
"""A Sunday in May 2008, 00:00 UTC."""


def line(second: int, lat: float = 37.75, lng: float = -122.39, occupied: int = 0) -> str:
    """One fix as a recorder wrote it."""
    return f"{lat} {lng} {occupied} {MIDNIGHT + second}"


def folder_of(tmp_path: Path, *lines: str) -> Path:
    """A folder with one plain recording."""
    (tmp_path / "cab.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_files_in_any_order_plain_or_gzipped_are_read_in_order_of_time(tmp_path: Path) -> None:
    """Newest first is how the real ones come."""
    with gzip.open(tmp_path / "late.txt.gz", "wt") as file:
        file.write("\n".join([line(300, occupied=1), line(200), line(100)]))
    folder = folder_of(tmp_path, line(50), line(10), line(90))
    recording = read_folder(folder)
    assert [day.recorder for day in recording.days] == ["cab", "late"]
    assert [[fix.second for fix in day.fixes] for day in recording.days] == [
        [10, 50, 90],
        [100, 200, 300],
    ]
    assert recording.days[1].fixes[2].occupied


def test_days_fold_onto_one_and_each_is_a_hustler(tmp_path: Path) -> None:
    """The second of the day stays; the day becomes a person."""
    folder = folder_of(tmp_path, line(DAY_S + 7), line(5), line(3 * DAY_S + 5), line(6))
    days = read_folder(folder).days
    assert [[fix.second for fix in day.fixes] for day in days] == [[5, 6], [7], [5]]
    assert len({day.day for day in days}) == 3


def test_junk_lines_are_counted_and_nothing_else_is_cleaned(tmp_path: Path) -> None:
    """Jumps and repeated fixes are the service's to judge; lines that are no fix are not sent."""
    junk = ("", "hello", "1 2 3", "37.7 -122.3 2 5", "x -122.3 0 5", "nan -122.3 0 5", "1 2 0 1.5")
    folder = folder_of(tmp_path, line(1), line(1), *junk, line(2, lat=-37.75))
    recording = read_folder(folder)
    assert (recording.fixes, recording.junk_lines) == (3, len(junk) - 1)
    assert [(fix.second, fix.lat) for fix in recording.days[0].fixes] == [
        (1, 37.75),
        (1, 37.75),
        (2, -37.75),
    ]


def test_a_folder_without_fixes_is_an_error(tmp_path: Path) -> None:
    """A wrong path must not look like an empty city."""
    with pytest.raises(ValueError, match="no traces"):
        read_folder(tmp_path)


def test_a_short_replay_plays_the_busiest_part_of_the_day(tmp_path: Path) -> None:
    """In steps of a quarter of an hour."""
    morning, evening = range(0, 3000, 500), range(64_800, 66_600, 100)
    folder = folder_of(tmp_path, *(line(second) for second in (*morning, *evening)))
    days = read_folder(folder).days
    assert busiest_start(days, 1_800) == 64_800
    assert busiest_start(days, 2 * DAY_S) == 0


def test_devices_keep_the_recorded_seconds_between_fixes_and_never_run_ahead() -> None:
    """So the speed the service sees is the speed that was driven, at any --speed."""
    clock = TraceClock(1000, 4600, speed=60)
    before = datetime.now(UTC)
    clock.start()
    stamps = [clock.stamp(second) for second in (1000, 1060, 4600)]
    assert (stamps[1] - stamps[0]).total_seconds() == pytest.approx(60, abs=1e-4)
    assert stamps[0] < before
    ends_in_s = (stamps[2] - before).total_seconds()
    assert ends_in_s == pytest.approx(60, abs=1)
    assert clock.due_at(4600) - clock.due_at(1000) == pytest.approx(60)


async def test_every_recorded_fix_is_sent_in_order_with_its_own_time(tmp_path: Path) -> None:
    """Jumps and duplicates included; what could not be sent is counted as lost."""
    folder = folder_of(tmp_path, line(0), line(0), line(30, lat=38.9), line(60), line(61))
    clock, run_log = TraceClock(0, 120, speed=600), RunLog()
    drive = TraceDrive(read_folder(folder).days[0].fixes, clock, TimeScale(600), run_log)
    sent: list[tuple[LatLng, datetime | None]] = []

    async def send(place: LatLng, at: datetime | None) -> bool:
        sent.append((place, at))
        return len(sent) != 3

    clock.start()
    await drive.report(send)
    assert [place.lat for place, _ in sent] == [37.75, 37.75, 38.9, 37.75, 37.75]
    assert all(a[1] <= b[1] for a, b in pairwise(sent) if a[1] and b[1])
    assert (run_log.counts["fix"], run_log.counts["fix_lost"]) == (4, 1)


def test_tasks_of_a_replay_lie_where_a_cab_will_soon_pass(tmp_path: Path) -> None:
    """The same seed wishes the same, and nothing is wished where nobody drives."""
    folder = folder_of(
        tmp_path, *(line(second, lat=37.75 + second / 1e6) for second in range(0, 3600, 30))
    )
    recording = read_folder(folder)

    def wishes() -> list[LatLng]:
        clock = TraceClock(0, 3600, speed=60)
        replay = Replay(recording, clock, TimeScale(60), RunLog(), seed=5)
        return [wish.at for _, wish in islice(replay.wishes(), 20)]

    assert wishes() == wishes() != []
    assert all(abs(at.lat - 37.75) < 0.03 and abs(at.lng + 122.39) < 0.03 for at in wishes())

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

import numpy as np

from geo.presence.present_hustlers import RECORD, PresentHustlers, alive_hustlers

NOW_MS = 1_763_000_000_000


def present_hustlers(cells: Sequence[Sequence[bytes]], now_ms: int) -> PresentHustlers:
    """What a read of these cells yields."""
    return alive_hustlers(cells, now_ms).newest()


def record(
    hustler: UUID,
    *,
    lat: float = 37.7,
    generation: int = 1,
    seq: int = 1,
    fixed_ms_ago: int = 0,
    seen_ms_ago: int = 0,
) -> bytes:
    """A record as heartbeat.lua packs it."""
    row = (
        hustler.bytes,
        lat,
        -122.4,
        generation,
        seq,
        NOW_MS - fixed_ms_ago,
        NOW_MS - seen_ms_ago,
        0,
    )
    return np.array([row], dtype=RECORD).tobytes()


def test_a_record_is_sixty_two_bytes() -> None:
    """Up to 64 bytes a hash stays compact; record.lua counts on these offsets."""
    assert RECORD.itemsize == 62
    fields = RECORD.fields
    assert fields is not None
    assert [fields[name][1] for name in fields] == [0, 16, 24, 32, 40, 44, 52, 60]


def test_nothing_found_is_no_rows() -> None:
    """Empty cells are the rule."""
    nothing: list[list[list[bytes]]] = [[], [[], []]]
    for cells in nothing:
        found = present_hustlers(cells, NOW_MS)
        assert len(found) == 0
        assert found.hustlers() == []


def test_the_silent_and_those_of_old_fixes_are_not_seen() -> None:
    """Present means seen within 90 s; matchable means a position of the last five minutes."""
    hustlers = [uuid4() for _ in range(4)]
    found = present_hustlers(
        [
            [record(hustlers[0], seen_ms_ago=90_000, fixed_ms_ago=300_000)],
            [record(hustlers[1], seen_ms_ago=90_001)],
            [record(hustlers[2], fixed_ms_ago=300_001), record(hustlers[3])],
        ],
        NOW_MS,
    )
    assert found.hustlers() == [hustlers[0], hustlers[3]]


def test_of_two_records_the_newest_generation_then_seq_counts() -> None:
    """Wherever the orphan stands among the cells, and however fresh it looks."""
    hustler, other, third = uuid4(), uuid4(), uuid4()
    orphan = record(hustler, lat=1.0, generation=4, seq=900)
    older = record(hustler, lat=2.0, generation=5, seq=6, seen_ms_ago=1)
    newest = record(hustler, lat=3.0, generation=5, seq=7, seen_ms_ago=2)
    for cells in (
        [[orphan, record(other)], [newest], [older, record(third)]],
        [[newest], [record(third), older, orphan], [record(other)]],
    ):
        found = present_hustlers(cells, NOW_MS)
        assert sorted(found.hustlers()) == sorted([hustler, other, third])
        row = found.hustlers().index(hustler)
        assert (found.lat[row], found.generation[row], found.seq[row]) == (3.0, 5, 7)


def test_a_stale_newest_record_does_not_hide_an_alive_older_one() -> None:
    """Silence is judged first: a dead record has no say."""
    hustler = uuid4()
    cells = [[record(hustler, generation=2, seen_ms_ago=100_000)], [record(hustler, generation=1)]]
    assert present_hustlers(cells, NOW_MS).generation.tolist() == [1]


def test_hustlers_that_share_half_their_id_stay_two() -> None:
    """Duplicates are looked for by one half, and decided by both."""
    one, two = UUID(int=(1 << 64) + 5), UUID(int=(2 << 64) + 5)
    assert sorted(present_hustlers([[record(one), record(two)]], NOW_MS).hustlers()) == [one, two]
    three = UUID(int=(2 << 64) + 6)
    rows = [record(one), record(two), record(three), record(three)]
    assert sorted(present_hustlers([rows], NOW_MS).hustlers()) == [one, two, three]


def test_ids_may_end_in_zero_bytes() -> None:
    """A column of byte strings would cut them off."""
    hustler = UUID(int=1 << 120)
    assert present_hustlers([[record(hustler)]], NOW_MS).hustlers() == [hustler]


def test_rows_are_taken_by_mask_or_index() -> None:
    """Columns stay together."""
    hustlers = [uuid4() for _ in range(3)]
    rows = [record(hustler, lat=lat) for lat, hustler in enumerate(hustlers)]
    found = present_hustlers([rows], NOW_MS)
    assert found.take(found.lat > 0.5).hustlers() == hustlers[1:]
    assert found.take(np.array([2, 0])).lat.tolist() == [2.0, 0.0]

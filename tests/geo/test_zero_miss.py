from __future__ import annotations

from dataclasses import asdict

import pytest

from geo.cells import cover
from tests.geo.zero_miss import Cover, Progress, run_batch, swapped, too_small_disk

QUICK_CHECKS = 10_000
LONG_CHECKS = 100_000_000
KEPT_AS = "hustlexp/zero_miss"


def quick_run(by: Cover) -> Progress:
    """Ten thousand checks, in many small queries."""
    progress = Progress()
    while progress.checks < QUICK_CHECKS:
        run_batch(progress, by, queries=50, points=48)
    return progress


def test_no_hustler_inside_a_radius_is_ever_missed() -> None:
    """Everywhere on earth, at resolutions 5 to 9, rim included, settled next door or not."""
    progress = quick_run(cover)
    assert progress.misses == 0, progress.first_miss


@pytest.mark.parametrize("planted", [too_small_disk, swapped])
def test_the_checks_find_a_cover_that_misses_some(planted: Cover) -> None:
    """They can fail: for the usual disk, and for coordinates taken for each other."""
    assert quick_run(planted).misses > 0


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been() -> None:
    """Each batch depends on the seed and its number alone."""
    whole, parts = Progress(), Progress()
    for _ in range(3):
        run_batch(whole, swapped, queries=20, points=20)
    for _ in range(3):
        parts = Progress(**asdict(parts))
        run_batch(parts, swapped, queries=20, points=20)
    assert parts == whole
    assert (whole.batches, whole.misses > 0) == (3, True)


@pytest.mark.long
@pytest.mark.timeout(7_200)
def test_no_hustler_is_missed_in_a_hundred_million_checks(pytestconfig: pytest.Config) -> None:
    """10^8, kept in pytest's cache on the way: a run that was stopped goes on."""
    cache = pytestconfig.cache
    assert cache is not None
    progress = Progress(**cache.get(KEPT_AS, {}))
    while progress.checks < LONG_CHECKS and not progress.misses:
        run_batch(progress)
        cache.set(KEPT_AS, asdict(progress))
    cache.set(KEPT_AS, {})
    assert progress.misses == 0, progress.first_miss

from __future__ import annotations

import pytest

from gateway.session import frames
from tests.gateway.session.frame_fuzz import first_difference

SEED = 6455
CASES = 10_000
LONG_CASES = 1_000_000
KEPT_AS = "hustlexp/frames"


async def test_however_a_stream_is_cut_it_says_what_the_library_hears() -> None:
    """The same messages, pongs and close code as `websockets`, in ten thousand streams."""
    assert await first_difference(SEED, 0, CASES) is None


@pytest.mark.parametrize("planted", [126, 127])
async def test_the_streams_find_a_reader_that_is_wrong_about_a_length(
    monkeypatch: pytest.MonkeyPatch, planted: int
) -> None:
    """They can fail: for a frame whose size is a byte less than it says."""
    size_bytes = frames.size_bytes

    def wrong(data: bytes, at: int) -> int:
        is_planted = len(data) > at + 1 and data[at + 1] & 0x7F == planted
        return size_bytes(data, at) - is_planted

    monkeypatch.setattr(frames, "size_bytes", wrong)
    assert await first_difference(SEED, 0, CASES) is not None


@pytest.mark.long
@pytest.mark.timeout(7_200)
async def test_no_stream_of_a_million_is_heard_otherwise(pytestconfig: pytest.Config) -> None:
    """10^6, kept in pytest's cache on the way: a run that was stopped goes on."""
    cache = pytestconfig.cache
    assert cache is not None
    for first in range(cache.get(KEPT_AS, 0), LONG_CASES, CASES):
        assert await first_difference(SEED, first, CASES) is None
        cache.set(KEPT_AS, first + CASES)
    cache.set(KEPT_AS, 0)

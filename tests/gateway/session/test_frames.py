from __future__ import annotations

import pytest

from gateway.session import frames
from gateway.session.frames import masked_text, size_bytes
from tests.gateway.session.frame_fuzz import first_difference

SEED = 6455
CASES = 10_000
LONG_CASES = 1_000_000
KEPT_AS = "hustlexp/frames"


async def test_however_a_stream_is_cut_it_says_what_the_library_hears() -> None:
    """The same messages, pongs and close code as `websockets`, in ten thousand streams."""
    assert await first_difference(SEED, 0, CASES) is None


def short_by_one(data: bytes, at: int) -> int:
    """A size of a frame with a 64-bit length that lacks a byte."""
    return size_bytes(data, at) - (len(data) > at + 1 and data[at + 1] == 0xFF)


def blind_to_reserved_bits(data: bytes, at: int, max_bytes: int) -> tuple[bytes, int] | None:
    """A reader of texts that does not look at the reserved bits."""
    if at < len(data) and data[at] == 0xC1:
        data = data[:at] + b"\x81" + data[at + 1 :]
    return masked_text(data, at, max_bytes)


@pytest.mark.parametrize(
    ("name", "planted"),
    [("size_bytes", short_by_one), ("masked_text", blind_to_reserved_bits)],
)
async def test_the_streams_find_a_reader_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str, planted: object
) -> None:
    """They can fail."""
    monkeypatch.setattr(frames, name, planted)
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

"""`make bench` leaves no benchmark out."""

from __future__ import annotations

from bench.__main__ import BENCHMARKS
from tests.support.paths import ROOT

NONE = frozenset({"__init__", "__pycache__", "report"})


def test_make_bench_runs_every_benchmark() -> None:
    """Each module and package of bench/micro, but for how they all report."""
    found = {path.stem for path in (ROOT / "bench" / "micro").iterdir()} - NONE
    assert {f"bench.micro.{name}" for name in found} == set(BENCHMARKS)

"""The thresholds of a run and what became of them: pure, over locust's own figures."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.micro.report import Target


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Failures at most, and the 95th percentile of each metric at most, in milliseconds."""

    failures: int
    p95_ms: dict[str, float]


class Entry(Struct, frozen=True):
    """One metric of locust's report; `response_times` counts answers by their milliseconds."""

    name: str
    num_requests: int
    num_failures: int
    response_times: dict[str, int]


def read(path: Path) -> Thresholds:
    """Returns the thresholds of a TOML file; raises ValueError that says what is wrong with it."""
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text())
        thresholds = msgspec.convert(found, Thresholds)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
    if thresholds.failures < 0 or any(
        not math.isfinite(bound) or bound <= 0 for bound in thresholds.p95_ms.values()
    ):
        raise ValueError(f"{path}: failures is from 0 on, and each p95 above 0 ms")
    return thresholds


def percentile(response_times: Mapping[str, int], share: float) -> float:
    """Returns the least time in ms that so large a share of the answers kept; NaN of none.

    >>> percentile({"10": 95, "900": 5}, 0.95)
    10.0
    """
    total = sum(response_times.values())
    seen = 0
    for time_ms in sorted(response_times, key=float):
        seen += response_times[time_ms]
        if seen >= share * total:
            return float(time_ms)
    return math.nan


def targets(entries: Sequence[Entry], thresholds: Thresholds) -> list[Target]:
    """Returns each threshold beside what was measured; NaN, which keeps nothing, of no answer."""
    failures = sum(entry.num_failures for entry in entries)
    found = [Target("failures", failures, "", at_most=thresholds.failures)]
    by_name = {entry.name: entry for entry in entries}
    for name, bound in thresholds.p95_ms.items():
        entry = by_name.get(name)
        times = entry.response_times if entry else {}
        what = f"{name}, p95 of {sum(times.values())}"
        found.append(Target(what, percentile(times, 0.95), "ms", at_most=bound))
    return found

"""The score of many pairs: in blocks, against all in one go and against a loop over pairs.

Run `python -m bench.micro.scoring`.
Random pairs, seeded, a tenth of every input missing; the loop is hx-1.0 in plain Python, over fewer
pairs, and the run checks that all three agree.
It decides whether a tick may score every pair of a region anew, or has to remember scores.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from bench.micro.report import Row, print_report
from engine.matching import score as scoring
from engine.matching.score import PROFILES, Profile, ScoreInputs, score

PAIRS: Final = 620_000
"""What a settled market of 10,000 broadcasts and 100,000 hustlers has in one tick."""
LOOP_PAIRS: Final = 20_000
ROUNDS: Final = 7
SEED: Final = 29
PAIRS_PER_S: Final = 15e6
TIMES_THE_LOOP: Final = 15.0


def draw(count: int, seed: int) -> ScoreInputs:
    """Returns random pairs with the columns that a broadcaster loads."""
    random = np.random.default_rng(seed)

    def column(low: float, high: float, *, whole: bool = False) -> scoring.Floats:
        values = random.uniform(low, high, count)
        values = np.floor(values) if whole else values
        values[random.random(count) < 0.1] = math.nan
        return values

    return ScoreInputs(
        trust_tier=column(1, 5, whole=True),
        completion_rate=column(0, 1),
        approval_rate=column(0, 1),
        distance_miles=column(0, 12),
        category_preferred=column(0, 2, whole=True),
        category_count=column(0, 15, whole=True),
        price_cents=column(1_500, 20_000, whole=True),
        minimum_price_cents=column(1_000, 5_000, whole=True),
        market_price_cents=column(2_000, 9_000, whole=True),
        hours_to_deadline=column(0, 48),
        available_hours=column(0, 24),
    )


def loop(inputs: ScoreInputs) -> list[float]:
    """Returns the hx-1.0 scores, one pair after the other."""
    columns = [column.tolist() for column in loaded(inputs)]
    return [pair_score(*pair) for pair in zip(*columns, strict=True)]


def loaded(inputs: ScoreInputs) -> Iterator[scoring.Floats]:
    """Yields the columns that are loaded, in the order of `pair_score`'s arguments."""
    for name in ScoreInputs.__slots__:
        column = getattr(inputs, name)
        if column is not None:
            yield column


def pair_score(  # noqa: PLR0913, PLR0917  # the published inputs
    tier: float,
    completion: float,
    approval: float,
    miles: float,
    preferred: float,
    count: float,
    price: float,
    minimum: float,
    market: float,
    hours: float,
    available: float,
) -> float:
    """Returns hx-1.0 of one pair, as it is published."""
    trust = (
        0.60 * within(tier, 1.0, 4.0, 1.0) / 4.0
        + 0.30 * within(completion, 0.0, 1.0, 0.9)
        + 0.10 * within(approval, 0.0, 1.0, 0.9)
    )
    category = 0.70 * (1.0 if preferred > 0.0 else 0.6)
    category += 0.30 * within(count, 0.0, 10.0, 0.0) / 10.0
    price = 0.0 if math.isnan(price) else price
    own = 0.5 if price < minimum else 1.0
    worth = 0.60 * own + 0.40 * (1.0 if price >= market else 0.7)
    points = 0.30 * trust + 0.25 * nearness(miles) + 0.20 * category
    return points + 0.15 * worth + 0.10 * leisure(hours, available)


def within(value: float, low: float, high: float, missing: float) -> float:
    """Returns the value within its bounds, and what stands for a missing one."""
    return missing if math.isnan(value) else min(max(value, low), high)


def nearness(miles: float) -> float:
    """Returns the distance component."""
    if miles <= 1.0:
        return 1.0
    if miles <= 3.0:
        return 1.0 - 0.15 * (miles - 1.0)
    if miles <= 5.0:
        return 0.7 - 0.2 * (miles - 3.0)
    return 0.3 - 0.04 * (miles - 5.0) if miles <= 10.0 else 0.0


def leisure(hours: float, available: float) -> float:
    """Returns the time component."""
    if math.isnan(hours):
        return 0.5
    window = 24.0 if math.isnan(available) else available
    if hours >= window:
        return 1.0
    return 0.7 if hours >= 0.5 * window else 0.3


def ns_per_pair(work: Callable[[], object], pairs: int) -> float:
    """Returns the median CPU time of one run in nanoseconds per pair."""
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        work()
        took.append(time.process_time_ns() - began)
    return statistics.median(took) / pairs


def in_one_go(inputs: ScoreInputs, profile: Profile) -> scoring.Floats:
    """Returns the scores with one block as large as the columns."""
    total = np.zeros(len(inputs))
    scoring.add_components(inputs, profile, total)
    return total


def check(inputs: ScoreInputs, few: ScoreInputs) -> None:
    """Raises SystemExit unless blocks, one go and loop agree."""
    for profile in PROFILES.values():
        if score(inputs, profile).total.tobytes() != in_one_go(inputs, profile).tobytes():
            sys.exit(f"{profile.name}: blocks and one go differ")
    if not np.allclose(score(few).total, loop(few), rtol=0.0, atol=1e-12):
        sys.exit("The loop scores otherwise.")


def rates() -> tuple[float, float]:
    """Returns hx-1.0's pairs a second, and how many times the loop's that is."""
    inputs, few = draw(PAIRS, SEED), draw(LOOP_PAIRS, SEED + 1)
    check(inputs, few)
    ours = ns_per_pair(partial(score, inputs, scoring.HX_1_0), PAIRS)
    return 1e9 / ours, ns_per_pair(lambda: loop(few), LOOP_PAIRS) / ours


def main() -> int:
    """Prints the report; returns 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    pairs = parser.parse_args().pairs
    inputs, few = draw(pairs, SEED), draw(LOOP_PAIRS, SEED + 1)
    check(inputs, few)
    loop_ns = ns_per_pair(lambda: loop(few), LOOP_PAIRS)
    against_loop, against_one_go, met = [], [], []
    for profile in PROFILES.values():
        ours = ns_per_pair(partial(score, inputs, profile), pairs)
        one_go = ns_per_pair(partial(in_one_go, inputs, profile), pairs)
        what = f"{profile.name}, {1e3 / ours:.1f} M pairs/s"
        against_one_go.append(Row(what, ours, one_go, "ns/pair"))
        if profile is scoring.HX_1_0:
            row = Row(what, ours, loop_ns, "ns/pair", f"{PAIRS_PER_S / 1e6:g} M/s, 15 ×")
            against_loop.append(row)
            met += [1e9 / ours >= PAIRS_PER_S, row.ratio >= TIMES_THE_LOOP]
    print_report(f"Score of {pairs:,} pairs", against_loop, peer="loop over pairs")
    print_report("in blocks", against_one_go, peer="all in one go")
    print(f"{sum(met)} of {len(met)} targets met")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

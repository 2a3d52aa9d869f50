"""What the city wants: neighbourhoods, errands, and an endless seeded list of tasks to post."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from bench.city.ground import Spot
from bench.city.streets import Streets

LEAST_PRICE_CENTS = 1_500
CANCEL_SHARE = 0.04
SWITCH_SHARE = 0.5
RAISE_SHARE = 0.3
"""What posters do whose broadcast nobody took; the rest cancels."""


class Neighbourhood(NamedTuple):
    """Where people are: a round cloud of `spread_m`; shares of homes (hustlers) and of demand."""

    name: str
    centre: Spot
    spread_m: float
    homes: float
    demand: float


NEIGHBOURHOODS = (
    Neighbourhood("Downtown", Spot(150, 500), 900, 22, 24),
    Neighbourhood("Old Harbor", Spot(-2200, -300), 700, 12, 11),
    Neighbourhood("Southbank", Spot(600, -2900), 900, 15, 13),
    Neighbourhood("Park Rise", Spot(1500, 4300), 800, 12, 11),
    Neighbourhood("Eastfield", Spot(5200, 1100), 1000, 14, 12),
    Neighbourhood("Northgate", Spot(-1300, 6300), 800, 8, 8),
    Neighbourhood("Millbrook", Spot(7300, -3400), 900, 8, 8),
    Neighbourhood("Cedar Heights", Spot(6200, 5200), 800, 6, 6),
    Neighbourhood("Far Point", Spot(-1600, -8000), 600, 2, 4),
    Neighbourhood("Quarry Ridge", Spot(11300, 1200), 600, 1, 4),
)


class Errand(NamedTuple):
    """A kind of task: its usual price in cents, and seconds of work in life."""

    title: str
    category: str
    usual_cents: int
    work_s: float


ERRANDS = (
    Errand("Carry a sofa up two floors", "moving", 5_500, 230),
    Errand("Bring groceries to my mother", "delivery", 2_400, 80),
    Errand("Fetch a parcel before closing", "delivery", 2_000, 70),
    Errand("Fix a dripping tap", "handyman", 4_800, 210),
    Errand("Hang a heavy mirror", "handyman", 3_600, 140),
    Errand("Walk the dog, I am stuck", "pets", 2_200, 160),
    Errand("Clear the table after a party", "cleaning", 3_200, 210),
    Errand("Jump-start my car", "automotive", 3_900, 90),
    Errand("Set up the new router", "tech_help", 3_400, 140),
    Errand("Sweep leaves off the path", "yard", 2_600, 160),
    Errand("Wait in line for me", "errands", 2_300, 140),
    Errand("Put a wardrobe together", "assembly", 5_200, 250),
)
CATEGORIES = tuple(sorted({errand.category for errand in ERRANDS}))


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """One task somebody will post: when, where, what, and the poster's whims.

    `wait_s` counts from the task before, in life; `patience_s` is None for posters who wait on.
    """

    number: int
    wait_s: float
    neighbourhood: str
    spot: Spot
    errand: Errand
    price_cents: int
    patience_s: float | None
    if_nobody: str


def somewhere(rng: Random, streets: Streets, *, demand: bool) -> tuple[str, Spot]:
    """A random address: a crossing near a point of a neighbourhood's cloud, and its name."""
    weights = [n.demand if demand else n.homes for n in NEIGHBOURHOODS]
    area = rng.choices(NEIGHBOURHOODS, weights)[0]
    aim = Spot(rng.gauss(area.centre.x, area.spread_m), rng.gauss(area.centre.y, area.spread_m))
    corner = streets.nearest(aim)
    return area.name, Spot(corner.x + rng.uniform(-40, 40), corner.y + rng.uniform(-40, 40))


def task_plans(seed: int, streets: Streets, per_hour: float) -> Iterator[TaskPlan]:
    """Tasks of the city: Poisson arrivals, log-normal prices around each errand's usual one."""
    rng = Random(f"tasks {seed}")
    number = 0
    while True:
        errand = rng.choice(ERRANDS)
        name, spot = somewhere(rng, streets, demand=True)
        price = errand.usual_cents * rng.lognormvariate(0.0, 0.3)
        yield TaskPlan(
            number=number,
            wait_s=rng.expovariate(per_hour / 3600),
            neighbourhood=name,
            spot=spot,
            errand=errand,
            price_cents=max(LEAST_PRICE_CENTS, 50 * math.floor(price / 50)),
            patience_s=rng.uniform(30, 300) if rng.random() < CANCEL_SHARE else None,
            if_nobody=_if_nobody(rng.random()),
        )
        number += 1


def _if_nobody(mood: float) -> str:
    if mood < SWITCH_SHARE:
        return "SWITCH_TO_STANDARD"
    return "INCREASE_PRICE" if mood < SWITCH_SHARE + RAISE_SHARE else "CANCEL"
